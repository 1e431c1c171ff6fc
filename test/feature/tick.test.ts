import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { CaptureSession } from "../../models/train/capture-events.ts";
import { Rng } from "../../src/core/rng.ts";
import { FEATURE_COUNT, FEATURES, featureIndex, mirrorMap } from "../../src/feature/schema.ts";
import { FeatureState } from "../../src/feature/tick.ts";
import { CaptureReader } from "../../src/feed/capture.ts";
import { EVENT, EventBatch, TICKER, TICKER_FIELDS } from "../../src/market/event-batch.ts";
import type { Instrument } from "../../src/market/instrument.ts";
import { L2Book } from "../../src/market/l2-book.ts";
import { sharedPath, skipUnlessShared } from "../support/shared-data.ts";
import { ReferenceFeatures } from "./reference.ts";
import { randomStream } from "./stream.ts";

const START_US = 1_723_161_255_000_000;

function apply(
  features: FeatureState,
  slot: number,
  kind: number,
  row: number,
  book: L2Book,
  batch: EventBatch,
  timeUs: number,
): void {
  if (kind === EVENT.top) features.onTop(slot, book, timeUs);
  else if (kind === EVENT.trade) {
    const level = batch.levelStart[row];
    features.onTrade(slot, batch.side[level], batch.sizeLots[level], timeUs);
  } else features.onBook(slot, book, batch, row, timeUs);
}

function applyReference(
  reference: ReferenceFeatures,
  kind: number,
  row: number,
  book: L2Book,
  batch: EventBatch,
  timeUs: number,
): void {
  if (kind === EVENT.top) reference.top(book, timeUs);
  else if (kind === EVENT.trade) {
    const level = batch.levelStart[row];
    reference.trade(batch.side[level], batch.sizeLots[level], timeUs);
  } else reference.book(book, kind === EVENT.bookDelta, timeUs);
}

/** Names of the features that differ by more than a float32 rounding and what they are. */
function differences(row: Float32Array, expected: Map<string, number>): string[] {
  return FEATURES.flatMap((feature, at) => {
    const want = expected.get(feature.name) ?? Number.NaN;
    return Math.abs(row[at] - want) <= 2e-5 * Math.max(1, Math.abs(want))
      ? []
      : [`${feature.name}: ${row[at]} ≠ ${want}`];
  });
}

/** A book of one level a side (size 0 = none), as a snapshot event. */
function snapshot(
  bid: [number, number] | null,
  ask: [number, number] | null,
): { book: L2Book; batch: EventBatch } {
  const batch = new EventBatch(2, 64);
  const book = new L2Book({ windowTicks: 256, farLevels: 64 });
  batch.begin(EVENT.bookSnapshot, 0, Number.NaN);
  batch.setSequence(0, 1, 1, Number.NaN);
  if (bid !== null) batch.level(0, bid[0], bid[1]);
  if (ask !== null) batch.level(1, ask[0], ask[1]);
  book.applySnapshot(batch, 0);
  return { book, batch };
}

const expectFinite = (row: Float32Array): void => expect(row.every(Number.isFinite)).toBe(true);

