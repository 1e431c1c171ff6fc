import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { simulatedCapture } from "../../src/bench/input.ts";
import { runLoopBench } from "../../src/bench/loop.ts";
import { skipUnlessNative } from "../support/native.ts";

const noEngine = await skipUnlessNative("a benchmark of the cpu engine's line");

const folder = mkdtempSync(join(tmpdir(), "keel-bench-loop-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.skipIf(noEngine)(
  "the cost of the learning loop is measured on the same frames and decisions",
  async () => {
    const capture = join(folder, "simulated.txt");
    writeFileSync(capture, simulatedCapture(1, 5));
    const { rows, ratios } = await runLoopBench({ capture, seed: 1, rounds: 1, log: () => {} });
    const kinds = ["off", "outcomes", "drift", "recalibration", "all"];
    const names = ["line", "loop"].flatMap((what) => kinds.map((kind) => `${what}/${kind}`));
    expect(rows.map(({ name }) => name)).toEqual([...names, "loop/timer"]);
    expect(new Set(rows.slice(0, 5).map(({ n }) => n)).size).toBe(1);
    expect(new Set(rows.slice(5, 10).map(({ n }) => n)).size).toBe(1);
    expect(rows.at(-1)?.n).toBeGreaterThan(100);
    expect(ratios.map(({ name }) => name)).toEqual(
      expect.arrayContaining(["line/all:off/p99", "loop/all:off/p99"]),
    );
    for (const { value } of ratios) expect(value).toBeGreaterThan(0);
  },
  60_000,
);
