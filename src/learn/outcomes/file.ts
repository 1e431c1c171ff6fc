/**
 * Files of outcomes, in the journal's format (header, records with CRC, see `journal/format.ts`): a run writes parts
 * `keel-RUN-0001-000001.kjl`, `keel-RUN-0002-000001.kjl`, …, each a whole of its own that begins with an {@link OutcomeHeader}. The
 * oldest parts of the folder go when all of them become too many bytes.
 *
 * @module
 */
import { mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { BadInputError } from "../../core/errors.ts";
import { fieldOf, refuseLater } from "../../core/file-version.ts";
import { parseSegmentName, RECORD_BYTES } from "../../journal/format.ts";
import { JournalReader, journalRuns } from "../../journal/reader.ts";
import { decodeRow, encodeRow } from "./codec.ts";
import { PartFile } from "./part-file.ts";
import {
  type Columns,
  columnsOf,
  OUTCOME_FORMAT,
  OUTCOME_TABLE_NAMES,
  OUTCOME_TABLES,
  type OutcomeRows,
  type OutcomeSink,
  type OutcomeTable,
  type RowOf,
  unknownColumns,
} from "./table.ts";

const HEADER_RECORD = 1;
const TABLE_RECORD = 100;

const outcomeHeader = z.strictObject({
  format: z.int().min(1).max(OUTCOME_FORMAT),
  keel: z.string(),
  run: z.string(),
  schemaHash: z.string(),
  /** In force when the run began, as `modelLabel` names it; rows name theirs. */
  model: z.string(),
  /** The columns of every table, by which older files are told from newer ones. */
  tables: z.record(z.string(), z.array(z.string())),
});

/** What a file of outcomes says of itself. */
export type OutcomeHeader = z.infer<typeof outcomeHeader>;

export function outcomeHeaderOf(about: {
  readonly keel: string;
  readonly run: string;
  readonly schemaHash: string;
  readonly model: string;
}): OutcomeHeader {
  const { keel, run, schemaHash, model } = about;
  return { format: OUTCOME_FORMAT, keel, run, schemaHash, model, tables: tableColumns(OUTCOME_FORMAT) };
}

export interface OutcomeFileOptions {
  readonly directory: string;
  readonly header: OutcomeHeader;
  /** Size at which the next part begins. */
  readonly partBytes: number;
  /** Of all parts in the folder, other runs' included; the oldest go. */
  readonly totalBytes: number;
}

/** Writes outcomes. Belongs to one thread; calls wait for the file system. */
export class OutcomeWriter implements OutcomeSink {
  rows = 0;
  /** Parts deleted to stay within the bound. */
  deletedParts = 0;
  #part = 0;
  #file: PartFile | null = null;
  readonly #options: OutcomeFileOptions;

  constructor(options: OutcomeFileOptions) {
    this.#options = options;
    mkdirSync(options.directory, { recursive: true });
    this.#next(0);
  }

  outcome<T extends OutcomeTable>(table: T, row: OutcomeRows[T]): void {
    const columns: Columns = OUTCOME_TABLES[table];
    const payload = encodeRow(columns, row as RowOf<Columns>);
    const isFull = (this.#file?.bytes ?? 0) + RECORD_BYTES + payload.length > this.#options.partBytes;
    if (isFull) this.#next(row.time_us);
    this.#file?.append(TABLE_RECORD + OUTCOME_TABLE_NAMES.indexOf(table), row.time_us, payload);
    this.rows += 1;
  }

  /** Hands over to the file system what was gathered. */
  flush(nowMs: number): void {
    this.#file?.flush();
    this.#file?.tick(nowMs);
  }

  close(): void {
    this.#file?.close();
    this.#file = null;
  }

  #next(timeUs: number): void {
    this.close();
    const { directory, header, partBytes } = this.#options;
    this.#part += 1;
    this.#file = new PartFile(directory, `${header.run}-${String(this.#part).padStart(4, "0")}`);
    this.#file.append(HEADER_RECORD, timeUs, Buffer.from(JSON.stringify(header)));
    this.#file.flush();
    this.#makeRoom(partBytes);
  }

  /** Deletes the oldest parts until one more fits. */
  #makeRoom(bytes: number): void {
    const { directory, totalBytes } = this.#options;
    const parts = readdirSync(directory)
      .filter((name) => parseSegmentName(name) !== null)
      .sort()
      .map((name) => ({ path: join(directory, name), size: statSync(join(directory, name)).size }));
    let held = parts.reduce((sum, { size }) => sum + size, 0);
    for (const { path, size } of parts.slice(0, -1)) {
      if (held + bytes <= totalBytes) return;
      rmSync(path);
      held -= size;
      this.deletedParts += 1;
    }
  }
}

