import { mkdirSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../../../package.json";
import { stepToNumber } from "../../core/decimal.ts";
import { type ColumnType, ParquetTable } from "../../core/parquet-table.ts";
import { decodeDecision } from "../../desk/decision.ts";
import type { Desk } from "../../desk/desk.ts";
import { JournalReader } from "../../journal/reader.ts";
import { type JournalRecord, RECORD, RECORD_NAMES } from "../../journal/record.ts";
import { replay } from "../../journal/replay.ts";
import { DecisionComparer } from "../../journal/verify.ts";
import { engineForReplay } from "../../live/replay-engine.ts";
import { TERM_NAMES } from "../../quote/term.ts";
import type { Output } from "../command.ts";

/** Every quote that was sent, a row a level, with what it was made of. */
const QUOTE_COLUMNS = {
  time: "time",
  sequence: "count",
  venue: "text",
  instrument: "text",
  level: "count",
  quote_id: "count",
  bid_price: "price",
  bid_size: "price",
  ask_price: "price",
  ask_size: "price",
  fair: "price",
  widen_bp: "price",
  size_factor: "price",
  reasons: "text",
  ...Object.fromEntries(TERM_NAMES.map((term): [string, ColumnType] => [`term_${term}`, "price"])),
} as const satisfies Record<string, ColumnType>;

/** Every record but frames, their timers and quotes: answers of the counterparty, commands, limits, orders, states, requests for quotes. */
const EVENT_COLUMNS = {
  time: "time",
  sequence: "count",
  type: "text",
  subject: "count",
  payload: "text",
} as const satisfies Record<string, ColumnType>;

/** Records that are not exported as events: market data, which `keel capture` exports, and what has a table of its own. */
const LEFT_OUT: ReadonlySet<number> = new Set([
  RECORD.feedFrame,
  RECORD.timer,
  RECORD.feedTimer,
  RECORD.batchEnd,
  RECORD.inference,
  RECORD.quote,
]);

/**
 * Writes a run's quotes and events as Parquet files. The run is replayed, because its inputs say what its instruments are.
 *
 * @throws BadInputError when there is no such run, or a file exists
 */
export async function exportRun(
  directory: string,
  runId: string | undefined,
  into: string,
  warn: (line: string) => void,
  out: Output,
): Promise<void> {
  const reader = new JournalReader(directory, runId);
  mkdirSync(into, { recursive: true });
  const about = { "keel.version": packageJson.version, "keel.run": reader.run.runId };
  const quotes = new ParquetTable(join(into, "quotes.parquet"), QUOTE_COLUMNS, about);
  const events = new ParquetTable(join(into, "events.parquet"), EVENT_COLUMNS, about);
  let replayed: Desk | null = null;
  try {
    await replay(reader.records(), {
      engineFor: (start) => engineForReplay(start, undefined, { info: () => {}, warn }),
      decisions: new DecisionComparer(() => null),
      taps: (desk) => {
        replayed = desk;
        return [];
      },
      onRecord: (record) => {
        if (record.type === RECORD.quote && replayed !== null) addQuotes(quotes, replayed, record);
        if (!LEFT_OUT.has(record.type)) addEvent(events, record);
      },
    });
  } finally {
    quotes.close();
    events.close();
  }
  for (const { path, rows } of [quotes, events]) out.line(`${path}: ${rows} rows`);
  if (reader.damage !== null)
    out.line(`the journal is readable up to byte ${reader.damage.offset} of ${reader.damage.file}`);
  out.result({
    run: reader.run.runId,
    damage: reader.damage,
    tables: [quotes, events].map(({ path, rows }) => ({ file: path, rows })),
  });
}

function addQuotes(
  table: ParquetTable,
  { market }: Desk,
  { timeUs, sequence, payload }: JournalRecord,
): void {
  for (const quote of decodeDecision(payload).quotes) {
    const { venue, symbol, tick, lot } = market.instruments.get(quote.instrument);
    const [tickSize, lotSize] = [stepToNumber(tick), stepToNumber(lot)];
    const { bidTicks, bidLots, askTicks, askLots, terms } = quote;
    table.add([
      timeUs,
      sequence,
      venue,
      symbol,
      quote.level,
      quote.quoteId,
      bidTicks < 0 ? Number.NaN : bidTicks * tickSize,
      bidLots * lotSize,
      askTicks < 0 ? Number.NaN : askTicks * tickSize,
      askLots * lotSize,
      quote.fair,
      quote.widenBp,
      quote.sizeFactor,
      quote.reasons.join(" "),
      ...TERM_NAMES.map((term) => terms?.[term] ?? Number.NaN),
    ]);
  }
}

function addEvent(table: ParquetTable, { timeUs, sequence, type, subject, payload }: JournalRecord): void {
  table.add([
    timeUs,
    sequence,
    RECORD_NAMES.get(type) ?? String(type),
    subject,
    Buffer.from(payload).toString("utf8"),
  ]);
}
