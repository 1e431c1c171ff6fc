import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { numberToSteps, parseStep } from "../../src/core/decimal.ts";
import { FRAME } from "../../src/feed/feed.ts";
import { OkxDecoder } from "../../src/feed/okx/decoder.ts";
import { OkxFeed } from "../../src/feed/okx/feed.ts";
import { readInstrument, readListing } from "../../src/feed/okx/instruments.ts";
import { readSubscription } from "../../src/feed/okx/venue.ts";
import { EVENT, EventBatch, TICKER, TICKER_FIELDS } from "../../src/market/event-batch.ts";
import { InstrumentTable } from "../../src/market/instrument.ts";
import { BOOK_SHAPE, L2Book } from "../../src/market/l2-book.ts";
import { sharedPath, skipUnlessShared } from "../support/shared-data.ts";
import { FakeOkx, OKX_OPTION, OKX_SWAP } from "./fake-okx.ts";
import { Session } from "./fake-venue.ts";
import { ScriptedPort } from "./scripted-port.ts";
import { sharedLines } from "./shared-data.ts";
import { listing } from "./simulated-frames.ts";

const absent = skipUnlessShared("data/frames/okx");
const shared = (name: string): string => readFileSync(sharedPath(`data/frames/okx/${name}.json`), "utf8");

const spot = {
  ...OKX_SWAP,
  instId: "BTC-USDT",
  instType: "SPOT",
  baseCcy: "BTC",
  quoteCcy: "USDT",
  settleCcy: "",
  ctVal: "",
  ctMult: "",
  tickSz: "0.01",
  lotSz: "0.00000001",
  minSz: "0.00001",
};

describe("okx: frames as the venue documents them", () => {
  const option = { ...OKX_OPTION, instId: "BTC-USD-250328-92000-C" };
  const bySymbol = listing([spot, OKX_SWAP, option].map(readInstrument));
  const swap = bySymbol.get("BTC-USDT-SWAP");
  const decoder = new OkxDecoder({ bySymbol, byIndex: new Map([["BTC-USDT", swap ? [swap] : []]]) });
  const out = new EventBatch(8, 64);
  const decoded = (text: string): number => {
    out.clear();
    return decoder.decode(text, out);
  };

  test.skipIf(absent)("books", () => {
    expect(decoded(shared("ws_books_snapshot"))).toBe(FRAME.ok);
    expect([out.kind[0], out.lastSequence[0], out.previousSequence[0], out.levels]).toEqual([
      EVENT.bookSnapshot,
      123_456,
      -1,
      16,
    ]);
    expect(out.checksum[0]).toBe(-855_196_043 >>> 0);
    expect(decoded(shared("ws_books_update"))).toBe(FRAME.ok);
    expect([out.kind[0], out.lastSequence[0], out.previousSequence[0]]).toEqual([
      EVENT.bookDelta,
      123_457,
      123_456,
    ]);
    expect(decoded(shared("ws_bbo_tbt"))).toBe(FRAME.ok);
    expect([out.kind[0], out.priceTicks[0], out.priceTicks[1]]).toEqual([EVENT.top, 847_697, 847_698]);
  });

  test.skipIf(absent)("tickers, funding, index and options", () => {
    expect(decoded(shared("ws_tickers"))).toBe(FRAME.ok);
    expect(out.values[TICKER.lastPrice]).toBe(9_999.99);
    expect(decoded(shared("ws_funding_rate"))).toBe(FRAME.ok);
    expect(out.values[TICKER.fundingRate]).toBe(0.0001);
    expect(out.values[TICKER.nextFundingMs]).toBe(1_744_590_349_506);
    const index = { arg: { channel: "index-tickers", instId: "BTC-USDT" }, data: [] as object[] };
    index.data.push({ instId: "BTC-USDT", idxPx: "92000.5", ts: "1711612800000" });
    expect(decoded(JSON.stringify(index))).toBe(FRAME.ok);
    expect([out.instrument[0], out.values[TICKER.indexPrice]]).toEqual([swap?.id ?? -1, 92_000.5]);
    const arg = { channel: "opt-summary", instFamily: "BTC-USD" };
    const entries = JSON.parse(shared("ws_opt_summary").replaceAll("deltaBs", "deltaBS"));
    expect(decoded(JSON.stringify({ arg, data: entries }))).toBe(FRAME.ok);
    expect(out.count).toBe(1);
    expect([out.values[TICKER.markIv], out.values[TICKER.bidIv], out.values[TICKER.delta]]).toEqual([
      0.53, 0.52, 0.5312,
    ]);
    expect(out.values[TICKER.underlyingPrice]).toBe(92_150.5);
    expect(decoded(shared("ws_instruments"))).toBe(FRAME.ignored);
  });

  test.skipIf(absent)("listings", () => {
    const { found } = readListing(
      [{ type: "OPTION", symbol: null, family: "BTC-USD" }],
      shared("http_get_instruments_option"),
    );
    expect(found).toHaveLength(4);
    expect(found[0]).toMatchObject({
      symbol: "BTC-USD-241217-92000-C",
      kind: "option",
      base: "BTC",
      quote: "BTC",
      inverse: true,
      contractSize: 0.01,
      strike: 92_000,
      expiryMs: 1_734_422_400_000,
    });
    const [described] = JSON.parse(shared("ws_instruments")).data;
    expect(readInstrument(described)).toMatchObject({
      kind: "perpetual",
      inverse: false,
      contractSize: 0.01,
    });
  });
});

