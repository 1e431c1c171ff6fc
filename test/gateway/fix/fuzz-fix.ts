/** Fuzzes the FIX parser, the session and the readers of messages: `bun run fuzz:fix [seconds] [seed]`, 600 s unless told otherwise. */
import { fuzzFix } from "./fuzz-run.ts";

const [seconds = "600", seed = "1"] = process.argv.slice(2);
const end = performance.now() + Number(seconds) * 1_000;
const before = process.memoryUsage.rss();
const report = fuzzFix(Number(seed), (rounds) => rounds % 64 !== 0 || performance.now() < end);
Bun.gc(true);
const grownMb = Math.round((process.memoryUsage.rss() - before) / 1_048_576);
console.log(JSON.stringify({ ...report, grownMb }));
process.exitCode = report.longestRoundMs < 1_000 && grownMb < 200 ? 0 : 1;
