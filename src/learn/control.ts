import type { OutcomeFileOptions } from "./outcomes/file.ts";
import type { OutcomeView } from "./outcomes/summary.ts";
import type { TrackerCounters } from "./outcomes/tracker.ts";

/** Bytes of a record in the ring before its values: u32 kind, i32 subject, u32 1 for text, 0, f64 time. */
export const OBSERVATION_HEAD_BYTES = 24;

/** First message to the thread that finds out outcomes. */
export interface OutcomeStart {
  readonly ring: SharedArrayBuffer;
  readonly heads: readonly string[];
  readonly files: OutcomeFileOptions;
}

/** What the thread tells about once a second, and at its end. */
export interface OutcomeReport {
  readonly counters: TrackerCounters;
  readonly waitingFills: number;
  readonly rows: number;
  readonly deletedParts: number;
  readonly view: OutcomeView;
  /** Why nothing is recorded any more; null while it is. */
  readonly failure: string | null;
  readonly ended: boolean;
}
