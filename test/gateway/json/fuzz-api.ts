/**
 * Fuzzes the decoder of the JSON gateway for a long time: `bun run fuzz:api [seconds] [seed]`, 600 seconds by default. Ends with
 * exit code 1 and the seed of the round that failed.
 */
import { fuzzApi } from "./fuzz-run.ts";

const ROUND = 20_000;
const seconds = Number(process.argv[2] ?? 600);
let seed = Number(process.argv[3] ?? 1);
const residentBefore = process.memoryUsage.rss();
let messages = 0;
let slowestMs = 0;
for (const untilMs = Date.now() + seconds * 1_000; Date.now() < untilMs; seed += 1) {
  try {
    const findings = fuzzApi(seed, ROUND);
    messages += findings.messages;
    slowestMs = Math.max(slowestMs, findings.slowestMs);
  } catch (error) {
    console.error(`seed ${seed}:`, error);
    process.exit(1);
  }
}
const grownMiB = (process.memoryUsage.rss() - residentBefore) / 1_048_576;
console.log(
  `${messages} messages, slowest ${slowestMs.toFixed(1)} ms of processor time, memory grew by ${grownMiB.toFixed(0)} MiB`,
);
