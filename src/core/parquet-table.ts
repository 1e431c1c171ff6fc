import { closeSync, openSync } from "node:fs";
import { zstdCompressSync } from "node:zlib";
import type { SchemaElement } from "hyparquet";
import { fileWriter, ParquetWriter } from "hyparquet-writer";
import { BadInputError } from "./errors.ts";
import { invariant } from "./invariant.ts";

/** Rows gathered before they are written as one row group; bounds the memory that an export takes. */
const ROW_GROUP_ROWS = 65_536;

/**
 * What a column holds. `time` is µs since the epoch as a UTC timestamp, `count` a whole number up to 2^53; all but `text` take NaN
 * for "none". `float` has single precision.
 */
export type ColumnType = "time" | "count" | "price" | "float" | "text";
export type Row = readonly (number | string)[];

const TYPES: Readonly<Record<ColumnType, Omit<SchemaElement, "name">>> = {
  time: { type: "INT64", logical_type: { type: "TIMESTAMP", isAdjustedToUTC: true, unit: "MICROS" } },
  count: { type: "INT64" },
  price: { type: "DOUBLE" },
  float: { type: "FLOAT" },
  text: { type: "BYTE_ARRAY", converted_type: "UTF8", logical_type: { type: "STRING" } },
};

/** One Parquet file (zstd, one row group per 65,536 rows unless told otherwise), written as rows come. */
export class ParquetTable {
  readonly path: string;
  rows = 0;
  readonly #columns: readonly (readonly [string, ColumnType])[];
  readonly #data: (number | string | bigint | null)[][];
  readonly #writer: ParquetWriter;
  readonly #rowGroupRows: number;

  /** @param columns name → what it holds, in order. @throws BadInputError when the file exists or cannot be made */
  constructor(
    path: string,
    columns: Readonly<Record<string, ColumnType>>,
    about: Readonly<Record<string, string>>,
    rowGroupRows = ROW_GROUP_ROWS,
  ) {
    this.path = path;
    this.#rowGroupRows = rowGroupRows;
    this.#columns = Object.entries(columns);
    this.#data = this.#columns.map(() => []);
    try {
      closeSync(openSync(path, "wx"));
    } catch (error) {
      throw new BadInputError(
        path,
        error instanceof Error ? error.message : String(error),
        "a place for a new file",
      );
    }
    const fields = this.#columns.map(
      ([name, type]): SchemaElement => ({
        name,
        repetition_type: type === "text" ? "REQUIRED" : "OPTIONAL",
        ...TYPES[type],
      }),
    );
    this.#writer = new ParquetWriter({
      writer: fileWriter(path),
      schema: [{ name: "root", num_children: fields.length }, ...fields],
      codec: "ZSTD",
      compressors: { ZSTD: (input) => zstdCompressSync(input) },
      kvMetadata: Object.entries(about).map(([key, value]) => ({ key, value })),
      createdBy: "keel",
    });
  }

  add(row: Row): void {
    invariant(row.length === this.#columns.length, "a row has a value for every column");
    for (const [column, value] of row.entries()) this.#data[column].push(this.#cell(column, value));
    this.rows += 1;
    if (this.rows % this.#rowGroupRows === 0) this.#group();
  }

  close(): void {
    this.#group();
    this.#writer.finish();
  }

  #cell(column: number, value: number | string): number | string | bigint | null {
    const [, type] = this.#columns[column];
    if (typeof value === "string" || type === "text") return value;
    if (!Number.isFinite(value)) return null;
    return type === "price" || type === "float" ? value : BigInt(Math.round(value));
  }

  #group(): void {
    if (this.#data[0].length === 0) return;
    const columnData = this.#columns.map(([name], column) => ({ name, data: this.#data[column] }));
    this.#writer.write({ columnData });
    for (const column of this.#data) column.length = 0;
  }
}
