import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { CaptureSession } from "../../models/train/capture-events.ts";
import featuresShader from "../../shaders/features.wgsl" with { type: "text" };
import { Rng } from "../../src/core/rng.ts";
import { FEATURE_COUNT, featureIndex, SCHEMA_HASH } from "../../src/feature/schema.ts";
import type { FeatureSource } from "../../src/feature/source.ts";
import { FeatureState } from "../../src/feature/tick.ts";
import { CaptureReader } from "../../src/feed/capture.ts";
import { EVENT, EventBatch, TICKER } from "../../src/market/event-batch.ts";
import type { Instrument } from "../../src/market/instrument.ts";
import { L2Book } from "../../src/market/l2-book.ts";
import { sharedPath, skipUnlessShared } from "../support/shared-data.ts";
import { skipUnlessSoftwareGpu } from "../support/software-gpu.ts";
import { randomStream } from "./stream.ts";
import { applyEvent, Differences, SweepBed } from "./sweep-bed.ts";

const START_US = 1_723_161_255_000_000;
const TOLERANCE = 1e-5;
const SLOTS = 4;
const PERPETUAL = { tick: { mantissa: 1, scale: 1 } } as Instrument;

type Level = readonly [ticks: number, lots: number] | null;

function snapshot(bid: Level, ask: Level): { book: L2Book; batch: EventBatch } {
  const batch = new EventBatch(2, 64);
  const book = new L2Book({ windowTicks: 256, farLevels: 64 });
  batch.begin(EVENT.bookSnapshot, 0, Number.NaN);
  batch.setSequence(0, 1, 1, Number.NaN);
  if (bid !== null) batch.level(0, bid[0], bid[1]);
  if (ask !== null) batch.level(1, ask[0], ask[1]);
  book.applySnapshot(batch, 0);
  return { book, batch };
}

function ticker(indexPrice: number, fundingRate: number): EventBatch {
  const batch = new EventBatch(1, 1);
  batch.begin(EVENT.ticker, 0, Number.NaN);
  batch.values[TICKER.indexPrice] = indexPrice;
  batch.values[TICKER.fundingRate] = fundingRate;
  return batch;
}

test("the shader names the schema that it computes", () => {
  expect(featuresShader).toContain(`// schema ${SCHEMA_HASH}\n`);
  expect(featuresShader).toContain(`const FEATURES: u32 = ${FEATURE_COUNT}u;`);
});

