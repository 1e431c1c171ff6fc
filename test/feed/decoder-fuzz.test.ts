import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { loadNative } from "../../src/core/native.ts";
import { BinanceDecoder } from "../../src/feed/binance/decoder.ts";
import { readSymbol } from "../../src/feed/binance/instruments.ts";
import { BybitDecoder } from "../../src/feed/bybit/decoder.ts";
import type { FrameDecoder } from "../../src/feed/decoder.ts";
import { DeribitDecoder } from "../../src/feed/deribit/decoder.ts";
import { readInstrument } from "../../src/feed/deribit/instruments.ts";
import { FRAME } from "../../src/feed/feed.ts";
import { OkxDecoder } from "../../src/feed/okx/decoder.ts";
import { readInstrument as readOkx } from "../../src/feed/okx/instruments.ts";
import { EVENT, EventBatch } from "../../src/market/event-batch.ts";
import { InstrumentTable } from "../../src/market/instrument.ts";
import { skipUnless } from "../support/shared-data.ts";
import { binancePair, bybitPair, deribitPair, okxPair } from "./decoder-pair.ts";
import { exchangeInfo, FakeBinance } from "./fake-binance.ts";
import { FakeBybit } from "./fake-bybit.ts";
import { FakeDeribit, OPTION, PERPETUAL } from "./fake-deribit.ts";
import { FakeOkx, OKX_OPTION, OKX_SWAP } from "./fake-okx.ts";
import { Session } from "./fake-venue.ts";

const table = new InstrumentTable(8);
const bySymbol = new Map(
  [
    readInstrument(PERPETUAL),
    readInstrument(OPTION),
    readOkx(OKX_SWAP),
    readOkx(OKX_OPTION),
    readSymbol(
      "binance-usdm",
      JSON.parse(
        exchangeInfo("binance-usdm", [{ symbol: "BTCUSDT", base: "BTC", tick: "0.10", lot: "0.001" }]),
      ).symbols[0],
    ),
  ].flatMap((spec) => {
    const instrument = table.add(spec);
    return instrument === undefined ? [] : [[spec.symbol, instrument] as const];
  }),
);

const binance = new FakeBinance("binance-usdm");
const deribit = new FakeDeribit();
const bybit = new FakeBybit("bybit-linear");
const okx = new FakeOkx(true);
const DECODERS: readonly (readonly [string, FrameDecoder, readonly string[]])[] = [
  [
    "binance",
    new BinanceDecoder(bySymbol),
    [binance.next(0), binance.trade(0), binance.heartbeat(), binance.offGrid(0)],
  ],
  [
    "deribit",
    new DeribitDecoder(bySymbol),
    [deribit.next(0), deribit.snapshot(1), deribit.trade(1), deribit.ticker(1), deribit.heartbeat()],
  ],
  [
    "bybit",
    new BybitDecoder(bySymbol),
    [
      ...[bybit.next(0), bybit.snapshot(0), bybit.trade(0), bybit.heartbeat()],
      bybit.ticker(0, "delta", { markPrice: "100.25", fundingRate: "-0.0001", bidIv: "0" }),
    ],
  ],
  [
    "okx",
    new OkxDecoder({ bySymbol, byIndex: new Map() }),
    [okx.next(0), okx.snapshot(1), okx.trade(1), okx.top(0, [1_000, 1], null, 9), okx.stranger()],
  ],
];

/** Cuts, repeats, swaps and replaces pieces of a frame. */
const mutation = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.integer({ min: 0, max: 12 }),
  insert: fc.oneof(
    fc.string({ maxLength: 6 }),
    fc.constantFrom(
      "null",
      "-1",
      "1e999",
      "[]",
      "{}",
      '"',
      "0.0000000000001",
      "99999999999999999999",
      "\\ud800",
      "true",
    ),
  ),
});

