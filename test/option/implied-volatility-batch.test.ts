import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { loadNative } from "../../src/core/native.ts";
import { black76, OptionValue } from "../../src/option/black76.ts";
import { ImpliedVolatility, IV_STATUS, impliedVolatility } from "../../src/option/implied-volatility.ts";
import { ImpliedVolatilityBatch } from "../../src/option/implied-volatility-batch.ts";
import { skipUnlessShared } from "../support/shared-data.ts";
import { RATIONAL_VECTORS, rationalCases } from "./vectors.ts";

const { functions, missing } = await loadNative();
if (functions === null) console.log(`without the native kernels: ${missing}`);
const ISAS = ["portable", "avx2", "avxvnni", "avx512", "avx512vnni"];
const mask = functions?.keel_isa_mask() ?? 0;
const natives = ISAS.map((name, isa) => ({ name, isa })).filter(({ isa }) => (mask & (1 << isa)) !== 0);
const kernels = [{ name: "the reference alone", isa: -1 }, ...natives];
const implied = new ImpliedVolatility();
const value = new OptionValue();

interface Row {
  readonly call: boolean;
  readonly premium: number;
  readonly forward: number;
  readonly strike: number;
  readonly years: number;
}

function batchOf(capacity: number, isa: number): ImpliedVolatilityBatch {
  return new ImpliedVolatilityBatch(capacity, isa < 0 ? null : functions, Math.max(isa, 0));
}

function fill(batch: ImpliedVolatilityBatch, rows: readonly Row[]): void {
  rows.forEach(({ call, premium, forward, strike, years }, row) => {
    batch.calls[row] = call ? 1 : 0;
    batch.premiums[row] = premium;
    batch.forwards[row] = forward;
    batch.strikes[row] = strike;
    batch.years[row] = years;
  });
}

/** Where the batch differs from single calls: in what it refuses, or by more than rounding. */
function differences(batch: ImpliedVolatilityBatch, rows: readonly Row[], tolerance: number): string[] {
  fill(batch, rows);
  const ok = batch.solve(rows.length);
  let expected = 0;
  const wrong = rows.flatMap(({ call, premium, forward, strike, years }, row) => {
    const status = impliedVolatility(implied, call, premium, forward, strike, years);
    if (status === IV_STATUS.ok) expected += 1;
    const given = batch.volatilities[row];
    const same =
      status === IV_STATUS.ok ? Math.abs(given / implied.volatility - 1) <= tolerance : Number.isNaN(given);
    return same && batch.statuses[row] === status
      ? []
      : [`${call} ${premium} ${forward} ${strike} ${years}: ${given} (${batch.statuses[row]})`];
  });
  return ok === expected ? wrong : [...wrong, `${ok} of ${expected} are ok`];
}

describe.each(kernels)("a batch of implied volatilities by $name", ({ isa }) => {
  test.skipIf(skipUnlessShared(RATIONAL_VECTORS))(
    "matches all reference volatilities to 1e-12 and refuses the 25 others",
    () => {
      const cases = rationalCases();
      const batch = batchOf(cases.length, isa);
      fill(batch, cases);
      expect(batch.solve(cases.length)).toBe(975);
      cases.forEach(({ implied: reference }, row) => {
        if (batch.statuses[row] !== IV_STATUS.ok) expect(batch.volatilities[row]).toBeNaN();
        else expect(Math.abs(batch.volatilities[row] / reference - 1)).toBeLessThanOrEqual(1e-12);
      });
    },
  );

  test("answers what single calls do, over all regions, whatever lies beside a row", () => {
    const batch = batchOf(37, isa);
    const row = fc
      .tuple(
        fc.double({ min: -5.3, max: 1.6, noNaN: true }),
        fc.double({ min: -20, max: 20, noNaN: true }),
        fc.boolean(),
        fc.double({ min: 1e-4, max: 3, noNaN: true }),
      )
      .map(([logDeviation, distance, call, years]): Row => {
        const deviation = Math.exp(logDeviation);
        const strike = 1_000 * Math.exp(Math.max(-30, Math.min(30, distance * deviation)));
        black76(value, call, 1_000, strike, years, deviation / Math.sqrt(years));
        return { call, premium: value.price, forward: 1_000, strike, years };
      });
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 37 }), (rows) => {
        // Of a premium deep in the money few digits are time value: there rounding itself moves the volatility.
        const telling = rows.filter(({ call, premium, forward, strike }) => {
          const intrinsic = Math.max(call ? forward - strike : strike - forward, 0);
          return premium - intrinsic > 1e-3 * premium;
        });
        expect(differences(batch, telling, 2e-12)).toEqual([]);
      }),
      { seed: 11, numRuns: 300 },
    );
  });

  test("takes any numbers, and refuses by the same names", () => {
    const batch = batchOf(19, isa);
    const numbers = fc.oneof(
      fc.double(),
      fc.double({ min: 0.5, max: 200, noNaN: true }),
      fc.constantFrom(
        Number.NaN,
        Number.POSITIVE_INFINITY,
        Number.NEGATIVE_INFINITY,
        0,
        -0,
        1e-310,
        1e308,
        100,
      ),
    );
    const row = fc.record({
      call: fc.boolean(),
      premium: numbers,
      forward: numbers,
      strike: numbers,
      years: numbers,
    });
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 19 }), (rows) => {
        fill(batch, rows);
        batch.solve(rows.length);
        rows.forEach(({ call, premium, forward, strike, years }, at) => {
          const status = impliedVolatility(implied, call, premium, forward, strike, years);
          expect(batch.statuses[at]).toBe(status);
          expect(Number.isNaN(batch.volatilities[at])).toBe(Number.isNaN(implied.volatility));
        });
      }),
      { seed: 12, numRuns: 400 },
    );
  });

  test("leaves rows beyond the count as they are", () => {
    const batch = batchOf(9, isa);
    batch.volatilities.fill(-7);
    batch.statuses.fill(99);
    fill(batch, [{ call: true, premium: 12, forward: 100, strike: 90, years: 0.5 }]);
    expect(batch.solve(1)).toBe(1);
    expect([...batch.volatilities.subarray(1)]).toEqual(new Array<number>(8).fill(-7));
    expect([...batch.statuses.subarray(1)]).toEqual(new Array<number>(8).fill(99));
    expect(() => batch.solve(10)).toThrow();
  });
});

test.skipIf(natives.length < 2 || skipUnlessShared(RATIONAL_VECTORS))(
  "every instruction set gives the same bits",
  () => {
    const cases = rationalCases();
    const [first, ...others] = natives.map(({ isa }) => {
      const batch = batchOf(cases.length, isa);
      fill(batch, cases);
      batch.solve(cases.length);
      return [...batch.volatilities];
    });
    for (const other of others) expect(other).toEqual(first);
  },
);
