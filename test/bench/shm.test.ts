import { expect, test } from "bun:test";
import { runShmBench } from "../../src/bench/shm.ts";

test("the shared-memory benchmark runs and publishes the same for the same seed", () => {
  const first = runShmBench({ updates: 1_600, seed: 1 });
  const second = runShmBench({ updates: 1_600, seed: 1 });
  expect(first.rows.map((row) => row.name)).toEqual(["shm/quote", "shm/prediction", "shm/copy"]);
  expect(first.checksum).toBe(second.checksum);
  expect(Number(first.checksum)).toBeGreaterThan(0);
});
