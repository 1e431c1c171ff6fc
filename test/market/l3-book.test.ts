import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { SIDE } from "../../src/market/event-batch.ts";
import { BOOK_SHAPE } from "../../src/market/l2-book.ts";
import { L3, L3Book } from "../../src/market/l3-book.ts";
import { OrderKey } from "../../src/market/order-key.ts";
import { NONE, OrderTable } from "../../src/market/order-table.ts";
import { NaiveL3Book } from "./naive-l3-book.ts";

const DEPTH = 64;
const prices = new Int32Array(DEPTH);
const sizes = new Float64Array(DEPTH);
const times = new Float64Array(DEPTH);
const scratch = new OrderKey();

function key(id: string): OrderKey {
  expect(id.includes("-") ? scratch.setUuid(id) : scratch.setDecimal(id)).toBe(true);
  return scratch;
}

function bookOf(maxOrders = 1_024): L3Book {
  return new L3Book({ shape: BOOK_SHAPE.option, initialOrders: 16, maxOrders });
}

function top(book: L3Book, side: number): [number, number][] {
  const count = book.top(side, DEPTH, prices, sizes);
  return Array.from({ length: count }, (_, i): [number, number] => [prices[i], sizes[i]]);
}

function expectEqual(book: L3Book, naive: NaiveL3Book): void {
  expect(book.orders).toBe(naive.orders.length);
  for (const side of [SIDE.bid, SIDE.ask]) {
    const levels = naive.levels(side);
    expect(top(book, side)).toEqual(levels.slice(0, DEPTH));
    expect(book.levels(side)).toBe(levels.length);
    for (const [price, lots] of levels) {
      const orders = naive.queue(side, price);
      const count = book.queue(side, price, DEPTH, sizes, times);
      expect([...sizes.subarray(0, count)]).toEqual(orders.map((order) => order.lots));
      expect([...times.subarray(0, count)]).toEqual(orders.map((order) => order.enteredUs));
      expect(book.ordersAt(side, price)).toBe(orders.length);
      expect(book.sizeAt(side, price)).toBe(lots);
      expect(book.oldestAgeUs(side, price, 10_000)).toBe(10_000 - (orders[0]?.enteredUs ?? 0));
      const mean = orders.reduce((sum, order) => sum + 10_000 - order.enteredUs, 0) / orders.length;
      expect(book.meanAgeUs(side, price, 10_000)).toBeCloseTo(mean, 6);
    }
  }
  const [bid] = naive.levels(SIDE.bid);
  const [ask] = naive.levels(SIDE.ask);
  expect([book.bestBidTicks, book.bestBidLots]).toEqual(bid ?? [-1, 0]);
  expect([book.bestAskTicks, book.bestAskLots]).toEqual(ask ?? [-1, 0]);
}

describe("order key", () => {
  test("a UUID's digits are its words", () => {
    expect(scratch.setUuid("d50ec984-77a8-460a-b958-66f114b0DE9B")).toBe(true);
    expect([scratch.w0, scratch.w1, scratch.w2, scratch.w3]).toEqual([
      0xd50ec984, 0x77a8460a, 0xb95866f1, 0x14b0de9b,
    ]);
  });

  test.each([
    "",
    "d50ec984-77a8-460a-b958-66f114b0de9",
    "d50ec984-77a8-460a-b958-66f114b0de9bb",
    "d50ec984x77a8-460a-b958-66f114b0de9b",
    "g50ec984-77a8-460a-b958-66f114b0de9b",
    "d50ec984-77a8-460a-b958-66f114b0de9\u00e9",
  ])("%p is no UUID", (text) => {
    expect(scratch.setUuid(text)).toBe(false);
  });

  test("decimal ids are exact up to 64 bits", () => {
    const words = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });
    fc.assert(
      fc.property(words, (id) => {
        expect(scratch.setDecimal(String(id))).toBe(true);
        expect((BigInt(scratch.w2) << 32n) | BigInt(scratch.w3)).toBe(id);
        expect([scratch.w0, scratch.w1]).toEqual([0, 0]);
      }),
      { seed: 1 },
    );
    expect(scratch.setDecimal("18446744073709551615")).toBe(true);
  });

  test.each(["", "18446744073709551616", "99999999999999999999", "-1", "01", "1.0", "1e3", "0x1"])(
    "%p is no decimal id",
    (text) => {
      expect(scratch.setDecimal(text)).toBe(false);
    },
  );

  test("a number is the id that its decimal text is", () => {
    for (const id of [0, 1, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      scratch.setDecimal(String(id));
      const words = [scratch.w2, scratch.w3];
      expect(scratch.setNumber(id)).toBe(true);
      expect([scratch.w2, scratch.w3]).toEqual(words);
    }
    expect([scratch.setNumber(-1), scratch.setNumber(1.5), scratch.setNumber(2 ** 53)]).toEqual([
      false,
      false,
      false,
    ]);
  });
});

