import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { parquetReadObjects } from "hyparquet";

import { captureSource } from "../../src/command/dataset/capture-rows.ts";
import { splitsOf } from "../../src/command/dataset/sources.ts";
import { loadConfig } from "../../src/config.ts";
import { Desk } from "../../src/desk/desk.ts";
import { noTimer } from "../../src/desk/latency.ts";
import { FEATURE_COUNT, FEATURES, SCHEMA_HASH } from "../../src/feature/schema.ts";
import { loadModel } from "../../src/inference/model.ts";
import { startEngine } from "../../src/inference/registry.ts";
import { DEFAULT_ENGINE_SETTINGS } from "../../src/inference/settings.ts";
import { buildDataset, type DatasetOptions, DEFAULT_SPLITS } from "../../src/learn/dataset/build.ts";
import { checkDataset } from "../../src/learn/dataset/check.ts";
import { readManifest } from "../../src/learn/dataset/manifest.ts";
import type { DatasetRow, RowSource } from "../../src/learn/dataset/row.ts";
import {
  consecutive,
  purgedFolds,
  RowTimes,
  type TimeRange,
  walkForward,
} from "../../src/learn/dataset/splits.ts";
import { RowValidator } from "../../src/learn/dataset/validation.ts";
import { NOT_TRIPPED } from "../../src/risk/kill-switch.ts";
import { MemoryPort } from "../../src/sim/memory-port.ts";
import { MemoryVenue } from "../../src/sim/memory-venue.ts";
import { captureHead } from "../live/desk-on-capture.ts";
import { sharedPath, skipUnlessShared } from "../support/shared-data.ts";

const root = mkdtempSync(join(tmpdir(), "keel-dataset-"));
afterAll(() => {
  for (const name of readdirSync(root, { recursive: true })) chmodSync(join(root, String(name)), 0o755);
  rmSync(root, { recursive: true, force: true });
});

let folders = 0;
function folder(): string {
  folders += 1;
  return join(root, String(folders));
}

const T0 = 1_700_000_000_000_000;
const NAMES = FEATURES.map(({ name }) => name);

interface Plan {
  readonly rows: number;
  /** A feature that knows the next rows. */
  readonly leaks?: boolean;
  readonly name?: string;
  readonly onPlay?: () => void;
}

/** A book whose mid wanders, a row each 10 ms. */
function source({ rows, leaks = false, name = "made", onPlay = () => {} }: Plan): RowSource {
  const mids: number[] = [];
  let state = 1;
  for (let at = 0, mid = 100_000; at < rows; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    mid += (state >>> 16) % 3 === 0 ? ((state >>> 20) % 2 === 0 ? 8 : -8) : 0;
    if ((state >>> 9) % 211 === 0) mid += (state >>> 20) % 2 === 0 ? 120 : -120;
    mids.push(mid);
  }
  return {
    kind: "capture",
    name,
    files: [{ name, bytes: rows, sha256: "a".repeat(64) }],
    play: async (sink, untilUs) => {
      onPlay();
      const timeOf = (at: number): number => T0 + at * 10_000;
      const shown = mids.filter((_, at) => timeOf(at) <= untilUs);
      for (const [at, midTicks] of shown.entries()) {
        const features = new Float32Array(FEATURE_COUNT).fill(1);
        features[0] = Math.sin(midTicks);
        features[1] = leaks ? shown.slice(at, at + 20).reduce((sum, mid) => sum + mid - midTicks, 0) : 0;
        sink.row({
          timeUs: timeOf(at),
          exchangeTimeUs: timeOf(at) - 500,
          instrument: "made:X",
          midTicks,
          bidDepth: 100 + (at % 50),
          askDepth: 100 + (at % 37),
          features,
          probabilities: null,
        });
      }
    },
  };
}

