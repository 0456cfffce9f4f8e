// How many passes per second of one core a library builds: one at a time, for so many seconds, after a second to warm up. Prints the rate and,
// once, writes the last pass where the caller wants to look at it.
import { writeFileSync } from "node:fs";

export async function measure(build, seconds, out) {
    const spent = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1e6; };
    const during = async (seconds) => {
        const start = spent();
        let passes = 0, last;
        do { last = await build(passes); passes += 1; } while (spent() - start < seconds);
        return { rate: passes / (spent() - start), last };
    };
    await during(1);
    const { rate, last } = await during(seconds);
    writeFileSync(out, last);
    console.log(rate.toFixed(3));
}
