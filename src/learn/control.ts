import type { OutcomeFileOptions } from "./outcomes/file.ts";
import type { OutcomeView } from "./outcomes/summary.ts";
import type { TrackerCounters } from "./outcomes/tracker.ts";

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
