/**
 * What outcomes are recorded, as tables: one declaration gives the rows' types, their form in files and in Parquet.
 *
 * Prices are in the instrument's price unit, sizes in its size unit, money in quote currency, times in local µs since the epoch.
 * NaN stands for what is not known. A mark is the mid of the instrument's own book, or the venue's mark price while that has no
 * two sides. `model` is the one in force for the underlying, as `modelLabel` names it: when a prediction was made, when a quote was sent
 * (of a fill: the quote that was hit, or the answer to a request that was taken), when an order was sent, and where it is not known which of these it was, at the time of the row;
 * empty where that is not known either.
 *
 * @module
 */
import { HEADS } from "../../inference/card.ts";
import { TERM_NAMES, type TermName } from "../../quote/term.ts";

export type ColumnType = "f64" | "f32" | "i32" | "text";
export type Columns = Readonly<Record<string, ColumnType>>;
export type RowOf<C extends Columns> = { -readonly [K in keyof C]: C[K] extends "text" ? string : number };

/** After a fill the mark is looked at again at these times. */
export const HORIZONS_MS = [10, 100, 1_000, 10_000, 60_000] as const;
export const HORIZON_NAMES = ["10ms", "100ms", "1s", "10s", "60s"] as const;
export type HorizonName = (typeof HORIZON_NAMES)[number];

const MARKS = {
  /** The last mark at or before the time so much later. */
  mark_10ms: "f64",
  mark_100ms: "f64",
  mark_1s: "f64",
  mark_10s: "f64",
  mark_60s: "f64",
} as const satisfies Record<`mark_${HorizonName}`, ColumnType>;

const PROBABILITIES = Object.fromEntries(HEADS.map((head) => [`p_${head}`, "f32"])) as Record<
  `p_${(typeof HEADS)[number]}`,
  "f32"
>;
const LABELS = Object.fromEntries(HEADS.map((head) => [`y_${head}`, "f32"])) as Record<
  `y_${(typeof HEADS)[number]}`,
  "f32"
>;
const FILL_PROBABILITIES = Object.fromEntries(HEADS.map((head) => [`fill_p_${head}`, "f32"])) as Record<
  `fill_p_${(typeof HEADS)[number]}`,
  "f32"
>;
const TERM_COLUMNS = Object.fromEntries(TERM_NAMES.map((name) => [`term_${name}`, "f32"])) as Record<
  `term_${TermName}`,
  "f32"
>;

/** A prediction that was in force, and what came of it: labels as in training. */
export const PREDICTION = {
  time_us: "f64",
  underlying: "text",
  model: "text",
  /** Of the book that leads the underlying, in its ticks. */
  mid_ticks: "f64",
  ...PROBABILITIES,
  ...LABELS,
  /** Largest fall and rise of the mid within 50 and 100 ms, bp, ≥ 0. */
  fall_50_bp: "f32",
  fall_100_bp: "f32",
  rise_50_bp: "f32",
  rise_100_bp: "f32",
} as const satisfies Columns;

/** Why a quote no longer stands. */
export const QUOTE_END = ["replaced", "cancelled", "ended"] as const;

/** A quote from when it was sent until it stood no more. */
export const QUOTE = {
  time_us: "f64",
  until_us: "f64",
  /** One of {@link QUOTE_END}. */
  end: "text",
  instrument: "text",
  model: "text",
  quote_id: "f64",
  level: "i32",
  /** NaN where the side was not quoted. */
  bid: "f64",
  bid_size: "f64",
  ask: "f64",
  ask_size: "f64",
  /** Where the sides would have stood, and with what size, without the model's terms. */
  static_bid: "f64",
  static_bid_size: "f64",
  static_ask: "f64",
  static_ask_size: "f64",
  /** When it was sent. */
  mark: "f64",
  fair: "f64",
  widen_bp: "f32",
  size_factor: "f32",
  reasons: "i32",
  /** For how long each side was no worse than the best of the instrument's book, µs. */
  bid_best_us: "f64",
  ask_best_us: "f64",
} as const satisfies Columns;