/** One part of a run's outcomes, as far as it can be read. */
export interface OutcomePart {
  readonly header: OutcomeHeader;
  readonly file: string;
  rows: number;
  /** Why its end cannot be read; null when it can. */
  damage: string | null;
}

/**
 * Reads the outcomes of a folder in the order of its runs, in bounded memory.
 *
 * @param take is given each row, and the part that it stands in
 * @returns the parts read
 * @throws BadInputError when the folder holds none, or a part is of another format
 */
export function readOutcomes(
  directory: string,
  take: <T extends OutcomeTable>(table: T, row: OutcomeRows[T], part: OutcomePart) => void,
): OutcomePart[] {
  const parts: OutcomePart[] = [];
  for (const { runId, files } of journalRuns(directory)) {
    const reader = new JournalReader(directory, runId);
    let part: OutcomePart | null = null;
    let forms: Forms | null = null;
    for (const { type, payload } of reader.records()) {
      if (part === null || forms === null) {
        part = {
          header: readHeader(files[0] ?? runId, type, payload),
          file: files[0] ?? runId,
          rows: 0,
          damage: null,
        };
        forms = formsOf(part.header);
        parts.push(part);
        continue;
      }
      const table = OUTCOME_TABLE_NAMES[type - TABLE_RECORD];
      if (table === undefined) continue;
      part.rows += 1;
      const { columns, untold } = forms[table];
      take(
        table,
        { ...untold, ...decodeRow(columns, payload) } as unknown as OutcomeRows[typeof table],
        part,
      );
    }
    if (part !== null && reader.damage !== null) part.damage = reader.damage.reason;
  }
  if (parts.length === 0)
    throw new BadInputError(directory, "no outcomes", "files that KEEL_OUTCOMES_DIR took");
  return parts;
}

function readHeader(file: string, type: number, payload: Uint8Array): OutcomeHeader {
  const expected = `outcomes of format ${OUTCOME_FORMAT} or earlier with the columns of that`;
  if (type !== HEADER_RECORD) throw new BadInputError(file, `a first record of type ${type}`, expected);
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(payload).toString());
  } catch {
    throw new BadInputError(file, "a header that is no JSON", expected);
  }
  refuseLater(file, fieldOf(value, "format"), OUTCOME_FORMAT);
  const parsed = outcomeHeader.safeParse(value);
  if (!parsed.success || !Bun.deepEquals(parsed.data.tables, tableColumns(parsed.data.format))) {
    throw new BadInputError(file, parsed.success ? "other columns" : "another header", expected);
  }
  return parsed.data;
}

function tableColumns(format: number): Record<string, string[]> {
  return Object.fromEntries(
    OUTCOME_TABLE_NAMES.map((name) => [
      name,
      Object.entries(columnsOf(name, format)).map(([column, type]) => `${column}:${type}`),
    ]),
  );
}

/** How rows of a part are read, by table. */
type Forms = Readonly<
  Record<OutcomeTable, { readonly columns: Columns; readonly untold: Record<string, number | string> }>
>;

/** Rows of the first format do not name their model: all of them bear the header's. */
function formsOf({ format, model }: OutcomeHeader): Forms {
  return Object.fromEntries(
    OUTCOME_TABLE_NAMES.map((table) => [
      table,
      {
        columns: columnsOf(table, format),
        untold: { ...unknownColumns(table, format), ...(format === 1 ? { model } : {}) },
      },
    ]),
  ) as Forms;
}
