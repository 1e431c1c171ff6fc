import { afterEach, beforeEach, expect, test } from "bun:test";
import { loadConfig } from "../../src/config.ts";
import { RingConsumer, RingProducer, ringMemory } from "../../src/core/ring.ts";
import { Desk } from "../../src/desk/desk.ts";
import { noTimer } from "../../src/desk/latency.ts";
import { RECORD } from "../../src/journal/record.ts";
import { EventBatch } from "../../src/market/event-batch.ts";
import type { InstrumentSpec } from "../../src/market/instrument.ts";
import { NOT_TRIPPED } from "../../src/risk/kill-switch.ts";
import {
  type Described,
  SHARD_RECORD,
  type ShardFeed,
  toWire,
  WAKE_BYTES,
} from "../../src/shard/protocol.ts";
import { RemoteFeeds } from "../../src/shard/remote-feeds.ts";
import { Shard } from "../../src/shard/shard.ts";
import { ShardSet } from "../../src/shard/shard-set.ts";
import { turnBytes, writeTurn } from "../../src/shard/turn-codec.ts";
import { PERPETUAL } from "../support/perpetuals.ts";

const ENDPOINT = { webSocketUrl: "", restUrl: "" };
const FEEDS: readonly ShardFeed[] = [
  { id: 0, venue: "deribit", subscriptions: ["BTC-PERPETUAL"], seed: 1, endpoint: ENDPOINT },
  { id: 1, venue: "binance-usdm", subscriptions: ["BTCUSDT"], seed: 2, endpoint: ENDPOINT },
];
const NOTHING = { batch: new EventBatch(1, 1), rows: new Int32Array(0), count: 0 };
const RING_BYTES = 65_536;

let shards: Shard[];
let rings: RingProducer[];
let desk: Desk;
let set: ShardSet;
let nowUs: number;
let journalled: [type: number, feed: number, timeUs: number][];

beforeEach(() => {
  const config = loadConfig({});
  const wake = new SharedArrayBuffer(WAKE_BYTES);
  const remote = new RemoteFeeds(FEEDS, false);
  rings = [];
  shards = FEEDS.map((feed) => {
    const keys = { deribit: null, coinbase: null };
    const shard = new Shard({
      ...{ feeds: [feed], keys, silenceMs: 1_000, requestTimeoutMs: 1_000, instrumentCapacity: 16, wake },
      ...{ wallOriginUs: Number.NaN, keepsPayloads: true },
      makesFeatures: false,
    });
    const memory = ringMemory(RING_BYTES);
    rings.push(new RingProducer(memory));
    shard.ring = new RingConsumer(memory);
    shard.running = true;
    return shard;
  });
  const port = {
    ...{ connect: () => {}, send: () => {}, disconnect: () => {}, request: () => {}, publish: () => {} },
    ...{ predicted: () => {}, decided: () => {}, cancelAll: () => {}, submit: () => {}, sendOrder: () => {} },
    ...{ cancelOrder: () => {}, askOrder: () => {}, engineLost: () => {}, killChanged: () => {} },
    decidedRisk: () => {},
  };
  desk = new Desk({
    ...{ feeds: FEEDS, signals: [], instrumentCapacity: 16, silenceMs: 1_000, seed: 1, engine: null, port },
    ...{ quote: config.quote, risk: config.risk, kill: NOT_TRIPPED },
    ...{ timer: noTimer, remote, shards: 2 },
  });
  nowUs = 100;
  journalled = [];
  set = new ShardSet({
    ...{ shards, remote, desk, timer: noTimer, wake, journals: true },
    journal: {
      dropped: 0,
      text: (type, feed, timeUs) => journalled.push([type, feed, timeUs]),
      bytes: (type, feed, timeUs) => journalled.push([type, feed, timeUs]),
    },
    wallUs: () => nowUs,
    monotonicNs: () => nowUs * 1_000,
    onNews: () => {},
    onLost: () => {},
    onDrained: () => {},
  });
});

afterEach(() => set.close());

/** Puts a record into a shard's ring. */
function put(shard: number, type: number, timeUs: number, payload = ""): void {
  const most = payload.length * 3;
  const ring = rings[shard];
  const at = ring?.reserve(turnBytes(NOTHING, most)) ?? -1;
  const turn = { type, feed: shard, timeUs, exchangeUs: Number.NaN, hadEvents: false };
  if (ring !== undefined) ring.commit(writeTurn(ring, at, turn, payload, most, NOTHING));
}

function perpetual(symbol: string): InstrumentSpec {
  return { ...PERPETUAL, symbol };
}

