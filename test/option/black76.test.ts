import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { black76, OptionValue, YEAR_US, yearsToExpiry } from "../../src/option/black76.ts";
import { sharedPath, skipUnlessShared } from "../support/shared-data.ts";

const value = new OptionValue();

function priced(
  call: boolean,
  forward: number,
  strike: number,
  years: number,
  volatility: number,
): OptionValue {
  black76(value, call, forward, strike, years, volatility);
  return value;
}

test("a one-year option at the money has its textbook value", () => {
  const { price, delta, gamma, vega, theta } = priced(true, 100, 100, 1, 0.2);
  expect(price).toBeCloseTo(7.965567455405804, 12);
  expect(delta).toBeCloseTo(0.539827837277029, 12);
  expect(gamma).toBeCloseTo(0.019847627373850588, 12);
  expect(vega).toBeCloseTo(39.695254747701177, 12);
  expect(theta).toBeCloseTo(-3.9695254747701177, 12);
});

test("without time or volatility an option is worth its intrinsic value", () => {
  for (const [years, volatility] of [
    [0, 0.5],
    [-1, 0.5],
    [1, 0],
    [1, -0.1],
    [0, 0],
  ] as const) {
    expect(priced(true, 110, 100, years, volatility)).toMatchObject({
      price: 10,
      delta: 1,
      gamma: 0,
      vega: 0,
      theta: 0,
    });
    expect(priced(true, 90, 100, years, volatility)).toMatchObject({ price: 0, delta: 0 });
    expect(priced(false, 90, 100, years, volatility)).toMatchObject({ price: 10, delta: -1 });
    expect(priced(false, 110, 100, years, volatility)).toMatchObject({ price: 0, delta: 0 });
    expect(priced(true, 100, 100, years, volatility).delta).toBe(0.5);
    expect(priced(false, 100, 100, years, volatility).delta).toBe(-0.5);
  }
});

test("deep wings go to zero or to intrinsic, never below", () => {
  expect(priced(true, 100, 1e6, 0.01, 0.2).price).toBe(0);
  expect(priced(false, 100, 1e6, 0.01, 0.2)).toMatchObject({ price: 999_900, delta: -1 });
  expect(priced(false, 1e6, 100, 0.01, 0.2).price).toBe(0);
  expect(priced(true, 1e6, 100, 0.01, 0.2)).toMatchObject({ price: 999_900, delta: 1 });
});

test("what is no forward, strike, time or volatility gives NaN throughout", () => {
  for (const [forward, strike, years, volatility] of [
    [0, 100, 1, 0.2],
    [-5, 100, 1, 0.2],
    [Number.NaN, 100, 1, 0.2],
    [100, 0, 1, 0.2],
    [100, Number.POSITIVE_INFINITY, 1, 0.2],
    [100, 100, Number.NaN, 0.2],
    [100, 100, 1, Number.NaN],
    [100, 100, Number.POSITIVE_INFINITY, 0.2],
  ] as const) {
    const { price, delta, gamma, vega, theta } = priced(true, forward, strike, years, volatility);
    expect([price, delta, gamma, vega, theta]).toEqual([
      Number.NaN,
      Number.NaN,
      Number.NaN,
      Number.NaN,
      Number.NaN,
    ]);
  }
});

const cases = fc.record({
  forward: fc.double({ min: 1, max: 1e5, noNaN: true }),
  moneyness: fc.double({ min: -1.5, max: 1.5, noNaN: true }),
  years: fc.double({ min: 1e-4, max: 3, noNaN: true }),
  volatility: fc.double({ min: 0.05, max: 3, noNaN: true }),
});

