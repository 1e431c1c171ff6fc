import { invariant } from "../../core/invariant.ts";
import type { AdminMessages } from "./admin-messages.ts";
import { IncomingGap } from "./gap.ts";
import { FixMessage } from "./message.ts";
import { FixParser, PARSE } from "./parser.ts";
import type { SessionCounters, SessionOptions } from "./session-options.ts";
import type { SessionStore } from "./store.ts";
import { TAG } from "./tags.ts";

/** What {@link IncomingSequence.place} says of a message's number. */
export const PLACE = {
  /** Its turn. */
  now: 0,
  /** Ahead of a gap: it is kept, and what is missing has been asked for. */
  early: 1,
  /** Seen before, and marked as a possible duplicate. */
  duplicate: 2,
  /** Seen before, and not marked: the two sides do not agree on the numbers. */
  tooLow: 3,
} as const;

/** The order of the peer's messages: which is next, what is missing and has been asked for, what came ahead of it. */
export class IncomingSequence {
  readonly #store: SessionStore;
  readonly #admin: AdminMessages;
  readonly #counters: SessionCounters;
  readonly #gap: IncomingGap;
  readonly #parser: FixParser;
  readonly #message: FixMessage;

  constructor(options: SessionOptions, store: SessionStore, admin: AdminMessages, counters: SessionCounters) {
    this.#store = store;
    this.#admin = admin;
    this.#counters = counters;
    this.#gap = new IncomingGap(options.maxQueued, options.maxMessageBytes * 16);
    this.#parser = new FixParser(options.maxMessageBytes);
    this.#message = new FixMessage(options.maxFields);
  }

  clear(): void {
    this.#gap.clear();
  }

  /** @returns one of {@link PLACE}. */
  place(message: FixMessage, seq: number, timeUs: number): number {
    const expected = this.#store.nextIncoming;
    if (seq === expected) return PLACE.now;
    if (seq > expected) {
      if (this.#gap.keep(seq, message)) this.#counters.queued += 1;
      else this.#counters.queueOverflows += 1;
      if (!this.#gap.open(expected)) this.requestResend(seq - 1, timeUs);
      return PLACE.early;
    }
    if (!message.isYes(TAG.possDupFlag)) return PLACE.tooLow;
    this.#counters.duplicates += 1;
    return PLACE.duplicate;
  }

  /** A message that was acted on whatever its number: only its number is still to count, now or when the gap is filled. */
  actedOn(seq: number, timeUs: number): void {
    const expected = this.#store.nextIncoming;
    if (seq === expected) this.#store.setNextIncoming(seq + 1);
    if (seq <= expected) return;
    this.#gap.keep(seq, null);
    if (!this.#gap.open(expected)) this.requestResend(seq - 1, timeUs);
  }

  /** A logon that came early. `resendRequested` = the peer knows what we miss and sends it unasked. */
  logonEarly(seq: number, resendRequested: boolean, timeUs: number): void {
    this.#gap.keep(seq, null);
    if (resendRequested) this.#gap.requested(seq - 1, timeUs);
    else this.requestResend(seq - 1, timeUs);
  }

  requestResend(lastMissing: number, timeUs: number): void {
    this.#gap.requested(lastMissing, timeUs);
    this.#admin.resendRequest(this.#store.nextIncoming, timeUs);
  }

  /** The next message that came ahead of its turn and is in sequence now; null when there is none. Valid until the next call. */
  takeNext(): FixMessage | null {
    for (;;) {
      const seq = this.#store.nextIncoming;
      this.#gap.filledTo(seq);
      const queued = this.#gap.take(seq);
      if (queued === undefined) return null;
      if (queued.bytes === null) {
        this.#store.setNextIncoming(seq + 1);
        continue;
      }
      const result = this.#parser.parse(queued.bytes, 0, queued.bytes.length, this.#message);
      invariant(result === PARSE.complete, "a message that was kept can be parsed again");
      return this.#message;
    }
  }

  /** Asks once more for what stays missing. @returns false when it has been asked for often enough. */
  askAgain(timeUs: number): boolean {
    if (!this.#gap.overdue(this.#store.nextIncoming, timeUs)) return true;
    if (this.#gap.exhausted) return false;
    this.requestResend(this.#gap.lastMissing, timeUs);
    return true;
  }
}
