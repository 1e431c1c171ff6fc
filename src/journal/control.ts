import type { SegmentOptions } from "./segments.ts";

/** Words that the desk's thread and the journal's thread share beside the ring. */
export const CONTROL = {
  /** The desk asks for everything to be written and the files to be closed. */
  closing: 0,
  /** The journal's thread can write no more. */
  failed: 1,
  ready: 2,
  /** The journal's thread has ended: everything is on disk, or {@link failed} is set. */
  done: 3,
  /** The disk takes nothing for now; the thread tries again. */
  stalled: 4,
  /** Times that retention could not remove what it should have. */
  unretired: 5,
} as const;
export const CONTROL_BYTES = 24;

/** First and only message to the thread. */
export interface JournalWorkerStart {
  readonly memory: SharedArrayBuffer;
  readonly control: SharedArrayBuffer;
  readonly options: SegmentOptions;
}

/** Message from the thread when files stay that retention should have removed. */
export interface JournalWorkerWarning {
  readonly unretired: string;
}

/** Last message from the thread, when it has ended. */
export interface JournalWorkerReply {
  /** Null when everything was written. */
  readonly failure: string | null;
  readonly records: number;
  readonly bytes: number;
  readonly segments: number;
  /** Hex SHA-256 of the run's last segment; null when none was finished. */
  readonly digest: string | null;
}
