import { expect, test } from "bun:test";
import type { QuoteBatch } from "../../src/quote/quote-batch.ts";
import { RiskGate } from "../../src/risk/gate.ts";
import { NOT_TRIPPED } from "../../src/risk/kill-switch.ts";
import { instrumentTable, quoteBatch } from "../gateway/fix/instruments.ts";
import { WIDEST_LIMITS } from "./approve.ts";

const TIME_US = 1e15;
const PERPETUAL = 0;

/** A gate under which the perpetual, of 10 a lot, may be held up to 20 lots. */
function gate(): RiskGate {
  const instruments = instrumentTable();
  const made = new RiskGate({
    instruments,
    limits: { ...WIDEST_LIMITS, maxPositionNotional: 200 },
    kill: NOT_TRIPPED,
  });
  for (const instrument of instruments.all()) {
    made.add(instrument, 0);
    made.onFeedState(instrument.id, true);
  }
  made.onReference(0, 1, TIME_US);
  return made;
}

let lastId = 0;

function rows(...levels: readonly (readonly [level: number, bid: number, lots: number])[]): QuoteBatch {
  const batch = quoteBatch(
    levels.map(([level, bidTicks, bidLots]) => {
      lastId += 1;
      return {
        instrument: PERPETUAL,
        level,
        quoteId: lastId,
        bidTicks,
        bidLots,
        askTicks: -1,
        askLots: 0,
      };
    }),
  );
  return batch;
}

function bidLots(batch: QuoteBatch): number[] {
  return [...batch.bidLots.subarray(0, batch.count)];
}

test("the levels of a side count against the position limit together, in one batch and over several", () => {
  const risk = gate();
  const first = rows([0, 100, 15], [1, 99, 15]);
  risk.check(first, TIME_US);
  expect(bidLots(first)).toEqual([15, 5]);
  const third = rows([2, 98, 15]);
  risk.check(third, TIME_US);
  expect(bidLots(third)).toEqual([]);
  const smaller = rows([0, 100, 5]);
  risk.check(smaller, TIME_US);
  const again = rows([2, 98, 15]);
  risk.check(again, TIME_US);
  expect(bidLots(again)).toEqual([10]);
});

test("a fill moves lots from the standing level to the position, and no more may stand than before", () => {
  const risk = gate();
  risk.check(rows([0, 100, 10], [1, 99, 10]), TIME_US);
  risk.onExecution(PERPETUAL, 0, 99, 10, TIME_US);
  expect(risk.standingTicks(PERPETUAL, 0)).toBe(100);
  const more = rows([1, 99, 10]);
  risk.check(more, TIME_US);
  expect(bidLots(more)).toEqual([]);
});

test("one level twice in a batch is a duplicate, two levels are none", () => {
  const risk = gate();
  const batch = rows([0, 100, 1], [1, 99, 1], [1, 98, 1]);
  risk.check(batch, TIME_US);
  expect(bidLots(batch)).toEqual([1, 1]);
  expect(risk.refused("duplicate")).toBeGreaterThan(0);
  const third = rows([2, 98, 19]);
  risk.check(third, TIME_US);
  expect(bidLots(third)).toEqual([18]);
});

test("the best price of all levels is what orders are held against", () => {
  const risk = gate();
  risk.check(rows([1, 99, 1]), TIME_US);
  expect(risk.standingTicks(PERPETUAL, 0)).toBe(99);
  risk.check(rows([0, 100, 1]), TIME_US);
  expect(risk.standingTicks(PERPETUAL, 0)).toBe(100);
  risk.onAllCancelled();
  expect(risk.standingTicks(PERPETUAL, 0)).toBe(-1);
});

test("no bid of a level leaves at or above an ask of another, in one batch or against what stands", () => {
  const level = (level: number, bidTicks: number, askTicks: number) => {
    lastId += 1;
    return { instrument: PERPETUAL, level, quoteId: lastId, bidTicks, bidLots: 1, askTicks, askLots: 1 };
  };
  const sides = (batch: QuoteBatch) =>
    Array.from({ length: batch.count }, (_, row) => [
      batch.level[row],
      batch.bidTicks[row],
      batch.askTicks[row],
    ]);
  const risk = gate();
  const together = quoteBatch([level(0, 100, 110), level(1, 90, 99)]);
  risk.check(together, TIME_US);
  expect(sides(together)).toEqual([[1, 90, 99]]);
  expect(risk.refused("selfCross")).toBe(2);

  const over = gate();
  over.check(quoteBatch([level(0, 100, 110), level(1, 98, 112)]), TIME_US);
  const inward = quoteBatch([level(0, 100, 105), level(1, 105, 112)]);
  inward.standing.fill(1, 0, 2);
  over.check(inward, TIME_US);
  expect(sides(inward)).toEqual([
    [0, -1, -1],
    [1, 105, 112],
  ]);
  const deeper = quoteBatch([level(2, 80, 105)]);
  over.check(deeper, TIME_US);
  expect(sides(deeper)).toEqual([]);
  const apart = quoteBatch([level(2, 80, 106)]);
  over.check(apart, TIME_US);
  expect(sides(apart)).toEqual([[2, 80, 106]]);
});

test("an order is held against the quotes of every level, also when the first one is gone", () => {
  const risk = gate();
  const level = (level: number, bidTicks: number, askTicks: number) => {
    lastId += 1;
    return { instrument: PERPETUAL, level, quoteId: lastId, bidTicks, bidLots: 1, askTicks, askLots: 1 };
  };
  risk.check(quoteBatch([level(0, 100, 110), level(1, 98, 112)]), TIME_US);
  let orderId = 0;
  const buyAt = (priceTicks: number) => {
    orderId += 1;
    const order = { orderId, instrument: PERPETUAL, side: 0, priceTicks, sizeLots: 1 } as const;
    return risk.checkOrder({ ...order, timeInForce: "ioc", fair: 100, delta: 1, hedge: false }, TIME_US);
  };
  expect(buyAt(110)).toBe("selfCross");
  risk.onExecution(PERPETUAL, 1, 110, 1, TIME_US);
  expect(buyAt(112)).toBe("selfCross");
  expect(buyAt(111)).not.toBe("selfCross");
});