describe("okx: a recorded session with checksums", () => {
  const SYMBOLS = [
    {
      instId: "BTC-USD-220527",
      instType: "FUTURES",
      settleCcy: "BTC",
      ctVal: "100",
      tickSz: "0.1",
      lotSz: "1",
    },
    { instId: "UNI-USD-SWAP", instType: "SWAP", settleCcy: "UNI", ctVal: "10", tickSz: "0.001", lotSz: "1" },
    { ...spot, tickSz: "0.1" },
  ].map((entry) => ({ ...OKX_SWAP, expTime: "1653638400000", minSz: "1", ...entry }));

  test.skipIf(skipUnlessShared("data/ws/OKX.ws.1.0.gz"))(
    "every frame decodes, every checksum is equal, every book is the naive one",
    () => {
      const lines = sharedLines("ws/OKX.ws.1.0.gz");
      if (lines === null) return;
      const port = new ScriptedPort();
      const instruments = new InstrumentTable(8);
      const feed = new OkxFeed({
        id: 0,
        venue: "okx",
        subscriptions: SYMBOLS.map(({ instId }) => instId),
        instruments,
        port,
        seed: 1,
        silenceMs: 60_000,
      });
      const out = new EventBatch();
      const books = new Map<number, L2Book>();
      const naive = new Map<string, [Map<string, string>, Map<string, string>]>();
      let timeUs = 1_652_459_225_000_000;
      feed.start(timeUs);
      while (port.requests.length > 0) {
        for (const { request } of port.takeRequests()) {
          const body = JSON.stringify({ code: "0", msg: "", data: SYMBOLS });
          feed.onResponse(request, 200, body, Number.NaN, timeUs, out);
        }
      }
      feed.onOpen(timeUs, out);
      let frames = 0;
      let bookFrames = 0;
      for (const line of lines) {
        const at = line.indexOf(": ");
        const text = line.slice(at + 2);
        if (at < 0 || line.startsWith("wss:")) continue;
        timeUs = Math.round(Number(line.slice(0, at)) * 1e6);
        out.clear();
        feed.onTimer(timeUs, out);
        const outcome = feed.onFrame(text, timeUs, out);
        expect(outcome === FRAME.ok || outcome === FRAME.control).toBe(true);
        frames += 1;
        const { arg, action, data } = JSON.parse(text);
        for (let row = 0; row < out.count; row += 1) {
          const id = out.instrument[row];
          const book = books.get(id) ?? new L2Book(BOOK_SHAPE.future);
          books.set(id, book);
          if (out.kind[row] === EVENT.bookSnapshot) book.applySnapshot(out, row);
          if (out.kind[row] === EVENT.bookDelta) book.applyDelta(out, row);
        }
        if (arg?.channel !== "books" || action === undefined) continue;
        bookFrames += 1;
        const sides = naive.get(arg.instId) ?? [new Map<string, string>(), new Map<string, string>()];
        naive.set(arg.instId, sides);
        if (action === "snapshot") for (const side of sides) side.clear();
        for (const [side, levels] of [data[0].bids, data[0].asks].entries()) {
          for (const [price, size] of levels) {
            if (size === "0") sides[side].delete(price);
            else sides[side].set(price, size);
          }
        }
        const instrument = instruments.find("okx", arg.instId);
        const book = books.get(instrument?.id ?? -1);
        if (instrument === undefined || book === undefined) throw new Error(`no book of ${arg.instId}`);
        for (const [side, levels] of sides.entries()) {
          expect(book.levels(side)).toBe(levels.size);
          for (const [price, size] of levels) {
            const ticks = numberToSteps(Number(price), instrument.tick);
            if (book.sizeAt(side, ticks) !== numberToSteps(Number(size), instrument.lot))
              throw new Error(`${arg.instId} at ${price}: expected ${size}`);
          }
        }
      }
      expect(frames).toBeGreaterThan(400);
      expect(bookFrames).toBeGreaterThan(200);
      expect(feed.counters).toMatchObject({ unparsable: 0, gaps: 0, checksums: 0, ignored: 0, resyncs: 0 });
      expect(feed.carried).toHaveLength(3);
    },
  );
});

