import { describe, expect, test } from "bun:test";
import { readSymbol } from "../../src/feed/binance/instruments.ts";
import { EVENT, TICKER, TICKER_FIELDS } from "../../src/market/event-batch.ts";
import { connected, exchangeInfo, FakeBinance } from "./fake-binance.ts";
import { Session } from "./fake-venue.ts";
import { scriptedFeed } from "./scripted-port.ts";

describe("subscription and discovery", () => {
  test("subscribes depth, top, trades and mark price in one message", () => {
    const { feed, port, out } = scriptedFeed({
      id: 3,
      venue: "binance-usdm",
      subscriptions: ["BTCUSDT"],
      silenceMs: 1_000,
    });
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
    const { feed, port, out } = scriptedFeed({
      venue: "binance-coinm",
      subscriptions: ["BTCUSD_PERP"],
      silenceMs: 1_000,
    });
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
    const { feed, port, out } = scriptedFeed({
      venue: "binance-spot",
      subscriptions: ["NOSUCH", "BTCUSDT"],
      silenceMs: 1_000,
    });
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
