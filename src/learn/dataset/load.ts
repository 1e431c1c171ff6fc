import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { asyncBufferFromFile, parquetMetadataAsync, parquetRead } from "hyparquet";
import { BadInputError } from "../../core/errors.ts";
import { FEATURE_COUNT, FEATURES, SCHEMA_HASH } from "../../feature/schema.ts";
import { HEADS } from "../../inference/card.ts";
import { readManifest } from "./manifest.ts";
import { digestOf } from "./part.ts";

/** Rows of one instrument of one part, within a range of time, in the order of time. */
export interface LoadedRows {
  readonly name: string;
  readonly rows: number;
  /** Local µs. */
  readonly times: Float64Array;
  /** `[rows, FEATURE_COUNT]`, raw. */
  readonly features: Float32Array;
  /** `[rows, HEADS.length]`, 0 or 1. */
  readonly labels: Uint8Array;
  /** `[rows, 4]`: the largest fall and rise, see `labels.ts`, bp. */
  readonly moves: Float32Array;
}

const MOVES = ["fall_50_bp", "fall_100_bp", "rise_50_bp", "rise_100_bp"] as const;
const FEATURE_NAMES = FEATURES.map(({ name }) => name);
const LABEL_NAMES = HEADS.map((head) => `y_${head}`);

/**
 * Reads the rows of a split of a dataset, each file held to its digest. Everything is in memory then: 400 bytes a row.
 *
 * @param split by name
 * @throws BadInputError when the dataset, a file or the split is not what it should be
 */
export async function loadSplit(folder: string, split: string): Promise<LoadedRows[]> {
  const manifest = readManifest(folder);
  if (manifest.schemaHash !== SCHEMA_HASH) {
    throw new BadInputError(folder, `feature schema ${manifest.schemaHash}`, `${SCHEMA_HASH} (this build)`);
  }
  const range = manifest.splits.ranges.find(({ name }) => name === split);
  if (range === undefined) {
    const names = manifest.splits.ranges.map(({ name }) => name).join(", ");
    throw new BadInputError(folder, `no split ${split}`, `one of ${names}`);
  }
  const loaded: LoadedRows[] = [];
  for (const part of manifest.parts) {
    if ((part.toUs ?? Number.NEGATIVE_INFINITY) < range.fromUs) continue;
    if ((part.fromUs ?? Number.POSITIVE_INFINITY) > range.toUs) continue;
    const path = join(folder, part.file.name);
    const { sha256 } = await digestOf(path);
    if (sha256 !== part.file.sha256) {
      throw new BadInputError(path, `SHA-256 ${sha256}`, `${part.file.sha256} (its manifest)`);
    }
    const gathered = new Map<string, Gathered>();
    const file = await asyncBufferFromFile(path);
    const metadata = await parquetMetadataAsync(file);
    const columns = ["time_us", "instrument", ...FEATURE_NAMES, ...LABEL_NAMES, ...MOVES];
    let from = 0;
    for (const group of metadata.row_groups) {
      const rowEnd = from + Number(group.num_rows);
      const values = new Map<string, ArrayLike<unknown>>();
      await parquetRead({
        ...{ file, metadata, columns, rowStart: from, rowEnd },
        compressors: { ZSTD: (input) => new Uint8Array(zstdDecompressSync(input)) },
        onChunk: ({ columnName, columnData }) => values.set(columnName, columnData),
      });
      take(values, rowEnd - from, range, gathered);
      from = rowEnd;
    }
    for (const [instrument, one] of gathered) loaded.push(one.finish(`${part.source}/${instrument}`));
  }
  return loaded;
}

function take(
  values: ReadonlyMap<string, ArrayLike<unknown>>,
  rows: number,
  { fromUs, toUs }: { readonly fromUs: number; readonly toUs: number },
  gathered: Map<string, Gathered>,
): void {
  const column = (name: string): ArrayLike<unknown> => values.get(name) ?? [];
  const [times, instruments] = [column("time_us"), column("instrument")];
  const features = FEATURE_NAMES.map(column);
  const labels = LABEL_NAMES.map(column);
  const moves = MOVES.map(column);
  for (let row = 0; row < rows; row += 1) {
    const timeUs = Number(times[row]);
    if (!(timeUs >= fromUs && timeUs <= toUs)) continue;
    const instrument = String(instruments[row]);
    let one = gathered.get(instrument);
    if (one === undefined) {
      one = new Gathered();
      gathered.set(instrument, one);
    }
    one.add(timeUs, row, features, labels, moves);
  }
}

/** Rows as they come, in arrays that double. */
class Gathered {
  #rows = 0;
  #capacity = 4_096;
  #times = new Float64Array(this.#capacity);
  #features = new Float32Array(this.#capacity * FEATURE_COUNT);
  #labels = new Uint8Array(this.#capacity * HEADS.length);
  #moves = new Float32Array(this.#capacity * MOVES.length);

  add(
    timeUs: number,
    row: number,
    features: readonly ArrayLike<unknown>[],
    labels: readonly ArrayLike<unknown>[],
    moves: readonly ArrayLike<unknown>[],
  ): void {
    if (this.#rows === this.#capacity) this.#grow();
    const at = this.#rows;
    this.#times[at] = timeUs;
    for (let column = 0; column < FEATURE_COUNT; column += 1)
      this.#features[at * FEATURE_COUNT + column] = Number(features[column]?.[row] ?? Number.NaN);
    for (let head = 0; head < HEADS.length; head += 1)
      this.#labels[at * HEADS.length + head] = Number(labels[head]?.[row] ?? 0);
    for (let move = 0; move < MOVES.length; move += 1)
      this.#moves[at * MOVES.length + move] = Number(moves[move]?.[row] ?? 0);
    this.#rows += 1;
  }

  finish(name: string): LoadedRows {
    const rows = this.#rows;
    return {
      name,
      rows,
      times: this.#times.subarray(0, rows),
      features: this.#features.subarray(0, rows * FEATURE_COUNT),
      labels: this.#labels.subarray(0, rows * HEADS.length),
      moves: this.#moves.subarray(0, rows * MOVES.length),
    };
  }

  #grow(): void {
    this.#capacity *= 2;
    this.#times = grown(this.#times, new Float64Array(this.#capacity));
    this.#features = grown(this.#features, new Float32Array(this.#capacity * FEATURE_COUNT));
    this.#labels = grown(this.#labels, new Uint8Array(this.#capacity * HEADS.length));
    this.#moves = grown(this.#moves, new Float32Array(this.#capacity * MOVES.length));
  }
}

function grown<T extends Float32Array | Float64Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
