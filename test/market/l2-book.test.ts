import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { EVENT, EventBatch, SIDE } from "../../src/market/event-batch.ts";
import { BOOK_SHAPE, L2Book } from "../../src/market/l2-book.ts";
import { NaiveBook } from "./naive-book.ts";

type Level = readonly [side: number, priceTicks: number, sizeLots: number];

const batch = new EventBatch(8, 4_096);
const prices = new Int32Array(64);
const sizes = new Float64Array(64);

function event(kind: number, sequence: number, levels: readonly Level[]): EventBatch {
  batch.clear();
  const row = batch.begin(kind, 0, Number.NaN);
  batch.setSequence(row, sequence, sequence, sequence - 1);
  for (const [side, priceTicks, sizeLots] of levels) batch.level(side, priceTicks, sizeLots);
  return batch;
}

function top(book: L2Book, side: number, depth: number): [number, number][] {
  const count = book.top(side, depth, prices, sizes);
  return Array.from({ length: count }, (_, i): [number, number] => [prices[i], sizes[i]]);
}

function expectEqual(book: L2Book, naive: NaiveBook): void {
  for (const side of [SIDE.bid, SIDE.ask]) {
    expect(top(book, side, 20)).toEqual(naive.top(side, 20));
    expect(book.levels(side)).toBe(naive.sides[side].size);
  }
  const [bid] = naive.top(SIDE.bid, 1);
  const [ask] = naive.top(SIDE.ask, 1);
  expect([book.bestBidTicks, book.bestBidLots]).toEqual(bid ?? [-1, 0]);
  expect([book.bestAskTicks, book.bestAskLots]).toEqual(ask ?? [-1, 0]);
}

