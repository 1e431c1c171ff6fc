import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { datasetLines } from "../../src/command/dataset/text.ts";
import { FEATURE_COUNT } from "../../src/feature/schema.ts";
import { HEADS } from "../../src/inference/card.ts";
import type { StepEngine } from "../../src/inference/engine.ts";
import { buildDataset, type DatasetOptions } from "../../src/learn/dataset/build.ts";
import { checkDataset } from "../../src/learn/dataset/check.ts";
import { loadSplit } from "../../src/learn/dataset/load.ts";
import type { RowSource } from "../../src/learn/dataset/row.ts";
import { isApart, isKept, PieceCounts, type Thinning } from "../../src/learn/dataset/thinning.ts";
import { answersOf } from "../../src/learn/retrain/score.ts";

const root = mkdtempSync(join(tmpdir(), "keel-thinning-"));
afterAll(() => {
  for (const name of readdirSync(root, { recursive: true })) chmodSync(join(root, String(name)), 0o755);
  rmSync(root, { recursive: true, force: true });
});

const T0 = 1_700_000_000_000_000;
const PIECE_US = 10_000_000;

/** A row each 50 ms whose first feature is its number and whose second is that of the instrument. */
function source(name: string, instruments: number, rows: number, onPlay = () => {}): RowSource {
  return {
    kind: "capture",
    name,
    files: [{ name, bytes: rows, sha256: "b".repeat(64) }],
    play: async (sink, untilUs) => {
      onPlay();
      const features = new Float32Array(FEATURE_COUNT).fill(1);
      for (let at = 0; at < rows; at += 1) {
        const timeUs = T0 + at * 50_000;
        if (timeUs > untilUs) return;
        for (let number = 0; number < instruments; number += 1) {
          features[0] = at;
          features[1] = number;
          const midTicks = 100_000 + (at % 11 === 0 ? 200 : 0);
          const depths = { bidDepth: 100 + (at % 50), askDepth: 100 + (at % 37) };
          const probabilities = null;
          const instrument = `made:${number}`;
          sink.row({
            timeUs,
            exchangeTimeUs: timeUs,
            instrument,
            midTicks,
            ...depths,
            features,
            probabilities,
          });
        }
      }
    },
  };
}

let folders = 0;
function options(rowsMax: number | null): DatasetOptions {
  folders += 1;
  const splits = [
    ["train", 0.7],
    ["test", 0.3],
  ] as const;
  return {
    directory: join(root, String(folders)),
    ...{ splits, embargoUs: 1_000_000, label: "", leakCheck: false, rowsMax },
  };
}

function counted(rows: ReadonlyMap<number, number>): PieceCounts {
  const counts = new PieceCounts();
  for (const [piece, count] of rows) counts.add(piece, count);
  return counts;
}

function keptOf(rows: ReadonlyMap<number, number>, thinning: Thinning): number[] {
  return [...rows.keys()].filter((piece) => isKept(thinning, piece * PIECE_US));
}