describe("tick features", () => {
  test("agree with the definitions on random streams", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1 << 30 }), (seed) => {
        const features = new FeatureState(2);
        const reference = new ReferenceFeatures();
        const row = new Float32Array(FEATURE_COUNT);
        let events = 0;
        randomStream(seed, 120, (event, book, batch) => {
          apply(features, 1, event.kind, event.row, book, batch, event.timeUs);
          applyReference(reference, event.kind, event.row, book, batch, event.timeUs);
          events += 1;
          if (events % 10 !== 0) return;
          features.write(1, event.timeUs, row, 0);
          expect(differences(row, reference.at(event.timeUs))).toEqual([]);
        });
      }),
      { numRuns: 30, seed: 1 },
    );
  });

  const capture = "data/binance/usdm-ethusdt-20240808.gz";
  test.skipIf(skipUnlessShared(capture))("agree with the definitions on a real capture", async () => {
    const session = new CaptureSession("binance-usdm", "ETHUSDT");
    const reference = new ReferenceFeatures();
    const row = new Float32Array(FEATURE_COUNT);
    let events = 0;
    let checked = 0;
    for await (const entry of new CaptureReader(sharedPath(capture))) {
      if (!session.take(entry.text, entry.timeUs)) continue;
      // A frame of several events is the join of the snapshot; its intermediate books are gone, so the reference starts after it.
      const { batch, book } = session;
      if (batch.count > 1) session.features.reset(0);
      if (batch.count > 1) session.features.onBook(0, book, batch, 0, entry.timeUs);
      applyReference(reference, batch.kind[0], 0, book, batch, entry.timeUs);
      events += 1;
      if (events % 50 !== 0) continue;
      session.features.write(0, entry.timeUs, row, 0);
      expect(differences(row, reference.at(entry.timeUs))).toEqual([]);
      checked += 1;
      if (checked === 12) break;
    }
    expect(checked).toBe(12);
  });

  test("are the mirror image when bid and ask change places", () => {
    const features = new FeatureState(2);
    const { index, factor } = mirrorMap();
    const row = new Float32Array(FEATURE_COUNT * 2);
    const rng = new Rng(5);
    const centre = 1 << 20;
    // Reflecting prices at a centre far away leaves distances in bp the same to 1e-6.
    const books = [
      new L2Book({ windowTicks: 256, farLevels: 256 }),
      new L2Book({ windowTicks: 256, farLevels: 256 }),
    ];
    const batches = [new EventBatch(2, 256), new EventBatch(2, 256)];
    for (let at = 0; at < 300; at += 1) {
      const timeUs = START_US + at * 700;
      const kind = at === 0 ? EVENT.bookSnapshot : rng.next() < 0.6 ? EVENT.bookDelta : EVENT.trade;
      for (const batch of batches) {
        batch.clear();
        batch.begin(kind, 0, Number.NaN);
        batch.setSequence(0, at + 1, at + 1, at);
      }
      for (let level = kind === EVENT.trade ? 0 : 25; level >= 0; level -= 1) {
        const side = rng.int(2);
        const distance = 1 + rng.int(20);
        const lots = kind !== EVENT.trade && rng.next() < 0.3 ? 0 : 1 + rng.int(90);
        batches[0].level(side, side === 0 ? centre - distance : centre + distance, lots);
        batches[1].level(1 - side, side === 0 ? centre + distance : centre - distance, lots);
      }
      for (const slot of [0, 1]) {
        if (kind === EVENT.bookSnapshot) books[slot].applySnapshot(batches[slot], 0);
        else if (kind === EVENT.bookDelta) books[slot].applyDelta(batches[slot], 0);
        apply(features, slot, kind, 0, books[slot], batches[slot], timeUs);
        features.write(slot, timeUs, row, slot * FEATURE_COUNT);
      }
      const wrong = FEATURES.filter((_, feature) => {
        const mirrored = row[index[feature]] * factor[feature];
        return !(Math.abs(row[FEATURE_COUNT + feature] - mirrored) <= 1e-4);
      });
      expect(wrong.map((feature) => feature.name)).toEqual([]);
    }
  });

  test("basis, funding, volatility and signals follow the reference values", () => {
    const features = new FeatureState(1);
    const { book, batch } = snapshot([99_990, 10], [100_010, 10]);
    features.onBook(0, book, batch, 0, START_US);
    const ticker = new EventBatch(1, 1);
    ticker.begin(EVENT.ticker, 0, Number.NaN);
    ticker.values[TICKER.indexPrice] = 9_990;
    ticker.values[TICKER.fundingRate] = 0.000125;
    const instrument = { tick: { mantissa: 1, scale: 1 } } as Instrument;
    features.onTicker(0, instrument, ticker, 0, START_US);
    features.onVolatility(0, 0.5, START_US);
    features.onVolatility(0, 0.52, START_US + 1_000);
    features.onSignal(0, -0.75);
    const row = new Float32Array(FEATURE_COUNT);
    features.write(0, START_US + 1_000, row, 0);
    expect(row[featureIndex("basis")]).toBeCloseTo((10_000 / 9_990 - 1) * 10_000, 4);
    expect(row[featureIndex("basisChange")]).toBeCloseTo(0, 5);
    expect(row[featureIndex("funding")]).toBeCloseTo(1.25, 6);
    expect(row[featureIndex("atmIv")]).toBeCloseTo(0.52, 6);
    expect(row[featureIndex("atmIvChange")]).toBeCloseTo(2, 4);
    expect(row[featureIndex("sentiment")]).toBeCloseTo(-0.75, 6);
  });

  test("a ticker without a value keeps the last one", () => {
    const features = new FeatureState(1);
    const { book, batch } = snapshot([99_990, 10], [100_010, 10]);
    features.onBook(0, book, batch, 0, START_US);
    const ticker = new EventBatch(1, 1);
    const instrument = { tick: { mantissa: 1, scale: 0 } } as Instrument;
    const row = new Float32Array(FEATURE_COUNT);
    for (const funding of [0.0001, Number.NaN]) {
      ticker.clear();
      ticker.begin(EVENT.ticker, 0, Number.NaN);
      ticker.values[TICKER.fundingRate] = funding;
      features.onTicker(0, instrument, ticker, 0, START_US);
    }
    expect(TICKER_FIELDS).toBeGreaterThan(TICKER.fundingRate);
    features.write(0, START_US, row, 0);
    expect(row[featureIndex("funding")]).toBeCloseTo(1, 6);
    expect(row[featureIndex("basis")]).toBe(0);
  });

  test("slots do not touch each other", () => {
    const features = new FeatureState(3);
    const alone = new FeatureState(1);
    const row = new Float32Array(FEATURE_COUNT);
    const same = new Float32Array(FEATURE_COUNT);
    randomStream(11, 200, (event, book, batch) => {
      apply(features, 1, event.kind, event.row, book, batch, event.timeUs);
      apply(features, 0, EVENT.top, 0, book, batch, event.timeUs * 1.01);
      apply(alone, 0, event.kind, event.row, book, batch, event.timeUs);
    });
    features.write(1, 2e15, row, 0);
    alone.write(0, 2e15, same, 0);
    expect(row).toEqual(same);
  });

  test("a reset slot is as new", () => {
    const features = new FeatureState(1);
    randomStream(3, 150, (event, book, batch) =>
      apply(features, 0, event.kind, event.row, book, batch, event.timeUs),
    );
    features.reset(0);
    const fresh = new FeatureState(1);
    const row = new Float32Array(FEATURE_COUNT);
    const expected = new Float32Array(FEATURE_COUNT);
    const { book, batch } = snapshot([100, 5], [101, 7]);
    for (const state of [features, fresh]) state.onBook(0, book, batch, 0, START_US);
    features.write(0, START_US, row, 0);
    fresh.write(0, START_US, expected, 0);
    expect(row).toEqual(expected);
    expect(features.ready(0, START_US)).toBe(false);
  });

  test("are ready after a hundred events over two seconds with both sides there", () => {
    const features = new FeatureState(1);
    const { book, batch } = snapshot([100, 5], [101, 7]);
    features.onBook(0, book, batch, 0, START_US);
    for (let at = 1; at < 100; at += 1) features.onTrade(0, 0, 1, START_US + at);
    expect(features.ready(0, START_US + 1_999_999)).toBe(false);
    expect(features.ready(0, START_US + 2_000_000)).toBe(true);
    const oneSided = snapshot([100, 5], null);
    features.onBook(0, oneSided.book, oneSided.batch, 0, START_US + 2_000_000);
    expect(features.ready(0, START_US + 3_000_000)).toBe(false);
  });
});

