import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { KeelError } from "../../src/core/errors.ts";
import { Rng } from "../../src/core/rng.ts";
import { BitstampDecoder } from "../../src/feed/bitstamp/decoder.ts";
import { readMarket } from "../../src/feed/bitstamp/instruments.ts";
import { CoinbaseDecoder } from "../../src/feed/coinbase/decoder.ts";
import { readProduct } from "../../src/feed/coinbase/instruments.ts";
import type { FrameDecoder } from "../../src/feed/decoder.ts";
import { FRAME } from "../../src/feed/feed.ts";
import { KrakenDecoder } from "../../src/feed/kraken/decoder.ts";
import { readPair } from "../../src/feed/kraken/instruments.ts";
import { EventBatch } from "../../src/market/event-batch.ts";
import { bitstampMarket, FakeBitstamp } from "./fake-bitstamp.ts";
import { coinbaseProduct, FakeCoinbase } from "./fake-coinbase.ts";
import { krakenPair } from "./fake-kraken.ts";
import { type FakeVenue, Session } from "./fake-venue.ts";
import { FrameMutator } from "./frame-mutator.ts";
import type { VenueFrames } from "./simulated-frames.ts";
import { bitstampFrames, coinbaseFrames, krakenFrames } from "./spot-frames.ts";

const DECODERS: readonly {
  readonly name: string;
  readonly venue: VenueFrames;
  readonly decoder: FrameDecoder;
}[] = [
  { name: "kraken", venue: krakenFrames(), decoder: new KrakenDecoder(krakenFrames().bySymbol) },
  { name: "coinbase", venue: coinbaseFrames(), decoder: new CoinbaseDecoder(coinbaseFrames().bySymbol) },
  { name: "bitstamp", venue: bitstampFrames(), decoder: new BitstampDecoder(bitstampFrames().bySymbol) },
];

describe.each(DECODERS)("damaged frames: $name", ({ venue, decoder }) => {
  test("never throw, and leave only whole, sane events", () => {
    const mutator = new FrameMutator(new Rng(17));
    const out = new EventBatch(16, 256);
    for (let round = 0; round < 5_000; round += 1) {
      const text = mutator.mutate(venue.frames[round % venue.frames.length]);
      out.clear();
      const outcome = decoder.decode(text, out);
      decoder.attribute(text);
      if (outcome !== FRAME.ok) expect([out.count, out.levels]).toEqual([0, 0]);
      for (let i = 0; i < out.levels; i += 1) {
        expect(out.priceTicks[i] >= 0 && out.sizeLots[i] >= 0 && Number.isFinite(out.sizeLots[i])).toBe(true);
      }
    }
  });

  test("arbitrary text and JSON never throw", () => {
    const out = new EventBatch(16, 256);
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        out.clear();
        decoder.decode(text, out);
        decoder.attribute(text);
      }),
      { numRuns: 1_000, seed: 18 },
    );
  });
});

const LISTINGS: readonly (readonly [string, string, (body: string) => unknown])[] = [
  ["a pair", JSON.stringify(krakenPair("BTC/USD", 0.1, 1)), (body) => readPair(JSON.parse(body))],
  ["a product", coinbaseProduct("BTC-USD", "0.01"), readProduct],
  ["a market", JSON.stringify([bitstampMarket("btcusd", 2)]), (body) => readMarket(body, "btcusd")],
];

test.each(LISTINGS)("%s that is damaged is read or refused by name", (_what, body, read) => {
  const mutator = new FrameMutator(new Rng(19));
  for (let round = 0; round < 1_500; round += 1) {
    try {
      read(mutator.mutate(body));
    } catch (error) {
      expect(error instanceof KeelError || error instanceof SyntaxError).toBe(true);
    }
  }
});

/** Snapshots that come damaged. */
const DAMAGED = 12;

const FEEDS: readonly (readonly [string, () => FakeVenue])[] = [
  ["coinbase", () => new FakeCoinbase(true)],
  ["bitstamp", () => new FakeBitstamp(true)],
  ["bitstamp by level", () => new FakeBitstamp(false)],
];

test.each(FEEDS)("damaged snapshots are refused, and the next good one heals: %s", (_name, makeVenue) => {
  const mutator = new FrameMutator(new Rng(20));
  const session = new Session(makeVenue(), { silenceMs: 600_000 });
  const { feed } = session;
  const answer = feed.onResponse.bind(feed);
  let damaged = 0;
  feed.onResponse = (request, status, body, retryAfterMs, timeUs, out) => {
    const isBook = body.includes('"bids"');
    if (isBook && damaged < DAMAGED) {
      damaged += 1;
      answer(request, status, mutator.mutate(body), retryAfterMs, timeUs, out);
    } else {
      answer(request, status, body, retryAfterMs, timeUs, out);
    }
  };
  session.goLive();
  for (let round = 0; round < 15; round += 1) {
    session.disconnect();
    session.advance(2_000, true);
  }
  // Reconnecting and asking again both wait up to half a minute by now.
  session.advance(75_000, true);
  expect(damaged).toBe(DAMAGED);
  expect([session.agrees(0), session.agrees(1)]).toEqual([true, true]);
});