function options(directory: string, more: Partial<DatasetOptions> = {}): DatasetOptions {
  return { directory, splits: DEFAULT_SPLITS, embargoUs: 1_000_000, label: "", leakCheck: true, ...more };
}

describe("splits", () => {
  const rule = fc.record({
    horizonUs: fc.integer({ min: 0, max: 500 }),
    embargoUs: fc.integer({ min: 0, max: 2_000 }),
  });
  const parts = fc
    .array(fc.tuple(fc.integer({ min: 1, max: 4_000 }), fc.integer({ min: 0, max: 300 })), {
      minLength: 2,
      maxLength: 8,
    })
    .map((sizes) => {
      let at = 0;
      return sizes.map(([length, gap]): TimeRange => {
        const fromUs = at + gap;
        at = fromUs + length;
        return { fromUs, toUs: at - 1 };
      });
    });
  const inside = (ranges: readonly TimeRange[], timeUs: number): boolean =>
    ranges.some(({ fromUs, toUs }) => timeUs >= fromUs && timeUs <= toUs);

  test("no label of a training row reaches into what is tested, and nothing is trained on within the embargo after it", () => {
    fc.assert(
      fc.property(
        parts,
        rule,
        fc.array(fc.integer({ min: 0, max: 40_000 }), { maxLength: 60 }),
        (ranges, given, times) => {
          for (const { train, test: tested } of [
            ...purgedFolds(ranges, given),
            ...walkForward(ranges, given),
          ]) {
            for (const t of [...times, ...train.flatMap(({ fromUs, toUs }) => [fromUs, toUs])]) {
              if (!inside(train, t)) continue;
              expect(t >= tested.fromUs && t <= tested.toUs).toBe(false);
              if (t < tested.fromUs)
                expect(t + Math.max(given.horizonUs, given.embargoUs)).toBeLessThan(tested.fromUs);
              if (t > tested.toUs) expect(t).toBeGreaterThan(tested.toUs + given.horizonUs + given.embargoUs);
            }
          }
        },
      ),
    );
  });

  test("a training row that neither reaches into the test nor follows it within the embargo is kept", () => {
    const [a, b, c] = [
      { fromUs: 0, toUs: 99 },
      { fromUs: 100, toUs: 199 },
      { fromUs: 200, toUs: 299 },
    ] as const;
    expect(purgedFolds([a, b, c], { horizonUs: 10, embargoUs: 0 })[1]?.train).toEqual([
      { fromUs: 0, toUs: 89 },
      { fromUs: 210, toUs: 299 },
    ]);
    expect(walkForward([a, b, c], { horizonUs: 10, embargoUs: 30 }, 1)[1]?.train).toEqual([
      { fromUs: 100, toUs: 169 },
    ]);
  });

  test("walk-forward never trains on what comes after the test", () => {
    fc.assert(
      fc.property(parts, rule, (ranges, given) => {
        for (const { train, test: tested } of walkForward(ranges, given)) {
          for (const { toUs } of train) expect(toUs).toBeLessThan(tested.fromUs);
        }
      }),
    );
  });

  test("consecutive parts are apart by the horizon before and the embargo after each cut", () => {
    const ranges = consecutive({ fromUs: 0, toUs: 1_000 }, [400, 700], { horizonUs: 50, embargoUs: 20 });
    expect(ranges).toEqual([
      { fromUs: 0, toUs: 349 },
      { fromUs: 420, toUs: 649 },
      { fromUs: 720, toUs: 1_000 },
    ]);
  });

  test("cuts leave the shares of rows before them", () => {
    const times = new RowTimes();
    for (let at = 0; at < 100; at += 1) times.add(T0 + at * 1e6, at < 50 ? 1 : 3);
    const [half] = times.cuts([0.5]);
    // 50 rows, then 3 a second: half of 200 lies 16 seconds further.
    expect(half).toBe(T0 + 66 * 1e6);
  });

  test("are read from the command line", () => {
    expect(splitsOf("train=0.8,test=0.2")).toEqual([
      ["train", 0.8],
      ["test", 0.2],
    ]);
    for (const bad of ["train=0.8", "train=0.8,test=0.3", "train", "a=0.5,a=0.5"])
      expect(() => splitsOf(bad)).toThrow("--split");
  });
});

