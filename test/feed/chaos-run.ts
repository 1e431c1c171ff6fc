/**
 * The chaos test for long: `bun test/feed/chaos-run.ts [SECONDS [SEED [SEEDS]]]`, default 600 simulated seconds, seeds 1 to 5, over every
 * venue. Prints what each run met and how long it took to heal; exit code 1 when a book was live that should not have been, or
 * did not heal.
 *
 * @module
 */
import { ChaosSession } from "./chaos.ts";
import { FAKE_VENUES } from "./fake-venues.ts";

const [seconds = 600, first = 1, count = 5] = process.argv.slice(2).map(Number);
let failures = 0;
for (const [name, makeVenue] of FAKE_VENUES) {
  for (let seed = first; seed < first + count; seed += 1) {
    const { faults, unsound, healedMs, counters } = new ChaosSession(makeVenue(), seed).run(seconds * 1_000);
    const struck = Object.values(faults).reduce((sum, times) => sum + times, 0);
    const failed = unsound.length > 0 || Number.isNaN(healedMs);
    failures += Number(failed);
    console.log(
      `${failed ? "FAILED" : "ok"} ${name}, seed ${seed}: ${struck} faults, ${counters.frames} frames, ${counters.resyncs} resyncs, healed ${healedMs} ms after the last fault`,
    );
    for (const problem of unsound.slice(0, 3)) console.log(`  ${problem}`);
  }
}
process.exitCode = failures > 0 ? 1 : 0;
