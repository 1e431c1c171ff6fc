import { type JournalRecord, type JournalSink, RECORD, RECORD_NAMES, type RecordType } from "./record.ts";

/** Decisions of one side that wait for the other side's. */
const PENDING_MAX = 65_536;
/** Inputs at the end of a journal that was cut off whose decisions may not have reached it. */
const CUT_OFF_INPUTS = 1;

/** One decision as shown in a difference. */
export interface ShownDecision {
  readonly type: string;
  readonly subject: number;
  readonly timeUs: number;
  /** What the caller's callback makes of the payload. */
  readonly payload: unknown;
}

/** The first decision that is not the same. */
export interface DecisionDifference {
  /** Which decision of the run, from 0. */
  readonly index: number;
  /** Sequence of the recorded decision in the journal; null when the replay made one that is not in the journal. */
  readonly sequence: number | null;
  readonly what: "type" | "subject" | "time" | "payload" | "missing-in-replay" | "extra-in-replay";
  readonly recorded: ShownDecision | null;
  readonly replayed: ShownDecision | null;
}

export interface Verification {
  readonly identical: boolean;
  /** The journal has its last record; without it the run was cut off, and decisions on the last input may be lost. */
  readonly complete: boolean;
  /** Decisions found the same. */
  readonly compared: number;
  readonly difference: DecisionDifference | null;
}

interface Decision {
  readonly type: RecordType;
  readonly subject: number;
  readonly timeUs: number;
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/** Makes a decision's payload readable; used for the first difference only. */
export type PayloadDecoder = (type: RecordType, payload: Uint8Array) => unknown;

const encoder = new TextEncoder();

/** Decisions are what the desk did; everything else in a journal is what was done to it. */
export function isDecision(type: RecordType): boolean {
  return (
    type === RECORD.quote || type === RECORD.cancelAll || type === RECORD.risk || type === RECORD.rfqAction
  );
}

/**
 * Compares, bit for bit and in order, the decisions that a journal recorded with those that a replay makes. The replayed desk
 * writes into it as into any journal; the journal's own records are handed to {@link recorded}; either side may be ahead.
 * It stops comparing at the first difference.
 */
export class DecisionComparer implements JournalSink {
  /** Nothing is ever dropped here; part of the sink's contract. */
  readonly dropped = 0;
  readonly #decode: PayloadDecoder;
  readonly #recorded: Decision[] = [];
  readonly #replayed: Decision[] = [];
  #compared = 0;
  #inputs = 0;
  /** Inputs seen when the oldest waiting replayed decision was made. */
  #waitingSinceInput = 0;
  #complete = false;
  #difference: DecisionDifference | null = null;

  constructor(decode: PayloadDecoder) {
    this.#decode = decode;
  }

  /** The replay may stop: a difference has been found. */
  get differs(): boolean {
    return this.#difference !== null;
  }

  get compared(): number {
    return this.#compared;
  }

  /** A record of the journal, in its order; records that are no decisions are passed over. */
  recorded(record: JournalRecord): void {
    if (!isDecision(record.type)) {
      this.#inputs += 1;
      this.#complete ||= record.type === RECORD.end;
      return;
    }
    if (this.#difference !== null) return;
    const waiting = this.#replayed.shift();
    if (waiting === undefined)
      this.#wait(this.#recorded, { ...record, payload: new Uint8Array(record.payload) });
    else this.#compare(record, waiting);
  }

  /** From the replayed desk. */
  text(type: RecordType, subject: number, timeUs: number, payload: string): void {
    this.bytes(type, subject, timeUs, encoder.encode(payload));
  }

  /** From the replayed desk. */
  bytes(type: RecordType, subject: number, timeUs: number, payload: Uint8Array): void {
    if (this.#difference !== null || !isDecision(type)) return;
    const made: Decision = { type, subject, timeUs, sequence: Number.NaN, payload };
    const waiting = this.#recorded.shift();
    if (waiting === undefined && this.#replayed.length === 0) this.#waitingSinceInput = this.#inputs;
    if (waiting === undefined) this.#wait(this.#replayed, { ...made, payload: new Uint8Array(payload) });
    else this.#compare(waiting, made);
  }

  /**
   * Call it when the journal has ended: a decision that only one side has is a difference too. Only where the journal was cut
   * off (no `end` record) may the replay have decisions on its last input that the journal lost.
   */
  finish(): Verification {
    if (this.#difference === null) {
      const [recorded] = this.#recorded;
      const [replayed] = this.#replayed;
      if (recorded !== undefined) this.#differ("missing-in-replay", recorded, null);
      else if (replayed !== undefined && !this.#lostInCut()) this.#differ("extra-in-replay", null, replayed);
    }
    return {
      identical: this.#difference === null,
      complete: this.#complete,
      compared: this.#compared,
      difference: this.#difference,
    };
  }

  #lostInCut(): boolean {
    return !this.#complete && this.#inputs - this.#waitingSinceInput <= CUT_OFF_INPUTS;
  }

  #wait(queue: Decision[], decision: Decision): void {
    if (queue.length < PENDING_MAX) {
      queue.push(decision);
      return;
    }
    const [first] = queue;
    if (queue === this.#recorded) this.#differ("missing-in-replay", first ?? decision, null);
    else this.#differ("extra-in-replay", null, first ?? decision);
  }

  #compare(recorded: Decision, replayed: Decision): void {
    if (recorded.type !== replayed.type) this.#differ("type", recorded, replayed);
    else if (recorded.subject !== replayed.subject) this.#differ("subject", recorded, replayed);
    else if (!Object.is(recorded.timeUs, replayed.timeUs)) this.#differ("time", recorded, replayed);
    else if (Buffer.compare(recorded.payload, replayed.payload) !== 0) {
      this.#differ("payload", recorded, replayed);
    } else this.#compared += 1;
  }

  #differ(what: DecisionDifference["what"], recorded: Decision | null, replayed: Decision | null): void {
    this.#difference = {
      index: this.#compared,
      sequence: recorded?.sequence ?? null,
      what,
      recorded: recorded === null ? null : this.#show(recorded),
      replayed: replayed === null ? null : this.#show(replayed),
    };
  }

  #show(decision: Decision): ShownDecision {
    return {
      type: RECORD_NAMES.get(decision.type) ?? String(decision.type),
      subject: decision.subject,
      timeUs: decision.timeUs,
      payload: this.#decode(decision.type, decision.payload),
    };
  }
}
