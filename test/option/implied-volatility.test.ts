import { expect, test } from "bun:test";
import fc from "fast-check";
import { black76, OptionValue } from "../../src/option/black76.ts";
import {
  ImpliedVolatility,
  IV_STATUS,
  impliedVolatilities,
  impliedVolatility,
} from "../../src/option/implied-volatility.ts";
import { normalisedBlack } from "../../src/option/normalised-black.ts";
import { skipUnlessShared } from "../support/shared-data.ts";
import { RATIONAL_VECTORS, rationalCases } from "./vectors.ts";

const value = new OptionValue();
const implied = new ImpliedVolatility();

test.skipIf(skipUnlessShared(RATIONAL_VECTORS))("all reference prices are matched to 1e-12", () => {
  for (const { call, forward, strike, years, volatility, premium, x, s, normalisedCall } of rationalCases()) {
    black76(value, call, forward, strike, years, volatility);
    expect(Math.abs(value.price - premium)).toBeLessThanOrEqual(1e-12 * premium);
    const intrinsic = Math.max(Math.exp(x / 2) - Math.exp(-x / 2), 0);
    const normalised = normalisedBlack(-Math.abs(x), s) + intrinsic;
    expect(Math.abs(normalised - normalisedCall)).toBeLessThanOrEqual(1e-12 * normalisedCall);
  }
});

test.skipIf(skipUnlessShared(RATIONAL_VECTORS))(
  "all reference volatilities are matched to 1e-12, and the 25 unanswerable ones are refused by name",
  () => {
    const refused = new Map<number, number>();
    for (const { call, forward, strike, years, premium, implied: reference } of rationalCases()) {
      const status = impliedVolatility(implied, call, premium, forward, strike, years);
      if (status === IV_STATUS.ok) {
        expect(Math.abs(implied.volatility / reference - 1)).toBeLessThanOrEqual(1e-12);
      } else {
        expect(implied.volatility).toBeNaN();
        refused.set(status, (refused.get(status) ?? 0) + 1);
      }
    }
    expect([...refused].sort()).toEqual([
      [IV_STATUS.expired, 5],
      [IV_STATUS.noTimeValue, 20],
    ]);
  },
);

test("every volatility that the premium can tell comes back, in all four regions", () => {
  fc.assert(
    fc.property(
      fc.double({ min: -5.3, max: 1.6, noNaN: true }),
      fc.double({ min: 0, max: 30, noNaN: true }),
      fc.boolean(),
      (logDeviation, distance, call) => {
        const deviation = Math.exp(logDeviation);
        const moneyness = Math.min(distance * deviation, 30);
        const forward = 1_000;
        // Out of the money, so that the premium is all time value.
        const strike = forward * Math.exp(call ? moneyness : -moneyness);
        black76(value, call, forward, strike, 1, deviation);
        if (value.price < 1e-290 || value.price > 999.9 * Math.min(1, strike / forward)) return;
        expect(impliedVolatility(implied, call, value.price, forward, strike, 1)).toBe(IV_STATUS.ok);
        const { volatility } = implied;
        black76(value, call, forward, strike, 1, volatility);
        // What the rounding of the strike and of the exponent leaves of the premium's 16 digits.
        expect(Math.abs(volatility / deviation - 1)).toBeLessThan(2e-12);
      },
    ),
    { seed: 4, numRuns: 20_000 },
  );
});

test("premiums that no volatility gives are refused by name", () => {
  const status = (call: boolean, premium: number, forward = 100, strike = 90, years = 1): number =>
    impliedVolatility(implied, call, premium, forward, strike, years);
  expect(status(true, 0)).toBe(IV_STATUS.noPremium);
  expect(status(true, -1)).toBe(IV_STATUS.noPremium);
  expect(status(true, 9)).toBe(IV_STATUS.belowIntrinsic);
  expect(status(true, 10)).toBe(IV_STATUS.noTimeValue);
  expect(status(true, 100)).toBe(IV_STATUS.aboveMaximum);
  expect(status(false, 90)).toBe(IV_STATUS.aboveMaximum);
  expect(status(true, 12, 100, 90, 0)).toBe(IV_STATUS.expired);
  expect(status(true, 12, 100, 90, -1)).toBe(IV_STATUS.expired);
  expect(status(true, Number.NaN)).toBe(IV_STATUS.badInput);
  expect(status(true, 12, 0)).toBe(IV_STATUS.badInput);
  expect(status(true, 12, 100, Number.POSITIVE_INFINITY)).toBe(IV_STATUS.badInput);
  expect(status(true, 12, 100, 90, Number.NaN)).toBe(IV_STATUS.badInput);
  expect(implied.volatility).toBeNaN();
});

test("premiums at the edges still have a volatility: almost nothing, and almost everything", () => {
  expect(impliedVolatility(implied, true, 1e-300, 100, 200, 1)).toBe(IV_STATUS.ok);
  black76(value, true, 100, 200, 1, implied.volatility);
  expect(Math.abs(value.price / 1e-300 - 1)).toBeLessThan(1e-10);
  expect(impliedVolatility(implied, true, 99.999999, 100, 200, 1)).toBe(IV_STATUS.ok);
  black76(value, true, 100, 200, 1, implied.volatility);
  expect(value.price).toBeCloseTo(99.999999, 12);
  expect(impliedVolatility(implied, true, 1e-9, 100, 100, 1)).toBe(IV_STATUS.ok);
  black76(value, true, 100, 100, 1, implied.volatility);
  expect(Math.abs(value.price / 1e-9 - 1)).toBeLessThan(1e-13);
});

test("a batch answers what single calls do, and counts what it could answer", () => {
  const premiums = Float64Array.of(12, 0, 9, 5);
  const volatilities = new Float64Array(4);
  const statuses = new Uint8Array(4);
  const ok = impliedVolatilities(
    4,
    Uint8Array.of(1, 1, 1, 0),
    premiums,
    new Float64Array(4).fill(100),
    new Float64Array(4).fill(90),
    new Float64Array(4).fill(0.5),
    volatilities,
    statuses,
  );
  expect(ok).toBe(2);
  expect([...statuses]).toEqual([IV_STATUS.ok, IV_STATUS.noPremium, IV_STATUS.belowIntrinsic, IV_STATUS.ok]);
  impliedVolatility(implied, true, 12, 100, 90, 0.5);
  expect(volatilities[0]).toBe(implied.volatility);
  expect(volatilities[1]).toBeNaN();
});
