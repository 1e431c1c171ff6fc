import { expect, test } from "bun:test";
import type { BookSnapshot, SavedPosition } from "../../src/position/snapshot.ts";
import { DEFAULT_RISK_LIMITS } from "../../src/risk/limits.ts";
import { DeskBed } from "./desk-bed.ts";

const DESCRIBED = "binance-usdm:BTCUSDT";
/** No feed describes it any more. */
const EXPIRED = "deribit:BTC-14NOV23-36000-C";
/** Of the bed's first millisecond, 2023-11-14. */
const TODAY = 19_675;
/** Profit of one lot of BTCUSDT for one tick. */
const UNIT = 1e-4;

/** A flat position that has earned something in all. */
function flat(profit: number): SavedPosition {
  const sources = {
    spread: 0,
    delta: profit,
    gamma: 0,
    vega: 0,
    theta: 0,
    currency: 0,
    residual: 0,
    fees: 0,
  };
  const greeks = { delta: 0, gamma: 0, vega: 0, theta: 0 };
  return {
    ...{ lots: 0, flow: profit / UNIT, average: 0, fees: 0, bought: 0, sold: 0 },
    ...{ attribution: sources, markout: [0, 0, 0], adverse: [0, 0, 0], profit },
    anchor: { mark: 36_000, forward: 36_000, volatility: 0, timeUs: 0, conversion: 1, ...greeks },
  };
}

function books(described: number, expired: number, dayStart: number, day = TODAY): BookSnapshot {
  const positions = { [DESCRIBED]: flat(described), [EXPIRED]: flat(expired) };
  return { positions, sums: {}, executionIds: [], day, dayStart, dayPeak: 0 };
}

/** What the day comes to and what the desk does: before its feed has described anything, and when it has. */
function started(opening: BookSnapshot): { before: [number, string]; after: [number, string] } {
  const bed = new DeskBed(null, {}, false, {}, null, { opening });
  const { desk } = bed;
  const told = (): [number, string] => [Math.round(desk.book.dayProfit), desk.gate.tradingState];
  desk.onTimer(bed.timeUs);
  const before = told();
  expect(desk.book.unresolved).toContain(DESCRIBED);
  bed.run(500);
  expect(desk.book.unresolved).toEqual([EXPIRED]);
  return { before, after: told() };
}

const QUIET: [number, string] = [0, "active"];

for (const total of [3e6, -3e6]) {
  test(`books that were at ${total / 1e6} million at midnight are that after a restart too: nothing of it is the day's`, () => {
    expect(started(books(total, 0, total))).toEqual({ before: QUIET, after: QUIET });
  });

  test(`a restart on another day begins that day at 0, with ${total / 1e6} million in the books`, () => {
    expect(started(books(total, 0, 0, TODAY - 1))).toEqual({ before: QUIET, after: QUIET });
  });

  test(`${total / 1e6} million of an instrument that is never described again stay in the books`, () => {
    expect(started(books(0, total, total))).toEqual({ before: QUIET, after: QUIET });
  });
}

test("what was lost today before the restart counts from the first tick on, whether or not it is ever described", () => {
  const reduces: [number, string] = [-1.2 * DEFAULT_RISK_LIMITS.maxLoss, "reducing"];
  expect(started(books(3e6 + reduces[0], 0, 3e6))).toEqual({ before: reduces, after: reduces });
  expect(started(books(3e6, reduces[0], 3e6))).toEqual({ before: reduces, after: reduces });
  const halts: [number, string] = [-2 * DEFAULT_RISK_LIMITS.maxLoss, "halted"];
  expect(started(books(-3e6 + halts[0], 0, -3e6))).toEqual({ before: halts, after: halts });
});

test("profit by source adds up to the profit before and after the instruments are described", () => {
  const bed = new DeskBed(null, {}, false, {}, null, { opening: books(5e5, -2e5, 3e5) });
  const { book } = bed.desk;
  const sum = (): number => Object.values(book.sources()).reduce((all, amount) => all + amount, 0);
  expect([book.profit, sum()]).toEqual([3e5, 3e5]);
  bed.run(500);
  expect(book.profit).toBeCloseTo(3e5, 6);
  expect(sum()).toBeCloseTo(3e5, 6);
});
