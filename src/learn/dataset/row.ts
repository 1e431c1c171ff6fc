import type { OutcomeSink } from "../outcomes/table.ts";

/** A row of features as it is known at its time; valid during the call only. */
export interface DatasetRow {
  /** Local receive time. */
  readonly timeUs: number;
  /** Of the newest event, by the venue's clock; NaN where it has none. */
  readonly exchangeTimeUs: number;
  /** Whose book it is: `venue:symbol`. */
  readonly instrument: string;
  readonly midTicks: number;
  /** Sizes of the ten best levels, lots. */
  readonly bidDepth: number;
  readonly askDepth: number;
  /** In the order of the schema. */
  readonly features: Float32Array;
  /** What the model said of it, by head; null where none ran. */
  readonly probabilities: Float32Array | null;
  /** Which model said it, as `modelLabel` names it; left out where none ran. */
  readonly model?: string;
}

/** Takes the rows of a source in the order in which they were. */
export interface RowSink {
  row(row: DatasetRow): void;
  /** The instrument's book broke: labels do not look across. */
  broken(instrument: string): void;
  /** What came of a journal's predictions, quotes and fills; left out where nobody looks. */
  outcome?: OutcomeSink["outcome"];
}

export interface SourceFile {
  /** Without its folder. */
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Where rows come from: a capture or a run of a journal. Playing it again gives the same rows. */
export interface RowSource {
  readonly kind: "capture" | "journal";
  readonly name: string;
  readonly files: readonly SourceFile[];
  /** Rows before it are left out; all are rows when it is left out. */
  readonly sinceUs?: number;
  /**
   * Plays the source from its beginning; nothing after `untilUs` is shown to what makes the features.
   *
   * @throws BadInputError when it cannot be played
   */
  play(sink: RowSink, untilUs: number): Promise<void>;
  /** What of it could not be read, in words; known once it has been played to its end. */
  readonly damage?: readonly string[];
}
