import { expect, test } from "bun:test";
import { runFixBench } from "../../src/bench/fix.ts";

test("the FIX benchmark runs and does the same work for the same seed", () => {
  const first = runFixBench({ messages: 2_000, seed: 1 });
  const second = runFixBench({ messages: 2_000, seed: 1 });
  expect(first.rows.map((row) => row.name)).toEqual(["fix/encode", "fix/parse"]);
  expect(first.checksum).toBe(second.checksum);
  expect(first.rows.every((row) => row.p50 > 0 && row.n === 2_000)).toBe(true);
});
