import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { loadNative } from "../../src/core/native.ts";
import { ringMemory } from "../../src/core/ring.ts";
import { JournalReader } from "../../src/journal/reader.ts";
import { RECORD } from "../../src/journal/record.ts";
import { replay } from "../../src/journal/replay.ts";
import { showDecision } from "../../src/journal/show.ts";
import { DecisionComparer } from "../../src/journal/verify.ts";
import { engineForReplay } from "../../src/live/replay-engine.ts";
import { CONTROL_BYTES, WAKE_BYTES } from "../../src/shard/protocol.ts";
import type { ShardLoss } from "../../src/shard/shard.ts";
import { Harness } from "./harness.ts";

const OriginalWorker = globalThis.Worker;

/** Replays a stopped harness's journal on one thread. @returns how many records of each type there were */
async function replayed(harness: Harness): Promise<ReadonlyMap<number, number>> {
  const comparer = new DecisionComparer(showDecision);
  const types = new Map<number, number>();
  const { desk } = await replay(new JournalReader(join(harness.folder, "journal")).records(), {
    engineFor: (start) => engineForReplay(start, undefined, { info: () => {}, warn: () => {} }),
    decisions: comparer,
    onRecord: (record) => {
      types.set(record.type, (types.get(record.type) ?? 0) + 1);
      comparer.recorded(record);
    },
    stop: () => comparer.differs,
  });
  const verified = comparer.finish();
  expect(verified.difference).toBeNull();
  expect(verified.compared).toBeGreaterThan(2);
  expect(desk.counters).toEqual(harness.desk.counters);
  return types;
}

/**
 * Drops a connection of Binance and waits for another. A loaded host may also have cost the thread, whose counters then begin anew, so
 * the venue is asked, not the feed.
 */
async function losesItsConnection(harness: Harness): Promise<void> {
  const { clients, faults } = harness.simulation.binance.server;
  const before = new Set(clients);
  faults.inject({ kind: "disconnect", code: 1_001, reason: "test" }, harness.live.clock.wallUs());
  await harness.until("another connection", () => [...clients].some((client) => !before.has(client)));
}

describe("feeds on two threads, over real sockets", () => {
  let harness: Harness;
  const threads: Worker[] = [];
  beforeAll(async () => {
    globalThis.Worker = class extends OriginalWorker {
      constructor(...made: ConstructorParameters<typeof Worker>) {
        super(...made);
        if (String(made[0]).includes("shard")) threads.push(this);
      }
    };
    harness = await Harness.start({ KEEL_SHARDS: "2" });
    await harness.untilQuoting();
  }, 120_000);
  // What one trouble has done is not held against the next.
  beforeEach(() => {
    harness.violations.length = 0;
  });
  afterAll(async () => {
    globalThis.Worker = OriginalWorker;
    await harness.remove();
  });

  /** A thread is given up by a cause, and quotes are there again by another. */
  async function isReplaced(loss: ShardLoss, bring: (thread: Worker) => void): Promise<void> {
    const { set } = harness.live.shards ?? {};
    const before = { losses: set?.losses[loss] ?? 0, threads: threads.length };
    let struck: Worker | undefined;
    await harness.until(`a ${loss}`, () => {
      // A busy host may cost a thread before this does; then it is the next one's turn.
      const thread = threads.at(-1);
      if (thread !== undefined && thread !== struck) bring(thread);
      struck = thread;
      return (set?.losses[loss] ?? 0) > before.losses;
    });
    await harness.until("another thread", () => threads.length > before.threads);
    await harness.untilQuoting();
    expect(harness.violations).toEqual([]);
  }

  test("every venue has a thread, and what it counts is told", async () => {
    const { shards } = harness.live;
    expect(shards?.shards.map(({ ids }) => ids)).toEqual([[0], [1]]);
    await harness.until("the feeds' counters", () =>
      harness.desk.feeds.every(({ counters, carried }) => counters.frames > 0 && carried.length > 0),
    );
    expect(shards?.set?.turns).toBeGreaterThan(100);
    // An engine that answers later has its rows made on the quoting thread.
    expect(shards?.remote.makesFeatures).toBe((await loadNative()).missing === null);
    expect(harness.desk.counters.predictions).toBeGreaterThan(0);
    expect(harness.violations).toEqual([]);
  }, 120_000);

  test("a book that loses its connection is pulled and comes back", async () => {
    await losesItsConnection(harness);
    await harness.untilQuoting();
    expect(harness.violations).toEqual([]);
  }, 120_000);

  test("turns that are too old are not quoted on: the threads begin anew", async () => {
    const { set } = harness.live.shards ?? {};
    Bun.sleepSync(900);
    await harness.until("shards given up", () => (set?.losses.lag ?? 0) > 0);
    await harness.untilQuoting();
    expect(harness.live.shards?.shards.some(({ restarts }) => restarts > 0)).toBe(true);
    expect(harness.violations).toEqual([]);
  }, 120_000);

  test("a thread that ends is given up, and its books with it; another takes its place", async () => {
    await isReplaced("crash", (thread) => thread.terminate());
  }, 120_000);

  test("so is a thread whose code throws", async () => {
    await isReplaced("crash", (thread) => thread.postMessage({ recording: null }));
  }, 120_000);

  test("so is a thread whose event loop stands still", async () => {
    await isReplaced("hang", (thread) =>
      // A recording without an end keeps its thread from ever turning.
      thread.postMessage({
        ...{ feeds: [], keys: { deribit: null, coinbase: null }, silenceMs: 1_000, requestTimeoutMs: 1_000 },
        ...{ instrumentCapacity: 1, ring: ringMemory(1_024), control: new SharedArrayBuffer(CONTROL_BYTES) },
        ...{ wake: new SharedArrayBuffer(WAKE_BYTES), wallOriginUs: Number.NaN, startUs: 0 },
        ...{ keepsPayloads: true, makesFeatures: true, recording: ringMemory(1_024) },
      }),
    );
  }, 120_000);

  test("the journal replays on one thread to the same decisions, bit for bit", async () => {
    await harness.stop();
    const types = await replayed(harness);
    expect(types.get(RECORD.feedTimer) ?? 0).toBeGreaterThan(100);
    expect(types.get(RECORD.feedsLost) ?? 0).toBeGreaterThan(3);
    expect(types.get(RECORD.feedsStarted)).toBe(types.get(RECORD.feedsLost));
  }, 120_000);
});

test("with more threads than venues a venue's coins are spread, and the journal replays on one thread", async () => {
  const feeds = "binance-usdm:BTCUSDT,binance-usdm:ETHUSDT,deribit:BTC-PERPETUAL,deribit:options:BTC";
  const harness = await Harness.start({ KEEL_FEEDS: feeds, KEEL_SHARDS: "4" });
  try {
    await harness.untilQuoting();
    expect(
      harness.live.shards?.shards.map((shard) => shard.feeds.map(({ subscriptions }) => subscriptions)),
    ).toEqual([[["BTCUSDT"]], [["ETHUSDT"]], [["BTC-PERPETUAL", "options:BTC"]]]);
    await losesItsConnection(harness);
    await harness.untilQuoting();
    await harness.stop();
    await replayed(harness);
    expect(harness.violations).toEqual([]);
  } finally {
    await harness.remove();
  }
}, 120_000);
