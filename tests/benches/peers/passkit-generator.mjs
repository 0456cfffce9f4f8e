// passkit-generator: the files in memory, a pass of its own for each.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { PKPass } from "passkit-generator";
import { measure } from "./rate.mjs";
const [folder, seconds, out] = process.argv.slice(2);
const bytes = (...name) => readFileSync(join(folder, ...name));

const files = { "pass.json": bytes("pass.json") };
for (const file of readdirSync(join(folder, "images"))) files[file] = bytes("images", file);
const certificates = {
    wwdr: bytes("intermediate.pem").toString(),
    signerCert: bytes("pass.pem").toString(),
    signerKey: bytes("pass.key").toString(),
};
const build = async (number) => new PKPass(files, certificates, { serialNumber: `A-1-${number}` }).getAsBuffer();
await measure(build, Number(seconds), out);
