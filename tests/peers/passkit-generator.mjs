// Builds passes from folders with passkit-generator, by its setters as its documentation advises:
//   node passkit-generator.mjs CERTIFICATES FOLDER...
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PKPass } from "passkit-generator";

const [certificates, ...folders] = process.argv.slice(2);
const pem = (name) => readFileSync(join(certificates, name), "utf8");
const keys = { wwdr: pem("intermediate.pem"), signerCert: pem("pass.pem"), signerKey: pem("pass.key") };
const STYLES = ["boardingPass", "coupon", "eventTicket", "generic", "storeCard"];
const FIELDS = ["headerFields", "primaryFields", "secondaryFields", "auxiliaryFields", "backFields"];

for (const folder of folders) {
    const { content, voided, passTypeIdentifier, teamIdentifier, serialNumber, webServiceURL, authenticationToken } =
        JSON.parse(readFileSync(join(folder, "order.json"), "utf8"));
    const images = readdirSync(folder).filter((file) => file.endsWith(".png"));
    const files = Object.fromEntries(images.map((file) => [file, readFileSync(join(folder, file))]));
    const style = STYLES.find((key) => key in content);
    const { [style]: shown, barcodes, locations, beacons, relevantDates, expirationDate, ...others } = content;
    const identity = { passTypeIdentifier, teamIdentifier, serialNumber, webServiceURL, authenticationToken };
    const pass = new PKPass(files, keys, { ...others, ...identity, ...(voided ? { voided } : {}) });
    pass.type = style;
    if (shown.transitType) pass.transitType = shown.transitType;
    for (const group of FIELDS) pass[group].push(...(shown[group] ?? []));
    if (barcodes) pass.setBarcodes(...barcodes);
    if (locations) pass.setLocations(...locations);
    if (beacons) pass.setBeacons(...beacons);
    // It asks for the name of iOS 18, and writes both.
    if (relevantDates) pass.setRelevantDates(relevantDates.map(({ date }) => ({ date, relevantDate: date })));
    if (expirationDate) pass.setExpirationDate(new Date(expirationDate));
    writeFileSync(join(folder, "theirs.pkpass"), pass.getAsBuffer());
}
