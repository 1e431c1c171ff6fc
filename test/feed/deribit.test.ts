import { describe, expect, test } from "bun:test";
import { readInstrument } from "../../src/feed/deribit/instruments.ts";
import { readSubscription } from "../../src/feed/deribit/venue.ts";
import { EVENT, TICKER } from "../../src/market/event-batch.ts";
import { InstrumentTable } from "../../src/market/instrument.ts";
import { FakeDeribit, OPTION, PERPETUAL } from "./fake-deribit.ts";
import { Session } from "./fake-venue.ts";
import { scriptedFeed } from "./scripted-port.ts";

function live(venue = new FakeDeribit()): { session: Session; venue: FakeDeribit } {
  const session = new Session(venue);
  session.goLive();
  return { session, venue };
}

describe("protocol", () => {
  test("a gap renews the subscription of that book and of nothing else", () => {
    const { session, venue } = live();
    venue.calls.length = 0;
    venue.next(1);
    session.deliver(venue.next(1));
    session.advance(200, true);
    const channels = [`book.${OPTION.instrument_name}.raw`];
    expect(venue.calls).toEqual([
      { method: "public/unsubscribe", channels },
      { method: "public/subscribe", channels },
    ]);
    expect(session.agrees(1)).toBe(true);
  });

  test("a test request is answered with public/test", () => {
    const { session, venue } = live();
    venue.calls.length = 0;
    session.deliver(venue.heartbeat());
    expect(venue.calls).toEqual([{ method: "public/test", channels: [] }]);
  });

  test("asks for heartbeats first", () => {
    const { venue } = live();
    expect(venue.calls[0].method).toBe("public/set_heartbeat");
  });

  test("goes on with 100ms where raw is for authenticated connections only", () => {
    const venue = new FakeDeribit();
    venue.refusesRaw = true;
    venue.interval = "100ms";
    const { session } = live(venue);
    expect(session.live.size).toBe(2);
    expect([...venue.subscribed].every((channel) => channel.endsWith(".100ms"))).toBe(true);
    session.disconnect();
    session.advance(1_500, true);
    expect(session.live.size).toBe(2);
  });

  test("a call that came too often is repeated later", () => {
    const venue = new FakeDeribit();
    venue.tooManyRequests = 2;
    const session = new Session(venue, { silenceMs: 20_000 });
    session.goLive();
    session.advance(5_000, true);
    expect(session.live.size).toBe(2);
    expect(session.feed.problem).toContain("10028");
  });

  test("a book whose snapshot does not come is subscribed again", () => {
    const { session, venue } = live();
    venue.next(1);
    const snapshot = venue.snapshot;
    venue.snapshot = () => venue.stranger();
    session.deliver(venue.next(1));
    session.advance(5_000, true);
    expect(session.live.size).toBe(1);
    venue.snapshot = snapshot;
    session.advance(12_000, true);
    expect(session.live.size).toBe(2);
    expect(session.agrees(1)).toBe(true);
  });

  test("a connection that leaves calls unanswered is given up", () => {
    const { session } = live();
    session.feed.onClose(1_006, "", session.timeUs, session.out);
    session.out.clear();
    const service = session.venue.service;
    session.venue.service = () => {};
    session.advance(1_000);
    for (let i = 0; i < 60; i += 1) {
      session.advance(250);
      session.deliver(session.venue.trade(0));
    }
    expect(session.feed.problem).toContain("not answered");
    session.venue.service = service;
    session.port.takeSent();
    session.advance(3_000, true);
    expect(session.live.size).toBe(2);
  });

  test("a new listing of a currency that is wanted whole is taken on", () => {
    const { feed, port, out } = scriptedFeed({
      venue: "deribit",
      subscriptions: ["options:BTC"],
      silenceMs: 1_000,
    });
    feed.start(0);
    feed.onOpen(0, out);
    const sent = port.takeSent().map((text) => JSON.parse(text));
    expect(sent.map(({ method }) => method)).toEqual([
      "public/set_heartbeat",
      "public/get_instruments",
      "public/subscribe",
    ]);
    expect(sent[2].params.channels).toEqual(["instrument.state.option.BTC"]);
    feed.onFrame(JSON.stringify({ id: sent[0].id, result: "ok" }), 1, out);
    feed.onFrame(JSON.stringify({ id: sent[1].id, result: [OPTION] }), 1, out);
    expect(feed.carried.length).toBe(1);
    const listed = { ...OPTION, instrument_name: "BTC-27DEC24-70000-C", strike: 70_000 };
    const data = { instrument_name: listed.instrument_name, state: "created", timestamp: 1 };
    const frame = { method: "subscription", params: { channel: "instrument.state.option.BTC", data } };
    port.takeSent();
    feed.onFrame(JSON.stringify(frame), 2, out);
    const [ask] = port.takeSent().map((text) => JSON.parse(text));
    expect([ask.method, ask.params]).toEqual([
      "public/get_instrument",
      { instrument_name: listed.instrument_name },
    ]);
    feed.onFrame(JSON.stringify({ id: ask.id, result: listed }), 3, out);
    expect(feed.carried.map(({ strike }) => strike)).toEqual([60_000, 70_000]);
    expect(port.takeSent()[0]).toContain('"book.BTC-27DEC24-70000-C.raw"');
  });

  test("a thousand options are subscribed in bounded calls and within the venue's credit", () => {
    const { feed, port, out } = scriptedFeed({
      venue: "deribit",
      subscriptions: ["options:BTC"],
      instruments: new InstrumentTable(1_000),
      silenceMs: 1_000_000,
    });
    feed.start(0);
    feed.onOpen(0, out);
    const chain = Array.from({ length: 1_200 }, (_, i) => ({
      ...OPTION,
      instrument_name: `BTC-27DEC24-${10_000 + i}-C`,
      strike: 10_000 + i,
    }));
    const subscribed = new Set<string>();
    let calls = 0;
    let timeUs = 0;
    for (let i = 0; i < 800; i += 1) {
      for (const text of port.takeSent()) {
        const { id, method, params } = JSON.parse(text);
        calls += 1;
        expect(text.length).toBeLessThan(32_000);
        if (method === "public/subscribe") for (const channel of params.channels) subscribed.add(channel);
        const result = method === "public/get_instruments" ? chain : (params.channels ?? "ok");
        feed.onFrame(JSON.stringify({ id, result }), timeUs, out);
      }
      timeUs += 10_000;
      feed.onTimer(timeUs, out);
      out.clear();
    }
    expect(feed.carried.length).toBe(1_000);
    expect(subscribed.size).toBe(3_001);
    expect(calls).toBeLessThan(8 + timeUs / 300_000);
    expect(feed.counters.overflows).toBe(200);
    expect(feed.problem).toContain("no room among 1000 instruments");
  });

  test("an instrument that the venue does not know is counted", () => {
    const venue = new FakeDeribit();
    Object.defineProperty(venue, "symbols", { value: ["BTC-PERPETUAL", "BTC-27DEC24-1-C"] });
    const session = new Session(venue);
    session.goLive();
    expect([...session.live]).toEqual(["BTC-PERPETUAL"]);
    expect(session.feed.problem).toContain("found no instrument BTC-27DEC24-1-C");
  });
});