describe("tick features stay finite", () => {
  const cases: readonly [string, [number, number] | null, [number, number] | null][] = [
    ["empty book", null, null],
    ["bid side only", [100, 5], null],
    ["ask side only", null, [100, 5]],
    ["crossed book", [105, 5], [100, 5]],
    ["price at one tick", [0, 5], [1, 5]],
    ["enormous sizes", [100, 9e15], [101, 9e15]],
  ];
  for (const [name, bid, ask] of cases) {
    test(name, () => {
      const features = new FeatureState(1);
      const row = new Float32Array(FEATURE_COUNT);
      features.write(0, START_US, row, 0);
      expectFinite(row);
      const { book, batch } = snapshot(bid, ask);
      for (let at = 0; at < 3; at += 1) {
        features.onBook(0, book, batch, 0, START_US + at * 10_000);
        features.onTop(0, book, START_US + at * 10_000 + 1);
        features.onTrade(0, at & 1, 3, START_US + at * 10_000 + 2);
        features.write(0, START_US + at * 10_000 + 2, row, 0);
        expectFinite(row);
      }
    });
  }

  test("whatever times and values come", () => {
    const features = new FeatureState(1);
    const row = new Float32Array(FEATURE_COUNT);
    const { book, batch } = snapshot([100, 5], [101, 7]);
    const ticker = new EventBatch(1, 1);
    const instrument = { tick: { mantissa: 1, scale: 0 } } as Instrument;
    const odd = [
      Number.NaN,
      Infinity,
      -Infinity,
      0,
      -1,
      1e300,
      START_US,
      START_US - 5,
      START_US - 9e9,
      START_US + 9e14,
    ];
    for (const timeUs of odd) {
      for (const value of odd) {
        features.onBook(0, book, batch, 0, timeUs);
        features.onTop(0, book, timeUs);
        features.onTrade(0, 1, value, timeUs);
        ticker.clear();
        ticker.begin(EVENT.ticker, 0, Number.NaN);
        ticker.values[TICKER.indexPrice] = value;
        ticker.values[TICKER.fundingRate] = value;
        features.onTicker(0, instrument, ticker, 0, timeUs);
        features.onVolatility(0, value, timeUs);
        features.onSignal(2, value);
        features.onSignal(99, 1);
        features.write(0, timeUs, row, 0);
        expectFinite(row);
      }
    }
  });

  test("a clock set back by an hour goes on from there", () => {
    const features = new FeatureState(1);
    const row = new Float32Array(FEATURE_COUNT);
    const before = new Float32Array(FEATURE_COUNT);
    let last = 0;
    randomStream(21, 300, (event, book, batch) => {
      apply(features, 0, event.kind, event.row, book, batch, event.timeUs);
      last = event.timeUs;
    });
    features.write(0, last, before, 0);
    features.write(0, last - 3.6e9, row, 0);
    expect(row).toEqual(before);
    features.write(0, last - 3.6e9 + 10_000, row, 0);
    expect(row[featureIndex("eventCount50")]).toBeLessThan(before[featureIndex("eventCount50")]);
  });
});