describe("validation finds", () => {
  const row = (at: number, more: Partial<DatasetRow> = {}): DatasetRow => ({
    timeUs: T0 + at * 1_000,
    exchangeTimeUs: T0 + at * 1_000 - 300,
    instrument: "X",
    midTicks: 100 + at,
    bidDepth: 10,
    askDepth: 10,
    features: Float32Array.from([at, at % 2]),
    probabilities: null,
    ...more,
  });
  const found = (rows: readonly DatasetRow[]): Record<string, number> => {
    const validator = new RowValidator(["a", "b"]);
    for (const one of rows) validator.row(one);
    return Object.fromEntries(Object.entries(validator.finish().counts).filter(([, count]) => count > 0));
  };

  test("nothing in rows that are sound", () => {
    expect(found(Array.from({ length: 100 }, (_, at) => row(at)))).toEqual({});
  });

  test("a planted gap, and no shorter one", () => {
    expect(found([row(0), row(4_999), row(9_999)])).toEqual({});
    expect(found([row(0), row(5_001)])).toEqual({ gap: 1 });
  });

  test("a planted jump of the exchange's clock and of ours", () => {
    expect(
      found([row(0), row(1, { exchangeTimeUs: T0 + 2_000_000 }), row(2, { exchangeTimeUs: T0 + 2_001_000 })]),
    ).toEqual({
      "clock-jump": 1,
    });
    expect(found([row(10), row(9, { exchangeTimeUs: T0 + 10_000 })])).toEqual({ "clock-back": 1 });
  });

  test("a planted duplicate, but not two frames of one microsecond", () => {
    expect(found([row(0), row(0)])).toEqual({ "duplicate-row": 1 });
    expect(found([row(0), row(0, { features: Float32Array.from([7, 7]) })])).toEqual({});
  });

  test("a book that stands still while rows come, once", () => {
    const still = Array.from({ length: 50 }, (_, at) => row(at * 1_000, { midTicks: 5 }));
    expect(found(still)).toEqual({ stale: 1 });
  });

  test("a feature that is no number", () => {
    expect(found([row(0, { features: Float32Array.from([Number.NaN, 0]) })])).toEqual({ "not-finite": 1 });
  });

  test("a feature that is the label", () => {
    const validator = new RowValidator(["a", "b"]);
    for (let at = 0; at < 200; at += 1) {
      const label = at % 3 === 0 ? 1 : 0;
      validator.labelled(Float32Array.from([label, at % 7]), [label, 1 - label, label, 1, 0, label, label]);
    }
    const { counts, strongest, baseRates } = validator.finish();
    expect(counts["leak-suspected"]).toBe(5);
    expect(counts["one-outcome"]).toBe(2);
    expect(strongest).toMatchObject({ feature: "a" });
    expect(Math.abs(strongest?.correlation ?? 0)).toBeCloseTo(1, 9);
    expect(baseRates.down50).toBeCloseTo(67 / 200, 12);
  });
});