/** A fill. */
export const FILL = {
  time_us: "f64",
  fill_id: "text",
  instrument: "text",
  underlying: "text",
  model: "text",
  source: "text",
  counterparty: "text",
  liquidity: "text",
  /** 1 = we bought, −1 = we sold. */
  side: "i32",
  price: "f64",
  size: "f64",
  /** What a difference of 1.0 in price is worth on the whole fill, in quote currency. */
  unit_value: "f64",
  /** The quote that was hit, by its price; NaN when none of the last ones had it. */
  quote_id: "f64",
  level: "i32",
  /** When that quote, the answer that was taken, or the order was sent. */
  quote_time_us: "f64",
  /** Mark then; and when the fill came. */
  arrival_mark: "f64",
  mark: "f64",
  ...MARKS,
  /** Where that side would have stood without the model's terms, and with what size for all that was filled of it. */
  static_price: "f64",
  static_ratio: "f64",
  fair: "f64",
  widen_bp: "f32",
  size_factor: "f32",
  reasons: "i32",
  ...TERM_COLUMNS,
  /** The answer to a request that was taken; empty when it was none. */
  rfq_quote_id: "text",
  /** What the model said when that quote, answer or order was sent, and of which time the features were; NaN where none was in force. */
  predicted_us: "f64",
  ...PROBABILITIES,
  /** The same at the fill. */
  fill_predicted_us: "f64",
  ...FILL_PROBABILITIES,
} as const satisfies Columns;

/** What went through the level at which a quote without the model's terms would have stood. */
export const PASS = ["trade", "book"] as const;

/**
 * A fill that a quote without the model's terms would have had and the quote as it stood did not: the market went through its
 * level, strictly, and did not reach the quote's own.
 */
export const UNFILLED = {
  time_us: "f64",
  instrument: "text",
  underlying: "text",
  model: "text",
  /** One of {@link PASS}. */
  pass: "text",
  /** 1 = we would have bought. */
  side: "i32",
  quote_id: "f64",
  level: "i32",
  /** As it was quoted. */
  price: "f64",
  static_price: "f64",
  static_size: "f64",
  unit_value: "f64",
  mark: "f64",
  ...MARKS,
  widen_bp: "f32",
  reasons: "i32",
} as const satisfies Columns;

export const OUTCOME_TABLES = {
  prediction: PREDICTION,
  quote: QUOTE,
  fill: FILL,
  unfilled: UNFILLED,
} as const;
export type OutcomeTable = keyof typeof OUTCOME_TABLES;
export const OUTCOME_TABLE_NAMES = Object.keys(OUTCOME_TABLES) as readonly OutcomeTable[];

/** The newest format of files. */
export const OUTCOME_FORMAT = 3;
/** Formats in which columns came in; all others were there from the first. */
const SINCE: Readonly<Record<OutcomeTable, Readonly<Record<string, number>>>> = {
  prediction: { model: 2 },
  quote: { model: 2 },
  fill: {
    model: 2,
    ...Object.fromEntries(
      ["rfq_quote_id", "predicted_us", "fill_predicted_us"].map((column) => [column, OUTCOME_FORMAT]),
    ),
    ...Object.fromEntries(
      [...Object.keys(PROBABILITIES), ...Object.keys(FILL_PROBABILITIES)].map((column) => [
        column,
        OUTCOME_FORMAT,
      ]),
    ),
  },
  unfilled: { model: 2 },
};

/** Columns of a table in files of a format. */
export function columnsOf(table: OutcomeTable, format: number): Columns {
  const columns: Columns = OUTCOME_TABLES[table];
  const since = SINCE[table];
  return Object.fromEntries(Object.entries(columns).filter(([column]) => (since[column] ?? 1) <= format));
}

/** What a row of an older format does not tell: nothing is known of it. */
export function unknownColumns(table: OutcomeTable, format: number): Record<string, number | string> {
  const columns: Columns = OUTCOME_TABLES[table];
  return Object.fromEntries(
    Object.entries(columns)
      .filter(([column]) => (SINCE[table][column] ?? 1) > format)
      .map(([column, type]) => [column, type === "text" ? "" : Number.NaN]),
  );
}

export type PredictionOutcome = RowOf<typeof PREDICTION>;
export type QuoteOutcome = RowOf<typeof QUOTE>;
export type FillOutcome = RowOf<typeof FILL>;
export type UnfilledOutcome = RowOf<typeof UNFILLED>;
export interface OutcomeRows {
  readonly prediction: PredictionOutcome;
  readonly quote: QuoteOutcome;
  readonly fill: FillOutcome;
  readonly unfilled: UnfilledOutcome;
}

/** Takes outcomes as they become known: those of a fill when its last horizon has passed. */
export interface OutcomeSink {
  outcome<T extends OutcomeTable>(table: T, row: OutcomeRows[T]): void;
}
