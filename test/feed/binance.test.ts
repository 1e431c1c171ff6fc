import { describe, expect, test } from "bun:test";
import { DepthJoin, DIFF, JOINED, MATCH } from "../../src/feed/binance/depth-join.ts";
import { readSymbol } from "../../src/feed/binance/instruments.ts";
import { FUTURES_SEQUENCE, SPOT_SEQUENCE } from "../../src/feed/binance/venue.ts";
import { createFeed } from "../../src/feed/registry.ts";
import { EVENT, EventBatch, TICKER, TICKER_FIELDS } from "../../src/market/event-batch.ts";
import { InstrumentTable } from "../../src/market/instrument.ts";
import { exchangeInfo, FakeBinance } from "./fake-binance.ts";
import { Session } from "./fake-venue.ts";
import { ScriptedPort } from "./scripted-port.ts";

/** A connected session whose venue has sent nothing yet. */
function connected(venue = new FakeBinance("binance-usdm")): { session: Session; venue: FakeBinance } {
  const session = new Session(venue);
  session.feed.start(session.timeUs);
  session.service();
  return { session, venue };
}

describe("snapshot join", () => {
  test("asks for a snapshot only once depth events come in", () => {
    const { session, venue } = connected();
    session.advance(500);
    expect(venue.depthRequests).toBe(0);
    session.deliver(venue.next(0));
    expect(venue.depthRequests).toBe(1);
  });

  test("a snapshot that falls between two events of its symbol joins", () => {
    const { session, venue } = connected();
    venue.depthFaults.push({ kind: "silent" });
    session.deliver(venue.next(0));
    venue.next(1);
    venue.books[0].sequence += 3;
    const between = venue.snapshot(0);
    venue.books[0].sequence -= 3;
    const [instrument] = session.feed.carried;
    session.feed.onResponse(2, 200, between, Number.NaN, session.timeUs, session.out);
    session.apply();
    expect(session.live.has(instrument.symbol)).toBe(false);
    session.deliver(venue.next(0));
    expect(session.live.has(instrument.symbol)).toBe(true);
    expect(session.agrees(0)).toBe(true);
  });

  test("a snapshot older than the events is asked for again, later each time", () => {
    const { session, venue } = connected();
    const old = venue.snapshot(0);
    venue.next(0);
    for (let i = 0; i < 3; i += 1) venue.depthFaults.push({ kind: "body", body: old });
    session.deliver(venue.next(0));
    expect(venue.depthRequests).toBe(1);
    expect(session.feed.problem).toContain("older");
    session.advance(100);
    expect(venue.depthRequests).toBe(1);
    session.advance(3_000, true);
    expect(venue.depthFaults.length).toBe(0);
    expect(session.live.size).toBe(2);
    expect([session.agrees(0), session.agrees(1)]).toEqual([true, true]);
  });

  test("events before and after the snapshot are joined in order, each once", () => {
    const { session, venue } = connected();
    venue.depthFaults.push({ kind: "silent" });
    session.deliver(venue.next(0));
    session.deliver(venue.next(0));
    const snapshot = venue.snapshot(0);
    session.deliver(venue.next(0));
    session.deliver(venue.next(0));
    session.kinds = [];
    session.feed.onResponse(2, 200, snapshot, Number.NaN, session.timeUs, session.out);
    session.apply();
    expect(session.kinds).toEqual([
      EVENT.bookSnapshot,
      EVENT.bookDelta,
      EVENT.bookDelta,
      EVENT.bookDelta,
      EVENT.status,
    ]);
    expect(session.agrees(0)).toBe(true);
  });

  test("a gap among the buffered events is a gap", () => {
    const { session, venue } = connected();
    venue.depthFaults.push({ kind: "silent" });
    const snapshot = venue.snapshot(0);
    session.deliver(venue.next(0));
    venue.next(0);
    session.deliver(venue.next(0));
    session.feed.onResponse(2, 200, snapshot, Number.NaN, session.timeUs, session.out);
    session.apply();
    expect(session.log.at(-1)).toBe("BTCUSDT unsound gap");
    expect(session.feed.counters.gaps).toBe(1);
    session.advance(2_000, true);
    expect(session.agrees(0)).toBe(true);
  });

  test("429 with Retry-After stops all requests until then", () => {
    const { session, venue } = connected();
    venue.depthFaults.push({ kind: "status", status: 429, retryAfterMs: 3_000 });
    session.deliver(venue.next(0));
    session.advance(2_900, true);
    expect(venue.depthRequests).toBe(1);
    session.advance(1_000, true);
    expect(session.live.size).toBe(2);
  });

  test("418 without Retry-After waits too, and holds reconnecting back", () => {
    const { session, venue } = connected();
    venue.depthFaults.push({ kind: "status", status: 418, retryAfterMs: 5_000 });
    session.deliver(venue.next(0));
    const { connects } = session.port;
    session.disconnect();
    session.advance(4_900);
    expect(session.port.connects).toBe(connects);
    session.advance(5_000, true);
    expect(session.port.connects).toBe(connects + 1);
    expect(session.live.size).toBe(2);
  });

  test("a request that is never answered is given up and repeated", () => {
    const { session, venue } = connected();
    venue.depthFaults.push({ kind: "silent" });
    session.advance(14_000, true);
    expect(session.live.size).toBe(1);
    session.advance(2_500, true);
    expect(session.live.size).toBe(2);
  });

  test("a snapshot that is no JSON, or off the grid, is asked for again", () => {
    const { session, venue } = connected();
    venue.depthFaults.push({ kind: "body", body: "<html>" });
    venue.depthFaults.push({ kind: "body", body: '{"lastUpdateId":5000,"bids":[["100.05","1"]],"asks":[]}' });
    session.deliver(venue.next(0));
    expect(session.log.at(-1)).toBe("BTCUSDT unsound unparsable");
    session.advance(3_000, true);
    expect(session.log).toContain("ETHUSDT unsound off-grid");
    expect([session.agrees(0), session.agrees(1)]).toEqual([true, true]);
    expect(session.feed.counters.unparsable).toBe(1);
  });

  test("events of a long wait are kept within bounds and the book still comes live", () => {
    const { session, venue } = connected();
    venue.depthFaults.push({ kind: "silent" });
    for (let i = 0; i < 600; i += 1) session.deliver(venue.next(0));
    expect(session.feed.counters.overflows).toBe(1);
    session.advance(17_000, true);
    expect(session.agrees(0)).toBe(true);
  });

  test("an answer that belongs to a lost connection is passed over", () => {
    const { session, venue } = connected();
    venue.depthFaults.push({ kind: "silent" });
    session.deliver(venue.next(0));
    session.disconnect();
    session.feed.onResponse(2, 200, venue.snapshot(0), Number.NaN, session.timeUs, session.out);
    session.apply();
    session.advance(2_000, true);
    expect([session.agrees(0), session.agrees(1)]).toEqual([true, true]);
  });
});