function described(...specs: InstrumentSpec[]): string {
  const told: Described = { first: 0, specs: specs.map(toWire), carried: specs.map((_, at) => at) };
  return JSON.stringify(told);
}

test("the input with the earliest receive time comes first, the lower feed where times are equal", () => {
  put(1, RECORD.feedTimer, 20);
  put(1, RECORD.feedTimer, 30);
  put(0, RECORD.feedTimer, 30);
  put(0, RECORD.feedTimer, 40);
  set.drain();
  expect(journalled.map(([, feed, timeUs]) => [feed, timeUs])).toEqual([
    [1, 20],
    [0, 30],
    [1, 30],
    [0, 40],
  ]);
});

test("instruments are taken in with the turn that brings them, whatever another shard says in between", () => {
  put(0, SHARD_RECORD.described, 60, described(perpetual("BTC-PERPETUAL")));
  set.drain();
  expect(desk.market.instruments.size).toBe(0);
  put(1, RECORD.feedTimer, 50);
  put(0, RECORD.feedResponse, 60, '{"request":1,"status":200,"retryAfterMs":null,"body":""}');
  set.drain();
  expect(desk.market.instruments.size).toBe(1);
  expect(desk.market.feedOf(0)).toBe(0);
  expect(desk.feeds[0]?.carried.map(({ symbol }) => symbol)).toEqual(["BTC-PERPETUAL"]);
});

test("instruments of a turn that was lost with its thread are not known", () => {
  put(0, SHARD_RECORD.described, 60, described(perpetual("BTC-PERPETUAL")));
  set.drain();
  put(0, RECORD.feedResponse, 60, "{}");
  nowUs = 60 + 600_000;
  set.drain();
  expect(set.losses.lag).toBe(1);
  expect(journalled.map(([type]) => type)).toEqual([RECORD.feedsLost]);
  expect(desk.market.instruments.size).toBe(0);
});

test("how long the oldest turn has waited is told, and 0 where none does", () => {
  expect(set.waitedUs(1_000)).toBe(0);
  put(0, RECORD.feedTimer, 60);
  put(1, RECORD.feedTimer, 40);
  expect(set.waitedUs(1_000)).toBe(960);
  expect(set.waitedUs(10)).toBe(0);
  set.drain();
  expect(set.waitedUs(1_000)).toBe(0);
});

test("while quotes are pulled because of load, turns wait without costing the thread, and all are taken", () => {
  nowUs = 10_000_000;
  set.shed(true, nowUs);
  put(0, RECORD.feedTimer, 60);
  put(1, RECORD.feedTimer, 70);
  set.drain();
  expect(journalled).toEqual([
    [RECORD.feedTimer, 0, 60],
    [RECORD.feedTimer, 1, 70],
  ]);
  set.shed(false, nowUs);
  expect(shards.every(({ running }) => running)).toBe(true);
  expect(set.losses.lag).toBe(0);
  put(0, RECORD.feedTimer, 80);
  set.drain();
  expect(set.losses.lag).toBe(1);
});

test("what has waited too long when quotes come back is given up before they do", () => {
  nowUs = 10_000_000;
  set.shed(true, nowUs);
  put(0, RECORD.feedTimer, 60);
  put(1, RECORD.feedTimer, nowUs - 1_000);
  set.shed(false, nowUs);
  expect(set.losses.lag).toBe(1);
  expect(shards.map(({ running }) => running)).toEqual([false, true]);
  expect(journalled).toEqual([[RECORD.feedsLost, 0, nowUs]]);
});

test("while quotes are pulled because of load, a thread whose heart stops is given up all the same", () => {
  set.shed(true, nowUs);
  for (; nowUs < 20_000_000 && set.losses.hang === 0; nowUs += 10_000) set.onTimer(nowUs);
  expect(set.losses.hang).toBe(2);
  expect(shards.map(({ running }) => running)).toEqual([false, false]);
});

test("however often turns are left over, the event loop has its turn after one burst of them", async () => {
  for (let i = 0; i < 900; i += 1) put(0, RECORD.feedTimer, 60);
  set.drain();
  set.onTimer(nowUs);
  expect(set.turns).toBe(512);
  await new Promise((resolve) => setImmediate(resolve));
  expect(set.turns).toBe(768);
});

test("more instruments than the process takes cost the thread, before its turn is told", () => {
  const many = Array.from({ length: 17 }, (_, at) => perpetual(`BTC-${at}`));
  put(0, SHARD_RECORD.described, 60, described(...many));
  put(0, RECORD.feedResponse, 60, "{}");
  set.drain();
  expect(set.losses.overflow).toBe(1);
  expect(shards[0]?.error).toContain("16");
  expect(journalled.map(([type]) => type)).toEqual([RECORD.feedsLost]);
});