describe("book", () => {
  test("an empty book has no best", () => {
    const book = new L2Book(BOOK_SHAPE.option);
    expect([book.bestBidTicks, book.bestBidLots, book.bestAskTicks, book.bestAskLots]).toEqual([
      -1, 0, -1, 0,
    ]);
    expect(book.crossed).toBe(false);
  });

  test("a removed level that was never there changes nothing", () => {
    const book = new L2Book(BOOK_SHAPE.option);
    book.applySnapshot(event(EVENT.bookSnapshot, 1, [[SIDE.bid, 100, 2]]), 0);
    book.applyDelta(
      event(EVENT.bookDelta, 2, [
        [SIDE.bid, 99, 0],
        [SIDE.bid, 1_000_000, 0],
        [SIDE.bid, 1, 0],
        [SIDE.ask, 101, 0],
      ]),
      0,
    );
    expect(top(book, SIDE.bid, 5)).toEqual([[100, 2]]);
    expect(book.levels(SIDE.ask)).toBe(0);
    expect(book.lastSequence).toBe(2);
  });

  test("a snapshot replaces every level", () => {
    const book = new L2Book(BOOK_SHAPE.option);
    book.applySnapshot(
      event(EVENT.bookSnapshot, 1, [
        [SIDE.bid, 100, 2],
        [SIDE.bid, 1, 7],
        [SIDE.ask, 105, 1],
      ]),
      0,
    );
    book.applySnapshot(event(EVENT.bookSnapshot, 2, [[SIDE.ask, 40_000, 3]]), 0);
    expect(book.levels(SIDE.bid)).toBe(0);
    expect(top(book, SIDE.ask, 5)).toEqual([[40_000, 3]]);
    expect(book.sizeAt(SIDE.ask, 105)).toBe(0);
  });

  test("the overlay shows the newer top and leaves the levels alone", () => {
    const book = new L2Book(BOOK_SHAPE.option);
    book.applySnapshot(
      event(EVENT.bookSnapshot, 10, [
        [SIDE.bid, 100, 2],
        [SIDE.ask, 102, 3],
      ]),
      0,
    );
    book.applyTop(
      event(EVENT.top, 12, [
        [SIDE.bid, 101, 5],
        [SIDE.ask, 103, 6],
      ]),
      0,
    );
    expect([book.bestBidTicks, book.bestBidLots, book.bestAskTicks, book.bestAskLots]).toEqual([
      101, 5, 103, 6,
    ]);
    expect(top(book, SIDE.bid, 5)).toEqual([[100, 2]]);
    expect(book.sizeAt(SIDE.bid, 101)).toBe(0);
  });

  test("the overlay holds over older deltas and goes when the book has caught up", () => {
    const book = new L2Book(BOOK_SHAPE.option);
    book.applySnapshot(
      event(EVENT.bookSnapshot, 10, [
        [SIDE.bid, 100, 2],
        [SIDE.ask, 102, 3],
      ]),
      0,
    );
    book.applyTop(
      event(EVENT.top, 15, [
        [SIDE.bid, 101, 5],
        [SIDE.ask, 102, 6],
      ]),
      0,
    );
    book.applyDelta(event(EVENT.bookDelta, 14, [[SIDE.bid, 99, 1]]), 0);
    expect(book.bestBidTicks).toBe(101);
    book.applyDelta(event(EVENT.bookDelta, 15, [[SIDE.bid, 101, 4]]), 0);
    expect([book.bestBidTicks, book.bestBidLots, book.bestAskLots]).toEqual([101, 4, 3]);
  });

  test("an overlay older than the book or than the last overlay is passed over", () => {
    const book = new L2Book(BOOK_SHAPE.option);
    book.applySnapshot(
      event(EVENT.bookSnapshot, 10, [
        [SIDE.bid, 100, 2],
        [SIDE.ask, 102, 3],
      ]),
      0,
    );
    book.applyTop(
      event(EVENT.top, 10, [
        [SIDE.bid, 90, 5],
        [SIDE.ask, 91, 6],
      ]),
      0,
    );
    expect(book.bestBidTicks).toBe(100);
    book.applyTop(
      event(EVENT.top, 20, [
        [SIDE.bid, 101, 5],
        [SIDE.ask, 102, 6],
      ]),
      0,
    );
    book.applyTop(
      event(EVENT.top, 19, [
        [SIDE.bid, 90, 5],
        [SIDE.ask, 91, 6],
      ]),
      0,
    );
    expect(book.bestBidTicks).toBe(101);
  });

  test("an overlay with an empty side shows it empty", () => {
    const book = new L2Book(BOOK_SHAPE.option);
    book.applySnapshot(
      event(EVENT.bookSnapshot, 10, [
        [SIDE.bid, 100, 2],
        [SIDE.ask, 102, 3],
      ]),
      0,
    );
    book.applyTop(
      event(EVENT.top, 11, [
        [SIDE.bid, 0, 0],
        [SIDE.ask, 102, 6],
      ]),
      0,
    );
    expect([book.bestBidTicks, book.bestBidLots]).toEqual([-1, 0]);
  });

  test("a bid at or above the ask is crossed", () => {
    const book = new L2Book(BOOK_SHAPE.option);
    book.applySnapshot(
      event(EVENT.bookSnapshot, 10, [
        [SIDE.bid, 100, 2],
        [SIDE.ask, 102, 3],
      ]),
      0,
    );
    expect(book.crossed).toBe(false);
    book.applyDelta(event(EVENT.bookDelta, 11, [[SIDE.bid, 102, 1]]), 0);
    expect(book.crossed).toBe(true);
  });

  test("what does not fit is the worst level, and is counted", () => {
    const book = new L2Book({ windowTicks: 32, farLevels: 4 });
    const asks: Level[] = Array.from({ length: 8 }, (_, i) => [SIDE.ask, 1_000 + i * 100, i + 1]);
    book.applySnapshot(event(EVENT.bookSnapshot, 1, asks), 0);
    expect(top(book, SIDE.ask, 8)).toEqual([
      [1_000, 1],
      [1_100, 2],
      [1_200, 3],
      [1_300, 4],
      [1_400, 5],
    ]);
    expect(book.overflowed).toBe(3);
    book.applyDelta(
      event(EVENT.bookDelta, 2, [
        [SIDE.ask, 1_150, 9],
        [SIDE.ask, 5_000, 1],
      ]),
      0,
    );
    expect(top(book, SIDE.ask, 8)).toEqual([
      [1_000, 1],
      [1_100, 2],
      [1_150, 9],
      [1_200, 3],
      [1_300, 4],
    ]);
    expect(book.overflowed).toBe(5);
    book.applySnapshot(event(EVENT.bookSnapshot, 3, asks.slice(0, 2)), 0);
    expect(book.overflowed).toBe(0);
  });

  test("levels near the touch survive a window that slides over a full far array", () => {
    const book = new L2Book({ windowTicks: 32, farLevels: 4 });
    const dense: Level[] = Array.from({ length: 24 }, (_, i) => [SIDE.ask, 1_000 + i, i + 1]);
    book.applySnapshot(event(EVENT.bookSnapshot, 1, dense), 0);
    book.applyDelta(event(EVENT.bookDelta, 2, [[SIDE.ask, 500, 7]]), 0);
    expect(top(book, SIDE.ask, 8)).toEqual([
      [500, 7],
      [1_000, 1],
      [1_001, 2],
      [1_002, 3],
      [1_003, 4],
    ]);
    expect(book.overflowed).toBe(20);
  });
});

