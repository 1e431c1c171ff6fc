import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { BybitDecoder } from "../../src/feed/bybit/decoder.ts";
import { readInstrument, readListing } from "../../src/feed/bybit/instruments.ts";
import { BYBIT_VENUES, type BybitVenueName, readSubscription } from "../../src/feed/bybit/venue.ts";
import { FRAME } from "../../src/feed/feed.ts";
import { EVENT, EventBatch, TICKER, TICKER_FIELDS } from "../../src/market/event-batch.ts";
import { sharedPath, skipUnlessShared } from "../support/shared-data.ts";
import { bybitInstrument, FakeBybit } from "./fake-bybit.ts";
import { Session } from "./fake-venue.ts";
import { listing } from "./simulated-frames.ts";

const absent = skipUnlessShared("data/frames/bybit");
const shared = (name: string): string => readFileSync(sharedPath(`data/frames/bybit/${name}.json`), "utf8");

const linear = (symbol: string) =>
  readInstrument(
    BYBIT_VENUES["bybit-linear"],
    bybitInstrument("bybit-linear", { symbol, base: symbol.slice(0, 3), tick: "0.50", lot: "0.001" }),
  );

describe("bybit: frames as the venue documents them", () => {
  const bySymbol = listing([linear("BTCUSDT"), linear("BTC-6JAN23-17500-C")]);
  const decoder = new BybitDecoder(bySymbol);
  const out = new EventBatch(8, 64);
  const decoded = (text: string): number => {
    out.clear();
    return decoder.decode(text, out);
  };

  test.skipIf(absent)("snapshot and delta carry u and seq", () => {
    expect(decoded(shared("ws_orderbook_snapshot"))).toBe(FRAME.ok);
    expect([out.kind[0], out.firstSequence[0], out.lastSequence[0]]).toEqual([
      EVENT.bookSnapshot,
      123_456_789,
      987_654_321,
    ]);
    expect([...out.priceTicks.subarray(0, 4)]).toEqual([54_900, 54_899, 54_902, 54_903]);
    expect(decoded(shared("ws_orderbook_delta"))).toBe(FRAME.ok);
    expect([out.kind[0], out.firstSequence[0], out.levels]).toEqual([EVENT.bookDelta, 123_456_790, 2]);
    expect(out.sizeLots[1]).toBe(0);
    expect(out.exchangeTimeUs[0]).toBe(1_709_891_679_500_000);
  });

  test.skipIf(absent)("trade, tickers and answers", () => {
    expect(decoded(shared("ws_public_trade"))).toBe(FRAME.ok);
    expect([out.kind[0], out.side[0], out.priceTicks[0], out.sizeLots[0]]).toEqual([
      EVENT.trade,
      0,
      54_902,
      10,
    ]);
    expect(decoded(shared("ws_ticker_linear"))).toBe(FRAME.ok);
    expect(out.values[TICKER.markPrice]).toBe(17_217.33);
    expect(out.values[TICKER.nextFundingMs]).toBe(1_673_280_000_000);
    expect(out.values[TICKER.openInterest]).toBe(68_744.761);
    expect(decoded(shared("ws_ticker_option"))).toBe(FRAME.ok);
    expect(out.values[TICKER.markIv]).toBe(0.4896);
    expect(out.values[TICKER.bidIv]).toBeNaN();
    expect(out.values[TICKER.underlyingPrice]).toBe(16_815.1);
    expect(decoded(shared("ws_subscription_ack"))).toBe(FRAME.control);
    expect(decoded(shared("ws_subscription_failure"))).toBe(FRAME.control);
  });

  test.skipIf(absent)("listings of all four markets are read whole", () => {
    const read = (venue: BybitVenueName, name: string) =>
      readListing(BYBIT_VENUES[venue], shared(`http_get_instruments_${name}`), "").found;
    expect(read("bybit-spot", "spot")).toMatchObject([
      { symbol: "BTCUSDT", kind: "spot", lot: { mantissa: 1, scale: 4 }, minSizeLots: 10 },
      { symbol: "ETHUSDT" },
    ]);
    expect(read("bybit-linear", "linear")).toMatchObject([
      { symbol: "BTCUSDT", kind: "perpetual", inverse: false, expiryMs: Number.POSITIVE_INFINITY },
      { symbol: "ETHUSDT" },
    ]);
    expect(read("bybit-inverse", "inverse")).toMatchObject([
      { symbol: "BTCUSD", kind: "perpetual", inverse: true, settle: "BTC", quote: "USD" },
    ]);
    expect(read("bybit-option", "option")).toMatchObject([
      { kind: "option", strike: 16_000, optionType: "put", expiryMs: 1_780_005_000_000, settle: "USDC" },
    ]);
  });
});

