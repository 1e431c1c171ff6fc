import { expect, test } from "bun:test";
import { Mission, timeMission } from "../../src/bench/mission.ts";
import { stepToNumber } from "../../src/core/decimal.ts";

test("the mission's scenario on a whole desk: a frame of the venue in, every option's quote 15 bp wider and 30 % smaller out, in its turn", () => {
  const mission = new Mission(1);
  const { before, quotes, frameToFixNs } = mission.play();
  const { instruments } = mission.desk.market;
  const options = before.filter(({ instrument }) => instruments.get(instrument).kind === "option");
  expect(options.length).toBeGreaterThan(100);
  expect(quotes.map(({ instrument }) => instrument).toSorted()).toEqual(
    before.map(({ instrument }) => instrument).toSorted(),
  );
  expect(frameToFixNs).toBeGreaterThan(0);
  for (const quote of quotes) {
    const instrument = instruments.get(quote.instrument);
    const calm = before.find(({ instrument: id }) => id === quote.instrument);
    expect([quote.widenBp, quote.sizeFactor]).toEqual([15, 0.7]);
    expect(quote.reasons).toContain("modelMove");
    expect(quote.reasons).toContain("modelWithdraw");
    const { terms } = quote;
    if (terms === null || calm === undefined) throw new Error("a quote has terms and stood before");
    const tick = stepToNumber(instrument.tick);
    const bp = instrument.kind === "option" ? 1e-4 : 1e-4 * terms.forward;
    expect(terms.moveBid / (Math.abs(terms.delta) * bp)).toBeCloseTo(15, 2);
    expect(terms.moveAsk).toBe(terms.moveBid);
    const half = terms.base + terms.moveBid;
    const slack = 1e-6 * quote.fair;
    for (const [ticks, lots, calmLots, distance] of [
      [quote.bidTicks, quote.bidLots, calm.bidLots, quote.fair - quote.bidTicks * tick],
      [quote.askTicks, quote.askLots, calm.askLots, quote.askTicks * tick - quote.fair],
    ] as const) {
      if (ticks < 0) continue;
      expect(distance).toBeGreaterThan(0.9 * half - slack);
      expect(lots).toBeLessThanOrEqual(0.7 * calmLots + 1);
    }
  }
});

test("in a market so quiet that the features need longer for their first events, it plays when the model is in force", () => {
  const mission = new Mission(7);
  const { before, quotes } = mission.play();
  expect(mission.desk.modelStatus(0)).toBe(0);
  expect(quotes.length).toBe(before.length);
  expect(quotes.every(({ widenBp, sizeFactor }) => widenBp === 15 && sizeFactor === 0.7)).toBe(true);
});

test("it plays again the same, and is timed from frame to FIX", () => {
  const play = (): unknown => {
    const { quotes } = new Mission(7).play();
    expect(quotes.length).toBeGreaterThan(100);
    return quotes;
  };
  expect(play()).toEqual(play());
  const { frameToFix, quotesPerPlay } = timeMission(1, 2);
  expect(frameToFix.count).toBe(2);
  expect(quotesPerPlay).toBeGreaterThan(100);
});
