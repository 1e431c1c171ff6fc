import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import {
  black76Greeks,
  blackScholes,
  GreekColumns,
  Greeks,
  greeksOf,
  inCoin,
  perVenue,
  VALUE_STATUS,
} from "../../src/option/greeks.ts";
import { sharedPath, skipUnlessShared } from "../support/shared-data.ts";

const NAMES = ["price", "delta", "gamma", "vega", "theta", "rho", "vanna", "volga", "charm"] as const;
const out = new Greeks();
const VECTORS = "vectors/py_vollib-greeks.json";

test.skipIf(skipUnlessShared(VECTORS))("prices and Greeks of py_vollib are matched", () => {
  const { columns, data }: { columns: string[]; data: number[][] } = JSON.parse(
    readFileSync(sharedPath(VECTORS), "utf8"),
  );
  for (const cells of data) {
    const at = (column: string): number => cells[columns.indexOf(column)];
    const [spot, strike, rate, years, volatility] = ["S", "K", "R", "t", "v"].map(at);
    for (const side of ["C", "P"]) {
      blackScholes(out, side === "C", spot, strike, years, volatility, rate);
      expect(out.price).toBeCloseTo(at(side === "C" ? "bs_call" : "bs_put"), 6);
      expect(out.delta).toBeCloseTo(at(`${side}D`), 8);
      expect(out.gamma).toBeCloseTo(at(`${side}G`), 8);
      expect(out.theta).toBeCloseTo(at(`${side}T`), 5);
      expect(out.vega).toBeCloseTo(at(`${side}V`), 6);
      expect(out.rho).toBeCloseTo(at(`${side}R`), 5);
    }
  }
});

const cases = fc.record({
  call: fc.boolean(),
  moneyness: fc.double({ min: -0.6, max: 0.6, noNaN: true }),
  years: fc.double({ min: 0.1, max: 2, noNaN: true }),
  volatility: fc.double({ min: 0.2, max: 1.5, noNaN: true }),
  rate: fc.double({ min: -0.05, max: 0.1, noNaN: true }),
  yieldRate: fc.double({ min: -0.05, max: 0.1, noNaN: true }),
});

/** Central difference of one Greek. */
function slope(of: (step: number) => number, step: number): number {
  return (of(step) - of(-step)) / (2 * step);
}

test("Black-Scholes: each Greek is the derivative that its name says", () => {
  fc.assert(
    fc.property(cases, ({ call, moneyness, years, volatility, rate, yieldRate }) => {
      const spot = 100;
      const strike = spot * Math.exp(moneyness);
      const scratch = new Greeks();
      const at = (ds: number, dv: number, dt: number, dr: number): Greeks => {
        blackScholes(scratch, call, spot + ds, strike, years - dt, volatility + dv, rate + dr, yieldRate);
        return scratch;
      };
      blackScholes(out, call, spot, strike, years, volatility, rate, yieldRate);
      expect(out.delta).toBeCloseTo(
        slope((d) => at(d, 0, 0, 0).price, 1e-3),
        6,
      );
      expect(out.gamma).toBeCloseTo(
        slope((d) => at(d, 0, 0, 0).delta, 1e-3),
        7,
      );
      expect(out.vega).toBeCloseTo(
        slope((d) => at(0, d, 0, 0).price, 1e-4),
        4,
      );
      expect(out.theta).toBeCloseTo(
        slope((d) => at(0, 0, d, 0).price, 1e-5),
        4,
      );
      expect(out.rho).toBeCloseTo(
        slope((d) => at(0, 0, 0, d).price, 1e-5),
        4,
      );
      expect(out.vanna).toBeCloseTo(
        slope((d) => at(0, d, 0, 0).delta, 1e-4),
        5,
      );
      expect(out.volga).toBeCloseTo(
        slope((d) => at(0, d, 0, 0).vega, 1e-4),
        3,
      );
      expect(out.charm).toBeCloseTo(
        slope((d) => at(0, 0, d, 0).delta, 1e-5),
        5,
      );
    }),
    { seed: 5 },
  );
});

test("Black-76 with discounting: theta, rho and charm hold the forward still", () => {
  fc.assert(
    fc.property(cases, ({ call, moneyness, years, volatility, rate }) => {
      const strike = 100 * Math.exp(moneyness);
      const scratch = new Greeks();
      const at = (dt: number, dr: number): Greeks => {
        black76Greeks(scratch, call, 100, strike, years - dt, volatility, rate + dr);
        return scratch;
      };
      black76Greeks(out, call, 100, strike, years, volatility, rate);
      expect(out.theta).toBeCloseTo(
        slope((d) => at(d, 0).price, 1e-5),
        4,
      );
      expect(out.rho).toBeCloseTo(
        slope((d) => at(0, d).price, 1e-5),
        4,
      );
      expect(out.charm).toBeCloseTo(
        slope((d) => at(d, 0).delta, 1e-5),
        5,
      );
    }),
    { seed: 6 },
  );
});

