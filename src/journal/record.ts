/**
 * What a journal holds, in the order in which it happened. Inputs are all that ever changes the desk; decisions are all that
 * the desk did in answer. Replaying the inputs into a fresh desk must give the decisions bit for bit.
 */
export const RECORD = {
  /** First record of a run: JSON of configuration, build, model digest, schema hash, seed. */
  start: 1,
  /**
   * A run that was begun beside another one, whose place it takes from here on. Payload: JSON `{run, digest}` of the other one and of its
   * last segment, both null where it kept no journal.
   */
  link: 4,
  /** Inputs. `subject` = feed (or request) number; payload as named. */
  feedOpen: 10,
  /** Payload: the frame's UTF-8 text. */
  feedFrame: 11,
  /** Payload: JSON `{code, reason}`. */
  feedClose: 12,
  /** Payload: JSON `{request, status, retryAfterMs, body}`. */
  feedResponse: 13,
  timer: 14,
  /** An engine's submit has ended. Subject: rows; payload: their probabilities, f32. */
  inference: 15,
  /** Payload: JSON of the gateway event. */
  gateway: 16,
  /** Payload: JSON `{command, reason}`: kill, reset, reduce, shutdown, and of a pair lead, standBy; or `{command: "sides", instrument, sides}`. */
  control: 17,
  /** Payload: JSON `{step}`: the run's step in which a synchronous engine was lost, null when a submit ended so. Empty: null. */
  engineLost: 19,
  engineRestored: 20,
  /** The frames that came in together have all been handed in. */
  batchEnd: 24,
  /** Another model is loaded, in force or let go. Payload: JSON of a `ModelAct`, see `desk/model-act.ts`. */
  model: 28,
  /** An instrument's probabilities are calibrated anew. Subject: underlying; payload: JSON `{head, slope, intercept}`. */
  calibration: 29,
  /** An underlying's model is trusted less, or again, because of drift. Subject: underlying; payload: JSON `{share, stage, causes}`. */
  drift: 35,
  /**
   * The desk is beyond its capacity, or nearer to it again. Payload: JSON `{stage, share}` with the stage's name and the share of the
   * defensive adjustment, and for people `{cause, loopMs, ageMs, queuedBytes, ringFill, ringMs, relayMs}`.
   */
  load: 36,
  /** Payload: JSON of the risk limits that are in force from then on. */
  limits: 21,
  /** Payload: JSON `{report, adopt}`: what the counterparty holds, and whether an operator has it adopted. */
  reconciliation: 22,
  /** The timer of one feed, where feeds are kept on threads of their own. `timer` is then the desk's alone. Subject: feed. */
  feedTimer: 25,
  /** Payload: JSON `{feeds, reason}`: the thread that kept them is gone, and nothing that they said holds any more. */
  feedsLost: 26,
  /** Payload: JSON `{feeds}`: they begin anew. */
  feedsStarted: 27,
  /** Payload: JSON of what a client said; see `rfq/message.ts`. */
  rfq: 23,
  /** Decisions. Payload of `quote`: see `desk/decision.ts`. */
  quote: 30,
  cancelAll: 31,
  /** Payload: JSON of an order sent, an order cancelled, or of the trading state from then on; see `desk/risk-decision.ts`. */
  risk: 32,
  /** Payload: JSON of an answer to a client; see `rfq/message.ts`. */
  rfqAction: 33,
  /** Last record of an orderly run: JSON summary counters. */
  end: 2,
} as const;
export type RecordType = (typeof RECORD)[keyof typeof RECORD];

/** The names in {@link RECORD}, by number. */
export const RECORD_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(RECORD).map(([name, type]) => [type, name]),
);

/** Where the desk's runtime writes inputs and decisions. Never blocks and never throws: what does not fit is counted as dropped. */
export interface JournalSink {
  readonly dropped: number;
  text(type: RecordType, subject: number, timeUs: number, payload: string): void;
  bytes(type: RecordType, subject: number, timeUs: number, payload: Uint8Array): void;
}

export interface JournalRecord {
  readonly sequence: number;
  readonly type: RecordType;
  readonly subject: number;
  readonly timeUs: number;
  readonly payload: Uint8Array;
}
