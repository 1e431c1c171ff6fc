import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { simulatedCapture } from "../../src/bench/input.ts";
import { rowSources, sinceOf } from "../../src/command/dataset/sources.ts";
import { FEATURE_COUNT } from "../../src/feature/schema.ts";
import { buildDataset } from "../../src/learn/dataset/build.ts";
import type { DatasetRow, RowSource } from "../../src/learn/dataset/row.ts";
import { rowsSince } from "../../src/learn/dataset/since.ts";

const root = mkdtempSync(join(tmpdir(), "keel-since-"));
afterAll(() => {
  for (const name of readdirSync(root, { recursive: true })) chmodSync(join(root, String(name)), 0o755);
  rmSync(root, { recursive: true, force: true });
});

const row = (timeUs: number): DatasetRow => ({
  ...{ timeUs, exchangeTimeUs: timeUs, instrument: "a:B", midTicks: 1, bidDepth: 1, askDepth: 1 },
  ...{ features: new Float32Array(FEATURE_COUNT), probabilities: null },
});

const source: RowSource = {
  kind: "capture",
  name: "made",
  files: [],
  play: async (sink, untilUs) => {
    for (let timeUs = 0; timeUs < 10 && timeUs <= untilUs; timeUs += 1) sink.row(row(timeUs));
    sink.broken("a:B");
  },
};

describe("rows since a time", () => {
  test("are played from the beginning and counted from then on", async () => {
    const times: number[] = [];
    const broken: string[] = [];
    const since = rowsSince(source, 4);
    await since.play({ row: ({ timeUs }) => times.push(timeUs), broken: (name) => broken.push(name) }, 6);
    expect([times, broken, since.sinceUs]).toEqual([[4, 5, 6], ["a:B"], 4]);
  });

  test("begin at a time, or at the beginning of a day so many days ago", () => {
    const nowMs = Date.parse("2026-11-22T14:30:00Z");
    expect(sinceOf(undefined, undefined, nowMs)).toBeNull();
    expect(sinceOf("2026-11-20", undefined, nowMs)).toBe(Date.parse("2026-11-20T00:00:00Z") * 1e3);
    expect(sinceOf(undefined, 7, nowMs)).toBe(Date.parse("2026-11-15T00:00:00Z") * 1e3);
    expect(() => sinceOf("2026-11-20", 7, nowMs)).toThrow("exclude each other");
  });

  test("of a capture that was cut off are those before it, and the build says so", async () => {
    const path = join(root, "cut.gz");
    const whole = gzipSync(simulatedCapture(1, 12));
    writeFileSync(path, whole.subarray(0, whole.length * 0.8));
    const sources = await rowSources([path], { run: undefined, sinceUs: 0 }, () => {});
    const told: string[] = [];
    const { manifest } = await buildDataset(
      sources,
      { directory: join(root, "datasets"), splits: [["all", 1]], embargoUs: 0, label: "", leakCheck: false },
      (line) => told.push(line),
    );
    expect(manifest.rows).toBeGreaterThan(100);
    expect(told.join("\n")).toMatch(/note: .*cut\.gz: .+; what is before it was used/);
  });

  test("leave out files that were last written before, and say so when there are no others", async () => {
    const path = join(root, "old.log");
    writeFileSync(path, `1700000000000000000 {"stream":"btcusdt@trade","data":{}}\n`);
    utimesSync(path, 1_700_000_000, 1_700_000_000);
    const take = (sinceUs: number) => rowSources([path], { run: undefined, sinceUs }, () => {});
    expect((await take(1_699_999_999e6)).map(({ name, sinceUs }) => [name, sinceUs])).toEqual([
      ["old.log", 1_699_999_999e6],
    ]);
    await expect(take(1_700_000_001e6)).rejects.toThrow("nothing as new as that");
  });
});