describe("sequence rules as documented", () => {
  const batch = new EventBatch(8, 8);
  const diff = (join: DepthJoin, U: number, u: number, pu: number): number => {
    batch.clear();
    const row = batch.begin(EVENT.bookDelta, 0, 0);
    batch.setSequence(row, U, u, pu);
    if (join.live) return join.judge(batch, row);
    join.keep(batch, row);
    return -1;
  };
  const out = new EventBatch(8, 8);

  test("spot joins where U <= lastUpdateId + 1 <= u, drops u <= lastUpdateId", () => {
    const join = new DepthJoin(SPOT_SEQUENCE);
    diff(join, 90, 99, Number.NaN);
    expect(join.match(100)).toBe(MATCH.waits);
    diff(join, 100, 105, Number.NaN);
    expect(join.match(105)).toBe(MATCH.waits);
    expect(join.match(98)).toBe(MATCH.joins);
    expect(join.match(88)).toBe(MATCH.stale);
    expect(join.join(100, out)).toBe(JOINED.done);
    expect(out.count).toBe(1);
    expect(diff(join, 106, 110, Number.NaN)).toBe(DIFF.next);
    expect(diff(join, 100, 105, Number.NaN)).toBe(DIFF.old);
    expect(diff(join, 112, 115, Number.NaN)).toBe(DIFF.gap);
  });

  test("futures join where U <= lastUpdateId <= u, then pu must be the last u", () => {
    const join = new DepthJoin(FUTURES_SEQUENCE);
    diff(join, 90, 99, 80);
    diff(join, 110, 120, 99);
    expect(join.match(120)).toBe(MATCH.joins);
    expect(join.match(121)).toBe(MATCH.waits);
    expect(join.match(104)).toBe(MATCH.joins);
    expect(join.match(79)).toBe(MATCH.stale);
    out.clear();
    expect(join.join(115, out)).toBe(JOINED.done);
    expect(diff(join, 130, 140, 120)).toBe(DIFF.next);
    expect(diff(join, 150, 160, 141)).toBe(DIFF.gap);
  });
});