/** A market whose touch drifts, sometimes leaps, and whose far levels and empty sides come and go. */
const step = fc.record({
  drift: fc.oneof(
    { weight: 10, arbitrary: fc.integer({ min: -5, max: 5 }) },
    { weight: 2, arbitrary: fc.integer({ min: -300, max: 300 }) },
    { weight: 1, arbitrary: fc.integer({ min: -100_000, max: 100_000 }) },
  ),
  kind: fc.oneof(
    { weight: 30, arbitrary: fc.constant("delta" as const) },
    { weight: 1, arbitrary: fc.constant("snapshot" as const) },
    { weight: 1, arbitrary: fc.constant("emptyBids" as const) },
    { weight: 1, arbitrary: fc.constant("emptyAsks" as const) },
    { weight: 4, arbitrary: fc.constant("eatBest" as const) },
  ),
  levels: fc.array(
    fc.record({
      side: fc.constantFrom(SIDE.bid, SIDE.ask),
      distance: fc.oneof(
        { weight: 8, arbitrary: fc.integer({ min: -3, max: 40 }) },
        { weight: 2, arbitrary: fc.integer({ min: 0, max: 2_000 }) },
        { weight: 1, arbitrary: fc.integer({ min: 0, max: 190_000 }) },
      ),
      size: fc.integer({ min: 0, max: 3 }),
    }),
    { maxLength: 30 },
  ),
});

describe("book against a naive map book", () => {
  for (const shape of [
    { windowTicks: 32, farLevels: 4_000 },
    { windowTicks: 1_024, farLevels: 4_000 },
    BOOK_SHAPE.future,
  ]) {
    test(`random streams, window ${shape.windowTicks}`, () => {
      fc.assert(
        fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
          const book = new L2Book(shape);
          const naive = new NaiveBook();
          let touch = 200_000;
          let sequence = 0;
          for (const { drift, kind, levels } of steps) {
            touch = Math.max(1, touch + drift);
            sequence += 1;
            const unique = new Map<string, Level>();
            for (const { side, distance, size } of levels) {
              const price = Math.max(0, side === SIDE.bid ? touch - distance : touch + 1 + distance);
              unique.set(`${side}:${price}`, [side, price, size]);
            }
            let changes = [...unique.values()];
            if (kind === "emptyBids" || kind === "emptyAsks") {
              const side = kind === "emptyBids" ? SIDE.bid : SIDE.ask;
              changes = naive.top(side, 4_000).map(([price]): Level => [side, price, 0]);
            } else if (kind === "eatBest") {
              for (const side of [SIDE.bid, SIDE.ask]) {
                for (const [price] of naive.top(side, 6)) changes.push([side, price, 0]);
              }
            }
            event(kind === "snapshot" ? EVENT.bookSnapshot : EVENT.bookDelta, sequence, changes);
            if (kind === "snapshot") book.applySnapshot(batch, 0);
            else book.applyDelta(batch, 0);
            naive.apply(batch, 0);
            expectEqual(book, naive);
            for (const [side, price] of changes) {
              expect(book.sizeAt(side, price)).toBe(naive.sides[side].get(price) ?? 0);
            }
          }
          expect(book.overflowed).toBe(0);
        }),
        { numRuns: 150, seed: 7 },
      );
    });
  }

  test("with a bounded far array the best levels up to the bound still agree", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: 1, max: 9 })), {
          maxLength: 300,
        }),
        (levels) => {
          const book = new L2Book({ windowTicks: 64, farLevels: 16 });
          const naive = new NaiveBook();
          for (const [price, size] of levels) {
            event(EVENT.bookDelta, 1, [[SIDE.ask, price, size]]);
            book.applyDelta(batch, 0);
            naive.apply(batch, 0);
            expect(top(book, SIDE.ask, 16)).toEqual(naive.top(SIDE.ask, 16));
          }
        },
      ),
      { numRuns: 60, seed: 8 },
    );
  });
});
