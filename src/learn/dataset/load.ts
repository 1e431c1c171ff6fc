import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { type AsyncBuffer, asyncBufferFromFile, parquetMetadataAsync, parquetRead } from "hyparquet";
import { BadInputError } from "../../core/errors.ts";
import { FEATURE_COUNT, FEATURES, SCHEMA_HASH } from "../../feature/schema.ts";
import { HEADS } from "../../inference/card.ts";
import { readManifest } from "./manifest.ts";
import { digestOf } from "./part.ts";
import { isApart, type Thinning } from "./thinning.ts";

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
  /** Rows before which something was left out, ascending; 0 is the first. A model begins anew there. */
  readonly starts: readonly number[];
}

const MOVES = ["fall_50_bp", "fall_100_bp", "rise_50_bp", "rise_100_bp"] as const;
const FEATURE_NAMES = FEATURES.map(({ name }) => name);
const LABEL_NAMES = HEADS.map((head) => `y_${head}`);

/**
 * Reads the rows of a split of a dataset, each file held to its digest. Everything is in memory then, and no more than that: 415 bytes a
 * row.
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
    const file = await asyncBufferFromFile(path);
    const counts = new Map<string, number>();
    for await (const group of groupsOf(file, WHEN)) {
      for (const { instrument } of within(group, range))
        counts.set(instrument, (counts.get(instrument) ?? 0) + 1);
    }
    const gathered = new Map([...counts].map(([instrument, rows]) => [instrument, new Gathered(rows)]));
    for await (const group of groupsOf(file, [...WHEN, ...FEATURE_NAMES, ...LABEL_NAMES, ...MOVES])) {
      const features = FEATURE_NAMES.map(group.column);
      const labels = LABEL_NAMES.map(group.column);
      const moves = MOVES.map(group.column);
      for (const { row, timeUs, instrument } of within(group, range))
        gathered.get(instrument)?.add(timeUs, row, features, labels, moves);
    }
    for (const [instrument, one] of gathered)
      loaded.push(one.finish(`${part.source}/${instrument}`, manifest.thinning ?? null));
  }
  return loaded;
}

const WHEN = ["time_us", "instrument"] as const;

/** Some columns of a row group. */
interface RowGroup {
  readonly rows: number;
  readonly column: (name: string) => ArrayLike<unknown>;
}

async function* groupsOf(file: AsyncBuffer, columns: readonly string[]): AsyncGenerator<RowGroup> {
  const metadata = await parquetMetadataAsync(file);
  let from = 0;
  for (const { num_rows } of metadata.row_groups) {
    const rowEnd = from + Number(num_rows);
    const values = new Map<string, ArrayLike<unknown>>();
    await parquetRead({
      ...{ file, metadata, columns: [...columns], rowStart: from, rowEnd },
      compressors: { ZSTD: (input) => new Uint8Array(zstdDecompressSync(input)) },
      onChunk: ({ columnName, columnData }) => values.set(columnName, columnData),
    });
    yield { rows: rowEnd - from, column: (name) => values.get(name) ?? [] };
    from = rowEnd;
  }
}

function* within(
  { rows, column }: RowGroup,
  { fromUs, toUs }: { readonly fromUs: number; readonly toUs: number },
): Generator<{ readonly row: number; readonly timeUs: number; readonly instrument: string }> {
  const [times, instruments] = WHEN.map(column);
  for (let row = 0; row < rows; row += 1) {
    const timeUs = Number(times?.[row]);
    if (timeUs >= fromUs && timeUs <= toUs) yield { row, timeUs, instrument: String(instruments?.[row]) };
  }
}

/** Rows as they come, of which the number is known. */
class Gathered {
  #rows = 0;
  readonly #times: Float64Array;
  readonly #features: Float32Array;
  readonly #labels: Uint8Array;
  readonly #moves: Float32Array;

  constructor(rows: number) {
    this.#times = new Float64Array(rows);
    this.#features = new Float32Array(rows * FEATURE_COUNT);
    this.#labels = new Uint8Array(rows * HEADS.length);
    this.#moves = new Float32Array(rows * MOVES.length);
  }

  add(
    timeUs: number,
    row: number,
    features: readonly ArrayLike<unknown>[],
    labels: readonly ArrayLike<unknown>[],
    moves: readonly ArrayLike<unknown>[],
  ): void {
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

  finish(name: string, thinning: Thinning | null): LoadedRows {
    const times = this.#times;
    const starts: number[] = [];
    for (let row = 0; row < this.#rows; row += 1) {
      if (row === 0 || (thinning !== null && isApart(thinning, times[row - 1], times[row]))) starts.push(row);
    }
    return {
      ...{ name, rows: this.#rows, times, starts },
      ...{ features: this.#features, labels: this.#labels, moves: this.#moves },
    };
  }
}