describe("order table", () => {
  test("finds every order by its whole id, whatever comes and goes", () => {
    const ids = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 60 })), { maxLength: 400 });
    fc.assert(
      fc.property(ids, fc.integer(), (steps, seed) => {
        const table = new OrderTable(16, 64, seed);
        const held = new Map<number, number>();
        for (const [add, id] of steps) {
          scratch.setNumber(id * 0x1_0000_0001);
          const slot = table.find(scratch);
          expect(slot).toBe(held.get(id) ?? NONE);
          if (add && slot === NONE) held.set(id, table.insert(scratch));
          else if (!add && slot !== NONE) {
            table.delete(slot);
            held.delete(id);
          }
          expect(table.size).toBe(held.size);
        }
        for (let id = 0; id <= 60; id += 1) {
          scratch.setNumber(id * 0x1_0000_0001);
          expect(table.find(scratch)).toBe(held.get(id) ?? NONE);
        }
      }),
      { numRuns: 150, seed: 3 },
    );
  });

  test("holds no more than it may, and takes new ones when others have gone", () => {
    const table = new OrderTable(16, 32, 1);
    for (let id = 0; id < 32; id += 1) {
      scratch.setNumber(id);
      expect(table.insert(scratch)).toBe(id);
    }
    scratch.setNumber(99);
    expect(table.insert(scratch)).toBe(NONE);
    table.delete(7);
    expect(table.insert(scratch)).toBe(7);
    table.keyOf(7, scratch);
    expect(scratch.w3).toBe(99);
  });
});

