/**
 * Fuzzes the decoder of the JSON gateway for a long time: `bun run fuzz:api [seconds] [seed]`, 600 seconds by default. Ends with
 * exit code 1 and the seed of the round that failed, or when a message took too long or memory has grown.
 */
import { fuzzApi } from "./fuzz-run.ts";

const ROUND = 20_000;
/** Until then the runtime compiles and its heap takes its size, some 60 MiB; what grows later is what messages leave behind. */
const WARM_UP_ROUNDS = 8;
const SLOWEST_MS_MAX = 1_000;
const GROWN_MIB_MAX = 64;

const seconds = Number(process.argv[2] ?? 600);
let seed = Number(process.argv[3] ?? 1);
let messages = 0;
let slowestMs = 0;

function fuzzRound(): void {
  try {
    const findings = fuzzApi(seed, ROUND);
    messages += findings.messages;
    slowestMs = Math.max(slowestMs, findings.slowestMs);
  } catch (error) {
    console.error(`seed ${seed}:`, error);
    process.exit(1);
  }
  seed += 1;
}

function residentMiB(): number {
  Bun.gc(true);
  return process.memoryUsage.rss() / 1_048_576;
}

const untilMs = Date.now() + seconds * 1_000;
for (let round = 0; round < WARM_UP_ROUNDS; round += 1) fuzzRound();
const before = residentMiB();
while (Date.now() < untilMs) fuzzRound();
const after = residentMiB();
console.log(
  `${messages} messages, slowest ${slowestMs.toFixed(1)} ms of processor time, resident ${after.toFixed(0)} MiB, ` +
    `${(after - before).toFixed(0)} MiB more than when warm`,
);
process.exitCode = slowestMs < SLOWEST_MS_MAX && after - before < GROWN_MIB_MAX ? 0 : 1;
