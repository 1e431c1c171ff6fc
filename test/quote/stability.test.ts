import { expect, test } from "bun:test";
import { MessageBudget } from "../../src/quote/message-budget.ts";
import { DEFAULT_QUOTE_PARAMETERS, type QuoteParameters } from "../../src/quote/parameters.ts";
import { QuoteBatch } from "../../src/quote/quote-batch.ts";
import { Stability } from "../../src/quote/stability.ts";

const START_US = 1e15;

function stands(stability: Stability, bidTicks: number, askTicks: number, timeUs: number, widenBp = 0): void {
  const batch = new QuoteBatch(1);
  batch.count = 1;
  batch.bidTicks[0] = bidTicks;
  batch.bidLots[0] = bidTicks < 0 ? 0 : 10;
  batch.askTicks[0] = askTicks;
  batch.askLots[0] = askTicks < 0 ? 0 : 10;
  batch.widenBp[0] = widenBp;
  stability.attempt(0, bidTicks, 10, timeUs);
  stability.attempt(1, askTicks, 10, timeUs);
  stability.commit(batch, 0, timeUs);
}

function fresh(changes: Partial<QuoteParameters> = {}): Stability {
  const parameters = { ...DEFAULT_QUOTE_PARAMETERS, ...changes };
  const stability = new Stability(1, parameters, new MessageBudget(parameters));
  stands(stability, 100, 120, START_US);
  return stability;
}

/** Weighs the bid against a target with a half-spread of 10 ticks. */
function weighBid(stability: Stability, target: number, lots: number, timeUs: number): string {
  stability.weigh(0, Math.floor(target), lots, target, Number.POSITIVE_INFINITY, 10, 1, timeUs);
  const { urgent, optional, held } = stability;
  return urgent ? "urgent" : optional ? "optional" : held ? "held" : "stays";
}

const LATER_US = START_US + 1_000_000;

test("drift within the tolerance moves nothing, beyond it the side retreats at once", () => {
  expect(weighBid(fresh(), 99.5, 10, START_US)).toBe("stays");
  expect(weighBid(fresh(), 98.9, 10, START_US)).toBe("urgent");
});

test("a small improvement waits for a larger one, a large one for the minimum life", () => {
  expect(weighBid(fresh(), 102.4, 10, LATER_US)).toBe("held");
  expect(weighBid(fresh(), 103, 10, START_US + 10)).toBe("held");
  expect(weighBid(fresh(), 103, 10, LATER_US)).toBe("optional");
});

test("a held improvement is due when the side has lived its minimum life", () => {
  const stability = fresh();
  weighBid(stability, 110, 10, START_US + 10);
  expect(stability.releaseUs).toBe(START_US + DEFAULT_QUOTE_PARAMETERS.minQuoteLifeMs * 1_000);
});

test("a size is cut at once and enlarged after the minimum life", () => {
  expect(weighBid(fresh(), 100, 7, START_US)).toBe("urgent");
  expect(weighBid(fresh(), 100, 9.5, START_US)).toBe("stays");
  expect(weighBid(fresh(), 100, 15, START_US + 10)).toBe("held");
  expect(weighBid(fresh(), 100, 15, LATER_US)).toBe("optional");
});

test("a side without target is pulled at once", () => {
  const stability = fresh();
  expect(weighBid(stability, -1, 0, START_US)).toBe("urgent");
  expect([stability.nextTicks, stability.nextLots]).toEqual([-1, 0]);
});

test("as the budget runs low an improvement must be larger", () => {
  const parameters = { ...DEFAULT_QUOTE_PARAMETERS, messageBurst: 4, messagesPerSecond: 1 };
  const budget = new MessageBudget(parameters);
  budget.refill(START_US);
  const stability = new Stability(1, parameters, budget);
  stands(stability, 100, 120, START_US);
  budget.spend(4);
  expect(budget.left).toBe(0);
  expect(weighBid(stability, 109, 10, LATER_US)).toBe("held");
  expect(weighBid(stability, 110, 10, LATER_US)).toBe("optional");
  budget.refill(START_US + 2_000_000);
  expect(budget.left).toBe(2);
  expect(weighBid(stability, 103, 10, LATER_US)).toBe("optional");
});

test("a reversal within 100 ms is a flicker, a later one is none", () => {
  const stability = fresh();
  stands(stability, 105, 120, START_US + 500_000);
  stands(stability, 100, 120, START_US + 550_000);
  expect(stability.counters.flickers).toBe(1);
  stands(stability, 105, 120, START_US + 700_000);
  expect(stability.counters.flickers).toBe(1);
});

test("rows are counted by what they do", () => {
  const stability = fresh();
  stands(stability, 95, 125, START_US + 1, 15);
  stands(stability, 100, 120, START_US + 2);
  stands(stability, -1, -1, START_US + 3);
  expect(stability.counters).toMatchObject({ sent: 4, widened: 1, retreated: 1, tightened: 2, pulled: 1 });
  expect(stability.standing(0)).toBe(false);
});

test("the lives of ended sides are summed", () => {
  const stability = fresh();
  stands(stability, 101, 120, START_US + 300_000);
  stability.forget(0, START_US + 400_000);
  expect(stability.counters).toMatchObject({ lives: 3, lifeSumUs: 300_000 + 100_000 + 400_000 });
});

test("a fill leaves the rest, and nothing when all is gone", () => {
  const stability = fresh();
  stability.fill(0, 0, -1, 4, LATER_US);
  expect(stability.lots[0]).toBe(6);
  stability.fill(0, 0, -1, 6, LATER_US);
  expect(stability.ticks[0]).toBe(-1);
});
