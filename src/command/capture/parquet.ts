import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../../../package.json";
import { BadInputError } from "../../core/errors.ts";
import { type ColumnType, ParquetTable } from "../../core/parquet-table.ts";
import {
  EVENT,
  type EventBatch,
  FEED_STATE_NAMES,
  SIDE,
  TICKER,
  TICKER_FIELDS,
  UNSOUND_NAMES,
} from "../../market/event-batch.ts";
import type { Instrument, InstrumentTable } from "../../market/instrument.ts";
import { decodeCapture } from "./play.ts";

/** First columns of every table. */
const COMMON = {
  /** Local receive time. */
  local_time: "time",
  /** The venue's own; null where the frame has none. */
  exchange_time: "time",
  venue: "text",
  instrument: "text",
  /** Number of the event within the export, over all tables: rows of one book event share it, and it orders the tables. */
  event: "count",
} as const satisfies Record<string, ColumnType>;

const TICKER_COLUMNS = Object.keys(TICKER).map((name) =>
  name === "nextFundingMs" ? "next_funding" : name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
);

/** Columns beside the common ones, by table. Prices and sizes are in the venue's units. */
const TABLES = {
  book: {
    kind: "text",
    side: "text",
    price: "price",
    size: "price",
    first_sequence: "count",
    last_sequence: "count",
  },
  top: {
    bid_price: "price",
    bid_size: "price",
    ask_price: "price",
    ask_size: "price",
    last_sequence: "count",
  },
  /** `side` is the aggressor's. */
  trade: { side: "text", price: "price", size: "price" },
  ticker: Object.fromEntries(
    TICKER_COLUMNS.map((name): [string, ColumnType] => [name, name === "next_funding" ? "time" : "price"]),
  ),
  status: { state: "text", reason: "text" },
} as const satisfies Record<string, Readonly<Record<string, ColumnType>>>;

export type TableName = keyof typeof TABLES;

export interface ExportFilter {
  readonly fromUs: number;
  readonly toUs: number;
  /** Symbols; empty = all. */
  readonly instruments: ReadonlySet<string>;
}

export interface ExportedTable {
  readonly table: TableName;
  readonly file: string;
  readonly rows: number;
}

/**
 * Decodes a recording by its venue's feed and writes what the desk would have seen of it, one Parquet file per kind of event.
 * All of it is decoded, so that books are joined; the filter chooses what is written.
 *
 * @throws BadInputError when the recording cannot be played, or a file exists; nothing is left of new ones then
 */
export async function exportParquet(
  files: readonly string[],
  directory: string,
  filter: ExportFilter,
): Promise<ExportedTable[]> {
  mkdirSync(directory, { recursive: true });
  const about = { "keel.version": packageJson.version, "keel.source": files.join(" ") };
  const tables = {} as Record<TableName, ParquetTable>;
  try {
    for (const [name, columns] of Object.entries(TABLES)) {
      const path = join(directory, `${name}.parquet`);
      tables[name as TableName] = new ParquetTable(path, { ...COMMON, ...columns }, about);
    }
    const exporter = new Exporter(tables, filter);
    await decodeCapture(files, (events, instruments, timeUs) => exporter.take(events, instruments, timeUs));
    if (exporter.events === 0) {
      throw new BadInputError(
        files.join(", "),
        "no event in what was asked for",
        "another time or instrument",
      );
    }
    for (const table of Object.values(tables)) table.close();
  } catch (error) {
    for (const table of Object.values(tables)) discard(table);
    throw error;
  }
  return Object.entries(tables).map(([name, { path, rows }]) => {
    return { table: name as TableName, file: path, rows };
  });
}

/** A part of the events would pass for all of them. */
function discard(table: ParquetTable): void {
  try {
    table.close();
  } catch {
    // What went wrong first is told.
  }
  rmSync(table.path, { force: true });
}

class Exporter {
  events = 0;
  readonly #tables: Readonly<Record<TableName, ParquetTable>>;
  readonly #filter: ExportFilter;

  constructor(tables: Readonly<Record<TableName, ParquetTable>>, filter: ExportFilter) {
    this.#tables = tables;
    this.#filter = filter;
  }

  take(events: EventBatch, instruments: InstrumentTable, timeUs: number): void {
    const { fromUs, toUs, instruments: wanted } = this.#filter;
    if (timeUs < fromUs || timeUs > toUs) return;
    for (let row = 0; row < events.count; row += 1) {
      const instrument = instruments.get(events.instrument[row]);
      if (wanted.size > 0 && !wanted.has(instrument.symbol)) continue;
      this.#event(events, row, instrument, timeUs);
      this.events += 1;
    }
  }

  #event(events: EventBatch, row: number, instrument: Instrument, timeUs: number): void {
    const { venue, symbol } = instrument;
    const common = [timeUs, events.exchangeTimeUs[row], venue, symbol, this.events] as const;
    const tables = this.#tables;
    const start = events.levelStart[row];
    const price = (level: number): number => priceOf(events.priceTicks[level], instrument);
    const size = (level: number): number => sizeOf(events.sizeLots[level], instrument);
    switch (events.kind[row]) {
      case EVENT.bookSnapshot:
      case EVENT.bookDelta: {
        const kind = events.kind[row] === EVENT.bookSnapshot ? "snapshot" : "delta";
        const [first, last] = [events.firstSequence[row], events.lastSequence[row]];
        for (let level = start; level < start + events.levelCount[row]; level += 1) {
          tables.book.add([
            ...common,
            kind,
            sideOf(events.side[level]),
            price(level),
            size(level),
            first,
            last,
          ]);
        }
        return;
      }
      case EVENT.top: {
        const [bid, ask] = [events.sizeLots[start], events.sizeLots[start + 1]];
        const values = [
          bid > 0 ? price(start) : Number.NaN,
          size(start),
          ask > 0 ? price(start + 1) : Number.NaN,
          size(start + 1),
        ];
        tables.top.add([...common, ...values, events.lastSequence[row]]);
        return;
      }
      case EVENT.trade:
        tables.trade.add([
          ...common,
          events.side[start] === SIDE.bid ? "buy" : "sell",
          price(start),
          size(start),
        ]);
        return;
      case EVENT.ticker: {
        const values = [...events.values.subarray(row * TICKER_FIELDS, (row + 1) * TICKER_FIELDS)];
        values[TICKER.nextFundingMs] *= 1_000;
        tables.ticker.add([...common, ...values]);
        return;
      }
      case EVENT.status: {
        const state = FEED_STATE_NAMES[events.code[row]] ?? "";
        tables.status.add([...common, state, UNSOUND_NAMES[events.reason[row]] ?? ""]);
        return;
      }
    }
  }
}

function sideOf(side: number): string {
  return side === SIDE.bid ? "bid" : "ask";
}

/** The double nearest to the decimal price: one correctly rounded division, where a product of doubles would be off by a bit. */
function priceOf(ticks: number, { tick }: Instrument): number {
  return (ticks * tick.mantissa) / 10 ** tick.scale;
}

function sizeOf(lots: number, { lot }: Instrument): number {
  return (lots * lot.mantissa) / 10 ** lot.scale;
}
