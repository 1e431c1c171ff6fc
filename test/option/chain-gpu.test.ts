import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { Rng } from "../../src/core/rng.ts";
import { Gpu } from "../../src/gpu/device.ts";
import { black76, OptionValue } from "../../src/option/black76.ts";
import {
  CHAIN_VALUES,
  type ChainInput,
  type ChainValue,
  CpuChain,
  IMPRECISE,
  PREMIUMS,
} from "../../src/option/chain.ts";
import { GpuChain } from "../../src/option/chain-gpu.ts";
import { VALUE_STATUS } from "../../src/option/greeks.ts";
import { IV_STATUS } from "../../src/option/implied-volatility.ts";
import { sharedPath, skipUnlessShared } from "../support/shared-data.ts";
import { SOFTWARE_ENGINES, skipUnlessSoftwareGpu } from "../support/software-gpu.ts";

setDefaultTimeout(120_000);

const CAPACITY = 2_400;

interface Row {
  readonly call: boolean;
  readonly forward: number;
  readonly strike: number;
  readonly years: number;
  readonly volatility: number;
  readonly bid: number;
  readonly ask: number;
  readonly mark: number;
}

const USUAL: Row = {
  call: true,
  forward: 65_000,
  strike: 67_000,
  years: 0.08,
  volatility: 0.55,
  bid: 3_000,
  ask: 3_100,
  mark: 3_050,
};

