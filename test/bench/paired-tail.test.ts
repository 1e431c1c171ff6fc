import { expect, test } from "bun:test";
import { Alternation } from "../../src/bench/alternation.ts";
import { PairedTail } from "../../src/bench/paired-tail.ts";
import { Rng } from "../../src/core/rng.ts";

const BLOCKS = 30;
const TIMES = 400;

/** Work of which the same frames are slow on both sides, in blocks that the host slows down together. */
function measured(options: { readonly runs: number; readonly factor: (run: number) => number }): PairedTail {
  const rng = new Rng(3);
  const tail = new PairedTail();
  for (let run = 0; run < options.runs; run += 1) {
    for (let block = 0; block < BLOCKS; block += 1) {
      const host = 1 + rng.next();
      for (let time = 0; time < TIMES; time += 1) {
        const ns = 3_000 * host * (time % 20 === 0 ? 5 + rng.next() : 1);
        tail.record(run, block, false, ns * (0.98 + 0.04 * rng.next()));
        tail.record(run, block, true, ns * options.factor(run) * (0.98 + 0.04 * rng.next()));
      }
    }
  }
  return tail;
}

test("what costs a tenth is found to, within an interval that does not hold 1", () => {
  const { value, low, high } = measured({ runs: 1, factor: () => 1.1 }).ratio(0.99, 1);
  expect(value).toBeGreaterThan(1.06);
  expect(value).toBeLessThan(1.14);
  expect(low).toBeGreaterThan(1);
  expect(low).toBeLessThanOrEqual(value);
  expect(high).toBeGreaterThanOrEqual(value);
  expect(high).toBeLessThan(1.2);
});

test("what costs nothing is not told from nothing", () => {
  const { low, high } = measured({ runs: 1, factor: () => 1 }).ratio(0.99, 1);
  expect(low).toBeLessThanOrEqual(1);
  expect(high).toBeGreaterThanOrEqual(1);
});

test("runs that differ widen the interval, however many blocks each of them has", () => {
  const alike = measured({ runs: 4, factor: () => 1.1 }).ratio(0.99, 1);
  const unlike = measured({ runs: 4, factor: (run) => 0.8 + 0.2 * run }).ratio(0.99, 1);
  expect(unlike.high - unlike.low).toBeGreaterThan(2 * (alike.high - alike.low));
});

test("a percentile is the nearest rank of all times, and without times there is none", () => {
  const tail = new PairedTail();
  expect(tail.ratio(0.99, 1).value).toBeNaN();
  for (let ns = 1; ns <= 100; ns += 1) {
    tail.record(0, ns % 3, true, ns * 10);
    tail.record(0, ns % 3, false, ns);
  }
  expect(tail.ratio(0.99, 1).value).toBe(10);
  expect(tail.ratio(0.5, 1).value).toBe(10);
});

test("two do every block one after the other, each first as often as the other", async () => {
  const turns = new Alternation(1);
  const done: string[] = [];
  const party = async (who: 0 | 1): Promise<void> => {
    await turns.begin(who);
    for (let block = 0; block < 4; block += 1) {
      done.push(`${who === 0 ? "a" : "b"}${block}`);
      await turns.next(who);
    }
    turns.end(who);
  };
  await Promise.all([party(0), party(1)]);
  expect(done).toEqual(["b0", "a0", "a1", "b1", "b2", "a2", "a3", "b3"]);
});
