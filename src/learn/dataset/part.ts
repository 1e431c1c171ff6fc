import { statSync } from "node:fs";
import { join } from "node:path";
import { type ColumnType, ParquetTable } from "../../core/parquet-table.ts";
import { FEATURES } from "../../feature/schema.ts";
import { HEADS } from "../../inference/card.ts";
import { LABEL_OPTIONS, Labeller } from "../labels.ts";
import { type Columns, OUTCOME_TABLES, type OutcomeRows, type OutcomeTable } from "../outcomes/table.ts";
import { leakCuts, RowHashes, truncatedDiffers } from "./leakage.ts";
import type { DatasetPart } from "./manifest.ts";
import type { DatasetRow, RowSink, RowSource, SourceFile } from "./row.ts";
import type { RowTimes } from "./splits.ts";
import { isKept, type Thinning } from "./thinning.ts";
import { RowValidator } from "./validation.ts";

/** Bounds the memory of a part that is being written. */
const ROW_GROUP_ROWS = 8_192;

const FEATURE_NAMES = FEATURES.map(({ name }) => name);
const COLUMNS: Readonly<Record<string, ColumnType>> = {
  /** Local receive time, µs since the epoch. */
  time_us: "price",
  exchange_time_us: "price",
  instrument: "text",
  mid_ticks: "price",
  ...Object.fromEntries(FEATURE_NAMES.map((name) => [name, "float" as const])),
  ...Object.fromEntries(HEADS.map((head) => [`y_${head}`, "count" as const])),
  fall_50_bp: "float",
  fall_100_bp: "float",
  rise_50_bp: "float",
  rise_100_bp: "float",
  ...Object.fromEntries(HEADS.map((head) => [`p_${head}`, "float" as const])),
  /** Whose probabilities these are; empty where there are none. */
  model: "text",
};

interface Waiting {
  readonly timeUs: number;
  readonly exchangeTimeUs: number;
  readonly midTicks: number;
  readonly features: Float32Array;
  readonly probabilities: Float32Array | null;
  readonly model: string;
}

/** Rows of one instrument that wait for their labels. */
interface Labelled {
  readonly labeller: Labeller;
  readonly waiting: Map<number, Waiting>;
}

/** Writes a source's labelled rows, and a journal's outcomes, to Parquet; looks at all of them on the way. Memory is bounded. */
export class PartWriter implements RowSink {
  readonly #folder: string;
  readonly #stem: string;
  readonly #table: ParquetTable;
  readonly #validator = new RowValidator(FEATURE_NAMES);
  readonly #hashes = new RowHashes();
  readonly #labelled = new Map<string, Labelled>();
  readonly #outcomes = new Map<OutcomeTable, ParquetTable>();
  readonly #times: RowTimes;
  readonly #thinning: Thinning | null;
  #fromUs = Number.POSITIVE_INFINITY;
  #toUs = Number.NEGATIVE_INFINITY;

  /**
   * @param times is told the times of the rows that are written
   * @param thinning which labelled rows are written; null: all are. What is counted and hashed, and what labels look at, is all rows.
   */
  constructor(folder: string, stem: string, times: RowTimes, thinning: Thinning | null) {
    this.#folder = folder;
    this.#stem = stem;
    this.#times = times;
    this.#thinning = thinning;
    this.#table = new ParquetTable(join(folder, `${stem}.parquet`), COLUMNS, {}, ROW_GROUP_ROWS);
  }

  row(row: DatasetRow): void {
    this.#validator.row(row);
    this.#hashes.row(row);
    const { labeller, waiting } = this.#of(row.instrument);
    const { timeUs, exchangeTimeUs, midTicks, features, probabilities, model = "" } = row;
    if (this.#thinning === null || isKept(this.#thinning, timeUs)) {
      waiting.set(labeller.rows, {
        timeUs,
        exchangeTimeUs,
        midTicks,
        features: features.slice(),
        probabilities: probabilities?.slice() ?? null,
        model,
      });
    }
    labeller.push(timeUs, midTicks, row.bidDepth, row.askDepth);
  }