describe("level-3 book", () => {
  test("first come, first served: who stands before an order, and since when", () => {
    const book = bookOf();
    book.add(key("1"), SIDE.bid, 100, 5, 10);
    book.add(key("2"), SIDE.bid, 100, 7, 20);
    book.add(key("3"), SIDE.bid, 100, 11, 30);
    expect(book.findQueuePosition(key("3"))).toBe(true);
    expect(book.position).toEqual({
      side: SIDE.bid,
      priceTicks: 100,
      lots: 11,
      ordersAhead: 2,
      lotsAhead: 12,
      enteredUs: 30,
    });
    book.reduce(key("1"), 2);
    book.remove(key("2"));
    book.findQueuePosition(key("3"));
    expect([book.position.ordersAhead, book.position.lotsAhead]).toEqual([1, 3]);
    expect(book.findQueuePosition(key("9"))).toBe(false);
  });

  test("a larger size loses the place, a smaller one keeps it", () => {
    const book = bookOf();
    book.add(key("1"), SIDE.ask, 100, 5, 10);
    book.add(key("2"), SIDE.ask, 100, 5, 20);
    book.resize(key("1"), 4, 30);
    expect([book.queue(SIDE.ask, 100, 8, sizes, times), sizes[0], times[0]]).toEqual([2, 4, 10]);
    book.resize(key("1"), 6, 40);
    expect([book.queue(SIDE.ask, 100, 8, sizes, times), sizes[0], sizes[1], times[1]]).toEqual([2, 5, 6, 40]);
  });

  test("a move names both levels", () => {
    const book = bookOf();
    book.add(key("1"), SIDE.ask, 100, 5, 10);
    book.move(key("1"), 103, 4, 20);
    expect([book.touchedTicks, book.leftTicks, book.sizeAt(SIDE.ask, 100), book.bestAskTicks]).toEqual([
      103, 100, 0, 103,
    ]);
  });

  test("what cannot be done is told and changes nothing", () => {
    const book = bookOf(16);
    for (let id = 1; id <= 16; id += 1) book.add(key(String(id)), SIDE.bid, id, 1, id);
    expect(book.add(key("3"), SIDE.ask, 200, 1, 1)).toBe(L3.duplicate);
    expect(book.add(key("17"), SIDE.ask, 200, 1, 1)).toBe(L3.full);
    expect(book.remove(key("99"))).toBe(L3.unknown);
    expect(book.reduce(key("99"), 1)).toBe(L3.unknown);
    expect(book.resize(key("99"), 1, 1)).toBe(L3.unknown);
    expect(book.move(key("99"), 1, 1, 1)).toBe(L3.unknown);
    expect([book.orders, book.levels(SIDE.ask)]).toEqual([16, 0]);
    expect(() => book.add(key("18"), SIDE.bid, 1, 0, 1)).toThrow("lots");
  });

  test("grows once and then stays as large as it is", () => {
    const book = bookOf(1_024);
    for (let round = 0; round < 50; round += 1) {
      for (let id = 0; id < 100; id += 1) book.add(key(String(round * 100 + id)), SIDE.bid, id, 1, id);
      for (let id = 0; id < 100; id += 1) book.remove(key(String(round * 100 + id)));
    }
    expect([book.orderCapacity, book.orders, book.levels(SIDE.bid)]).toEqual([128, 0, 0]);
  });

  test("sizes between two lots leave no rounding behind", () => {
    const book = bookOf();
    book.add(key("1"), SIDE.bid, 10, 0.1, 1);
    book.add(key("2"), SIDE.bid, 10, 0.2, 2);
    book.add(key("3"), SIDE.bid, 10, 3, 3);
    book.remove(key("1"));
    book.remove(key("2"));
    expect(book.sizeAt(SIDE.bid, 10)).toBe(3);
  });

  test("is the naive book after every change", () => {
    const step = fc.record({
      kind: fc.constantFrom("add", "add", "add", "reduce", "resize", "move", "remove", "clear"),
      id: fc.integer({ min: 1, max: 40 }),
      side: fc.constantFrom(0, 1),
      price: fc.integer({ min: 0, max: 12 }),
      lots: fc.integer({ min: 1, max: 9 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const book = bookOf();
        const naive = new NaiveL3Book();
        steps.forEach(({ kind, id, side, price, lots }, timeUs) => {
          const name = String(id);
          const ticks = side === 0 ? 5_000 - price * price * 40 : 5_001 + price * price * 40;
          const expected = naive.find(name) === undefined ? L3.unknown : L3.done;
          key(name);
          switch (kind) {
            case "add":
              if (book.add(scratch, side, ticks, lots, timeUs) === L3.done)
                naive.add(name, side, ticks, lots, timeUs);
              else expect(expected).toBe(L3.done);
              break;
            case "reduce":
              expect(book.reduce(scratch, lots)).toBe(expected);
              naive.reduce(name, lots);
              break;
            case "resize":
              expect(book.resize(scratch, lots - 1, timeUs)).toBe(expected);
              naive.resize(name, lots - 1, timeUs);
              break;
            case "move":
              expect(book.move(scratch, ticks, lots, timeUs)).toBe(expected);
              naive.move(name, ticks, lots, timeUs);
              break;
            case "remove":
              expect(book.remove(scratch)).toBe(expected);
              naive.remove(name);
              break;
            default:
              if (id > 1) break;
              book.clear();
              naive.orders.length = 0;
          }
          expect(book.has(scratch)).toBe(naive.find(name) !== undefined);
          expect(book.lotsOf(scratch)).toBe(naive.find(name)?.lots ?? 0);
        });
        expectEqual(book, naive);
      }),
      { numRuns: 300, seed: 5 },
    );
  });
});
