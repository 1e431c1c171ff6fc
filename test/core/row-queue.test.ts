import { expect, test } from "bun:test";
import { Rng } from "../../src/core/rng.ts";
import { RowQueue } from "../../src/core/row-queue.ts";

test("rows come out as they went in, as those of an array do", () => {
  const rng = new Rng(7);
  const queue = new RowQueue(2);
  let plain: number[][] = [];
  for (let step = 0; step < 5_000; step += 1) {
    // First more come in than leave, then the other way round.
    const isPush = rng.int(100) < (step % 1_000 < 500 ? 70 : 40);
    if (isPush || plain.length === 0) {
      queue.push(step, -step);
      plain.push([step, -step]);
    } else {
      queue.shift();
      plain.shift();
    }
    if (rng.int(1_000) === 0) {
      queue.clear();
      plain = [];
    }
    expect(queue.size).toBe(plain.length);
    for (const row of [0, 1, -1, plain.length]) expect(queue.at(row, 1)).toBe(plain.at(row)?.[1]);
  }
  expect(queue.rows()).toEqual(plain);
});

test("a row of another width is refused, and so is taking away from none", () => {
  const queue = new RowQueue(2);
  expect(() => queue.push(1)).toThrow("a row has 2 numbers, got 1");
  expect(() => queue.shift()).toThrow("there is a row");
});
