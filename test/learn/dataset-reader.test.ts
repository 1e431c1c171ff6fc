import { afterAll, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { captureSource } from "../../src/command/dataset/capture-rows.ts";
import { buildDataset, DEFAULT_SPLITS } from "../../src/learn/dataset/build.ts";
import { loadSplit } from "../../src/learn/dataset/load.ts";
import { captureHead } from "../live/desk-on-capture.ts";
import { sharedPath, skipUnless, skipUnlessShared } from "../support/shared-data.ts";

const PYTHON = Bun.env.KEEL_TRAIN_PYTHON ?? "python3";
const TRAINERS = join(import.meta.dir, "../../models/train");
const CAPTURE = "data/binance/usdm-btcusdt-20240808.gz";
const root = mkdtempSync(join(tmpdir(), "keel-reader-"));
afterAll(() => {
  for (const name of readdirSync(root, { recursive: true })) chmodSync(join(root, String(name)), 0o755);
  rmSync(root, { recursive: true, force: true });
});

const hasArrow = Bun.which(PYTHON) !== null && Bun.spawnSync([PYTHON, "-c", "import numpy, pyarrow"]).success;
const skip =
  skipUnlessShared(CAPTURE) ||
  skipUnless(hasArrow, `${PYTHON} has no numpy and pyarrow; KEEL_TRAIN_PYTHON may name another`);

/** Prints what the trainer's reader makes of a dataset. */
const READ = `
import json, sys
from keel_dataset import KeelDataset, DatasetError
data = KeelDataset(sys.argv[1])
part = data.parts[0]
rows = data.rows(part)
splits = {name: data.rows(part, name)["time_us"] for name in data.split_ranges()}
print(json.dumps({
  "digest": data.digest, "rows": len(rows["time_us"]), "shape": rows["features"].shape, "labels": rows["labels"].mean(0).tolist(),
  "ordered": bool((rows["time_us"][1:] >= rows["time_us"][:-1]).all()),
  "splits": {name: [len(times), float(times[0]), float(times[-1])] for name, times in splits.items()},
}))
open(data.folder / part["file"]["name"], "ab").write(b"x")
try:
  KeelDataset(sys.argv[1])
except DatasetError as error:
  print("refused", "expected" in str(error))
`;

const STARTS = `
import json, sys
from dataset import BuiltDataset
data = BuiltDataset(sys.argv[1])
print(json.dumps({name: [[len(rows), rows.starts] for rows in data.split(name)] for name in data.captures if name != data.test}))
`;

test.skipIf(skip)(
  "the trainer begins a model anew at the rows at which the desk's evaluation does",
  async () => {
    const path = join(root, "thinned");
    writeFileSync(path, captureHead(sharedPath(CAPTURE), 30_000));
    const { folder, manifest } = await buildDataset([await captureSource([path])], {
      directory: join(root, "datasets"),
      splits: DEFAULT_SPLITS,
      embargoUs: 1_000_000,
      label: "thinned",
      leakCheck: false,
      rowsMax: 6_000,
    });
    expect(manifest.thinning).toBeDefined();
    const child = Bun.spawnSync([PYTHON, "-c", STARTS, folder], {
      env: { ...Bun.env, PYTHONPATH: [TRAINERS, Bun.env.PYTHONPATH].join(":") },
      stderr: "inherit",
    });
    const read = Object.values(JSON.parse(child.stdout.toString()) as Record<string, [number, number[]][]>);
    const own = await Promise.all(["train", "validation"].map((split) => loadSplit(folder, split)));
    expect(own[0][0]?.starts.length).toBeGreaterThan(1);
    expect(read).toEqual([own.map(([part]) => [part.rows, [...part.starts]])]);
  },
);

test.skipIf(skip)(
  "the trainer reads a dataset as it was built, by its splits, and refuses one that was touched",
  async () => {
    const path = join(root, "head");
    writeFileSync(path, captureHead(sharedPath(CAPTURE), 6_000));
    const { folder, manifest } = await buildDataset([await captureSource([path])], {
      directory: join(root, "datasets"),
      splits: DEFAULT_SPLITS,
      embargoUs: 1_000_000,
      label: "",
      leakCheck: false,
    });
    chmodSync(join(folder, manifest.parts[0]?.file.name ?? ""), 0o644);
    const child = Bun.spawnSync([PYTHON, "-c", READ, folder], {
      env: { ...Bun.env, PYTHONPATH: [TRAINERS, Bun.env.PYTHONPATH].join(":") },
      stderr: "inherit",
    });
    const [told = "", refused] = child.stdout.toString().trim().split("\n");
    const read = JSON.parse(told) as {
      digest: string;
      rows: number;
      shape: number[];
      labels: number[];
      ordered: boolean;
      splits: Record<string, [number, number, number]>;
    };
    expect(read).toMatchObject({
      digest: manifest.digest,
      rows: manifest.rows,
      shape: [manifest.rows, manifest.features.length],
      ordered: true,
    });
    const rates = manifest.heads.map((head) => manifest.parts[0]?.validation.baseRates[head] ?? -1);
    for (const [head, rate] of rates.entries()) expect(read.labels[head]).toBeCloseTo(rate, 5);
    for (const { name, fromUs, toUs } of manifest.splits.ranges) {
      const [rows = 0, first = 0, last = 0] = read.splits[name] ?? [];
      expect(rows).toBeGreaterThan(0);
      expect(first).toBeGreaterThanOrEqual(fromUs);
      expect(last).toBeLessThanOrEqual(toUs);
    }
    expect(refused).toBe("refused True");
  },
);
