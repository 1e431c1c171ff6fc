import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Rng } from "../../src/core/rng.ts";
import { SIDE } from "../../src/market/event-batch.ts";
import { black76, OptionValue } from "../../src/option/black76.ts";
import { EventQueue } from "../../src/sim/market/event-queue.ts";
import type { MarketSink } from "../../src/sim/market/market-sink.ts";
import { expiryText, listChain } from "../../src/sim/market/option-chain.ts";
import { OrderFlow } from "../../src/sim/market/order-flow.ts";
import { binanceBtcParameters, REGIME_PARAMETERS } from "../../src/sim/market/parameters.ts";
import { nextFundingMs, ReferencePrices } from "../../src/sim/market/reference.ts";
import { REGIME, Regime } from "../../src/sim/market/regime.ts";
import { NO_LEVEL, SimBook } from "../../src/sim/market/sim-book.ts";
import { VolatilitySurface } from "../../src/sim/market/surface.ts";

const SILENT: MarketSink = { onLevel: () => {}, onTrade: () => {}, onTurn: () => {} };

describe("EventQueue", () => {
  test("handles events by time and, at the same time, in the order of scheduling", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 200 }), (delays) => {
        const queue = new EventQueue(1_000);
        const seen: [number, number][] = [];
        const actor = queue.register({ act: (_kind, argument, timeUs) => seen.push([timeUs, argument]) });
        for (const [i, delay] of delays.entries()) queue.schedule(actor, 0, i, delay);
        while (queue.size > 0) queue.step();
        const expected = delays
          .map((delay, i): [number, number] => [1_000 + delay, i])
          .sort((a, b) => a[0] - b[0] || a[1] - b[1]);
        expect(seen).toEqual(expected);
      }),
    );
  });

  test("counts what does not fit", () => {
    const queue = new EventQueue(0, 2);
    const actor = queue.register({ act: () => {} });
    for (let i = 0; i < 5; i += 1) queue.schedule(actor, 0, i, i);
    expect([queue.size, queue.dropped]).toEqual([2, 3]);
  });

  test("has nothing next when empty, and refuses to step", () => {
    const queue = new EventQueue(0);
    expect(queue.nextUs).toBe(Number.POSITIVE_INFINITY);
    expect(() => queue.step()).toThrow("empty event queue");
  });
});

