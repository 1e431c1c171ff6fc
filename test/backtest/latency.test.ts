import { expect, test } from "bun:test";
import { DEFAULT_LATENCY, FeedLatency, Line } from "../../src/backtest/latency.ts";
import { Tape } from "../../src/backtest/tape.ts";
import { TimedQueue } from "../../src/backtest/timed-queue.ts";
import { EVENT, EventBatch } from "../../src/market/event-batch.ts";

test("a message arrives after the latency and its jitter, and overtakes none", () => {
  const line = new Line(500, 100, 1);
  const arrivals = Array.from({ length: 1_000 }, (_, i) => line.arrivalUs(i));
  expect(arrivals.every((at, i) => at >= i + 500 && at >= (arrivals[i - 1] ?? 0))).toBe(true);
  expect(new Set(arrivals).size).toBeGreaterThan(1);
});

test("the same seed gives the same jitter", () => {
  const arrivals = (seed: number) => Array.from({ length: 9 }, () => new Line(0, 50, seed).arrivalUs(0));
  expect(arrivals(3)).toEqual(arrivals(3));
  expect(arrivals(3)).not.toEqual(arrivals(4));
});

test("measured feed latency is what an event needed longer than the fastest one, and the base", () => {
  const latency = new FeedLatency({ ...DEFAULT_LATENCY, feedBaseUs: 200, feedMaxUs: 10_000 }, [-1_270_000]);
  expect(latency.venueUs(0, 2_270_000, 1_000_000)).toBe(1_000_000 - 200);
  expect(latency.venueUs(0, 2_270_000 - 3_000, 1_000_000)).toBe(1_000_000 - 3_200);
  expect(latency.venueUs(0, 0, 1_000_000)).toBe(1_000_000 - 10_000);
  expect(latency.cut).toBe(1);
  expect(latency.venueUs(0, Number.NaN, 1_000_000)).toBe(1_000_000 - 200);
});

test("configured feed latency is the same for every event", () => {
  const latency = new FeedLatency({ ...DEFAULT_LATENCY, feed: 5_000 }, [Number.NaN]);
  expect([latency.venueUs(0, 7, 1_000_000), latency.maxUs]).toEqual([995_000, 5_000]);
});

test("the tape gives events back by venue time, then as they came, however many there are", () => {
  const tape = new Tape();
  const batch = new EventBatch(1, 64);
  const times = Array.from({ length: 20_000 }, (_, i) => (i * 7_919) % 10_007);
  for (const [i, timeUs] of times.entries()) {
    batch.clear();
    batch.begin(EVENT.bookDelta, i, 0);
    for (let level = 0; level < i % 8; level += 1) batch.level(level & 1, i, level);
    tape.push(batch, 0, timeUs);
  }
  const expected = times.map((timeUs, i) => ({ timeUs, i })).sort((a, b) => a.timeUs - b.timeUs || a.i - b.i);
  for (const { timeUs, i } of expected) {
    expect(tape.nextUs).toBe(timeUs);
    const slot = tape.take();
    tape.copy(slot, batch);
    const levels = [...batch.priceTicks.subarray(0, batch.levels)];
    if (tape.instrument[slot] !== i || batch.levels !== i % 8 || levels.some((ticks) => ticks !== i)) {
      throw new Error(`event ${i} came back as ${tape.instrument[slot]} with ${batch.levels} levels`);
    }
    tape.release(slot);
  }
  expect([tape.size, tape.take()]).toEqual([0, -1]);
});

test("a queue of timed things gives them back in order", () => {
  const queue = new TimedQueue<number>();
  const got: number[] = [];
  for (let i = 0; i < 5_000; i += 1) {
    queue.push(i, i);
    if (i % 3 !== 0) got.push(queue.shift() ?? -1);
  }
  while (queue.size > 0) got.push(queue.shift() ?? -1);
  expect(got).toEqual(Array.from({ length: 5_000 }, (_, i) => i));
  expect([queue.nextUs, queue.shift()]).toEqual([Number.POSITIVE_INFINITY, undefined]);
});
