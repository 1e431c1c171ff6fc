import { expect, test } from "bun:test";
import type { Instrument } from "../../src/market/instrument.ts";
import { black76, OptionValue, YEAR_US } from "../../src/option/black76.ts";
import { DEFAULT_SURFACE_PARAMETERS } from "../../src/option/surface/parameters.ts";
import { SURFACE_SOURCE } from "../../src/option/surface/slices.ts";
import { FORWARD, Scenario } from "./harness.ts";

const TICK = 1e-4;
const value = new OptionValue();

/** Sets an option's book one tick around the premium at a volatility. */
function book(scenario: Scenario, option: Instrument, volatility: number): void {
  const years = (option.expiryMs * 1_000 - scenario.exchangeTimeUs) / YEAR_US;
  black76(value, option.optionType === "call", FORWARD, option.strike, years, volatility);
  const ticks = value.price / FORWARD / TICK;
  scenario.quoter.onBook(option.id, Math.floor(ticks), 10, Math.ceil(ticks + 0.01), 10, scenario.timeUs);
}

/** Options at `count` strikes; the venue says 0.5, their books say `volatility`. */
function chain(scenario: Scenario, volatility: number, count = 15): Instrument[] {
  return Array.from({ length: count }, (_, i) => {
    const strike = FORWARD - 1_000 * (Math.floor(count / 2) - i);
    const option = scenario.option({ strike, optionType: strike < FORWARD ? "put" : "call" });
    book(scenario, option, volatility);
    return option;
  });
}

function settle(scenario: Scenario): void {
  for (let i = 0; i < 60; i += 1) scenario.later(10).timer();
}

test("with a surface, options are valued at what their books say, not at what the venue says", () => {
  const scenario = new Scenario({}, 64, DEFAULT_SURFACE_PARAMETERS).ready();
  const options = chain(scenario, 0.6);
  scenario.requote();
  expect(scenario.quoter.values.impliedVolatility[options[7].id]).toBe(0.5);
  settle(scenario);
  scenario.requote();
  for (const { id } of options) {
    expect(scenario.quoter.surfaces?.source(id)).toBe(SURFACE_SOURCE.svi);
    expect(scenario.quoter.values.impliedVolatility[id]).toBeCloseTo(0.6, 1);
    expect(scenario.quoter.values.venueVolatility[id]).toBe(0.5);
  }
});

test("without one, the venue's volatility counts whatever the books say", () => {
  const scenario = new Scenario().ready();
  const options = chain(scenario, 0.6);
  settle(scenario);
  expect(scenario.quoter.surfaces).toBeNull();
  for (const { id } of options) expect(scenario.quoter.values.impliedVolatility[id]).toBe(0.5);
});

test("where no book has two sides the venue's volatility stands in", () => {
  const scenario = new Scenario({}, 64, DEFAULT_SURFACE_PARAMETERS).ready();
  const option = scenario.option();
  settle(scenario);
  expect(scenario.quoter.surfaces?.source(option.id)).toBe(SURFACE_SOURCE.none);
  expect(scenario.quoter.values.impliedVolatility[option.id]).toBe(0.5);
  expect(scenario.stands(option).bid).toBeGreaterThan(0);
});

test("a surface that is no longer renewed gives way to the venue", () => {
  const scenario = new Scenario({}, 64, DEFAULT_SURFACE_PARAMETERS).ready();
  const options = chain(scenario, 0.6);
  settle(scenario);
  scenario.later(DEFAULT_SURFACE_PARAMETERS.maxAgeMs + 1_000).move(FORWARD);
  scenario.timer();
  expect(scenario.quoter.values.impliedVolatility[options[7].id]).toBe(0.5);
});

test("a feed that breaks takes its options' prices out of the surface", () => {
  const scenario = new Scenario({}, 64, DEFAULT_SURFACE_PARAMETERS).ready();
  const options = chain(scenario, 0.6);
  settle(scenario);
  for (const { id } of options) scenario.quoter.onFeedState(id, false, 0);
  settle(scenario);
  for (const { id } of options) expect(scenario.quoter.surfaces?.source(id)).toBe(SURFACE_SOURCE.none);
});

test("the same inputs give the same quotes, bit for bit", () => {
  const run = (): unknown[] => {
    const scenario = new Scenario({}, 64, DEFAULT_SURFACE_PARAMETERS).ready();
    const options = chain(scenario, 0.6);
    settle(scenario);
    return options.map((option) => [
      scenario.stands(option),
      scenario.quoter.values.fair[option.id],
      scenario.quoter.values.vega[option.id],
    ]);
  };
  expect(run()).toEqual(run());
});
