import { expect, test } from "bun:test";
import { runShardBench } from "../../src/bench/shards.ts";
import { skipUnlessNative } from "../support/native.ts";

const noEngine = await skipUnlessNative("a benchmark of the cpu engine's line");

test.skipIf(noEngine)(
  "the benchmark of shards does the same work on any number of threads",
  async () => {
    const report = await runShardBench({ capture: undefined, seed: 1, rounds: 1, seconds: 5, log: () => {} });
    expect(report.rows.map(({ name }) => name)).toEqual([
      ...["shards/none", "shards/1", "shards/2", "shards/3"],
      ...["shards/turn", "shards/hop"],
    ]);
    expect(report.rows.every(({ n, p50 }) => n > 0 && p50 > 0)).toBe(true);
    expect(report.checksum).toHaveLength(16);
  },
  120_000,
);
