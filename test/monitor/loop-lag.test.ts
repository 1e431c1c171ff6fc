import { edenGC } from "bun:jsc";
import { expect, test } from "bun:test";
import { CollectionWatch } from "../../src/monitor/collection-watch.ts";
import { LoopLag } from "../../src/monitor/loop-lag.ts";

const MS = 1e6;

test("lag is what the timer came later than asked for; of turns with a collection it is kept twice", () => {
  const lag = new LoopLag(10);
  lag.turn(0, true);
  lag.turn(10 * MS, false);
  lag.turn(23 * MS, true);
  lag.turn(40 * MS, false);
  expect([lag.histogram.count, lag.histogram.max]).toEqual([3, 7_000]);
  expect([lag.collecting.count, lag.collecting.max]).toEqual([1, 3_000]);
  expect(lag.recentMsMax).toBe(7);
});

test("the recent maximum is forgotten after 10 to 20 s", () => {
  const lag = new LoopLag(10);
  lag.turn(0, false);
  lag.turn(60 * MS, false);
  for (let ms = 70; ms < 9_000; ms += 10) lag.turn(ms * MS, false);
  expect(lag.recentMsMax).toBe(50);
  for (let ms = 9_000; ms < 21_000; ms += 10) lag.turn(ms * MS, false);
  expect(lag.recentMsMax).toBe(0);
});

test("a collection is seen once, by the next look in a turn of its own", async () => {
  const watch = new CollectionWatch();
  // The stack may still hold the object for a moment.
  let seen = 0;
  for (let round = 0; round < 20; round += 1) {
    await Bun.sleep(1);
    Bun.gc(true);
    await Bun.sleep(1);
    if (watch.seen()) seen += 1;
    if (watch.seen()) throw new Error("seen twice");
  }
  expect(seen).toBeGreaterThan(10);
});

test("a collection in the turn of a look hides none of those after it", async () => {
  const watch = new CollectionWatch();
  for (let round = 0; round < 5; round += 1) {
    watch.seen();
    edenGC();
    await Bun.sleep(1);
  }
  watch.seen();
  let seen = 0;
  for (let round = 0; round < 20; round += 1) {
    await Bun.sleep(1);
    edenGC();
    await Bun.sleep(1);
    if (watch.seen()) seen += 1;
  }
  expect(seen).toBeGreaterThan(10);
});
