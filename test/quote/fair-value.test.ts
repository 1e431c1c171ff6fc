import { expect, test } from "bun:test";
import { FORWARD, Scenario } from "./harness.ts";

function forwardOf(scenario: Scenario, instrument: number): number {
  scenario.requote();
  return scenario.quoter.values.forward[instrument] ?? Number.NaN;
}

test("tickers of one expiry share their forward", () => {
  const scenario = new Scenario().ready();
  const first = scenario.option();
  const second = scenario.option({ strike: 61_000 });
  scenario.later(5_000).move(FORWARD);
  scenario.ticker(second, 0.5, 60_030);
  expect(forwardOf(scenario, first.id)).toBeCloseTo(60_030, 0);
  expect(forwardOf(scenario, second.id)).toBe(forwardOf(scenario, first.id));
});

test("a ticker that lags behind the market moves the forward only a little", () => {
  const scenario = new Scenario().ready();
  const option = scenario.option();
  scenario.later(5_000).move(FORWARD);
  scenario.ticker(option, 0.5);
  scenario.later(50).move(FORWARD * 1.001);
  scenario.ticker(option, 0.5, FORWARD);
  const forward = forwardOf(scenario, option.id);
  expect(forward).toBeGreaterThan(FORWARD * 1.0008);
  expect(forward).toBeLessThan(FORWARD * 1.001);
});

test("a basis that jumps is taken over at once", () => {
  const scenario = new Scenario().ready();
  const option = scenario.option();
  scenario.later(10).move(FORWARD);
  scenario.ticker(option, 0.5, FORWARD * 1.01);
  expect(forwardOf(scenario, option.id)).toBeCloseTo(FORWARD * 1.01, 6);
});

test("a reference market that comes up after the ticker moves the forward from then on", () => {
  const scenario = new Scenario();
  const option = scenario.option();
  scenario.ready();
  expect(forwardOf(scenario, option.id)).toBe(FORWARD);
  scenario.later(10).move(FORWARD * 1.002);
  expect(forwardOf(scenario, option.id)).toBeCloseTo(FORWARD * 1.002, 6);
});

test("without a mark volatility the middle of bid and ask counts, without any there is no value", () => {
  const scenario = new Scenario().ready();
  const option = scenario.option({}, Number.NaN);
  scenario.requote();
  expect(scenario.quoter.values.fair[option.id]).toBeNaN();
  scenario.sides(option, 0.4, 0.6);
  scenario.requote();
  expect(scenario.quoter.values.impliedVolatility[option.id]).toBeCloseTo(0.5, 12);
  expect(scenario.quoter.values.fair[option.id]).toBeGreaterThan(0);
});

test("a ticker without volatility keeps the last one", () => {
  const scenario = new Scenario().ready();
  const option = scenario.option({}, 0.7);
  scenario.ticker(option, Number.NaN);
  scenario.requote();
  expect(scenario.quoter.values.impliedVolatility[option.id]).toBe(0.7);
});