describe.skipIf(skipUnlessSoftwareGpu())("a chain on the device", () => {
  const value = new OptionValue();
  const cpu = new CpuChain(CAPACITY);
  let gpu: Gpu;
  let chain: GpuChain;
  beforeAll(async () => {
    gpu = await Gpu.open(SOFTWARE_ENGINES.gpu);
    chain = await GpuChain.create(gpu, CAPACITY);
  });
  afterAll(() => {
    chain.close();
    chain.close();
    gpu.close();
  });

  const write = (input: ChainInput, at: number, row: Row): void => {
    input.types[at] = row.call ? 1 : 0;
    input.forwards[at] = row.forward;
    input.strikes[at] = row.strike;
    input.years[at] = row.years;
    input.volatilities[at] = row.volatility;
    for (const premium of PREMIUMS) input.premiums[premium][at] = row[premium];
  };

  /** Computes the rows on the device and in double precision. */
  async function compute(rows: readonly Row[]): Promise<void> {
    for (const [at, row] of rows.entries()) write(chain.input, at, row);
    const flight = chain.run(rows.length);
    for (const column of [chain.input.forwards, chain.input.strikes]) column.fill(Number.NaN);
    await flight;
    for (const [at, row] of rows.entries()) write(cpu.input, at, row);
    cpu.run(rows.length);
  }

  /** What a value's error is measured by: itself, or where it passes through zero, what it is made of. */
  function scaleOf(at: number, name: ChainValue): number {
    const { values } = cpu.output;
    const { forwards, strikes, years, volatilities } = cpu.input;
    const volatility = Number.isNaN(volatilities[at]) ? cpu.output.volatilities.mark[at] : volatilities[at];
    const deviation = volatility * Math.sqrt(years[at]);
    const d1 = Math.log(forwards[at] / strikes[at]) / deviation + deviation / 2;
    const [vega, d2] = [values.vega[at], d1 - deviation];
    if (name === "delta") return 1;
    if (name === "vanna") return (vega / forwards[at] / deviation) * Math.max(Math.abs(d2), 1);
    if (name === "volga") return (vega / volatility) * Math.max(Math.abs(d1 * d2), 1);
    return Math.abs(values[name][at]);
  }

  /** The largest error of the row's values; infinite where the status is another. Rows that say that they are imprecise are left out. */
  function valueError(at: number): number {
    const status = chain.output.valueStatus[at];
    if (status === IMPRECISE) return 0;
    if (status !== cpu.output.valueStatus[at]) return Infinity;
    let worst = 0;
    for (const name of CHAIN_VALUES) {
      const [found, expected] = [chain.output.values[name][at], cpu.output.values[name][at]];
      if (status === VALUE_STATUS.badInput) {
        if (!Number.isNaN(found)) return Infinity;
      } else if (status === VALUE_STATUS.limit) {
        if (!(Math.abs(found - expected) <= 1e-6 * Math.abs(expected))) return Infinity;
      } else {
        const error = Math.abs(found - expected) / scaleOf(at, name);
        worst = Math.max(worst, Number.isNaN(error) ? Infinity : error);
      }
    }
    return worst;
  }

  function volatilityError(at: number): number {
    let worst = 0;
    for (const premium of PREMIUMS) {
      const status = chain.output.volatilityStatus[premium][at];
      const found = chain.output.volatilities[premium][at];
      if (status !== IV_STATUS.ok && !Number.isNaN(found)) return Infinity;
      if (status === IMPRECISE) continue;
      if (status !== cpu.output.volatilityStatus[premium][at]) return Infinity;
      if (status !== IV_STATUS.ok) continue;
      const error = Math.abs(found / cpu.output.volatilities[premium][at] - 1);
      worst = Math.max(worst, Number.isNaN(error) ? Infinity : error);
    }
    return worst;
  }

  /** Rows `distance` standard deviations from the money, of all maturities, volatilities and sides, with fair premiums. */
  function rowsAt(distance: number): Row[] {
    const rng = new Rng(41 + distance);
    const rows: Row[] = [];
    for (const days of [1 / 24, 1, 7, 30, 365.25, 1_095.75]) {
      for (const volatility of [0.2, 0.6, 1.5]) {
        for (const side of [-1, 1]) {
          for (const call of [true, false]) {
            const years = days / 365.25;
            const forward = 65_000 * (1 + 0.3 * rng.next());
            const off = side * (distance + 0.3 * (rng.next() - 0.5));
            const strike = forward * Math.exp(off * volatility * Math.sqrt(years));
            black76(value, call, forward, strike, years, volatility);
            const mark = value.price;
            rows.push({ call, forward, strike, years, volatility, bid: mark * 0.99, ask: mark * 1.01, mark });
          }
        }
      }
    }
    return rows;
  }

  // The bounds that docs/gpu.md states.
  test.each([
    [0, 2e-5, 1e-5],
    [1, 2e-5, 1e-5],
    [2, 5e-6, 5e-6],
    [4, 1e-5, 5e-6],
    [6, 2e-5, 5e-6],
    [8, 4e-5, 5e-6],
    [10, 8e-5, 5e-6],
  ])("%p deviations from the money its error is bounded", async (distance, value, volatility) => {
    const rows = rowsAt(distance);
    await compute(rows);
    for (let at = 0; at < rows.length; at += 1) {
      expect(valueError(at)).toBeLessThan(value);
      expect(volatilityError(at)).toBeLessThan(volatility);
    }
    const lost = Array.from(chain.output.valueStatus.subarray(0, rows.length)).filter((s) => s === IMPRECISE);
    expect(lost.length).toBeLessThanOrEqual(distance < 10 ? 0 : rows.length / 4);
  });

  test("what single precision cannot hold says so", async () => {
    const far = { ...USUAL, strike: 65_000 * Math.exp(15 * 0.55 * Math.sqrt(0.08)) };
    const flat = { ...USUAL, strike: 65_000, volatility: 20, years: 1, mark: 65_000 * (1 - 1e-9) };
    await compute([far, flat, { ...USUAL, forward: 1e-20, strike: 1e-20 }, { ...USUAL, mark: 1e-40 }]);
    const { valueStatus, volatilityStatus, values, volatilities } = chain.output;
    expect([...valueStatus.subarray(0, 4)]).toEqual([IMPRECISE, IMPRECISE, IMPRECISE, VALUE_STATUS.ok]);
    expect(values.price[0]).toBe(0);
    expect(values.price[1]).toBeNaN();
    expect(volatilityStatus.mark[1]).toBe(IMPRECISE);
    expect(volatilities.mark[1]).toBeNaN();
    expect(volatilityStatus.mark[3]).toBe(IMPRECISE);
    // In double precision all of these have an answer.
    expect(cpu.output.volatilityStatus.mark[1]).toBe(IV_STATUS.ok);
    expect(cpu.output.valueStatus[0]).toBe(VALUE_STATUS.ok);
  });

  test("edges give the statuses of the CPU", async () => {
    const odd = [Number.NaN, Infinity, -Infinity, 0, -1];
    const prices = [...odd, 1e-300, 1e300, 1e-9, 1e12];
    const rows: Row[] = [
      USUAL,
      ...prices.flatMap((price) => [
        { ...USUAL, forward: price },
        { ...USUAL, strike: price },
        { ...USUAL, call: false, strike: price },
      ]),
      ...[...odd, 1e-12, 1e-30, 1e6].map((years) => ({ ...USUAL, years })),
      ...[...odd, 1e-12, 1e6].map((volatility) => ({ ...USUAL, volatility })),
      ...[...odd, 1e-30, 65_000, 64_999.999, 70_000].map((bid) => ({ ...USUAL, bid })),
      ...[true, false].map((call) => ({ ...USUAL, call, strike: 65_000, years: 0 })),
      ...[2_000, 1_999.99, 2_000.000_001].map((bid) => ({ ...USUAL, strike: 63_000, bid })),
    ];
    await compute(rows);
    for (const [at, row] of rows.entries()) {
      if (!(valueError(at) < 1e-3 && volatilityError(at) < 1e-3)) expect({ at, ...row }).toBe(null as never);
    }
    expect(chain.output.volatilityStatus.bid[rows.length - 2]).toBe(IV_STATUS.belowIntrinsic);
  });

  test("is never wrong in silence, whatever comes", async () => {
    const wide = (low: number, high: number) =>
      fc.double({ min: Math.log(low), max: Math.log(high), noNaN: true }).map(Math.exp);
    const row = fc.record({
      call: fc.boolean(),
      forward: wide(1e-6, 1e9),
      moneyness: fc.double({ min: -12, max: 12, noNaN: true }),
      years: wide(1e-6, 30),
      volatility: wide(0.01, 8),
      bid: wide(0.5, 1),
      ask: wide(1, 2),
    });
    const rows = fc.sample(row, { numRuns: CAPACITY, seed: 6 }).map((drawn): Row => {
      const { call, forward, years, volatility } = drawn;
      const strike = forward * Math.exp(drawn.moneyness * volatility * Math.sqrt(years));
      black76(value, call, forward, strike, years, volatility);
      const mark = value.price;
      return { call, forward, strike, years, volatility, bid: mark * drawn.bid, ask: mark * drawn.ask, mark };
    });
    await compute(rows);
    let told = 0;
    for (let at = 0; at < rows.length; at += 1) {
      if (!(valueError(at) < 2e-4 && volatilityError(at) < 2e-4)) {
        expect({ at, ...rows[at], value: valueError(at), iv: volatilityError(at) }).toBe(null as never);
      }
      if (chain.output.valueStatus[at] === IMPRECISE) told += 1;
    }
    expect(told).toBeLessThan(rows.length / 5);
  });

  const recorded = "data/chains/deribit_options_snapshot_20251230T173115Z.csv.gz";
  test.skipIf(skipUnlessShared(recorded))(
    "gives a venue's whole chain as double precision does",
    async () => {
      const text = new TextDecoder().decode(Bun.gunzipSync(await Bun.file(sharedPath(recorded)).bytes()));
      const [head, ...lines] = text.trimEnd().split("\n");
      const columns = head.split(",");
      const rows = lines.map((line): Row => {
        const cells = line.split(",");
        const number = (name: string): number => Number(cells[columns.indexOf(name)] || Number.NaN);
        const forward = number("underlying");
        return {
          call: cells[columns.indexOf("option_type")] === "call",
          forward,
          strike: number("strike"),
          years: number("time_to_maturity"),
          volatility: number("implied_volatility"),
          bid: number("bid_price") * forward,
          ask: number("ask_price") * forward,
          mark: number("mark_price") * forward,
        };
      });
      await compute(rows);
      let implied = 0;
      for (let at = 0; at < rows.length; at += 1) {
        const [value, volatility] = [valueError(at), volatilityError(at)];
        if (!(value < 5e-5 && volatility < 5e-5))
          expect({ ...rows[at], value, volatility }).toBe(null as never);
        if (chain.output.volatilityStatus.mark[at] === IV_STATUS.ok) implied += 1;
      }
      expect(rows.length).toBeGreaterThan(1_000);
      expect(implied).toBeGreaterThan(rows.length * 0.8);
    },
  );

  test("without a volatility takes the one that the mark implies", async () => {
    const none = { ...USUAL, volatility: Number.NaN };
    await compute([none, { ...none, mark: 0 }]);
    const { values, valueStatus, volatilities } = chain.output;
    expect(Math.abs(values.price[0] / USUAL.mark - 1)).toBeLessThan(1e-5);
    black76(value, true, USUAL.forward, USUAL.strike, USUAL.years, volatilities.mark[0]);
    expect(Math.abs(values.vega[0] / value.vega - 1)).toBeLessThan(1e-5);
    expect(valueStatus[1]).toBe(VALUE_STATUS.badInput);
    expect(values.delta[1]).toBeNaN();
    expect([...cpu.output.valueStatus.subarray(0, 2)]).toEqual([VALUE_STATUS.ok, VALUE_STATUS.badInput]);
  });

  test("refuses more rows than it has, and a second run at once", async () => {
    write(chain.input, 0, USUAL);
    for (const count of [0, -1, 1.5, CAPACITY + 1]) {
      await expect(chain.run(count)).rejects.toThrow("1 ≤ count ≤ capacity");
    }
    const flight = chain.run(1);
    await expect(chain.run(1)).rejects.toThrow("at most one run is in flight");
    await flight;
    const other = await GpuChain.create(gpu, 4);
    other.close();
    await expect(other.run(1)).rejects.toThrow("the chain is not closed");
  });
});