test("puts and calls obey parity, bounds and delta difference one", () => {
  fc.assert(
    fc.property(cases, ({ forward, moneyness, years, volatility }) => {
      const strike = forward * Math.exp(moneyness);
      const call = { ...priced(true, forward, strike, years, volatility) };
      const put = { ...priced(false, forward, strike, years, volatility) };
      const scale = Math.max(forward, strike);
      expect(Math.abs(call.price - put.price - (forward - strike))).toBeLessThan(1e-13 * scale);
      expect(call.price).toBeGreaterThanOrEqual(Math.max(forward - strike, 0));
      expect(call.price).toBeLessThanOrEqual(forward * (1 + 1e-15));
      expect(Math.abs(call.delta - put.delta - 1)).toBeLessThan(1e-15);
      expect(call.vega).toBe(put.vega);
      expect(call.gamma).toBe(put.gamma);
      expect(call.theta).toBeLessThanOrEqual(0);
    }),
    { seed: 2 },
  );
});

test("the Greeks are the derivatives of the price", () => {
  fc.assert(
    fc.property(cases, ({ forward, moneyness, volatility }) => {
      const strike = forward * Math.exp(moneyness / 3);
      const years = 0.25;
      const at = (f: number, t: number, v: number) => priced(true, f, strike, t, v).price;
      const greeks = { ...priced(true, forward, strike, years, volatility) };
      const step = forward * 1e-4 * Math.min(volatility, 1);
      const delta =
        (at(forward + step, years, volatility) - at(forward - step, years, volatility)) / (2 * step);
      const vega = (at(forward, years, volatility + 1e-4) - at(forward, years, volatility - 1e-4)) / 2e-4;
      const theta = -(at(forward, years + 1e-5, volatility) - at(forward, years - 1e-5, volatility)) / 2e-5;
      priced(true, forward + step, strike, years, volatility);
      const deltaUp = value.delta;
      priced(true, forward - step, strike, years, volatility);
      const gamma = (deltaUp - value.delta) / (2 * step);
      expect(Math.abs(greeks.delta - delta)).toBeLessThan(1e-5);
      expect(Math.abs(greeks.gamma - gamma) * forward).toBeLessThan(1e-3);
      expect(Math.abs(greeks.vega - vega)).toBeLessThan(1e-4 * forward);
      expect(Math.abs(greeks.theta - theta)).toBeLessThan(1e-3 * forward);
    }),
    { seed: 3 },
  );
});

const VECTORS = "vectors/py_vollib-greeks.json";

test.skipIf(skipUnlessShared(VECTORS))("prices and Greeks of py_vollib are matched", () => {
  const { columns, data }: { columns: string[]; data: number[][] } = JSON.parse(
    readFileSync(sharedPath(VECTORS), "utf8"),
  );
  for (const cells of data) {
    const at = (column: string): number => cells[columns.indexOf(column)];
    const [spot, strike, rate, years, volatility] = ["S", "K", "R", "t", "v"].map(at);
    const discount = Math.exp(-rate * years);
    const forward = spot / discount;
    for (const call of [true, false]) {
      const side = call ? "C" : "P";
      const { price, delta, gamma, vega, theta } = priced(call, forward, strike, years, volatility);
      const discounted = discount * price;
      expect(discounted).toBeCloseTo(at(call ? "bs_call" : "bs_put"), 6);
      expect(delta).toBeCloseTo(at(`${side}D`), 8);
      expect((gamma * discount * forward ** 2) / spot ** 2).toBeCloseTo(at(`${side}G`), 8);
      expect(discount * vega).toBeCloseTo(at(`${side}V`), 6);
      const spotTheta = discount * theta + rate * discounted - rate * spot * delta;
      expect(spotTheta).toBeCloseTo(at(`${side}T`), 5);
    }
  }
});

test("years are counted on the exchange's clock in years of 365.25 days", () => {
  const nowUs = 1_700_000_000_000_000;
  expect(yearsToExpiry((nowUs + YEAR_US / 2) / 1_000, nowUs)).toBeCloseTo(0.5, 12);
  expect(yearsToExpiry(nowUs / 1_000 - 1, nowUs)).toBeLessThan(0);
  expect(yearsToExpiry(Number.POSITIVE_INFINITY, nowUs)).toBe(Number.POSITIVE_INFINITY);
});
