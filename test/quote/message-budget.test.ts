import { expect, test } from "bun:test";
import { REASON } from "../../src/quote/quote-batch.ts";
import { FORWARD, Scenario, START_US } from "./harness.ts";

const SCARED = [0.7, 0, 0, 0, 0.6, 0, 0];

test("when the budget is short, the tightenings of most value are paid for", () => {
  const scenario = new Scenario({ messagesPerSecond: 4, messageBurst: 6, minUpdateValue: 0 }).ready();
  const strikes = [60_000, 72_000, 63_000, 80_000, 61_500, 90_000];
  const options = strikes.map((strike) => scenario.option({ strike }));
  scenario.requote();
  scenario.later(3_000).move(FORWARD, SCARED);
  expect(scenario.requote()).toHaveLength(6);
  scenario.later(1_000).move(FORWARD);
  const tightened = scenario.requote();
  expect(tightened).toHaveLength(4);
  const byVega = options
    .map(({ id }) => ({ id, vega: scenario.quoter.values.vega[id] }))
    .sort((a, b) => b.vega - a.vega);
  expect(tightened.toSorted()).toEqual(
    byVega
      .slice(0, 4)
      .map(({ id }) => id)
      .toSorted(),
  );
  for (const { id } of byVega.slice(4)) expect(scenario.quoter.reasons[id] & REASON.held).toBe(REASON.held);
  scenario.later(1_000);
  expect(scenario.timer()).toHaveLength(2);
});

test("widening is never held back, draws on the budget, and tightening waits until the debt is paid", () => {
  const scenario = new Scenario({ messagesPerSecond: 2, messageBurst: 3, minQuoteLifeMs: 0 }).ready();
  for (let i = 0; i < 3; i += 1) scenario.option({ strike: 60_000 + 500 * i });
  scenario.requote();
  scenario.move(FORWARD, SCARED);
  expect(scenario.requote()).toHaveLength(3);
  expect(scenario.quoter.budget.usedShare).toBe(2);
  scenario.later(1_400).move(FORWARD);
  expect(scenario.requote()).toHaveLength(0);
  scenario.later(1_000).move(FORWARD);
  expect(scenario.timer()).toHaveLength(1);
});

test("a tightening that is worth less than a message is not sent", () => {
  const scenario = new Scenario({ minUpdateValue: 100_000 }).ready();
  const option = scenario.option();
  scenario.requote();
  expect(scenario.batch.count).toBe(0);
  expect(scenario.reasons(option) & REASON.held).toBe(REASON.held);
});

test("how good the quotes are is measured over the time for which they stand", () => {
  const scenario = new Scenario().ready();
  const option = scenario.option();
  scenario.timer();
  const { bid, ask } = scenario.stands(option);
  scenario.quoter.onBook(option.id, bid, 5, ask - 5, 5, scenario.timeUs);
  const { quality } = scenario.quoter;
  for (let i = 0; i < 10; i += 1) {
    scenario.later(100).move(FORWARD);
    scenario.timer();
  }
  expect(quality.standingSeconds).toBeCloseTo(2, 6);
  expect(quality.comparedSeconds).toBeCloseTo(2, 6);
  expect(quality.atBestSeconds).toBeCloseTo(1, 6);
  const fair = scenario.quoter.values.fair[option.id];
  const meanBp = ((ask * 1e-4 - bid * 1e-4) / 2) * 1e4;
  expect(fair).toBeGreaterThan(bid * 1e-4);
  expect(quality.distanceBpSeconds / quality.standingSeconds).toBeCloseTo(meanBp, 1);
  expect([quality.firstSentUs, quality.peakPerSecond]).toEqual([START_US, 1]);
});
