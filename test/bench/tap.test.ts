import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { simulatedCapture } from "../../src/bench/input.ts";
import { runTapBench } from "../../src/bench/tap.ts";
import { skipUnlessNative } from "../support/native.ts";

const noEngine = await skipUnlessNative("a benchmark of the cpu engine's line");

const folder = mkdtempSync(join(tmpdir(), "keel-bench-tap-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.skipIf(noEngine)(
  "the cost of being followed is measured on the same frames and decisions",
  async () => {
    const capture = join(folder, "simulated.txt");
    writeFileSync(capture, simulatedCapture(1, 5));
    const { rows, ratios } = await runTapBench({ capture, seed: 1, rounds: 1, log: () => {} });
    expect(rows.map(({ name }) => name)).toEqual(["tap/off", "tap/on", "tap/feed"]);
    expect(new Set(rows.map(({ n }) => n)).size).toBe(1);
    for (const { value } of ratios) expect(value).toBeGreaterThan(0);
  },
  120_000,
);