describe("okx: the rules of the venue", () => {
  const live = (sums: boolean): { readonly session: Session; readonly venue: FakeOkx } => {
    const venue = new FakeOkx(sums);
    const session = new Session(venue);
    session.goLive();
    expect(session.live.size).toBe(2);
    return { session, venue };
  };

  test("a wrong checksum makes the book unsound, and it heals", () => {
    const { session, venue } = live(true);
    session.deliver(venue.next(0).replace(/"checksum":-?\d+/, '"checksum":123'));
    expect(session.log).toEqual(["BTC-USDT-SWAP unsound checksum"]);
    session.advance(500, true);
    expect(session.agrees(0)).toBe(true);
    expect(session.feed.counters).toMatchObject({ checksums: 1, gaps: 0, resyncs: 1 });
    expect(session.feed.healingUs.count).toBe(1);
    expect(session.feed.problem).toContain("123");
  });

  test("a change that was told wrongly is found by the checksum", () => {
    const { session, venue } = live(true);
    const ask = [...venue.books[0].sides[1]].toSorted(([a], [b]) => a - b)[1];
    venue.books[0].sides[1].set(ask[0], 77);
    session.deliver(venue.next(0));
    expect(session.log).toEqual(["BTC-USDT-SWAP unsound checksum"]);
  });

  test("a checksum of 0 is none", () => {
    const { session, venue } = live(true);
    for (let i = 0; i < 5; i += 1) session.deliver(venue.next(0).replace(/"checksum":-?\d+/, '"checksum":0'));
    session.deliver(venue.next(0));
    expect(session.log).toEqual([]);
    expect(session.agrees(0)).toBe(true);
  });

  test("a message that says that nothing has happened is the next one", () => {
    const { session, venue } = live(false);
    session.deliver(venue.nothing(0));
    session.deliver(venue.next(0));
    expect(session.log).toEqual([]);
    expect(session.agrees(0)).toBe(true);
  });

  test("numbers that start anew take the book anew", () => {
    const { session, venue } = live(false);
    session.deliver(venue.startedAnew(0));
    expect(session.log).toEqual(["BTC-USDT-SWAP unsound gap"]);
    session.advance(500, true);
    expect(session.agrees(0)).toBe(true);
  });

  test("a message with neither numbers nor checksum is not believed", () => {
    const { session, venue } = live(false);
    session.deliver(venue.next(0).replace(/,"seqId":\d+,"prevSeqId":\d+/, ""));
    expect(session.log).toEqual(["BTC-USDT-SWAP unsound gap"]);
  });

  test("the best bid and ask come ahead of the book, and only while it is live", () => {
    const { session, venue } = live(false);
    session.kinds = [];
    session.deliver(venue.top(0, [1_000, 5], null, venue.books[0].sequence + 1));
    expect(session.kinds).toEqual([EVENT.top]);
    session.feed.onUnsound(0, 2, session.timeUs, session.out);
    session.out.clear();
    session.feed.onFrame(venue.top(0, [1_000, 5], null, 1), session.timeUs, session.out);
    expect(session.out.count).toBe(0);
  });

  test("parts of a ticker are put together; bid and ask volatility go with the mark's", () => {
    const { session } = live(false);
    const instId = OKX_OPTION.instId;
    const tell = (channel: string, data: object): Float64Array => {
      const frame = JSON.stringify({ arg: { channel, instId }, data: [{ instId, ts: "1", ...data }] });
      session.feed.onFrame(frame, session.timeUs, session.out);
      const values = session.out.values.slice(0, TICKER_FIELDS);
      session.out.clear();
      return values;
    };
    tell("opt-summary", { markVol: "0.5", bidVol: "0.4", askVol: "0.6", fwdPx: "60500" });
    const marked = tell("mark-price", { markPx: "0.05" });
    expect([marked[TICKER.markPrice], marked[TICKER.bidIv], marked[TICKER.underlyingPrice]]).toEqual([
      0.05, 0.4, 60_500,
    ]);
    const bidless = tell("opt-summary", { markVol: "0.5", bidVol: "", askVol: "0.6", fwdPx: "60500" });
    expect([bidless[TICKER.markPrice], bidless[TICKER.bidIv]]).toEqual([0.05, Number.NaN]);
  });

  test("is pinged in text every 20 s, and told no more than it takes", () => {
    const { session, venue } = live(false);
    venue.sent.length = 0;
    session.advance(41_000, true);
    expect(venue.sent).toEqual(["ping", "ping"]);
  });

  test("an option that is listed later is taken on", () => {
    const venue = new FakeOkx(false);
    venue.unlisted.add(OKX_OPTION.instId);
    const session = new Session(venue);
    session.goLive();
    expect(session.live.size).toBe(1);
    venue.unlisted.clear();
    session.advance(61_000, true);
    expect(session.live.size).toBe(2);
  });

  test("subscriptions", () => {
    expect(readSubscription("BTC-USDT")).toMatchObject({ type: "SPOT" });
    expect(readSubscription("BTC-USDT-SWAP")).toMatchObject({ type: "SWAP" });
    expect(readSubscription("BTC-USD-241227")).toMatchObject({ type: "FUTURES" });
    expect(readSubscription("BTC-USD-241227-60000-C")).toMatchObject({ type: "OPTION", family: "BTC-USD" });
    expect(readSubscription("options:BTC-USD")).toMatchObject({ type: "OPTION", symbol: null });
    for (const text of ["BTC", "btc-usdt", "BTC-USDT-SWAP-1-C", "options:BTC", ""])
      expect(readSubscription(text)).toBeUndefined();
    expect(parseStep("0.1")).toEqual({ mantissa: 1, scale: 1 });
  });
});