describe.skipIf(skipUnlessSoftwareGpu())("the feature sweep", () => {
  let bed: SweepBed;
  const expected = new Float32Array(FEATURE_COUNT);
  beforeAll(async () => {
    bed = await SweepBed.open(SLOTS);
  });
  afterAll(() => bed.close());

  /** Both implementations, begun anew. */
  function both(on: SweepBed = bed): { host: FeatureState; sources: readonly FeatureSource[] } {
    for (let slot = 0; slot < SLOTS; slot += 1) on.sweep.source.reset(slot);
    for (let signal = 0; signal < 3; signal += 1) on.sweep.source.onSignal(signal, 0);
    const host = new FeatureState(SLOTS);
    return { host, sources: [host, on.sweep.source] };
  }

  async function compare(
    host: FeatureState,
    slot: number,
    timeUs: number,
    on: SweepBed = bed,
  ): Promise<string[]> {
    const differences = new Differences();
    const rows = await on.run([slot], timeUs);
    host.write(slot, timeUs, expected, 0);
    differences.add(rows, expected, slot * FEATURE_COUNT);
    return differences.above(TOLERANCE);
  }

  test("agrees with the tick path on random streams, several slots at a time", async () => {
    const { host, sources } = both();
    for (let seed = 1; seed <= 12; seed += 1) {
      const slot = seed % SLOTS;
      for (const source of sources) source.reset(slot);
      const checks: number[] = [];
      let last = 0;
      randomStream(seed, 150, (event, book, batch) => {
        for (const source of sources) applyEvent(source, slot, book, batch, event.row, event.timeUs);
        last = event.timeUs;
        checks.push(last);
      });
      expect(await compare(host, slot, last + seed * 1_000)).toEqual([]);
    }
  });

  const capture = "data/binance/usdm-ethusdt-20240808.gz";
  test.skipIf(skipUnlessShared(capture))(
    "agrees with the tick path over an entire real capture",
    async () => {
      const { host, sources } = both();
      const session = new CaptureSession("binance-usdm", "ETHUSDT");
      const differences = new Differences();
      let events = 0;
      for await (const { text, timeUs } of new CaptureReader(sharedPath(capture))) {
        if (!session.take(text, timeUs)) continue;
        const { batch, book } = session;
        for (let row = 0; row < batch.count; row += 1) {
          for (const source of sources) applyEvent(source, 1, book, batch, row, timeUs);
          events += 1;
        }
        if (events % 200 !== 0) continue;
        host.write(1, timeUs, expected, 0);
        differences.add(await bed.run([1], timeUs), expected, FEATURE_COUNT);
      }
      expect(events).toBeGreaterThan(70_000);
      expect(differences.rows).toBeGreaterThan(300);
      expect(differences.above(TOLERANCE)).toEqual([]);
    },
  );

  const books: readonly [name: string, bid: Level, ask: Level][] = [
    ["an empty book", null, null],
    ["a bid side only", [100, 5], null],
    ["an ask side only", null, [100, 5]],
    ["a crossed book", [105, 5], [100, 5]],
    ["a price at one tick", [0, 5], [1, 5]],
    ["a book at tick 0", [0, 5], [0, 5]],
    ["enormous sizes", [100, 9e15], [101, 9e15]],
    ["a price at the end of the range", [2_147_483_000, 5], [2_147_483_400, 7]],
  ];
  test.each(books)("%s gives what the tick path gives", async (_, bid, ask) => {
    const { host, sources } = both();
    const steps = [snapshot(bid, ask), snapshot([100, 3], [103, 2]), snapshot(bid, ask)];
    for (const [at, { book, batch }] of steps.entries()) {
      const timeUs = START_US + at * 10_000;
      for (const source of sources) {
        source.onBook(0, book, batch, 0, timeUs);
        source.onTop(0, book, timeUs + 1);
        source.onTrade(0, at & 1, 3, timeUs + 2);
      }
      expect(await compare(host, 0, timeUs + 500)).toEqual([]);
    }
  });

  test("values and times that are no numbers give what the tick path gives", async () => {
    const { host, sources } = both();
    const { book, batch } = snapshot([100, 5], [101, 7]);
    const odd = [Number.NaN, Infinity, -Infinity, 0, -1, 1e300, 1e-300];
    for (const [at, value] of odd.entries()) {
      const timeUs = START_US + at * 700;
      for (const source of sources) {
        source.onBook(2, book, batch, 0, timeUs);
        source.onTrade(2, 1, value, timeUs);
        source.onTicker(2, PERPETUAL, ticker(value, Math.abs(value) < 1 ? value : Number.NaN), 0, timeUs);
        source.onVolatility(2, value > 1e200 ? Number.NaN : value, timeUs);
        source.onSignal(2, value > 1e200 ? Number.NaN : value);
        source.onSignal(99, 1);
        source.onTop(2, book, Number.NaN);
      }
      const rows = await bed.run([2], timeUs);
      expect(rows.every(Number.isFinite)).toBe(true);
    }
    expect(host.ready(2, START_US)).toBe(bed.sweep.source.ready(2, START_US));
  });

  test("basis, funding, volatility and signals follow their values", async () => {
    const { host, sources } = both();
    const rng = new Rng(3);
    let timeUs = START_US;
    for (let at = 0; at < 40; at += 1) {
      timeUs += rng.exponential(200_000);
      const bid = 999_000 + rng.int(2_000);
      const { book, batch } = snapshot([bid, 10], [bid + 1 + rng.int(4), 10]);
      const values = ticker(99_950 + rng.next() * 20, at % 3 === 0 ? Number.NaN : rng.next() * 1e-4);
      const iv = 0.5 + rng.next() * 0.1;
      for (const source of sources) {
        source.onTicker(1, PERPETUAL, values, 0, timeUs);
        source.onBook(1, book, batch, 0, timeUs + 10);
        source.onVolatility(1, iv, timeUs + 20);
        source.onSignal(at % 3, rng.next());
      }
      for (const [signal, value] of [0.25, -0.5, 0.75].entries()) {
        for (const source of sources) source.onSignal(signal, value);
      }
    }
    expect(await compare(host, 1, timeUs + 5_000)).toEqual([]);
    expect(Math.abs(expected[featureIndex("basisChange")])).toBeGreaterThan(0.01);
    expect(Math.abs(expected[featureIndex("atmIvChange")])).toBeGreaterThan(0.01);
  });

  test("a quiet quarter of an hour and a clock that is set back leave both in agreement", async () => {
    const { host, sources } = both();
    let last = 0;
    randomStream(21, 200, (event, book, batch) => {
      last = event.timeUs;
      for (const source of sources) applyEvent(source, 0, book, batch, event.row, last);
    });
    for (const timeUs of [last - 3.6e9, last - 3.6e9 + 10_000, last - 3.6e9 + 9e8, last - 3.6e9 + 9e8 + 1]) {
      const { book, batch } = snapshot([20_000, 3], [20_001, 4]);
      for (const source of sources) source.onBook(0, book, batch, 0, timeUs);
      expect(await compare(host, 0, timeUs + 1_000)).toEqual([]);
    }
  });

  test("more events than there is room for between two rows are swept in between", async () => {
    const small = await SweepBed.open(SLOTS, 256);
    const { host, sources } = both(small);
    let last = 0;
    randomStream(5, 200, (event, book, batch) => {
      last = event.timeUs;
      for (const source of sources) applyEvent(source, 3, book, batch, event.row, last);
    });
    expect(await compare(host, 3, last, small)).toEqual([]);
    small.close();
  });

  test("an event after a row was asked for does not change that row", async () => {
    const { host, sources } = both();
    const { book, batch } = snapshot([100, 5], [101, 7]);
    for (const source of sources) source.onBook(0, book, batch, 0, START_US);
    bed.sweep.source.write(0, START_US + 50, expected, 0);
    host.write(0, START_US + 50, expected, 0);
    bed.sweep.source.onTrade(0, 0, 1_000, START_US + 60);
    const rows = await bed.run([], 0);
    expect(rows[featureIndex("tradeAge5")]).toBe(0);
    expect(rows[featureIndex("bidQueueShare")]).toBe(expected[featureIndex("bidQueueShare")]);
  });

  test("a reset slot is as new, and its neighbours stay as they are", async () => {
    const { host, sources } = both();
    let last = 0;
    randomStream(9, 120, (event, book, batch) => {
      last = event.timeUs;
      for (const source of sources) {
        for (const slot of [0, 1]) applyEvent(source, slot, book, batch, event.row, last);
      }
    });
    const { book, batch } = snapshot([100, 5], [101, 7]);
    for (const source of sources) {
      source.reset(0);
      source.onBook(0, book, batch, 0, last);
    }
    expect(await compare(host, 0, last)).toEqual([]);
    expect(await compare(host, 1, last)).toEqual([]);
  });

  test("is ready when the tick path is", () => {
    const { sources } = both();
    const { book, batch } = snapshot([100, 5], [101, 7]);
    const oneSided = snapshot([100, 5], null);
    const ready = (timeUs: number) => sources.map((source) => source.ready(0, timeUs));
    for (const source of sources) {
      source.onBook(0, book, batch, 0, START_US);
      for (let at = 1; at < 100; at += 1) source.onTrade(0, 0, 1, START_US + at);
    }
    expect(ready(START_US + 1_999_999)).toEqual([false, false]);
    expect(ready(START_US + 2_000_000)).toEqual([true, true]);
    for (const source of sources) source.onBook(0, oneSided.book, oneSided.batch, 0, START_US + 2_000_000);
    expect(ready(START_US + 3_000_000)).toEqual([false, false]);
  });
});

test.skipIf(skipUnlessSoftwareGpu())("1,024 instruments are swept by one dispatch", async () => {
  const slots = 1_024;
  const bed = await SweepBed.open(slots);
  const host = new FeatureState(slots);
  const { book, batch } = snapshot([100, 5], [103, 7]);
  for (let slot = 0; slot < slots; slot += 1) {
    for (const source of [host, bed.sweep.source]) {
      source.onBook(slot, book, batch, 0, START_US + slot);
      source.onTrade(slot, slot & 1, 1 + slot, START_US + 2_000);
    }
  }
  const before = bed.gpu.submits;
  const rows = await bed.run(
    Array.from({ length: slots }, (_, slot) => slot),
    START_US + 9_000,
  );
  expect(bed.gpu.submits - before).toBe(1);
  const expected = new Float32Array(FEATURE_COUNT);
  const differences = new Differences();
  for (let slot = 0; slot < slots; slot += 1) {
    host.write(slot, START_US + 9_000, expected, 0);
    differences.add(rows, expected, slot * FEATURE_COUNT);
  }
  expect(differences.above(TOLERANCE)).toEqual([]);
  bed.close();
});
