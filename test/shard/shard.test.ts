import { afterEach, expect, test } from "bun:test";
import { RING_NONE, RingConsumer, RingProducer, ringMemory } from "../../src/core/ring.ts";
import { RECORD } from "../../src/journal/record.ts";
import { EVENT, EventBatch, SIDE, TICKER, TICKER_FIELDS } from "../../src/market/event-batch.ts";
import { type ShardFeed, WAKE_BYTES } from "../../src/shard/protocol.ts";
import { recordingOf } from "../../src/shard/recording.ts";
import { Shard } from "../../src/shard/shard.ts";
import { ShardLine, ShardOverflow } from "../../src/shard/shard-line.ts";
import { TurnReader, turnBytes, writeTurn } from "../../src/shard/turn-codec.ts";

const FEED: ShardFeed = {
  id: 3,
  venue: "binance-usdm",
  subscriptions: ["BTCUSDT"],
  seed: 1,
  endpoint: { webSocketUrl: "", restUrl: "" },
};
const NOWHERE = { connect: () => {}, send: () => {}, disconnect: () => {}, request: () => {} };
const shards: Shard[] = [];

afterEach(() => {
  for (const shard of shards.splice(0)) shard.stop();
});

function newShard(): Shard {
  const shard = new Shard({
    ...{ feeds: [FEED], keys: { deribit: null, coinbase: null }, silenceMs: 1_000, requestTimeoutMs: 1_000 },
    ...{ instrumentCapacity: 16, wake: new SharedArrayBuffer(WAKE_BYTES), wallOriginUs: Number.NaN },
    keepsPayloads: true,
    makesFeatures: false,
  });
  shards.push(shard);
  return shard;
}

async function until(condition: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 45_000;
  while (!condition()) {
    if (performance.now() > deadlineMs) throw new Error("not in time");
    await Bun.sleep(2);
  }
}

test("a turn comes out of the ring as it went in, its instruments by the desk's numbers", () => {
  const batch = new EventBatch(8, 8);
  const delta = batch.begin(EVENT.bookDelta, 0, 12.5);
  batch.setSequence(delta, 1, 2, Number.NaN);
  batch.level(SIDE.bid, 100, 0.25);
  batch.level(SIDE.ask, 2_000_000_000, 0);
  batch.begin(EVENT.trade, 1, 13);
  const ticker = batch.begin(EVENT.ticker, 1, Number.NaN);
  batch.values[ticker * TICKER_FIELDS + TICKER.markIv] = 0.5;
  batch.status(0, 3, 8);
  const memory = ringMemory(4_096);
  const ring = new RingProducer(memory);
  const rows = { batch, rows: Int32Array.of(0, 2, 3), count: 3 };
  const text = '{"µ":1}';
  const at = ring.reserve(turnBytes(rows, text.length * 3));
  const turn = { type: RECORD.feedFrame, feed: 3, timeUs: 99.25, exchangeUs: 12.5, hadEvents: true };
  ring.commit(writeTurn(ring, at, turn, text, text.length * 3, rows));

  const consumer = new RingConsumer(memory);
  const reader = new TurnReader();
  reader.open(consumer, consumer.peek());
  const out = new EventBatch(8, 8);
  reader.events(consumer, Int32Array.of(70, 71), out);
  expect(reader).toMatchObject({ ...turn, isFrame: true });
  const end = reader.payloadAt + reader.payloadBytes;
  expect(consumer.bytes.toString("utf8", reader.payloadAt, end)).toBe(text);
  expect([...out.kind.subarray(0, out.count)]).toEqual([EVENT.bookDelta, EVENT.ticker, EVENT.status]);
  expect([...out.instrument.subarray(0, 3)]).toEqual([70, 71, 70]);
  expect([out.firstSequence[0], out.lastSequence[0], out.previousSequence[0]]).toEqual([1, 2, Number.NaN]);
  expect([...out.priceTicks.subarray(0, 2)]).toEqual([100, 2_000_000_000]);
  expect([...out.sizeLots.subarray(0, 2)]).toEqual([0.25, 0]);
  expect(out.values[TICKER_FIELDS + TICKER.markIv]).toBe(0.5);
  expect([out.code[2], out.reason[2]]).toEqual([3, 8]);
});

test("a ring that stays full ends the shard, and nothing is left out silently", () => {
  const memory = ringMemory(1_024);
  let waits = 0;
  const line = new ShardLine({
    ...{ feeds: [FEED], silenceMs: 1_000, instrumentCapacity: 16, port: NOWHERE, keepsPayloads: true },
    makesFeatures: true,
    ring: new RingProducer(memory),
    wait: () => {
      waits += 1;
      return waits < 3;
    },
    published: () => {},
  });
  line.start(0);
  let published = 0;
  expect(() => {
    for (; ; published += 1) line.onTimer(0, published);
  }).toThrow(ShardOverflow);
  expect(waits).toBe(3);
  const consumer = new RingConsumer(memory);
  const reader = new TurnReader();
  const times: number[] = [];
  for (let at = consumer.peek(); at !== RING_NONE; at = consumer.peek()) {
    reader.open(consumer, at);
    times.push(reader.timeUs);
    consumer.release();
  }
  expect(times).toEqual(Array.from({ length: published }, (_, time) => time));
});

test("a thread that ends by an error is a crash, and another follows after a back-off", async () => {
  const shard = newShard();
  const strange = { type: 99, feed: FEED.id, timeUs: 1, payload: "" };
  shard.start(0, recordingOf([strange], [FEED.id]));
  await until(() => shard.ailment(1) !== null);
  expect(shard.ailment(1)).toBe("crash");
  expect(shard.error).toContain("record 99");
  shard.abandon(1_000);
  expect(shard.running).toBe(false);
  expect(shard.dueUs).toBeGreaterThan(1_000);
  expect(shard.ailment(2_000)).toBeNull();
});

test("a thread that stands still is a hang, one that turns is not", async () => {
  const shard = newShard();
  const open = { type: RECORD.feedOpen, feed: FEED.id, timeUs: 1, payload: "" };
  shard.start(0, recordingOf([open], [FEED.id]));
  await until(() => !Number.isNaN(shard.headUs()));
  // The recording is over: its thread takes nothing more, as one that hangs would.
  await Bun.sleep(50);
  expect(shard.ailment(1_000_000)).toBeNull();
  expect(shard.ailment(1_900_000)).toBeNull();
  // Whoever asks stood still himself, and the shard with him for all he knows: this is no hang yet.
  expect(shard.ailment(4_000_000)).toBeNull();
  const asked = Array.from({ length: 10 }, (_, at) => shard.ailment(4_000_000 + (at + 1) * 100_000));
  expect(asked).toContain("hang");
  expect(asked[0]).toBeNull();
});
