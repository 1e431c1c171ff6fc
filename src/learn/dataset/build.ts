import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import packageJson from "../../../package.json";
import { BadInputError, KeelError } from "../../core/errors.ts";
import { BUILD } from "../../core/executable.ts";
import { invariant } from "../../core/invariant.ts";
import { FEATURES, mirrorMap, SCHEMA_HASH } from "../../feature/schema.ts";
import { HEADS } from "../../inference/card.ts";
import { LABEL_OPTIONS, LONG_HORIZON_MS, SHORT_HORIZON_MS } from "../labels.ts";
import {
  DATASET_FORMAT,
  type DatasetManifest,
  type DatasetPart,
  datasetName,
  MANIFEST,
  manifestDigest,
  partShape,
  readManifest,
  sha256,
} from "./manifest.ts";
import { PartWriter } from "./part.ts";
import type { RowSource } from "./row.ts";
import { consecutive, RowTimes } from "./splits.ts";
import { PieceCounts, type Thinning, thinningLine } from "./thinning.ts";

export interface DatasetOptions {
  /** Folder that datasets stand in. */
  readonly directory: string;
  /** Names of the consecutive parts of the time and their shares of the rows; they add up to 1. */
  readonly splits: readonly (readonly [name: string, share: number])[];
  /** Left out between two parts, µs: longer than the features' windows. */
  readonly embargoUs: number;
  /** Said of the dataset, e.g. why it was built; part of its digest. */
  readonly label: string;
  /** Each source is played again up to a quarter and up to half of it, to show that no feature looks ahead. */
  readonly leakCheck: boolean;
  /** Of more rows than that pieces of the time are kept, by the rule of `thinning.ts`. Null: all rows are. */
  readonly rowsMax?: number | null;
}

export const DEFAULT_SPLITS = [
  ["train", 0.7],
  ["validation", 0.15],
  ["test", 0.15],
] as const;
/** As long as the features' longest window. */
export const DEFAULT_EMBARGO_US = 10_000_000;

export interface BuiltDataset {
  readonly folder: string;
  readonly manifest: DatasetManifest;
  /** It was there already: nothing was built. */
  readonly existed: boolean;
  /** Parts that an earlier build, which was cut off, had finished. */
  readonly resumed: number;
}

const counts = z.array(z.tuple([z.number(), z.number()]));
const partState = z.strictObject({ part: partShape, seconds: counts });

/**
 * Builds a dataset of the sources, one part each, and names it by its digest. The same sources, code and options give the same dataset:
 * one that is there already is returned as it is. What is not finished stands in a hidden folder; a build that was cut off goes on with
 * the next source. The finished folder appears at once and is read-only.
 *
 * @throws BadInputError when a source cannot be played or gives no labelled row
 * @throws KeelError (`label-leak`) when a feature looks ahead
 */
export async function buildDataset(
  sources: readonly RowSource[],
  options: DatasetOptions,
  told: (line: string) => void = () => {},
): Promise<BuiltDataset> {
  const { directory, leakCheck } = options;
  const key = keyOf(sources, options);
  const existing = existingDataset(directory, key);
  if (existing !== null) return { ...existing, existed: true, resumed: 0 };
  const building = join(directory, `.building-${key.slice(0, 16)}`);
  mkdirSync(building, { recursive: true });
  const release = lock(building);
  try {
    const thinning = await thinningOf(sources, options.rowsMax ?? null, building, told);
    const times = new RowTimes();
    const parts: DatasetPart[] = [];
    let resumed = 0;
    for (const [at, source] of sources.entries()) {
      const stem = stemOf(at);
      const state = join(building, `.${stem}.json`);
      if (existsSync(state)) {
        const { part, seconds } = partState.parse(JSON.parse(readFileSync(state, "utf8")));
        for (const [second, rows] of seconds) times.add(second * 1e6, rows);
        parts.push(part);
        resumed += 1;
        continue;
      }
      for (const name of readdirSync(building)) if (name.startsWith(stem)) rmSync(join(building, name));
      const own = new RowTimes();
      const writer = new PartWriter(building, stem, own, thinning);
      await source.play(writer, Number.POSITIVE_INFINITY);
      const part = await writer.finish(source, leakCheck);
      const seconds = own.entries();
      for (const [second, rows] of seconds) times.add(second * 1e6, rows);
      writeAtOnce(state, JSON.stringify({ part, seconds }));
      parts.push(part);
      told(`${source.name}: ${part.rows} rows, ${part.unlabelled} without labels`);
      for (const damage of source.damage ?? []) told(`note: ${damage}; what is before it was used`);
    }
    const manifest = manifestOf(key, parts, times, thinning, options);
    const leak = parts.flatMap(({ validation }) => validation.findings).find(({ kind }) => kind === "leak");
    if (leak !== undefined) throw new KeelError("label-leak", `a feature looks ahead: ${leak.detail}`);
    return { folder: publish(building, directory, manifest), manifest, existed: false, resumed };
  } finally {
    release();
  }
}

/** Counts the rows of all sources where there may be too many of them; what an earlier build counted is not played again. */
async function thinningOf(
  sources: readonly RowSource[],
  rowsMax: number | null,
  building: string,
  told: (line: string) => void,
): Promise<Thinning | null> {
  if (rowsMax === null) return null;
  invariant(Number.isSafeInteger(rowsMax) && rowsMax > 0, "rows that are kept, at most");
  const all = new PieceCounts();
  for (const [at, source] of sources.entries()) {
    const state = join(building, `.${stemOf(at)}-rows.json`);
    if (!existsSync(state)) {
      const own = new PieceCounts();
      await source.play(own, Number.POSITIVE_INFINITY);
      writeAtOnce(state, JSON.stringify(own.entries()));
    }
    for (const [piece, rows] of counts.parse(JSON.parse(readFileSync(state, "utf8")))) all.add(piece, rows);
  }
  const thinning = all.thinning(rowsMax);
  if (thinning !== null) told(thinningLine(thinning));
  return thinning;
}