describe("ticker", () => {
  test("volatilities are fractions, 0 means none, and greeks come along", () => {
    const { session, venue } = live();
    session.feed.onFrame(venue.ticker(1), session.timeUs, session.out);
    expect(session.out.kind[0]).toBe(EVENT.ticker);
    expect(session.out.exchangeTimeUs[0]).toBe(1_700_000_000_000_000);
    const { values } = session.out;
    expect(values[TICKER.markPrice]).toBe(0.05);
    expect(values[TICKER.markIv]).toBe(0.555);
    expect(values[TICKER.bidIv]).toBeNaN();
    expect(values[TICKER.askIv]).toBe(0.57);
    expect(values[TICKER.delta]).toBe(0.5);
    expect(values[TICKER.underlyingPrice]).toBe(60_500);
    expect(values[TICKER.indexPrice]).toBe(60_000);
    expect(values[TICKER.interestRate]).toBe(0.01);
    expect(values[TICKER.lastPrice]).toBeNaN();
    expect(values[TICKER.fundingRate]).toBeNaN();
  });

  test("a block trade between two ticks is put on the nearest", () => {
    const { session, venue } = live();
    const trade = JSON.parse(venue.trade(1));
    trade.params.data[0].price = 0.10004;
    session.feed.onFrame(JSON.stringify(trade), session.timeUs, session.out);
    expect(session.out.priceTicks[0]).toBe(1_000);
  });
});

describe("instruments", () => {
  test("the perpetual is inverse, its sizes are USD in lots of ten", () => {
    expect(readInstrument(PERPETUAL)).toMatchObject({
      kind: "perpetual",
      inverse: true,
      base: "BTC",
      quote: "USD",
      settle: "BTC",
      tick: { mantissa: 5, scale: 1 },
      lot: { mantissa: 10, scale: 0 },
      contractSize: 1,
      expiryMs: Number.POSITIVE_INFINITY,
    });
  });

  test("an option is priced and settled in coin, with coarser ticks from a price on", () => {
    expect(readInstrument(OPTION)).toMatchObject({
      kind: "option",
      inverse: true,
      quote: "BTC",
      settle: "BTC",
      tick: { mantissa: 1, scale: 4 },
      tickSteps: [{ fromPriceTicks: 50, multiple: 5 }],
      lot: { mantissa: 1, scale: 1 },
      expiryMs: 1_735_300_800_000,
      strike: 60_000,
      optionType: "call",
    });
  });

  test("a linear option is not inverse", () => {
    const linear = { ...OPTION, base_currency: "BTC", quote_currency: "USDC", settlement_currency: "USDC" };
    expect(readInstrument(linear)).toMatchObject({ inverse: false, quote: "USDC", settle: "USDC" });
  });

  test("what is missing is named", () => {
    expect(() => readInstrument({ ...OPTION, strike: undefined })).toThrow("no strike or type");
    expect(() => readInstrument({ ...OPTION, tick_size: "x" })).toThrow("tick_size");
    expect(() => readInstrument({ ...OPTION, kind: "option_combo" })).toThrow('kind "option_combo"');
  });

  test("subscriptions name one instrument or a currency's all", () => {
    expect(readSubscription("options:BTC")).toEqual({ currency: "BTC", kind: "option", symbol: null });
    expect(readSubscription("futures:ETH")).toEqual({ currency: "ETH", kind: "future", symbol: null });
    expect(readSubscription("BTC-PERPETUAL")).toMatchObject({ currency: "BTC", kind: "future" });
    expect(readSubscription("ETH_USDC-PERPETUAL")).toMatchObject({ currency: "USDC", kind: "future" });
    expect(readSubscription("BTC-27DEC24-60000-C")).toMatchObject({ currency: "BTC", kind: "option" });
    expect(readSubscription("XRP_USDC-30JUN23-0d62-P")).toMatchObject({ currency: "USDC", kind: "option" });
    for (const bad of ["", "BTCUSDT", "options:", "calls:BTC", "btc-perpetual"]) {
      expect(readSubscription(bad)).toBeUndefined();
    }
  });
});