function mutate(frame: string, mutations: readonly { at: number; length: number; insert: string }[]): string {
  let text = frame;
  for (const { at, length, insert } of mutations) {
    const start = Math.floor(at * text.length);
    text = text.slice(0, start) + insert + text.slice(start + length);
  }
  return text;
}

describe.each(DECODERS.map(([name, decoder, frames]) => ({ name, decoder, frames })))(
  "mutated frames: $name",
  ({ decoder, frames }) => {
    test("never throw, and leave only whole, sane events", () => {
      const out = new EventBatch(16, 256);
      fc.assert(
        fc.property(
          fc.constantFrom(...frames),
          fc.array(mutation, { minLength: 1, maxLength: 4 }),
          (frame, mutations) => {
            out.clear();
            const text = mutate(frame, mutations);
            const outcome = decoder.decode(text, out);
            decoder.attribute(text);
            if (outcome !== FRAME.ok) expect([out.count, out.levels]).toEqual([0, 0]);
            for (let row = 0; row < out.count; row += 1) {
              if (out.kind[row] === EVENT.bookDelta || out.kind[row] === EVENT.bookSnapshot)
                expect(out.count).toBe(1);
            }
            for (let i = 0; i < out.levels; i += 1) {
              expect(out.priceTicks[i]).toBeGreaterThanOrEqual(0);
              expect(Number.isFinite(out.sizeLots[i]) && out.sizeLots[i] >= 0).toBe(true);
            }
          },
        ),
        { numRuns: 3_000, seed: 11 },
      );
    });

    test("arbitrary text and JSON never throw", () => {
      const out = new EventBatch(16, 256);
      fc.assert(
        fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
          out.clear();
          decoder.decode(text, out);
          decoder.attribute(text);
        }),
        { numRuns: 1_000, seed: 12 },
      );
    });
  },
);

const PAIRS: Readonly<
  Record<string, (...parts: Parameters<typeof binancePair>) => { disagreement(frame: string): string }>
> = { binance: binancePair, deribit: deribitPair, bybit: bybitPair, okx: okxPair };

const { functions: native, missing } = await loadNative();
describe.each(DECODERS.map(([name, , frames]) => ({ name, frames })))(
  "mutated frames: $name, natively",
  ({ name, frames }) => {
    test.skipIf(skipUnless(native !== null, `no native library: ${missing}`))("come to the same", () => {
      if (native === null) return;
      const pairOf = PAIRS[name];
      const pair = pairOf(bySymbol, native, { maxEvents: 16, maxLevels: 256 });
      fc.assert(
        fc.property(
          fc.constantFrom(...frames),
          fc.array(mutation, { maxLength: 4 }),
          (frame, mutations) => pair.disagreement(mutate(frame, mutations)) === "",
        ),
        { numRuns: 3_000, seed: 14 },
      );
    });
  },
);

describe.each([
  { name: "binance", makeVenue: () => new FakeBinance("binance-spot") },
  { name: "deribit", makeVenue: () => new FakeDeribit() },
  { name: "bybit", makeVenue: () => new FakeBybit("bybit-linear") },
  { name: "okx", makeVenue: () => new FakeOkx(true) },
])("a feed under mutated frames: $name", ({ makeVenue }) => {
  test("counts, never throws, and is right again afterwards", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.boolean(), fc.array(mutation, { minLength: 1, maxLength: 2 })), {
          minLength: 1,
          maxLength: 15,
        }),
        (steps) => {
          const session = new Session(makeVenue(), { silenceMs: 600_000 });
          session.goLive();
          for (const [second, mutations] of steps) {
            session.deliver(mutate(session.venue.next(second ? 1 : 0), mutations));
            session.advance(20);
          }
          session.venue.next(0);
          session.venue.next(1);
          session.advance(200_000, false);
          session.advance(2_000, true);
          session.advance(60_000, false);
          session.advance(1_000, true);
          expect([session.agrees(0), session.agrees(1)]).toEqual([true, true]);
        },
      ),
      { numRuns: 12, seed: 13 },
    );
  });
});
