// @walletpass/pass-js: a template that knows everything but the serial number, as its README advises.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
const [folder, seconds, out] = process.argv.slice(2);
const text = (name) => readFileSync(join(folder, name), "utf8");
// The library takes the intermediate certificate from here, when it is loaded.
process.env.APPLE_WWDR_CERT_PEM = text("intermediate.pem");
const { Template } = await import("@walletpass/pass-js");
const { measure } = await import("./rate.mjs");

const { formatVersion, serialNumber, ...fields } = JSON.parse(text("pass.json"));
const template = new Template("eventTicket", fields);
template.setCertificate(text("pass.pem"));
template.setPrivateKey(text("pass.key"));
for (const file of readdirSync(join(folder, "images"))) {
    const [, type, density] = /^(\w+?)(?:@(\dx))?\.png$/.exec(file);
    await template.images.add(type, readFileSync(join(folder, "images", file)), density);
}
await measure((number) => template.createPass({ serialNumber: `${serialNumber}-${number}` }).asBuffer(), Number(seconds), out);