describe("subscription and discovery", () => {
  test("subscribes depth, top, trades and mark price in one message", () => {
    const port = new ScriptedPort();
    const feed = createFeed({
      id: 3,
      venue: "binance-usdm",
      subscriptions: ["BTCUSDT"],
      instruments: new InstrumentTable(1),
      port,
      seed: 1,
      silenceMs: 1_000,
    });
    const out = new EventBatch();
    feed.start(0);
    expect(port.takeRequests()).toEqual([{ request: 1, path: "/fapi/v1/exchangeInfo" }]);
    expect(port.connects).toBe(0);
    const grid = { symbol: "BTCUSDT", base: "BTC", tick: "0.10", lot: "0.001" };
    feed.onResponse(1, 200, exchangeInfo("binance-usdm", [grid]), Number.NaN, 0, out);
    expect(port.connects).toBe(1);
    feed.onOpen(1, out);
    expect(port.takeSent()).toEqual([
      '{"method":"SUBSCRIBE","params":["btcusdt@depth@0ms","btcusdt@bookTicker","btcusdt@trade","btcusdt@markPrice@1s"],"id":1}',
    ]);
  });

  test("a symbol that is listed later is asked for every minute and then taken on, the others untouched", () => {
    const venue = new FakeBinance("binance-usdm");
    venue.unlisted.add("ETHUSDT");
    const session = new Session(venue);
    session.goLive();
    expect([...session.live]).toEqual(["BTCUSDT"]);
    expect(session.feed.problem).toContain("ETHUSDT");
    session.advance(61_000, true);
    expect([...session.live]).toEqual(["BTCUSDT"]);
    venue.unlisted.clear();
    session.advance(61_000, true);
    expect([...session.live].toSorted()).toEqual(["BTCUSDT", "ETHUSDT"]);
    expect(session.agrees(1)).toBe(true);
    expect(session.feed.counters.reconnects).toBe(0);
  });

  test("a feed none of whose symbols is listed connects when one is", () => {
    const venue = new FakeBinance("binance-spot");
    for (const symbol of venue.symbols) venue.unlisted.add(symbol);
    const session = new Session(venue);
    session.goLive();
    expect(session.port.connects).toBe(0);
    venue.unlisted.delete("BTCUSDT");
    session.advance(61_000);
    expect(session.port.connects).toBe(1);
    session.advance(1_000, true);
    expect([...session.live]).toEqual(["BTCUSDT"]);
  });

  test("an option on which nothing happens is live with its snapshot", () => {
    const session = new Session(new FakeBinance("binance-option"));
    session.feed.start(session.timeUs);
    session.service();
    session.advance(3_000);
    expect(session.live.size).toBe(2);
    session.deliver(session.venue.next(0));
    expect(session.agrees(0)).toBe(true);
    expect(session.feed.counters.gaps).toBe(0);
  });

  test("marks and indices of options come by REST and are put together", () => {
    const venue = new FakeBinance("binance-option");
    const session = new Session(venue);
    session.goLive();
    const greeks = { delta: "0.55", theta: "-9", gamma: "0.0001", vega: "97" };
    const mark = { symbol: venue.symbols[0], markPrice: "1343.2", bidIV: "-1", askIV: "0.6", markIV: "0.55" };
    venue.marks = JSON.stringify([
      { ...mark, ...greeks },
      { ...mark, symbol: "BTC-990101-1-C" },
    ]);
    venue.index = '{"time":1656647305000,"indexPrice":"60100.5"}';
    const seen: number[][] = [];
    const { apply } = session;
    session.apply = () => {
      for (let row = 0; row < session.out.count; row += 1) {
        if (session.out.kind[row] !== EVENT.ticker || session.out.instrument[row] !== 0) continue;
        const at = row * TICKER_FIELDS;
        seen.push([...session.out.values.subarray(at, at + TICKER_FIELDS)]);
      }
      apply.call(session);
    };
    session.advance(8_000, true);
    const last = seen.at(-1) ?? [];
    expect([last[TICKER.markPrice], last[TICKER.markIv], last[TICKER.underlyingPrice]]).toEqual([
      1_343.2, 0.55, 60_100.5,
    ]);
    expect([last[TICKER.bidIv], last[TICKER.vega]]).toEqual([Number.NaN, 97]);
    expect(seen.length).toBeLessThan(8);
  });

  test("a failing exchangeInfo is asked for again", () => {
    const port = new ScriptedPort();
    const feed = createFeed({
      id: 0,
      venue: "binance-coinm",
      subscriptions: ["BTCUSD_PERP"],
      instruments: new InstrumentTable(1),
      port,
      seed: 1,
      silenceMs: 1_000,
    });
    const out = new EventBatch();
    feed.start(0);
    feed.onResponse(1, 503, "down", Number.NaN, 0, out);
    expect(feed.problem).toBe("binance-coinm: REST answered HTTP 503 down");
    feed.onTimer(2_000_000, out);
    expect(port.requests.at(-1)?.request).toBe(2);
    feed.onResponse(2, 200, "[]", Number.NaN, 2_000_000, out);
    expect(feed.problem).toContain("expected an object with symbols");
    feed.onTimer(9_000_000, out);
    const grid = { symbol: "BTCUSD_PERP", base: "BTC", tick: "0.1", lot: "1" };
    feed.onResponse(3, 200, exchangeInfo("binance-coinm", [grid]), Number.NaN, 9_000_000, out);
    expect(port.connects).toBe(1);
  });

  test("a symbol that the venue does not know is counted and loses nothing else", () => {
    const port = new ScriptedPort();
    const feed = createFeed({
      id: 0,
      venue: "binance-spot",
      subscriptions: ["NOSUCH", "BTCUSDT"],
      instruments: new InstrumentTable(4),
      port,
      seed: 1,
      silenceMs: 1_000,
    });
    const out = new EventBatch();
    feed.start(0);
    const [unknown, known] = port.takeRequests();
    expect(unknown.path).toBe("/api/v3/exchangeInfo?symbol=NOSUCH");
    feed.onResponse(unknown.request, 400, '{"code":-1121}', Number.NaN, 0, out);
    const grid = { symbol: "BTCUSDT", base: "BTC", tick: "0.01", lot: "0.00001" };
    feed.onResponse(known.request, 200, exchangeInfo("binance-spot", [grid]), Number.NaN, 0, out);
    expect(feed.carried.map(({ symbol }) => symbol)).toEqual(["BTCUSDT"]);
    expect(feed.counters.ignored).toBe(1);
    expect(feed.problem).toBe("binance-spot: found no symbol NOSUCH in the venue's exchangeInfo");
    expect(port.connects).toBe(1);
  });

  test("reads spot, linear and inverse instruments", () => {
    const read = (venue: "binance-spot" | "binance-usdm" | "binance-coinm", symbol: string) => {
      const grid = { symbol, base: "BTC", tick: "0.10", lot: "0.001" };
      return readSymbol(venue, JSON.parse(exchangeInfo(venue, [grid])).symbols[0]);
    };
    expect(read("binance-spot", "BTCUSDT")).toMatchObject({
      kind: "spot",
      inverse: false,
      contractSize: 1,
      tick: { mantissa: 1, scale: 1 },
      minSizeLots: 1,
    });
    expect(read("binance-usdm", "BTCUSDT")).toMatchObject({
      kind: "perpetual",
      inverse: false,
      settle: "USDT",
    });
    expect(read("binance-coinm", "BTCUSD_PERP")).toMatchObject({
      kind: "perpetual",
      inverse: true,
      settle: "BTC",
      quote: "USD",
      contractSize: 100,
      expiryMs: Number.POSITIVE_INFINITY,
    });
  });
});

