import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Instrument } from "../../src/market/instrument.ts";
import { REASON } from "../../src/quote/quote-batch.ts";
import { TERM, TERMS } from "../../src/quote/term.ts";
import { FORWARD, Scenario } from "./harness.ts";

const CALM = [0, 0, 0, 0, 0, 0, 0];

function ladder(scenario: Scenario, option: Instrument, levels: number): ReturnType<Scenario["stands"]>[] {
  return Array.from({ length: levels }, (_, level) => {
    const { bidTicks, bidLots, askTicks, askLots } = scenario.quoter.standing(option.id, level);
    return { bid: bidTicks, bidLots, ask: askTicks, askLots };
  });
}

test("levels stand one behind the other, in ids of their own, with the steps and sizes asked for", () => {
  const scenario = new Scenario({ levels: 3, levelStep: 1, levelSize: 2 }).ready();
  const option = scenario.option();
  scenario.requote();
  expect(scenario.batch.count).toBe(3);
  expect([...scenario.batch.level.subarray(0, 3)]).toEqual([0, 1, 2]);
  expect([...scenario.batch.quoteId.subarray(0, 3)]).toEqual([1, 2, 3]);
  const [first, second, third] = ladder(scenario, option, 3);
  const gap = scenario.batch.terms[TERM.base] / 1e-4;
  expect(first?.bid ?? 0).toBeGreaterThan(second?.bid ?? 0);
  expect((first?.bid ?? 0) - (third?.bid ?? 0)).toBeGreaterThanOrEqual(2 * gap - 10);
  expect((third?.ask ?? 0) - (first?.ask ?? 0)).toBeLessThanOrEqual(2 * gap + 10);
  expect([second?.bidLots, third?.askLots]).toEqual([2 * (first?.bidLots ?? 0), 4 * (first?.askLots ?? 0)]);
  expect(scenario.batch.terms[2 * TERMS + TERM.levelBid] / 1e-4).toBeCloseTo(2 * gap, 2);
});

test("a fill takes its lots from the level at its price, and the levels behind stay", () => {
  const scenario = new Scenario({ levels: 2 }).ready();
  const option = scenario.option();
  scenario.requote();
  const [first, second] = ladder(scenario, option, 2);
  scenario.quoter.onFill(option.id, 0, 4, scenario.timeUs, second?.bid);
  expect(ladder(scenario, option, 2)[1]?.bidLots).toBe((second?.bidLots ?? 0) - 4);
  scenario.quoter.onFill(option.id, 0, first?.bidLots ?? 0, scenario.timeUs, first?.bid);
  scenario.requote();
  expect(ladder(scenario, option, 2)[0]).toMatchObject({ bid: -1, bidLots: 0 });
  expect(ladder(scenario, option, 2)[1]?.bid).toBe(second?.bid ?? 0);
});

test("with the feed every level is pulled", () => {
  const scenario = new Scenario({ levels: 4 }).ready();
  const option = scenario.option();
  scenario.requote();
  scenario.quoter.onFeedState(option.id, false, REASON.bookUnsound);
  expect(scenario.requote()).toHaveLength(4);
  for (const { bid, ask } of ladder(scenario, option, 4)) expect([bid, ask]).toEqual([-1, -1]);
});

test("whatever the market does, no level stands before the one ahead of it, and no bid of any level reaches an ask of any", () => {
  const step = fc.record({
    afterMs: fc.nat({ max: 400 }),
    moveBp: fc.double({ min: -40, max: 40, noNaN: true }),
    down: fc.constantFrom(0, 0, 0.5, 0.9),
    fill: fc.constantFrom(-1, -1, -1, 0, 1),
  });
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 5 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.array(step, { minLength: 1, maxLength: 30 }),
      (levels, levelStep, steps) => {
        const scenario = new Scenario({ levels, levelStep }, 64).ready();
        const options = [scenario.option(), scenario.option({ strike: 66_000 })];
        scenario.requote();
        let price = FORWARD;
        for (const { afterMs, moveBp, down, fill } of steps) {
          scenario.later(afterMs);
          price *= 1 + moveBp * 1e-4;
          for (const option of options) {
            const { bid } = scenario.stands(option);
            if (fill >= 0 && bid >= 0) scenario.quoter.onFill(option.id, 0, 3, scenario.timeUs, bid);
          }
          scenario.move(price, [down, ...CALM.slice(1)]);
          scenario.requote();
          scenario.timer();
          for (const option of options) {
            let bid = Number.POSITIVE_INFINITY;
            let ask = Number.NEGATIVE_INFINITY;
            const standing = ladder(scenario, option, levels);
            const bids = standing.map((level) => level.bid).filter((ticks) => ticks >= 0);
            const asks = standing.map((level) => level.ask).filter((ticks) => ticks >= 0);
            expect(Math.max(...bids)).toBeLessThan(Math.min(...asks));
            for (const level of standing) {
              if (level.bid >= 0) {
                expect(level.bid).toBeLessThan(bid);
                bid = level.bid;
              }
              if (level.ask >= 0) {
                expect(level.ask).toBeGreaterThan(ask);
                ask = level.ask;
              }
            }
          }
        }
      },
    ),
    { numRuns: 150, seed: 5 },
  );
});