describe("thinning", () => {
  const recorded = fc.dictionary(
    fc.integer({ min: 170_000_000, max: 170_002_000 }).map(String),
    fc.integer({ min: 1, max: 5_000 }),
    { minKeys: 1, maxKeys: 300 },
  );

  test("keeps no more rows than asked for, whatever was recorded, and the same ones again", () => {
    fc.assert(
      fc.property(recorded, fc.integer({ min: 1, max: 200_000 }), (given, rowsMax) => {
        const rows = new Map(Object.entries(given).map(([piece, count]) => [Number(piece), count]));
        const thinning = counted(rows).thinning(rowsMax);
        const total = [...rows.values()].reduce((sum, count) => sum + count, 0);
        expect(thinning === null).toBe(total <= rowsMax);
        if (thinning === null) return;
        const kept = keptOf(rows, thinning).reduce((sum, piece) => sum + (rows.get(piece) ?? 0), 0);
        expect(kept).toBeLessThanOrEqual(rowsMax);
        const shuffled = new Map([...rows].reverse());
        expect(counted(shuffled).thinning(rowsMax)).toEqual(thinning);
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  test("of a week of a busy instrument keeps pieces of ten minutes of every day and of all times of day", () => {
    const week = new Map(Array.from({ length: 60_480 }, (_, at) => [170_000_000 + at, 2_300]));
    const thinning = counted(week).thinning(6_000_000);
    expect(thinning).toMatchObject({ pieceUs: 600e6, piecesKept: 43, rowsSeen: 60_480 * 2_300 });
    if (thinning === null) return;
    const pieces = [...new Set(keptOf(week, thinning).map((piece) => Math.floor(piece / 60)))];
    expect(pieces).toHaveLength(43);
    const byDay = Map.groupBy(pieces, (piece) => Math.floor((piece * 60 - 170_000_000) / 8_640));
    expect([...byDay.keys()].sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
    for (const each of byDay.values()) expect(each.length).toBeWithin(5, 9);
    expect(new Set(pieces.map((piece) => Math.floor((piece % 144) / 18))).size).toBe(8);
  });

  test("of rows that fit leaves none out", () => {
    expect(counted(new Map([[1, 100]])).thinning(100)).toBeNull();
  });

  test("tells rows between which something was left out", () => {
    const rule = { pieceUs: PIECE_US };
    expect(isApart(rule, PIECE_US - 1, PIECE_US)).toBe(false);
    expect(isApart(rule, PIECE_US - 1, 2 * PIECE_US)).toBe(true);
  });
});

describe("a thinned dataset", () => {
  test("holds the same pieces of all instruments, says so, and is the same one again", async () => {
    const sources = () => [source("one", 2, 8_000), source("two", 1, 8_000)];
    const given = options(6_000);
    const { manifest, folder } = await buildDataset(sources(), given);
    expect(manifest.thinning).toMatchObject({ rowsSeen: 24_000, rowsMax: 6_000, pieceUs: PIECE_US });
    expect(manifest.rows).toBeWithin(4_000, 6_001);
    expect(datasetLines(folder, manifest).join("\n")).toContain(
      "thinned: at most 6000 of 24000 rows, 10 pieces of 10 s spread evenly over the time",
    );
    expect((await checkDataset(folder, sources())).reproduced).toBe(2);
    const pieces = new Map<string, string>();
    for (const { name, times, starts, rows } of await loadSplit(folder, "train")) {
      const own = [...new Set(Array.from(times, (timeUs) => Math.floor(timeUs / PIECE_US)))];
      pieces.set(name, own.join());
      expect(times).toHaveLength(rows);
      const breaks = own.filter((piece, at) => at === 0 || piece - own[at - 1] > 1);
      expect(starts.map((row) => Math.floor(times[row] / PIECE_US))).toEqual(breaks);
    }
    expect([...pieces.keys()]).toEqual(["one/made:0", "one/made:1", "two/made:0"]);
    expect(new Set(pieces.values()).size).toBe(1);
    const again = await buildDataset(sources(), options(6_000));
    expect(again.manifest.digest).toBe(manifest.digest);
    const whole = await buildDataset(sources(), options(24_000));
    expect(whole.manifest.thinning).toBeUndefined();
    expect(whole.manifest.rows).toBeGreaterThan(23_900);
  });

  test("has labels that look at the rows that were left out", async () => {
    const { folder } = await buildDataset([source("one", 1, 8_000)], options(2_000));
    const [part] = await loadSplit(folder, "train");
    const up = HEADS.indexOf("up100");
    for (let row = 0; row < part.rows; row += 1) {
      const at = part.features[row * FEATURE_COUNT];
      // 100 ms are two rows; every eleventh is 20 bp higher than its neighbours.
      const isBefore = [1, 2].some((later) => (at + later) % 11 === 0) && at % 11 !== 0;
      expect(part.labels[row * HEADS.length + up]).toBe(isBefore ? 1 : 0);
    }
  });

  test("goes on with what was counted and built when it was cut off", async () => {
    const plays = [0, 0];
    let broken = true;
    const one = source("one", 1, 8_000, () => (plays[0] += 1));
    const two: RowSource = {
      ...source("two", 1, 8_000),
      play: async (sink, untilUs) => {
        plays[1] += 1;
        await source("two", 1, 8_000).play(sink, untilUs);
        if (broken && plays[1] === 2) throw new Error("the disk is gone");
      },
    };
    const given = options(4_000);
    await expect(buildDataset([one, two], given)).rejects.toThrow("the disk is gone");
    expect(plays).toEqual([2, 2]);
    broken = false;
    const built = await buildDataset([one, two], given);
    expect([built.resumed, ...plays]).toEqual([1, 2, 3]);
    const fresh = await buildDataset([source("one", 1, 8_000), source("two", 1, 8_000)], options(4_000));
    expect(built.manifest.digest).toBe(fresh.manifest.digest);
    expect(readdirSync(built.folder).filter((name) => name.startsWith("."))).toEqual([]);
  });

  test("of ten seconds with more rows than are asked for is none, and says so", async () => {
    const given = options(100);
    await expect(buildDataset([source("one", 1, 8_000)], given)).rejects.toThrow(
      "none of 8000 rows with at most 100",
    );
    expect(existsSync(given.directory)).toBe(true);
  });

  test("is answered by a model that begins anew with each piece", async () => {
    const { folder } = await buildDataset([source("one", 1, 8_000)], options(2_000));
    const rows = await loadSplit(folder, "train");
    const resets: number[] = [];
    let steps = 0;
    const engine = {
      card: { heads: [{ name: "down50" }] },
      ...{ synchronous: true, slots: new Int32Array(1), probabilities: new Float32Array(1) },
      features: new Float32Array(FEATURE_COUNT),
      warmUp: async () => {},
      resetSlot: () => resets.push(steps),
      step: () => (steps += 1),
    };
    await answersOf(engine as unknown as StepEngine, rows);
    expect(rows[0].starts.length).toBeGreaterThan(2);
    expect(resets).toEqual([...rows[0].starts]);
  });
});
