import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Instrument } from "../../src/market/instrument.ts";
import { DEFAULT_FEE_RATES, feeOf } from "../../src/position/fees.ts";
import { Ledger } from "../../src/position/ledger.ts";
import { Markouts } from "../../src/position/markout.ts";
import { LINEAR_PERPETUAL } from "../support/perpetuals.ts";

const LINEAR: Instrument = { ...LINEAR_PERPETUAL, id: 0 };
const INVERSE: Instrument = {
  ...LINEAR,
  id: 1,
  settle: "BTC",
  tick: { mantissa: 5, scale: 1 },
  lot: { mantissa: 10, scale: 0 },
  inverse: true,
};
const OPTION: Instrument = {
  ...INVERSE,
  id: 2,
  kind: "option",
  tick: { mantissa: 1, scale: 4 },
  lot: { mantissa: 1, scale: 1 },
  strike: 50_000,
  optionType: "call",
};

function ledger(): Ledger {
  const made = new Ledger(3);
  for (const instrument of [LINEAR, INVERSE, OPTION]) made.add(instrument);
  return made;
}

test("a linear contract: average cost, realised on the way out", () => {
  const books = ledger();
  books.onFill(0, 0, 500_000, 10, 0.5);
  books.onFill(0, 0, 510_000, 30, 0.5);
  expect(books.priceOf(0, books.average[0])).toBeCloseTo(50_750, 9);
  books.onFill(0, 1, 520_000, 20, 0);
  // 0.02 BTC × (52,000 − 50,750)
  expect(books.realised(0)).toBeCloseTo(25, 9);
  expect(books.unrealised(0, 51_000)).toBeCloseTo(0.02 * 250, 9);
  expect(books.gross(0, 51_000)).toBeCloseTo(30, 9);
  expect(books.cash(LINEAR)).toBeCloseTo(24, 9);
});

test("an inverse perpetual pays in coin: face × (1/entry − 1/exit)", () => {
  const books = ledger();
  books.onFill(1, 0, 100_000, 500, 0);
  books.onFill(1, 1, 110_000, 500, 0);
  expect(books.realised(1)).toBeCloseTo(5_000 * (1 / 50_000 - 1 / 55_000), 15);
  expect(books.lots[1]).toBe(0);
});

test("an option's premium is cash", () => {
  const books = ledger();
  books.onFill(2, 0, 300, 20, 0.0006);
  expect(books.cash(OPTION)).toBeCloseTo(-2 * 0.03 - 0.0006, 15);
  expect(books.gross(2, 0.035)).toBeCloseTo(2 * 0.005, 15);
});

test("a position that turns starts a new average", () => {
  const books = ledger();
  books.onFill(0, 0, 500_000, 10, 0);
  books.onFill(0, 1, 520_000, 25, 0);
  expect(books.lots[0]).toBe(-15);
  expect(books.priceOf(0, books.average[0])).toBe(52_000);
  expect(books.realised(0)).toBeCloseTo(0.01 * 2_000, 9);
});

test("whatever is traded: realised and unrealised are all there is, and a flat book depends on no mark", () => {
  const fill = fc.record({
    side: fc.constantFrom(0, 1),
    ticks: fc.integer({ min: 90_000, max: 110_000 }),
    lots: fc.integer({ min: 1, max: 50 }),
  });
  fc.assert(
    fc.property(fc.constantFrom(0, 1, 2), fc.array(fill, { maxLength: 40 }), (id, fills) => {
      const books = ledger();
      for (const { side, ticks, lots } of fills) books.onFill(id, side, ticks, lots, 0);
      const mark = books.priceOf(id, books.measure(id, 50_000));
      const scale = Math.max(Math.abs(books.unit[id] * books.flow[id]), 1);
      const apart = books.realised(id) + books.unrealised(id, mark) - books.gross(id, mark);
      expect(Math.abs(apart)).toBeLessThan(1e-9 * scale);
      const open = books.lots[id];
      if (open !== 0) books.onFill(id, open > 0 ? 1 : 0, 100_000, Math.abs(open), 0);
      expect([books.lots[id], books.average[id]]).toEqual([0, 0]);
      expect(books.gross(id, 1)).toBe(books.gross(id, 1e6));
    }),
    { seed: 3 },
  );
});

test("an adopted position makes neither profit nor loss at the price it comes in at", () => {
  const books = ledger();
  books.onFill(0, 0, 500_000, 10, 0);
  const before = books.gross(0, 53_000);
  books.adopt(0, -40, 53_000);
  expect(books.lots[0]).toBe(-40);
  expect(books.gross(0, 53_000)).toBeCloseTo(before, 9);
});

test("fees: options by the underlying, capped by the premium; perpetuals by notional; rebates are negative", () => {
  const rates = { ...DEFAULT_FEE_RATES, deltaOneMakerBp: -1 };
  expect(feeOf(rates, OPTION, 20, 0.03, 50_000, true)).toBeCloseTo(2 * 3e-4, 15);
  expect(feeOf(rates, OPTION, 20, 0.001, 50_000, true)).toBeCloseTo(2 * 0.001 * 0.125, 15);
  expect(feeOf(rates, INVERSE, 100, 50_000, 50_000, false)).toBeCloseTo((1_000 / 50_000) * 5e-4, 15);
  expect(feeOf(rates, LINEAR, 1_000, 50_000, 50_000, true)).toBeCloseTo(-5, 9);
});

test("each fill has one markout for each horizon, when its time has come", () => {
  const markouts = new Markouts();
  const due: number[] = [];
  const take = ({ horizon }: { horizon: number }): number => due.push(horizon);
  markouts.onFill(0, 5, 100, 101, 0, 1_000_000);
  markouts.onTimer(1_099_999, take);
  expect(due).toEqual([]);
  markouts.onTimer(1_100_000, take);
  markouts.onTimer(2_000_000, take);
  markouts.onTimer(60_000_000, take);
  markouts.onTimer(90_000_000, take);
  expect(due).toEqual([0, 1, 2]);
});

test("too many fills at once lose their oldest markouts, and say so", () => {
  const markouts = new Markouts();
  for (let i = 0; i < 5_000; i += 1) markouts.onFill(i, 1, 1, 1, 0, 0);
  const first: number[] = [];
  markouts.onTimer(1e9, ({ instrument, horizon }) => {
    if (horizon === 0) first.push(instrument);
  });
  expect([first.length, first[0], markouts.dropped]).toEqual([4_096, 904, 3 * 904]);
});
