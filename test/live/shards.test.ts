import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { JournalReader } from "../../src/journal/reader.ts";
import { RECORD } from "../../src/journal/record.ts";
import { replay } from "../../src/journal/replay.ts";
import { showDecision } from "../../src/journal/show.ts";
import { DecisionComparer } from "../../src/journal/verify.ts";
import { engineForReplay } from "../../src/live/replay-engine.ts";
import { Harness } from "./harness.ts";

describe("feeds on two threads, over real sockets", () => {
  let harness: Harness;
  beforeAll(async () => {
    harness = await Harness.start({ KEEL_SHARDS: "2" });
    await harness.untilQuoting();
  }, 60_000);
  afterAll(() => harness.remove());

  test("every venue has a thread, and what it counts is told", async () => {
    const { shards } = harness.live;
    expect(shards?.shards.map(({ ids }) => ids)).toEqual([[0], [1]]);
    await harness.until("the feeds' counters", () =>
      harness.desk.feeds.every(({ counters, carried }) => counters.frames > 0 && carried.length > 0),
    );
    expect(shards?.set?.turns).toBeGreaterThan(100);
    expect(harness.violations).toEqual([]);
  }, 30_000);

  test("a book that loses its connection is pulled and comes back", async () => {
    const before = harness.desk.feeds[0]?.counters.reconnects ?? 0;
    harness.simulation.binance.server.faults.inject(
      { kind: "disconnect", code: 1_001, reason: "test" },
      harness.live.clock.wallUs(),
    );
    await harness.until(
      "another connection",
      () => (harness.desk.feeds[0]?.counters.reconnects ?? 0) > before,
    );
    await harness.untilQuoting();
    expect(harness.violations).toEqual([]);
  }, 30_000);

  test("turns that are too old are not quoted on: the threads begin anew", async () => {
    const { set } = harness.live.shards ?? {};
    Bun.sleepSync(900);
    await harness.until("shards given up", () => (set?.losses.lag ?? 0) > 0);
    await harness.untilQuoting();
    expect(harness.live.shards?.shards.some(({ restarts }) => restarts > 0)).toBe(true);
    expect(harness.violations).toEqual([]);
  }, 60_000);

  test("the journal replays on one thread to the same decisions, bit for bit", async () => {
    await harness.stop();
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
    expect(verified.compared).toBeGreaterThan(5);
    expect(types.get(RECORD.feedTimer) ?? 0).toBeGreaterThan(100);
    expect(types.get(RECORD.feedsLost) ?? 0).toBeGreaterThan(0);
    expect(types.get(RECORD.feedsStarted)).toBe(types.get(RECORD.feedsLost));
    expect(desk.counters).toEqual(harness.desk.counters);
  }, 60_000);
});
