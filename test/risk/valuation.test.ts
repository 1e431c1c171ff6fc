import { expect, test } from "bun:test";
import fc from "fast-check";
import { INVERSE_OPTION } from "../../src/bench/option-table.ts";
import { type Instrument, type InstrumentSpec, InstrumentTable } from "../../src/market/instrument.ts";
import { black76, OptionValue, YEAR_US } from "../../src/option/black76.ts";
import { Positions } from "../../src/risk/positions.ts";
import { GREEK, GREEKS, SCENARIOS, scenarioOf } from "../../src/risk/valuation.ts";

const NOW_US = 1_700_000_000_000_000;
const PRICE = 50_000;
const OPTION: InstrumentSpec = {
  ...INVERSE_OPTION,
  expiryMs: NOW_US / 1_000 + 20 * 86_400_000,
  strike: PRICE,
};
const STRIKES = [40_000, 50_000, 60_000];

function bed(): { positions: Positions; options: Instrument[] } {
  const table = new InstrumentTable(16);
  const positions = new Positions(16, () => {});
  positions.valuation.setStress(15, 40);
  const options: Instrument[] = [];
  for (const strike of STRIKES) {
    for (const optionType of ["call", "put"] as const) {
      const option = table.add({ ...OPTION, symbol: `${strike}${optionType}`, strike, optionType });
      if (option === undefined) throw new Error("the table is full");
      positions.add(option, 0);
      positions.valuation.onTicker(option.id, 0.55, PRICE, NOW_US, NOW_US);
      positions.valuation.value(option, PRICE, NOW_US);
      options.push(option);
    }
  }
  positions.onPrice(0, PRICE);
  return { positions, options };
}

/** Worth of positions, in dollars, at a forward and a volatility: by the formula itself. */
function worth(
  options: readonly Instrument[],
  lots: readonly number[],
  forward: number,
  volatility: number,
): number {
  const value = new OptionValue();
  const years = (OPTION.expiryMs * 1_000 - NOW_US) / YEAR_US;
  return options.reduce((sum, { optionType, strike }, i) => {
    black76(value, optionType === "call", forward, strike, years, volatility);
    return sum + (lots[i] ?? 0) * 0.1 * value.price;
  }, 0);
}

const held = fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 6, maxLength: 6 });

test("the worst loss is that of a full revaluation over the grid", () => {
  fc.assert(
    fc.property(held, (lots) => {
      const { positions, options } = bed();
      for (const [i, { id }] of options.entries()) positions.set(id, lots[i] ?? 0);
      positions.refresh(0);
      const before = worth(options, lots, PRICE, 0.55);
      let worst = 0;
      for (let s = 0; s < SCENARIOS; s += 1) {
        const { spotPct, volPct } = scenarioOf(s, 15, 40);
        const after = worth(options, lots, PRICE * (1 + spotPct / 100), 0.55 * (1 + volPct / 100));
        worst = Math.max(worst, before - after);
      }
      expect(Math.abs(positions.worstLoss[0] - worst)).toBeLessThan(1e-6 * Math.max(1, worst));
    }),
    { seed: 5, numRuns: 60 },
  );
});

test("what a trade may add to the worst loss is never underestimated", () => {
  fc.assert(
    fc.property(held, fc.nat({ max: 5 }), fc.integer({ min: -60, max: 60 }), (lots, at, added) => {
      const { positions, options } = bed();
      for (const [i, { id }] of options.entries()) positions.set(id, lots[i] ?? 0);
      positions.refresh(0);
      const before = positions.worstLoss[0];
      const { worstLong, worstShort } = positions.valuation;
      const bound = before + Math.abs(added) * (added > 0 ? worstLong[at] : worstShort[at]);
      positions.set(at, (lots[at] ?? 0) + added);
      positions.refresh(0);
      expect(positions.worstLoss[0]).toBeLessThanOrEqual(bound + 1e-6);
    }),
    { seed: 6, numRuns: 100 },
  );
});

