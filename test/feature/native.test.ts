import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { loadNative } from "../../src/core/native.ts";
import { Rng } from "../../src/core/rng.ts";
import { exponential, naturalLog } from "../../src/feature/elementary.ts";
import { FEATURE_COUNT, SIGNALS } from "../../src/feature/schema.ts";
import { FeatureState } from "../../src/feature/tick.ts";
import { EVENT, EventBatch, SIDE, TICKER, TICKER_FIELDS } from "../../src/market/event-batch.ts";
import type { Instrument } from "../../src/market/instrument.ts";
import { L2Book } from "../../src/market/l2-book.ts";

const { functions } = await loadNative();
if (functions === null) console.log("skipped: no native library here");

const START_US = 1_723_161_255_000_000;
const SHAPE = { windowTicks: 64, farLevels: 16 };
const INSTRUMENT = { tick: { mantissa: 5, scale: 1 } } as Instrument;

function kindOf(drawn: number): number {
  return [EVENT.bookSnapshot, EVENT.top, EVENT.trade, EVENT.ticker][drawn] ?? EVENT.bookDelta;
}

function ulpsApart(a: number, b: number): number {
  const bits = new BigInt64Array(new Float64Array([a, b]).buffer);
  return Math.abs(Number(bits[0] - bits[1]));
}

/** A book event of a few levels on both sides near `centre`, some of them removed, some far away, sizes whole and fractional. */
function fillLevels(rng: Rng, batch: EventBatch, centre: number): void {
  for (let levels = rng.int(30); levels > 0; levels -= 1) {
    const side = rng.int(2);
    const distance = rng.int(20) === 0 ? rng.int(5_000) : rng.int(40);
    const price = side === SIDE.bid ? centre - distance : centre + 1 + distance;
    const lots = rng.int(3) === 0 ? 0 : rng.int(100) / (rng.int(10) === 0 ? 3 : 1);
    batch.level(side, price, lots);
  }
}

describe.skipIf(functions === null)("native book and features", () => {
  test("give the same bits as those in TypeScript at every event, also from strange ones", () => {
    if (functions === null) return;
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const rng = new Rng(seed);
        const kinds = [null, functions].map((native) => ({
          book: new L2Book(SHAPE, native),
          features: new FeatureState(3, native),
          row: new Float32Array(FEATURE_COUNT + 5),
        }));
        const batch = new EventBatch(4, 64);
        let timeUs = START_US;
        let centre = 1_000 + rng.int(100_000);
        for (let event = 0; event < 150; event += 1) {
          const step = rng.int(12);
          if (step === 0) timeUs -= rng.int(3_000_000);
          else if (step < 3) timeUs += rng.int(60_000_000);
          else if (step < 10) timeUs += rng.int(10_000) / 4;
          centre = Math.max(50, centre + rng.int(15) - 7 + (rng.int(40) === 0 ? 300 : 0));
          batch.clear();
          const kind = kindOf(rng.int(8));
          const row = batch.begin(kind, 0, Number.NaN);
          batch.setSequence(row, event, event, event - 1);
          if (kind === EVENT.top) {
            batch.level(SIDE.bid, centre, rng.int(4) === 0 ? 0 : rng.int(50));
            batch.level(SIDE.ask, centre + rng.int(4), rng.int(4) === 0 ? 0 : rng.int(50));
          } else if (kind === EVENT.ticker) {
            batch.values[row * TICKER_FIELDS + TICKER.indexPrice] = [Number.NaN, centre / 2, -1][rng.int(3)];
            batch.values[row * TICKER_FIELDS + TICKER.fundingRate] = rng.int(100) / 1e6;
          } else {
            fillLevels(rng, batch, centre);
          }
          const lots = [Number.NaN, Infinity, -1, 2.5][rng.int(8)] ?? rng.int(50);
          const aggressor = rng.int(2);
          const slot = rng.int(10) === 0 ? 2 : 0;
          const signal = rng.int(SIGNALS.length);
          for (const { book, features, row: out } of kinds) {
            if (step === 11) features.reset(slot);
            if (kind === EVENT.bookSnapshot) book.applySnapshot(batch, row);
            else if (kind === EVENT.bookDelta) book.applyDelta(batch, row);
            else if (kind === EVENT.top) book.applyTop(batch, row);
            if (kind <= EVENT.bookDelta) features.onBook(slot, book, batch, row, timeUs);
            else if (kind === EVENT.top) features.onTop(slot, book, timeUs);
            else if (kind === EVENT.trade) features.onTrade(slot, aggressor, lots, timeUs);
            else features.onTicker(slot, INSTRUMENT, batch, row, timeUs);
            if (step === 5) features.onVolatility(slot, 0.5, timeUs);
            if (step === 6) features.onSignal(signal, lots);
            features.write(slot, timeUs, out, 5);
          }
          const [plain, native] = kinds;
          expect(Buffer.from(native.row.buffer).equals(Buffer.from(plain.row.buffer))).toBe(true);
          expect(levelsOf(native.book)).toEqual(levelsOf(plain.book));
        }
      }),
      { numRuns: 60 },
    );
  });

  test("a slot that there is not changes nothing", () => {
    const features = new FeatureState(2, functions);
    const out = new Float32Array(FEATURE_COUNT).fill(7);
    features.onTrade(2, 0, 1, START_US);
    features.onTrade(-1, 0, 1, START_US);
    features.write(2, START_US, out, 0);
    expect(out.every((value) => value === 7)).toBe(true);
  });

  test("a row that does not fit into its array is refused", () => {
    const features = new FeatureState(1, functions);
    expect(() => features.write(0, START_US, new Float32Array(FEATURE_COUNT), 1)).toThrow("within its array");
  });
});

/** All that can be seen of a book. */
function levelsOf(book: L2Book): unknown {
  const price = new Int32Array(200);
  const size = new Float64Array(200);
  const sides = [SIDE.bid, SIDE.ask].map((side) => {
    const count = book.top(side, 200, price, size);
    return [count, book.levels(side), ...price.subarray(0, count), ...size.subarray(0, count)];
  });
  const { bestBidTicks, bestBidLots, bestAskTicks, bestAskLots, overflowed, lastSequence } = book;
  return [sides, bestBidTicks, bestBidLots, bestAskTicks, bestAskLots, overflowed, lastSequence];
}

describe("logarithm and exponential", () => {
  test("lie within one unit in the last place of the C library's", () => {
    const rng = new Rng(3);
    for (let i = 0; i < 20_000; i += 1) {
      const x = i % 2 === 0 ? 1 + rng.next() : 1 + Math.exp(rng.next() * 700);
      expect(ulpsApart(naturalLog(x), Math.log(x))).toBeLessThanOrEqual(1);
      const y = -Math.exp(rng.next() * 30 - 24);
      if (y > -690) expect(ulpsApart(exponential(y), Math.exp(y))).toBeLessThanOrEqual(1);
    }
  });

  test("are exact at their ends", () => {
    expect(naturalLog(1)).toBe(0);
    expect(naturalLog(Infinity)).toBeNaN();
    expect(naturalLog(Number.NaN)).toBeNaN();
    expect(naturalLog(Number.MAX_VALUE)).toBe(Math.log(Number.MAX_VALUE));
    expect(exponential(0)).toBe(1);
    expect(exponential(-Infinity)).toBe(0);
    expect(exponential(-701)).toBe(0);
  });
});
