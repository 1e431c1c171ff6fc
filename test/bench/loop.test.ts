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
    writeFileSync(capture, simulatedCapture(1, 16));
    const { rows, ratios } = await runLoopBench({
      capture,
      seed: 1,
      rounds: 1,
      pace: 100_000,
      log: () => {},
    });
    const kinds = ["nothing", "outcomes", "drift", "recalibration", "challenger", "challengers", "all"];
    const names = ["line", "sent", "loop"].flatMap((what) =>
      ["off", ...kinds].map((kind) => `${what}/${kind}`),
    );
    expect(rows.map(({ name }) => name)).toEqual([...names, "loop/timer"]);
    for (const { name, n } of rows) expect([name, n > 20]).toEqual([name, true]);
    expect(ratios.map(({ name }) => name)).toEqual(
      ["line", "sent", "loop"].flatMap((what) => kinds.map((kind) => `${what}/${kind}:off/p99`)),
    );
    for (const { value, low = Number.NaN, high = Number.NaN } of ratios) {
      expect(value).toBeGreaterThan(0);
      expect(low).toBeGreaterThan(0);
      expect(high).toBeGreaterThanOrEqual(low);
    }
  },
  300_000,
);