test("in coin: the delta is net of the premium, and the rest are its derivatives", () => {
  fc.assert(
    fc.property(cases, ({ call, moneyness, years, volatility }) => {
      const forward = 60_000;
      const strike = forward * Math.exp(moneyness);
      const scratch = new Greeks();
      const at = (df: number, dv: number, dt: number): Greeks => {
        black76Greeks(scratch, call, forward + df, strike, years - dt, volatility + dv);
        inCoin(scratch, scratch, forward + df);
        return scratch;
      };
      black76Greeks(out, call, forward, strike, years, volatility);
      const dollars = { ...out };
      inCoin(out, out, forward);
      expect(out.price).toBeCloseTo(dollars.price / forward, 14);
      expect(out.delta).toBeCloseTo(dollars.delta - out.price, 14);
      expect(out.delta).toBeCloseTo(forward * slope((d) => at(d, 0, 0).price, 1), 7);
      expect(out.gamma * forward).toBeCloseTo(forward * slope((d) => at(d, 0, 0).delta, 1), 5);
      expect(out.vega).toBeCloseTo(
        slope((d) => at(0, d, 0).price, 1e-5),
        6,
      );
      expect(out.theta).toBeCloseTo(
        slope((d) => at(0, 0, d).price, 1e-6),
        6,
      );
      expect(out.vanna).toBeCloseTo(
        slope((d) => at(0, d, 0).delta, 1e-5),
        6,
      );
      expect(out.charm).toBeCloseTo(
        slope((d) => at(0, 0, d).delta, 1e-6),
        5,
      );
      expect(out.volga).toBeCloseTo(
        slope((d) => at(0, d, 0).vega, 1e-5),
        5,
      );
      expect(out.rho).toBeCloseTo(dollars.rho / forward, 12);
    }),
    { seed: 7 },
  );
});

test("the limits are stated, and bad input is refused throughout", () => {
  expect(black76Greeks(out, true, 110, 100, 0, 0.5)).toBe(VALUE_STATUS.limit);
  expect(out).toMatchObject({ price: 10, delta: 1, gamma: 0, vega: 0, vanna: 0, volga: 0, charm: 0 });
  expect(black76Greeks(out, false, 110, 100, 1, 0)).toBe(VALUE_STATUS.limit);
  expect(out).toMatchObject({ price: 0, delta: 0, vega: 0 });
  for (const bad of [Number.NaN, 0, -1, Number.POSITIVE_INFINITY]) {
    expect(black76Greeks(out, true, bad, 100, 1, 0.5)).toBe(VALUE_STATUS.badInput);
    for (const name of NAMES) expect(out[name]).toBeNaN();
    expect(blackScholes(out, true, 100, bad, 1, 0.5, 0.01)).toBe(VALUE_STATUS.badInput);
  }
  expect(blackScholes(out, true, 100, 100, 1, 0.5, Number.NaN)).toBe(VALUE_STATUS.badInput);
});

test("far wings have zeros, not NaN", () => {
  for (const [forward, strike] of [
    [1, 1e9],
    [1e9, 1],
  ]) {
    for (const call of [true, false]) {
      expect(black76Greeks(out, call, forward, strike, 0.001, 0.1)).toBe(VALUE_STATUS.ok);
      for (const name of NAMES) expect(Number.isFinite(out[name])).toBe(true);
    }
  }
  black76Greeks(out, true, 100, 100, 100, 20);
  expect(out.price).toBe(100);
});

test("units of the venue: vega per point, theta per day", () => {
  black76Greeks(out, true, 100, 100, 1, 0.2);
  const shown = new Greeks();
  perVenue(shown, out);
  expect(shown.vega).toBeCloseTo(out.vega / 100, 15);
  expect(shown.theta).toBeCloseTo(out.theta / 365.25, 15);
  expect(shown.delta).toBe(out.delta);
});

test("a batch writes what single calls do", () => {
  const columns = new GreekColumns(2);
  const valued = greeksOf(
    columns,
    2,
    Uint8Array.of(1, 0),
    Float64Array.of(60_000, -1),
    Float64Array.of(65_000, 65_000),
    Float64Array.of(0.1, 0.1),
    Float64Array.of(0.5, 0.5),
    true,
  );
  expect(valued).toBe(1);
  black76Greeks(out, true, 60_000, 65_000, 0.1, 0.5);
  inCoin(out, out, 60_000);
  for (const name of NAMES) expect(columns[name][0]).toBe(out[name]);
  expect(columns.status[1]).toBe(VALUE_STATUS.badInput);
});
