import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type FeedOptions, FRAME } from "../../src/feed/feed.ts";
import { createFeed, parseFeedList } from "../../src/feed/registry.ts";
import { relaySpec } from "../../src/feed/relay/message.ts";
import { names } from "../../src/feed/relay/subscription.ts";
import {
  EVENT,
  EventBatch,
  FEED_STATE,
  TICKER,
  TICKER_FIELDS,
  UNSOUND,
} from "../../src/market/event-batch.ts";
import { type InstrumentSpec, InstrumentTable } from "../../src/market/instrument.ts";
import { BOOK_SHAPE, L2Book } from "../../src/market/l2-book.ts";
import { LINEAR_PERPETUAL as SPEC } from "../support/perpetuals.ts";
import { ScriptedPort } from "./scripted-port.ts";

const START_US = 1_760_000_000_000_000;

type Body = Readonly<Record<string, unknown>>;

/** A relay feed, a publisher that it is told by, and the book that a desk would have. */
class Rig {
  readonly out = new EventBatch();
  readonly book = new L2Book(BOOK_SHAPE.perpetual);
  readonly states: string[] = [];
  readonly trades: number[] = [];
  readonly port = new ScriptedPort();
  readonly feed;
  timeUs = START_US;
  number = 0;
  session = 1_000;

  constructor(overrides: Partial<FeedOptions> = {}) {
    this.feed = createFeed({
      id: 0,
      venue: "binance-usdm",
      subscriptions: ["relay:BTCUSDT"],
      instruments: new InstrumentTable(4),
      port: this.port,
      seed: 1,
      silenceMs: 5_000,
      ...overrides,
    });
    this.feed.start(this.timeUs);
    this.feed.onOpen(this.timeUs, this.out);
  }

  /** A message with the next number. */
  text(type: string, body: Body = {}): string {
    this.number += 1;
    const { session, number, timeUs } = this;
    const head = { v: 1, type, venue: "binance-usdm", instrument: "BTCUSDT", session, number };
    return JSON.stringify({ ...head, receivedUs: timeUs - 500, exchangeUs: timeUs - 900, ...body });
  }

  say(text: string): number {
    this.timeUs += 1_000;
    const outcome = this.feed.onFrame(text, this.timeUs, this.out);
    this.#apply();
    return outcome;
  }

  tell(type: string, body: Body = {}): number {
    return this.say(this.text(type, body));
  }

  snapshot(bid = 1_000, body: Body = {}): number {
    const levels = {
      bids: [
        [bid, 5],
        [bid - 3, 2],
      ],
      asks: [[bid + 2, 4]],
    };
    return this.tell("snapshot", { sequence: [10, 10, null], spec: relaySpec(SPEC), ...levels, ...body });
  }

  delta(bids: readonly (readonly [number, number])[], body: Body = {}): number {
    return this.tell("delta", { sequence: [11, 11, 10], bids, asks: [], ...body });
  }

  pass(ms: number): void {
    this.timeUs += ms * 1_000;
    this.feed.onTimer(this.timeUs, this.out);
    this.#apply();
  }

  get best(): readonly number[] {
    const { bestBidTicks, bestBidLots, bestAskTicks, bestAskLots } = this.book;
    return [bestBidTicks, bestBidLots, bestAskTicks, bestAskLots];
  }

  #apply(): void {
    const { out } = this;
    for (let row = 0; row < out.count; row += 1) {
      const kind = out.kind[row];
      if (kind === EVENT.bookSnapshot) this.book.applySnapshot(out, row);
      else if (kind === EVENT.bookDelta) this.book.applyDelta(out, row);
      else if (kind === EVENT.top) this.book.applyTop(out, row);
      else if (kind === EVENT.trade) this.trades.push(out.priceTicks[out.levelStart[row] ?? 0] ?? -1);
      else if (kind === EVENT.status) this.states.push(`${out.code[row]}/${out.reason[row]}`);
    }
    out.clear();
  }
}

const LIVE = `${FEED_STATE.live}/${UNSOUND.none}`;
const GAP = `${FEED_STATE.unsound}/${UNSOUND.gap}`;
const STALE = `${FEED_STATE.stale}/${UNSOUND.silence}`;