describe("SimBook", () => {
  test("agrees with a map of levels while its window moves", () => {
    const change = fc.record({
      side: fc.constantFrom(SIDE.bid, SIDE.ask),
      distance: fc.integer({ min: 1, max: 60 }),
      lots: fc.integer({ min: 0, max: 5 }),
      drift: fc.integer({ min: -8, max: 8 }),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 200 }), (changes) => {
        const naive = [new Map<number, number>(), new Map<number, number>()];
        const sink: MarketSink = {
          ...SILENT,
          onLevel: (_instrument, side, ticks, lots, before) => {
            expect(naive[side]?.get(ticks) ?? 0).toBe(before);
            if (lots === 0) naive[side]?.delete(ticks);
            else naive[side]?.set(ticks, lots);
          },
        };
        const book = new SimBook(0, 1_000, 256, sink);
        let centre = 1_000;
        for (const { side, distance, lots, drift } of changes) {
          centre += drift;
          const price = side === SIDE.bid ? centre - distance : centre + distance;
          const other = book.best(1 - side);
          const crosses = other !== NO_LEVEL && (side === SIDE.bid ? price >= other : price <= other);
          if (book.holds(price) && !crosses) book.set(side, price, lots);
          book.follow();
          const bids = [...(naive[0]?.keys() ?? [])];
          const asks = [...(naive[1]?.keys() ?? [])];
          expect(book.best(SIDE.bid)).toBe(bids.length === 0 ? NO_LEVEL : Math.max(...bids));
          expect(book.best(SIDE.ask)).toBe(asks.length === 0 ? NO_LEVEL : Math.min(...asks));
          expect([book.levels(SIDE.bid), book.levels(SIDE.ask)]).toEqual([bids.length, asks.length]);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("refuses to be crossed, negative or fractional", () => {
    const book = new SimBook(0, 1_000, 256, SILENT);
    book.set(SIDE.ask, 1_001, 5);
    expect(() => book.set(SIDE.bid, 1_001, 1)).toThrow("crosses");
    expect(() => book.set(SIDE.bid, 999, -1)).toThrow("lots");
    expect(() => book.set(SIDE.bid, 999, 0.5)).toThrow("lots");
    expect(() => book.set(SIDE.bid, 1, 1)).toThrow("window");
  });

  test("finds levels outward", () => {
    const book = new SimBook(0, 1_000, 256, SILENT);
    for (const price of [1_002, 1_010, 1_100]) book.set(SIDE.ask, price, 1);
    expect(book.outward(SIDE.ask, 1_003)).toBe(1_010);
    expect(book.outward(SIDE.ask, 1_011)).toBe(1_100);
    expect(book.outward(SIDE.ask, 1_101)).toBe(NO_LEVEL);
    expect(book.outward(SIDE.ask, 9_999)).toBe(NO_LEVEL);
    expect(book.outward(SIDE.bid, 1_000)).toBe(NO_LEVEL);
  });
});

describe("listChain", () => {
  test("lists four growing expiries at 08:00 UTC, Fridays but for the first, whatever the day", () => {
    const start = fc.integer({ min: Date.UTC(2024, 0, 1), max: Date.UTC(2032, 0, 1) });
    fc.assert(
      fc.property(start, fc.double({ min: 500, max: 500_000, noNaN: true }), (startMs, price) => {
        const chain = listChain(startMs, price);
        const expiries = [...new Set(chain.map(({ expiryMs }) => expiryMs))];
        expect(expiries.length).toBe(4);
        expect(expiries).toEqual(expiries.toSorted((a, b) => a - b));
        expect((expiries[0] ?? 0) - startMs).toBeGreaterThanOrEqual(12 * 3_600_000);
        for (const [i, expiryMs] of expiries.entries()) {
          const date = new Date(expiryMs);
          expect(date.getUTCHours()).toBe(8);
          if (i > 0) expect(date.getUTCDay()).toBe(5);
        }
        expect(new Date(expiries[3] ?? 0).getUTCMonth() % 3).toBe(2);
        expect(new Set(chain.map(({ symbol }) => symbol)).size).toBe(chain.length);
        expect(Math.min(...chain.map(({ strike }) => strike))).toBeGreaterThan(0);
        for (const { symbol } of chain) expect(symbol).toMatch(/^BTC-\d{1,2}[A-Z]{3}\d\d-\d+(d\d+)?-[CP]$/);
      }),
      { numRuns: 40 },
    );
  });

  test("writes dates as Deribit does", () => {
    expect(expiryText(Date.UTC(2024, 11, 27, 8))).toBe("27DEC24");
    expect(expiryText(Date.UTC(2025, 0, 3, 8))).toBe("3JAN25");
  });
});

describe("VolatilitySurface", () => {
  test("has no butterfly to sell at any expiry, calm or shocked", () => {
    const value = new OptionValue();
    const call = (surface: VolatilitySurface, strike: number, years: number): number => {
      black76(value, true, 60_000, strike, years, surface.volatility(Math.log(strike / 60_000), years));
      return value.price;
    };
    for (let seed = 0; seed < 20; seed += 1) {
      const surface = new VolatilitySurface(new Rng(seed));
      if (seed % 2 === 1) surface.shock(-200);
      for (let i = 0; i < 50; i += 1) surface.advance(5e6);
      for (const years of [0.5 / 365, 5 / 365, 30 / 365, 120 / 365]) {
        for (let strike = 40_000; strike < 85_000; strike += 1_000) {
          const [a, b, c] = [strike - 500, strike, strike + 500].map((k) => call(surface, k, years));
          expect((a ?? 0) - (b ?? 0)).toBeGreaterThan(-1e-6);
          expect((a ?? 0) - 2 * (b ?? 0) + (c ?? 0)).toBeGreaterThan(-1e-6);
        }
      }
    }
  });

  test("rises at a jump, near expiries most, and calms down", () => {
    const surface = new VolatilitySurface(new Rng(1));
    const before = [1 / 365, 120 / 365].map((years) => surface.atTheMoney(years));
    surface.shock(-20);
    const after = [1 / 365, 120 / 365].map((years) => surface.atTheMoney(years));
    const [near = 0, far = 0] = after.map((volatility, i) => volatility / (before[i] ?? 1));
    expect(far).toBeGreaterThan(1.01);
    expect(near).toBeGreaterThan(far);
    for (let i = 0; i < 200; i += 1) surface.advance(5e6);
    expect(surface.atTheMoney(120 / 365)).toBeLessThan(after[1] ?? 0);
  });
});

describe("the moods and references", () => {
  test("a regime stays toxic as long as it is held, and is calm most of the time otherwise", () => {
    const regime = new Regime(REGIME_PARAMETERS, new Rng(3), 0);
    let toxic = 0;
    const steps = 50_000;
    for (let i = 1; i <= steps; i += 1) {
      regime.advance(100_000, i * 100_000);
      if (regime.current === REGIME.toxic) toxic += 1;
    }
    expect(toxic / steps).toBeGreaterThan(0.05);
    expect(toxic / steps).toBeLessThan(0.3);
    const calm = new Regime({ ...REGIME_PARAMETERS, calmMeanSeconds: 1e9 }, new Rng(4), 0);
    calm.hold(REGIME.toxic, 5e6);
    calm.advance(100_000, 4.9e6);
    expect(calm.current).toBe(REGIME.toxic);
    calm.advance(100_000, 5e6);
    expect(calm.current).toBe(REGIME.calm);
  });

  test("offspring are Poisson with the given mean, so the flow does not explode", () => {
    const { flow } = binanceBtcParameters(60_000);
    const orders = new OrderFlow(flow, new Rng(5));
    let sum = 0;
    for (let i = 0; i < 20_000; i += 1) sum += orders.offspring();
    expect(Math.abs(sum / 20_000 - flow.branching)).toBeLessThan(0.03);
  });

  test("the index follows the venues, marks keep the basis, funding stays bounded", () => {
    const reference = new ReferencePrices(60_000, 2, new Rng(1));
    for (let i = 0; i < 10_000; i += 1) reference.advance(20_000, [60_100, Number.NaN]);
    expect(Math.abs(reference.index - 60_100)).toBeLessThan(1);
    for (let i = 0; i < 10_000; i += 1) reference.advance(20_000, [60_100, 60_110]);
    expect(reference.mark(1) - reference.mark(0)).toBeGreaterThan(5);
    expect(Math.abs(reference.fundingRate)).toBeLessThanOrEqual(0.003);
    expect(nextFundingMs(Date.UTC(2026, 0, 1, 7, 59))).toBe(Date.UTC(2026, 0, 1, 8));
    expect(nextFundingMs(Date.UTC(2026, 0, 1, 8))).toBe(Date.UTC(2026, 0, 1, 16));
  });
});