test("net Greeks are the derivatives of the positions' worth", () => {
  const { positions, options } = bed();
  const lots = [10, -20, 5, 40, -15, 8];
  for (const [i, { id }] of options.entries()) positions.set(id, lots[i] ?? 0);
  positions.refresh(0);
  const at = (move: number, vol = 0.55): number => worth(options, lots, PRICE * (1 + move), vol);
  const delta = (at(1e-4) - at(-1e-4)) / 2e-4;
  const gamma = ((at(1e-3) - 2 * at(0) + at(-1e-3)) / 1e-6) * 0.01;
  const vega = (at(0, 0.551) - at(0, 0.549)) / 0.2;
  const net = (greek: number): number => positions.net[greek];
  expect(net(GREEK.delta) / delta).toBeCloseTo(1, 5);
  expect(net(GREEK.gamma) / gamma).toBeCloseTo(1, 3);
  expect(net(GREEK.vega) / vega).toBeCloseTo(1, 5);
  expect(Math.sign(net(GREEK.theta))).toBe(-Math.sign(net(GREEK.gamma)));
  expect(
    positions.gross.subarray(0, GREEKS).every((sum, greek) => sum >= Math.abs(positions.net[greek])),
  ).toBe(true);
});

test("an option without a volatility counts with more than it could have with one", () => {
  const { positions, options } = bed();
  const table = new InstrumentTable(16);
  for (const option of options) table.add(option);
  const blind = table.add({ ...OPTION, symbol: "BLIND" });
  if (blind === undefined) throw new Error("the table is full");
  positions.add(blind, 0);
  const { valuation } = positions;
  valuation.value(blind, PRICE, NOW_US);
  const known = options[2]?.id ?? 0;
  expect(valuation.vega[blind.id]).toBeGreaterThan(valuation.vega[known]);
  expect(valuation.gamma[blind.id]).toBeGreaterThan(valuation.gamma[known]);
  expect(valuation.theta[blind.id]).toBeLessThan(valuation.theta[known]);
  expect(valuation.worstShort[blind.id]).toBeGreaterThan(valuation.worstShort[known]);
  positions.set(blind.id, -4);
  expect(positions.netDeltaNotional(0)).toBe(4 * 0.1 * PRICE);
});

test("what has expired has no Greeks and loses nothing, whatever moves thereafter; its lots still count as notional", () => {
  const { positions, options } = bed();
  const { valuation } = positions;
  const [call, put] = options;
  if (call === undefined || put === undefined) throw new Error("the bed has options");
  positions.set(call.id, 30);
  positions.set(put.id, -20);
  const sums = (): number[] => {
    positions.refresh(0);
    return [
      ...positions.net.subarray(0, GREEKS),
      ...positions.gross.subarray(0, GREEKS),
      positions.totalWorstLoss,
    ];
  };
  expect(sums().some((sum) => sum === 0)).toBe(false);
  for (const { id } of [call, put]) {
    valuation.expire(id, 0.2, PRICE);
    positions.onValued(id);
  }
  const nothing = new Array<number>(2 * GREEKS + 1).fill(0);
  expect(sums()).toEqual(nothing);
  expect(positions.grossNotional()).toBeCloseTo(50 * 0.1 * PRICE, 6);
  valuation.worstLong.fill(Number.NaN);
  for (const option of [call, put]) {
    valuation.onTicker(option.id, 0.9, 1.3 * PRICE, NOW_US, NOW_US);
    valuation.value(option, 1.3 * PRICE, NOW_US);
    positions.onDelta(option.id, 1);
    positions.onValued(option.id);
  }
  positions.onPrice(0, 1.3 * PRICE);
  expect(sums().map(Math.abs)).toEqual(nothing);
  expect([valuation.finalMark[call.id], valuation.worstLong[call.id]]).toEqual([0.2, 0]);
});