function stemOf(at: number): string {
  return `part-${String(at + 1).padStart(4, "0")}`;
}

function manifestOf(
  key: string,
  parts: readonly DatasetPart[],
  times: RowTimes,
  thinning: Thinning | null,
  options: DatasetOptions,
): DatasetManifest {
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  if (rows === 0) {
    if (thinning !== null) {
      const expected = "more rows: ten seconds of the recording have as many";
      throw new BadInputError(
        "dataset",
        `none of ${thinning.rowsSeen} rows with at most ${thinning.rowsMax}`,
        expected,
      );
    }
    throw new BadInputError(
      "dataset",
      "no labelled row in its sources",
      "books that are live for some seconds",
    );
  }
  const fromUs = Math.min(...parts.map((part) => part.fromUs ?? Number.POSITIVE_INFINITY));
  const toUs = Math.max(...parts.map((part) => part.toUs ?? Number.NEGATIVE_INFINITY));
  const horizonUs = LONG_HORIZON_MS * 1_000;
  const { embargoUs, splits, label } = options;
  const shares = splits
    .slice(0, -1)
    .map((_, at) => splits.slice(0, at + 1).reduce((sum, [, share]) => sum + share, 0));
  const cuts = times.cuts(shares).map((cut) => Math.min(Math.max(cut, fromUs), toUs));
  const ranges = consecutive({ fromUs, toUs }, cuts, { horizonUs, embargoUs }).map((range, at) => {
    const [name] = splits[at] ?? [""];
    if (range.fromUs > range.toUs) {
      throw new BadInputError(
        "splits",
        `no time left for ${JSON.stringify(name)}`,
        "a shorter embargo, or more data",
      );
    }
    return { name, ...range };
  });
  const mirror = mirrorMap();
  const manifest = {
    format: DATASET_FORMAT,
    digest: "",
    key,
    code: { ...code(), label },
    schemaHash: SCHEMA_HASH,
    features: FEATURES.map(({ name }) => name),
    clip: FEATURES.map(({ clip }): [number, number] => [...clip]),
    mirrorIndex: [...mirror.index],
    mirrorFactor: [...mirror.factor],
    heads: [...HEADS],
    labels: { ...LABEL_OPTIONS, shortHorizonMs: SHORT_HORIZON_MS, longHorizonMs: LONG_HORIZON_MS },
    ...{ rows, fromUs, toUs },
    parts: [...parts],
    splits: { horizonUs, embargoUs, ranges },
    ...(thinning === null ? {} : { thinning }),
  } as const satisfies DatasetManifest;
  // As it will be read: what JSON does not keep does not count.
  const kept = JSON.parse(JSON.stringify(manifest)) as DatasetManifest;
  return { ...kept, digest: manifestDigest(kept) };
}

function keyOf(
  sources: readonly RowSource[],
  { splits, embargoUs, label, leakCheck, rowsMax }: DatasetOptions,
): string {
  invariant(
    Math.abs(splits.reduce((sum, [, share]) => sum + share, 0) - 1) < 1e-9,
    "shares of splits add up to 1",
  );
  return sha256(
    JSON.stringify({
      format: DATASET_FORMAT,
      schemaHash: SCHEMA_HASH,
      code: code(),
      labels: LABEL_OPTIONS,
      sources: sources.map(({ kind, name, files, sinceUs }) => ({ kind, name, files, sinceUs })),
      ...{ splits, embargoUs, label, leakCheck },
      ...(typeof rowsMax === "number" ? { rowsMax } : {}),
    }),
  );
}

function code(): { readonly keel: string; readonly commit: string | null } {
  return { keel: packageJson.version, commit: BUILD?.commit ?? null };
}

/** The datasets of a folder. @throws nothing: what is no dataset is passed over */
function datasetsIn(directory: string): { readonly folder: string; readonly manifest: DatasetManifest }[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((name) => name.startsWith("keel-"))
    .flatMap((name) => {
      const folder = join(directory, name);
      try {
        return [{ folder, manifest: readManifest(folder) }];
      } catch {
        return [];
      }
    });
}

function existingDataset(directory: string, key: string) {
  return datasetsIn(directory).find(({ manifest }) => manifest.key === key) ?? null;
}

/** The folder gets its name when everything is in it. */
function publish(building: string, directory: string, manifest: DatasetManifest): string {
  for (const name of readdirSync(building)) if (name.startsWith(".part-")) rmSync(join(building, name));
  writeAtOnce(join(building, MANIFEST), `${JSON.stringify(manifest, null, 1)}\n`);
  rmSync(join(building, LOCK), { force: true });
  for (const name of readdirSync(building)) chmodSync(join(building, name), 0o444);
  const folder = join(directory, datasetName(manifest.digest));
  renameSync(building, folder);
  return folder;
}

function writeAtOnce(path: string, text: string): void {
  const partial = `${path}.partial`;
  writeFileSync(partial, text);
  renameSync(partial, path);
}

const LOCK = ".lock";

/** Only one build of a dataset at a time; the lock of a process that is gone counts for nothing. */
function lock(building: string): () => void {
  const path = join(building, LOCK);
  try {
    writeFileSync(path, String(process.pid), { flag: "wx" });
  } catch {
    const owner = Number(readFileSync(path, "utf8"));
    if (owner !== process.pid && isAlive(owner)) {
      throw new KeelError("dataset-busy", `${building} is being built by process ${owner}`);
    }
    writeFileSync(path, String(process.pid));
  }
  return () => rmSync(path, { force: true });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