describe("a dataset", () => {
  test("is named by its digest, holds its labels, and is read-only", async () => {
    const directory = folder();
    const { folder: made, manifest } = await buildDataset([source({ rows: 4_000 })], options(directory));
    expect(made).toEndWith(`keel-${manifest.digest.slice(0, 16)}`);
    expect(readManifest(made)).toEqual(manifest);
    expect(readdirSync(directory)).toHaveLength(1);
    const bytes = readFileSync(join(made, "part-0001.parquet"));
    const rows = await parquetReadObjects({
      file: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer,
      compressors: { ZSTD: (input) => Bun.zstdDecompressSync(input) },
    });
    expect(rows).toHaveLength(manifest.rows);
    // The mid moves by 8 ticks of 100,000 = 0.8 bp, so a label is a move of the next ten rows.
    for (const at of [0, 100, 2_000]) {
      const mid = Number(rows[at]?.mid_ticks);
      const after = rows.slice(at + 1, at + 6).map((row) => Number(row.mid_ticks));
      expect(Number(rows[at]?.y_down50)).toBe(
        after.some((later) => ((mid - later) / mid) * 10_000 >= 0.5) ? 1 : 0,
      );
      expect(rows[at]?.[NAMES[0] ?? ""]).toBe(Math.fround(Math.sin(mid)));
    }
    expect(await checkDataset(made, [source({ rows: 4_000 })])).toMatchObject({
      problems: [],
      reproduced: 1,
    });
  });

  test("of the same sources is the same one, and is not built again", async () => {
    let plays = 0;
    const plan = { rows: 4_000, onPlay: () => (plays += 1) };
    const directory = folder();
    const first = await buildDataset([source(plan)], options(directory));
    const before = plays;
    const again = await buildDataset([source(plan)], options(directory));
    expect(again).toMatchObject({ existed: true, folder: first.folder });
    expect(plays).toBe(before);
    const elsewhere = await buildDataset([source(plan)], options(folder()));
    expect(elsewhere.manifest.digest).toBe(first.manifest.digest);
    const labelled = await buildDataset([source(plan)], options(directory, { label: "other" }));
    expect(labelled.manifest.digest).not.toBe(first.manifest.digest);
  });

  test("that was cut off while it was built goes on with the next source, and comes out the same", async () => {
    const directory = folder();
    const one = source({ rows: 3_000, name: "one" });
    let broken = true;
    const two: RowSource = {
      ...source({ rows: 2_000, name: "two" }),
      play: async (sink, untilUs) => {
        await source({ rows: 2_000, name: "two" }).play(sink, broken ? T0 + 5_000_000 : untilUs);
        if (broken) throw new Error("the disk is gone");
      },
    };
    await expect(buildDataset([one, two], options(directory))).rejects.toThrow("the disk is gone");
    expect(readdirSync(directory).filter((name) => name.startsWith("keel-"))).toEqual([]);
    broken = false;
    const built = await buildDataset([one, two], options(directory));
    expect(built.resumed).toBe(1);
    const whole = await buildDataset([one, two], options(folder()));
    expect(built.manifest.digest).toBe(whole.manifest.digest);
  });

  test("with a feature that looks ahead is refused", async () => {
    const directory = folder();
    const leaky = source({ rows: 4_000, leaks: true });
    await expect(buildDataset([leaky], options(directory))).rejects.toThrow("a feature looks ahead");
    expect(readdirSync(directory).filter((name) => name.startsWith("keel-"))).toEqual([]);
  });

  test("that was built from other rows than its source gives is told by the check", async () => {
    const { folder: made } = await buildDataset(
      [source({ rows: 4_000, leaks: true })],
      options(folder(), { leakCheck: false }),
    );
    const { problems, remarks } = await checkDataset(made, [source({ rows: 4_000, leaks: true })]);
    expect(problems.join()).toContain("the rows up to then are others");
    expect(remarks.join()).toContain("no leak check");
  });

  test("that was touched is told: a file, the manifest, the folder's name", async () => {
    const { folder: made } = await buildDataset([source({ rows: 4_000 })], options(folder()));
    const path = join(made, "part-0001.parquet");
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1] ^= 1;
    chmodSync(path, 0o644);
    writeFileSync(path, bytes);
    expect((await checkDataset(made, [])).problems).toEqual([
      "part-0001.parquet is not what it was: SHA-256 differs",
    ]);
    const manifest = join(made, "manifest.json");
    chmodSync(manifest, 0o644);
    writeFileSync(manifest, readFileSync(manifest, "utf8").replace('"rows"', '"rows" '));
    expect(() => readManifest(made)).not.toThrow();
    writeFileSync(manifest, readFileSync(manifest, "utf8").replace("made:X", "made:Y"));
    expect(() => readManifest(made)).toThrow("digest");
  });

  test("of several sources is told of an outcome only when it comes in none of them", async () => {
    const { folder: made } = await buildDataset(
      [source({ rows: 4_000, name: "long" }), source({ rows: 100, name: "short" })],
      options(folder(), { leakCheck: false }),
    );
    const { problems, remarks } = await checkDataset(made, []);
    expect(problems).toEqual([]);
    expect(remarks.join()).toContain("short: 1 × one-outcome");
    const { folder: short } = await buildDataset(
      [source({ rows: 100, name: "short" })],
      options(folder(), { leakCheck: false, splits: [["all", 1]] }),
    );
    expect((await checkDataset(short, [])).problems).toContain("volatilitySpike never comes in 89 rows");
  });

  test("without a labelled row is none", async () => {
    await expect(buildDataset([source({ rows: 5 })], options(folder()))).rejects.toThrow("no labelled row");
  });
});

