import { isRewrittenOnResend, type MessageBuilder } from "./builder.ts";
import { FixMessage } from "./message.ts";
import { FixParser, PARSE } from "./parser.ts";
import { REJECT, type Violation } from "./reject-reason.ts";
import type { SessionCounters, SessionPort } from "./session-options.ts";
import type { SessionStore } from "./store.ts";
import { MSG, TAG } from "./tags.ts";

/** A resend pauses while this much waits for the socket, so that a request for everything cannot fill the memory. */
const PAUSE_ABOVE_BYTES = 128 << 10;

/**
 * Answers resend requests: kept application messages go out again with PossDupFlag and OrigSendingTime, everything between
 * them (administrative messages, quotes, what is no longer kept) as one gap fill.
 */
export class Resender {
  readonly #builder: MessageBuilder;
  readonly #store: SessionStore;
  readonly #port: SessionPort;
  readonly #counters: SessionCounters;
  readonly #parser: FixParser;
  readonly #message: FixMessage;
  #next = 1;
  #end = 0;

  constructor(
    builder: MessageBuilder,
    store: SessionStore,
    port: SessionPort,
    counters: SessionCounters,
    limits: { readonly maxMessageBytes: number; readonly maxFields: number },
  ) {
    this.#builder = builder;
    this.#store = store;
    this.#port = port;
    this.#counters = counters;
    this.#parser = new FixParser(limits.maxMessageBytes);
    this.#message = new FixMessage(limits.maxFields);
  }

  /** A resend request asks for messages that were sent; `begin` may be the next one, `end` 0 or beyond it. */
  inRange(request: FixMessage, violation: Violation): boolean {
    const begin = request.uint(TAG.beginSeqNo);
    const end = request.uint(TAG.endSeqNo);
    if (!(begin >= 1 && begin <= this.#store.nextOutgoing)) {
      return violation.set(REJECT.valueOutOfRange, TAG.beginSeqNo);
    }
    return end === 0 || end >= begin || violation.set(REJECT.valueOutOfRange, TAG.endSeqNo);
  }

  /** Starts (or replaces) a resend of `begin … end`, both included, as far as the socket takes it. */
  start(begin: number, end: number, timeUs: number): void {
    this.#next = begin;
    this.#end = end;
    this.resume(timeUs);
  }

  clear(): void {
    this.#next = 1;
    this.#end = 0;
  }

  resume(timeUs: number): void {
    while (this.#next <= this.#end && this.#port.pendingBytes <= PAUSE_ABOVE_BYTES) {
      const gapStart = this.#next;
      let seq = this.#store.nextKept(gapStart, this.#end);
      if (seq > gapStart) this.#gapFill(gapStart, seq, timeUs);
      const stored = seq <= this.#end ? this.#store.find(seq) : undefined;
      if (stored !== undefined) {
        if (!this.#repeat(stored.bytes, seq, stored.sendingTimeUs, timeUs))
          this.#gapFill(seq, seq + 1, timeUs);
        seq += 1;
      }
      this.#next = seq;
    }
  }

  #gapFill(seq: number, newSeqNo: number, timeUs: number): void {
    const builder = this.#builder.begin(MSG.sequenceReset, seq, timeUs, timeUs);
    builder.uint(TAG.newSeqNo, newSeqNo).flag(TAG.gapFillFlag);
    this.#counters.gapFills += 1;
    this.#write();
  }

  /** @returns false when the stored bytes are no valid message or do not fit any more. */
  #repeat(bytes: Uint8Array, seq: number, sendingTimeUs: number, timeUs: number): boolean {
    const message = this.#message;
    if (this.#parser.parse(bytes, 0, bytes.length, message) !== PARSE.complete) return false;
    const builder = this.#builder.begin(message.msgType, seq, timeUs, sendingTimeUs);
    for (let i = 0; i < message.count; i += 1) {
      const tag = message.tags[i];
      if (!isRewrittenOnResend(tag)) builder.copy(tag, message, i);
    }
    this.#counters.resent += 1;
    return this.#write();
  }

  #write(): boolean {
    if (!this.#builder.finish()) return false;
    const { bytes, start, at } = this.#builder.writer;
    this.#port.write(bytes, start, at);
    return true;
  }
}