  broken(instrument: string): void {
    const labelled = this.#labelled.get(instrument);
    labelled?.labeller.reset();
    labelled?.waiting.clear();
  }

  outcome<T extends OutcomeTable>(table: T, row: OutcomeRows[T]): void {
    const columns: Columns = OUTCOME_TABLES[table];
    let file = this.#outcomes.get(table);
    if (file === undefined) {
      const types = Object.entries(columns).map(([name, type]): [string, ColumnType] => [
        name,
        type === "text" ? "text" : type === "i32" ? "count" : type === "f32" ? "float" : "price",
      ]);
      const path = join(this.#folder, `${this.#stem}-${table}.parquet`);
      file = new ParquetTable(path, Object.fromEntries(types), {}, ROW_GROUP_ROWS);
      this.#outcomes.set(table, file);
    }
    const values = row as Readonly<Record<string, number | string>>;
    file.add(Object.keys(columns).map((name) => values[name] ?? Number.NaN));
  }

  /** Closes the files. @param leakCheck plays the source again up to parts of its rows, to show that no feature looks ahead */
  async finish(source: RowSource, leakCheck: boolean): Promise<DatasetPart> {
    this.#table.close();
    for (const file of this.#outcomes.values()) file.close();
    const hashes = this.#hashes.all();
    for (const hash of leakCheck ? leakCuts(hashes) : []) {
      const difference = await truncatedDiffers(source, hash);
      if (difference !== null) this.#validator.find("leak", hash.timeUs, "", difference);
    }
    let unlabelled = 0;
    for (const { labeller, waiting } of this.#labelled.values()) {
      unlabelled += labeller.unlabelled + labeller.waiting;
      waiting.clear();
    }
    const outcomes = await Promise.all(
      [...this.#outcomes].map(async ([table, { path, rows }]) => ({
        table,
        file: await digestOf(path),
        rows,
      })),
    );
    return {
      file: await digestOf(this.#table.path),
      kind: source.kind,
      source: source.name,
      sources: [...source.files],
      rows: this.#table.rows,
      unlabelled,
      fromUs: this.#table.rows === 0 ? null : this.#fromUs,
      toUs: this.#table.rows === 0 ? null : this.#toUs,
      instruments: [...this.#labelled.keys()],
      outcomes,
      validation: this.#validator.finish(),
      hashes,
      leakChecked: leakCheck,
    };
  }

  #of(instrument: string): Labelled {
    const known = this.#labelled.get(instrument);
    if (known !== undefined) return known;
    const waiting = new Map<number, Waiting>();
    const labeller = new Labeller((number, labels, movesBp) => {
      const row = waiting.get(number);
      if (row === undefined) return;
      waiting.delete(number);
      this.#write(instrument, row, labels, movesBp);
    }, LABEL_OPTIONS);
    const made = { labeller, waiting };
    this.#labelled.set(instrument, made);
    return made;
  }

  #write(instrument: string, row: Waiting, labels: Uint8Array, movesBp: Float64Array): void {
    this.#validator.labelled(row.features, labels);
    this.#times.add(row.timeUs);
    this.#fromUs = Math.min(this.#fromUs, row.timeUs);
    this.#toUs = Math.max(this.#toUs, row.timeUs);
    const { probabilities, model } = row;
    this.#table.add([
      row.timeUs,
      row.exchangeTimeUs,
      instrument,
      row.midTicks,
      ...row.features,
      ...labels,
      ...movesBp,
      ...HEADS.map((_, head) => probabilities?.[head] ?? Number.NaN),
      model,
    ]);
  }
}

/** Name, size and SHA-256 of a file, read in pieces. */
export async function digestOf(path: string): Promise<SourceFile> {
  const hasher = new Bun.CryptoHasher("sha256");
  for await (const piece of Bun.file(path).stream()) hasher.update(piece);
  return {
    name: path.slice(path.lastIndexOf("/") + 1),
    bytes: statSync(path).size,
    sha256: hasher.digest("hex"),
  };
}