describe("a relayed feed", () => {
  test("comes live with the first snapshot, which describes the instrument, and follows change by change", () => {
    const rig = new Rig();
    expect(rig.delta([[1_000, 1]])).toBe(FRAME.control);
    rig.snapshot();
    rig.delta([
      [1_001, 7],
      [1_000, 0],
    ]);
    expect([rig.states, rig.best]).toEqual([[LIVE], [1_001, 7, 1_002, 4]]);
    rig.tell("top", { sequence: [12, 12, null], bid: [1_001, 6], ask: [1_003, 1] });
    expect(rig.best).toEqual([1_001, 6, 1_003, 1]);
    rig.tell("trade", { sequence: [99, 99, null], side: "sell", ticks: 1_001, lots: 2 });
    expect([rig.trades, rig.feed.carried[0]]).toEqual([[1_001], { ...SPEC, id: 0 }]);
    expect(rig.feed.counters).toMatchObject({ gaps: 0, unparsable: 0, ignored: 0 });
  });

  test("carries a ticker's values, and only those told", () => {
    const rig = new Rig();
    rig.snapshot();
    rig.feed.onFrame(
      rig.text("ticker", { values: { markPrice: 61_000.5, fundingRate: 1e-4 } }),
      rig.timeUs,
      rig.out,
    );
    const values = rig.out.values.slice(0, TICKER_FIELDS);
    expect([values[TICKER.markPrice], values[TICKER.fundingRate]]).toEqual([61_000.5, 1e-4]);
    expect(values.filter((value) => !Number.isNaN(value))).toHaveLength(2);
  });

  test("passes over repetitions, however many", () => {
    const rig = new Rig();
    rig.snapshot();
    const repeated = rig.text("delta", { sequence: [11, 11, 10], bids: [[1_001, 7]], asks: [] });
    rig.say(repeated);
    rig.delta([[1_001, 9]]);
    for (let i = 0; i < 2_000; i += 1) rig.say(repeated);
    expect([rig.states, rig.best[1], rig.feed.counters.gaps]).toEqual([[LIVE], 9, 0]);
  });

  test("is unsound from a lost message on, and live again with the next snapshot", () => {
    const rig = new Rig();
    rig.snapshot();
    rig.text("delta");
    rig.delta([[1_001, 7]]);
    expect([rig.states, rig.best[0]]).toEqual([[LIVE, GAP], 1_000]);
    rig.delta([[1_002, 7]]);
    rig.snapshot(1_005);
    rig.delta([[1_006, 1]]);
    expect([rig.states, rig.best[0]]).toEqual([[LIVE, GAP, LIVE], 1_006]);
    expect(rig.feed.counters).toMatchObject({ gaps: 1, resyncs: 1 });
    expect(rig.feed.problem).toContain("goes from number 1 to 3");
  });

  test("takes the snapshot that comes from time to time for what it is, and one that the venue began anew as news", () => {
    const rig = new Rig();
    rig.snapshot();
    rig.delta([[1_001, 7]]);
    rig.snapshot(2_000);
    expect([rig.states, rig.best[0]]).toEqual([[LIVE], 1_001]);
    rig.snapshot(3_000, { anew: true });
    expect([rig.states, rig.best[0]]).toEqual([[LIVE], 3_000]);
  });

  test("does not trust what the publisher does not trust", () => {
    const rig = new Rig();
    rig.snapshot();
    rig.tell("status", { state: "unsound", reason: "checksum" });
    rig.delta([[1_001, 7]]);
    expect(rig.states).toEqual([LIVE, `${FEED_STATE.unsound}/${UNSOUND.checksum}`]);
    rig.tell("status", { state: "live", reason: "none" });
    rig.snapshot(1_010);
    expect([rig.states.at(-1), rig.best[0]]).toEqual([LIVE, 1_010]);
  });

  test("is stale while what comes is old, and takes no book from it", () => {
    const rig = new Rig();
    rig.snapshot();
    rig.delta([[1_001, 7]], { receivedUs: rig.timeUs - 3_000_000 });
    rig.snapshot(900, { receivedUs: rig.timeUs - 2_500_000 });
    expect([rig.states, rig.best[0]]).toEqual([[LIVE, STALE], 1_000]);
    rig.snapshot(1_020);
    expect([rig.states.at(-1), rig.best[0]]).toEqual([LIVE, 1_020]);
  });

  test("silence and a lost connection are what they are at a venue", () => {
    const rig = new Rig();
    rig.snapshot();
    rig.pass(5_001);
    expect(rig.states.at(-1)).toBe(STALE);
    rig.pass(1_000);
    rig.feed.onOpen(rig.timeUs, rig.out);
    rig.number += 50;
    rig.snapshot(1_030);
    expect([rig.states.at(-1), rig.best[0], rig.feed.counters.reconnects]).toEqual([LIVE, 1_030, 1]);
    rig.feed.onClose(1_006, "gone", rig.timeUs, rig.out);
    rig.pass(1);
    expect(rig.states.at(-1)).toBe(`${FEED_STATE.unsound}/${UNSOUND.disconnect}`);
  });

  test("a number that ran ahead does not keep the book from coming back", () => {
    const rig = new Rig();
    rig.snapshot();
    rig.say(rig.text("delta", { sequence: [11, 11, 10], bids: [], asks: [], number: 9_000_000 }));
    expect(rig.states).toEqual([LIVE, `${FEED_STATE.unsound}/${UNSOUND.gap}`]);
    for (let i = 0; i < 8; i += 1) rig.snapshot(1_020 + i);
    expect([rig.states.length, rig.best[0]]).toEqual([2, 1_000]);
    rig.snapshot(1_030);
    rig.delta([[1_031, 1]]);
    expect([rig.states.slice(2), rig.best[0]]).toEqual([[LIVE], 1_031]);
    expect(rig.feed.counters.gaps).toBe(1);
  });

  test("a later publisher takes over with its snapshot; the earlier one is not heard any more until the later falls silent", () => {
    const rig = new Rig();
    rig.snapshot();
    const earlier = rig.number;
    [rig.session, rig.number] = [2_000, 0];
    rig.delta([[1_001, 7]]);
    expect(rig.best[0]).toBe(1_000);
    rig.snapshot(1_100);
    rig.delta([[1_101, 1]]);
    const later = rig.number;
    [rig.session, rig.number] = [1_000, earlier];
    rig.delta([[1_050, 0]]);
    rig.snapshot(1_060);
    expect([rig.states, rig.best[0]]).toEqual([[LIVE], 1_101]);
    for (let i = 0; i < 6; i += 1) {
      rig.timeUs += 1_000_000;
      rig.snapshot(1_070);
    }
    expect([rig.states, rig.best[0]]).toEqual([[LIVE], 1_070]);
    [rig.session, rig.number] = [2_000, later];
    rig.snapshot(1_200);
    expect(rig.best[0]).toBe(1_200);
    expect(rig.feed.counters.gaps).toBe(0);
  });

  test.each([
    ["another version", { v: 2 }],
    ["no numbers", { number: "7" }],
    ["a level that is none", { bids: [[1_000.5, 1]] }],
    ["a size that is none", { bids: [[1_000, -1]] }],
    ["no asks", { asks: null }],
  ])("refuses %s, says so, and trusts the book no more", (_what, body) => {
    const rig = new Rig();
    rig.snapshot();
    expect(rig.delta([[1_001, 7]], body)).toBe(FRAME.unparsable);
    expect([rig.states.at(-1), rig.feed.counters.unparsable]).toEqual([
      `${FEED_STATE.unsound}/${UNSOUND.unparsable}`,
      1,
    ]);
    expect(rig.feed.problem).toContain("relayed message");
  });

  test("other venues and instruments are passed over; a description that is none is refused", () => {
    const rig = new Rig();
    expect(rig.snapshot(1_000, { venue: "deribit" })).toBe(FRAME.control);
    expect(
      rig.snapshot(1_000, { instrument: "ETHUSDT", spec: relaySpec({ ...SPEC, symbol: "ETHUSDT" }) }),
    ).toBe(FRAME.control);
    expect(rig.feed.carried).toHaveLength(0);
    expect(rig.snapshot(1_000, { spec: { ...relaySpec(SPEC), tick: null } })).toBe(FRAME.unparsable);
    expect(rig.snapshot()).toBe(FRAME.ok);
  });

  test("any text is answered without a throw, and a book event stands only when it is whole", () => {
    const rig = new Rig();
    rig.snapshot();
    const frames = ["snapshot", "delta", "top", "trade", "ticker", "status"].map((type) =>
      JSON.stringify({ type, v: 1, venue: "binance-usdm", instrument: "BTCUSDT", session: 1_000, number: 2 }),
    );
    fc.assert(
      fc.property(fc.constantFrom(...frames), fc.nat(), fc.nat(), fc.string(), (frame, at, length, noise) => {
        const from = at % frame.length;
        const out = new EventBatch(8, 64);
        rig.feed.onFrame(frame.slice(0, from) + noise + frame.slice(from + (length % 40)), START_US, out);
        expect(out.count).toBeLessThanOrEqual(2);
      }),
      { seed: 5, numRuns: 2_000 },
    );
  });
});

test("a venue is relayed as a whole or not at all, under subscriptions that it takes itself", () => {
  expect(parseFeedList("binance-usdm:relay:BTCUSDT,deribit:relay:options:BTC")).toEqual([
    { venue: "binance-usdm", subscriptions: ["relay:BTCUSDT"] },
    { venue: "deribit", subscriptions: ["relay:options:BTC"] },
  ]);
  expect(() => parseFeedList("binance-usdm:BTCUSDT,binance-usdm:relay:ETHUSDT")).toThrow(/relayed, or none/);
  expect(() => parseFeedList("binance-usdm:relay:btc")).toThrow(/symbol in capitals/);
});

test("subscriptions name instruments as their venues do", () => {
  const option: InstrumentSpec = { ...SPEC, symbol: "BTC-27DEC24-60000-C", kind: "option", settle: "BTC" };
  expect([names("options:BTC", option), names("options:ETH", option), names("futures:BTC", option)]).toEqual([
    true,
    false,
    false,
  ]);
  expect([names("BTCUSDT@50", SPEC), names("orders:BTCUSDT", SPEC), names("futures:BTC", SPEC)]).toEqual([
    true,
    true,
    true,
  ]);
});
