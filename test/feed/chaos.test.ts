import { describe, expect, test } from "bun:test";
import { type ChaosResult, ChaosSession } from "./chaos.ts";
import { FAKE_VENUES } from "./fake-venues.ts";

const CHAOS_MS = 15_000;
const SEEDS = [1, 2];

/** Runs the same for every venue: `bun test/feed/chaos-run.ts` does it for long and for as many seeds as one likes. */
describe.each(FAKE_VENUES.map(([name, makeVenue]) => ({ name, makeVenue })))(
  "chaos: $name",
  ({ makeVenue }) => {
    test.each(SEEDS)("seed %d: no unsound book is live, and both books heal", (seed) => {
      const result: ChaosResult = new ChaosSession(makeVenue(), seed).run(CHAOS_MS);
      expect(result.unsound).toEqual([]);
      expect(result.healedMs).toBeGreaterThanOrEqual(0);
      const struck = Object.values(result.faults).filter((count) => count > 0);
      expect(struck.length).toBeGreaterThanOrEqual(4);
      expect(result.counters.resyncs).toBeGreaterThan(0);
    });
  },
);

test("the same seed is the same chaos", () => {
  const [, makeVenue] = FAKE_VENUES[0];
  const run = (): ChaosResult => new ChaosSession(makeVenue(), 7).run(5_000);
  expect(run()).toEqual(run());
});