/** The features that a desk steps its model on over a capture, once the model is in force. */
async function deskRows(path: string): Promise<{ timeUs: number; features: Float32Array }[]> {
  const rows: { timeUs: number; features: Float32Array }[] = [];
  const schema = { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT };
  const { engine } = await startEngine({
    device: "cpu",
    model: await loadModel("lstm-residual", schema),
    ...{ slotCount: 16, maxBatch: 16, settings: DEFAULT_ENGINE_SETTINGS, sweep: true, log: () => {} },
  });
  const venue = await MemoryVenue.open(path);
  const inForce = { status: 1 };
  class Port extends MemoryPort {
    override predicted(_underlying?: number, _p?: Float32Array, _o?: number, _h?: number, status = 1): void {
      inForce.status = status;
    }

    stepped(_underlying: number, features: Float32Array, offset: number, timeUs: number): void {
      if (inForce.status !== 0) return;
      rows.push({ timeUs, features: features.slice(offset, offset + FEATURE_COUNT) });
    }
  }
  const port = new Port(venue);
  const config = loadConfig({});
  const desk = new Desk({
    feeds: [{ venue: venue.venue, subscriptions: ["BTCUSDT"] }],
    ...{ signals: [], instrumentCapacity: 16, silenceMs: 60_000, seed: 1, engine },
    ...{ quote: config.quote, risk: config.risk, kill: NOT_TRIPPED, port, timer: noTimer },
  });
  port.attach(desk.market.instruments);
  desk.start(venue.scan.firstUs);
  await venue.play({
    onOpen: (feed, timeUs) => desk.onFeedOpen(feed, timeUs),
    onFrame: (feed, text, timeUs) => desk.onFrame(feed, text, timeUs),
    onResponse: (feed, request, status, body, timeUs) =>
      desk.onFeedResponse(feed, request, status, body, Number.NaN, timeUs),
  });
  await engine.dispose();
  return rows;
}

const CAPTURE = "data/binance/usdm-btcusdt-20240808.gz";
describe.skipIf(skipUnlessShared(CAPTURE))("of a real capture", () => {
  test("rows are those that a desk steps its model on, bit for bit", async () => {
    const path = join(root, "head");
    writeFileSync(path, captureHead(sharedPath(CAPTURE), 3_000));
    const rows: { timeUs: number; features: Float32Array }[] = [];
    const source = await captureSource([path]);
    await source.play(
      {
        row: ({ timeUs, features }) => rows.push({ timeUs, features: features.slice() }),
        broken: () => {},
      },
      Number.POSITIVE_INFINITY,
    );
    const expected = await deskRows(path);
    expect(rows.length).toBeGreaterThan(1_000);
    expect(rows).toEqual(expected);
  });
});