describe("bybit: the rules of the venue", () => {
  const live = (venue: BybitVenueName = "bybit-linear"): Session => {
    const session = new Session(new FakeBybit(venue));
    session.goLive();
    expect(session.live.size).toBe(2);
    return session;
  };
  const fake = (session: Session): FakeBybit => {
    if (!(session.venue instanceof FakeBybit)) throw new Error("a session of another venue");
    return session.venue;
  };

  test("a snapshot that comes unasked replaces the book and starts u anew", () => {
    const session = live();
    session.venue.books[0].sides[0].delete(1_000);
    session.venue.books[0].sequence = 1;
    session.deliver(fake(session).snapshot(0));
    session.deliver(session.venue.next(0));
    expect(session.agrees(0)).toBe(true);
    expect(session.log).toEqual([]);
  });

  test("a cross sequence that falls is a gap", () => {
    const session = live();
    session.deliver(session.venue.next(0).replace(/"seq":\d+/, '"seq":1'));
    expect(session.log[0]).toBe("BTCUSDT unsound gap");
    session.advance(500, true);
    expect(session.agrees(0)).toBe(true);
  });

  test("a book is brought back by its own channel alone", () => {
    const session = live();
    fake(session).sent.length = 0;
    session.venue.next(0);
    session.deliver(session.venue.next(0));
    session.advance(100);
    expect(fake(session).sent).toEqual([
      '{"op":"unsubscribe","args":["orderbook.200.BTCUSDT"]}',
      '{"op":"subscribe","args":["orderbook.200.BTCUSDT"]}',
    ]);
    expect(session.live.size).toBe(2);
  });

  test("is pinged every 15 s", () => {
    const session = live();
    fake(session).sent.length = 0;
    session.advance(31_000, true);
    expect(fake(session).sent).toEqual(['{"op":"ping"}', '{"op":"ping"}']);
  });

  test("spot takes ten topics a message", () => {
    const venue = new FakeBybit("bybit-spot");
    const session = new Session(venue);
    session.goLive();
    for (const text of venue.sent) expect(JSON.parse(text).args?.length ?? 0).toBeLessThanOrEqual(10);
  });

  test("a ticker that tells what has changed is completed", () => {
    const session = live();
    const tell = (type: "snapshot" | "delta", data: object): Float64Array => {
      session.feed.onFrame(fake(session).ticker(0, type, data), session.timeUs, session.out);
      const values = session.out.values.slice(0, TICKER_FIELDS);
      session.out.clear();
      return values;
    };
    tell("snapshot", { markPrice: "100.5", indexPrice: "100.4", fundingRate: "0.0001" });
    const values = tell("delta", { markPrice: "101" });
    expect([values[TICKER.markPrice], values[TICKER.indexPrice], values[TICKER.fundingRate]]).toEqual([
      101, 100.4, 0.0001,
    ]);
  });

  test("a symbol that the venue lists later is asked for again and taken on", () => {
    const venue = new FakeBybit("bybit-linear");
    venue.unlisted.add("ETHUSDT");
    const session = new Session(venue);
    session.goLive();
    expect([...session.live]).toEqual(["BTCUSDT"]);
    expect(session.feed.problem).toContain("ETHUSDT");
    venue.unlisted.clear();
    session.advance(61_000, true);
    expect(session.live.size).toBe(2);
    expect(session.agrees(1)).toBe(true);
  });

  test("429 with Retry-After is honoured", () => {
    const venue = new FakeBybit("bybit-linear");
    venue.answers.push({ status: 429, body: "slow down", retryAfterMs: 5_000 });
    const session = new Session(venue);
    session.feed.start(session.timeUs);
    session.service();
    const asked = venue.requests;
    session.advance(4_500);
    expect(venue.requests).toBe(asked);
    session.advance(2_500, true);
    expect(session.live.size).toBe(2);
  });

  test("subscriptions", () => {
    for (const text of ["BTCUSDT", "BTCUSDT@50", "BTC-27DEC24"])
      expect(readSubscription("linear", text)).toBeDefined();
    for (const text of ["btcusdt", "BTCUSDT@51", "", "options:BTC"])
      expect(readSubscription("linear", text)).toBeUndefined();
    for (const text of ["options:BTC", "BTC-27DEC24-60000-C", "SOL-27DEC24-60.5-P-USDT"])
      expect(readSubscription("option", text)).toBeDefined();
    for (const text of ["BTCUSDT", "options:", "BTC-27DEC24"])
      expect(readSubscription("option", text)).toBeUndefined();
  });
});