describe("frames", () => {
  const mark =
    '{"stream":"btcusdt@markPrice@1s","data":{"e":"markPriceUpdate","E":5,"s":"BTCUSDT","p":"100.5","i":"100.4","P":"1","r":"0.0001","T":99}}';

  test("mark price, index, funding and its next time become a ticker", () => {
    const { session } = connected();
    session.feed.onFrame(mark, session.timeUs, session.out);
    expect(session.out.kind[0]).toBe(EVENT.ticker);
    expect(session.out.exchangeTimeUs[0]).toBe(5_000);
    const { values } = session.out;
    expect(values[TICKER.markPrice]).toBe(100.5);
    expect(values[TICKER.indexPrice]).toBe(100.4);
    expect(values[TICKER.fundingRate]).toBe(0.0001);
    expect(values[TICKER.nextFundingMs]).toBe(99);
    expect(values[TICKER.markIv]).toBeNaN();
  });

  test("where no mark price comes by stream it is asked for by REST", () => {
    for (const [venueName, wrap] of [
      ["binance-usdm", (body: string) => body],
      ["binance-coinm", (body: string) => `[${body}]`],
    ] as const) {
      const { session, venue } = connected(new FakeBinance(venueName));
      venue.premiumIndex = wrap(
        '{"symbol":"BTCUSDT","markPrice":"100.5","indexPrice":"100.4","lastFundingRate":"0.0001","nextFundingTime":99,"time":5}',
      );
      session.advance(2_900, true);
      expect(venue.markRequests).toBe(0);
      session.kinds = [];
      session.advance(200, true);
      expect(session.kinds.filter((kind) => kind === EVENT.ticker).length).toBe(2);
      session.advance(3_000, true);
      expect(venue.markRequests).toBe(4);
    }
  });

  test("mark prices by stream make asking needless", () => {
    const { session, venue } = connected();
    for (let i = 0; i < 10; i += 1) {
      session.advance(1_000, true);
      session.deliver(mark);
      session.deliver(mark.replaceAll("BTC", "ETH"));
    }
    expect(venue.markRequests).toBe(0);
  });

  test("a venue without a premium index is asked ever less often, and nothing else suffers", () => {
    const { session, venue } = connected();
    session.advance(120_000, true);
    expect(venue.markRequests).toBeLessThan(16);
    expect(session.live.size).toBe(2);
    expect(session.feed.problem).toBe("");
  });

  test("the best bid and ask are told while live, not before", () => {
    const { session } = connected();
    const top = (u: number): string =>
      `{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":${u},"s":"BTCUSDT","b":"99.90","B":"1.5","a":"100.10","A":"2","T":7,"E":8}}`;
    session.feed.onFrame(top(1), session.timeUs, session.out);
    expect(session.out.count).toBe(0);
    session.advance(100, true);
    session.feed.onFrame(top(9_000), session.timeUs, session.out);
    expect([...session.out.kind.subarray(0, session.out.count)]).toEqual([EVENT.top]);
    expect([...session.out.priceTicks.subarray(0, 2)]).toEqual([999, 1_001]);
    expect([...session.out.sizeLots.subarray(0, 2)]).toEqual([1_500, 2_000]);
    expect(session.out.lastSequence[0]).toBe(9_000);
  });

  test("trades of the insurance fund are no trades of the market", () => {
    const { session, venue } = connected();
    const trade = JSON.parse(venue.trade(0));
    trade.data.X = "INSURANCE_FUND";
    session.feed.onFrame(JSON.stringify(trade), session.timeUs, session.out);
    expect(session.out.count).toBe(0);
  });

  test("a size off the lot grid is kept as a fraction of a lot", () => {
    const { session, venue } = connected();
    session.advance(100, true);
    const frame = JSON.parse(venue.next(0));
    frame.data.b = [["99.00", "0.0015"]];
    session.feed.onFrame(JSON.stringify(frame), session.timeUs, session.out);
    expect(session.out.sizeLots[0]).toBe(1.5);
  });

  test("an error that the venue answers is kept for people", () => {
    const { session } = connected();
    session.deliver('{"error":{"code":2,"msg":"Invalid request"},"id":1}');
    expect(session.feed.problem).toContain("Invalid request");
  });
});
