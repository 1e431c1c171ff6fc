/** A message kept for resending. */
export interface StoredMessage {
  readonly seq: number;
  readonly sendingTimeUs: number;
  readonly bytes: Uint8Array;
}

/**
 * What a session must not forget: the next sequence number each way, and application messages that may be asked for again.
 *
 * A store never hands out an outgoing number twice between two resets, whatever happens to the process.
 */
export interface SessionStore {
  /** Number that the next new message will have. */
  readonly nextOutgoing: number;
  /** What a restart would have to know could not be written and is in memory alone; left out: never. */
  readonly behind?: boolean;
  /** Number that the peer's next message must have. */
  readonly nextIncoming: number;
  /** When both sequences last began at 1, in µs since the epoch; NaN = not known. */
  readonly startedUs: number;
  /** Takes the next outgoing number; on return no restart of the process can give it out again. */
  claimOutgoing(): number;
  /** The peer's messages below `next` have been handled. */
  setNextIncoming(next: number): void;
  /** Keeps a sent message; old ones fall out when the bounds are reached. */
  keep(seq: number, sendingTimeUs: number, bytes: Uint8Array, start: number, end: number): void;
  find(seq: number): StoredMessage | undefined;
  /** Lowest kept number in `from … to`, both included; `to + 1` when there is none. */
  nextKept(from: number, to: number): number;
  /** Both numbers become 1 and kept messages are forgotten. */
  reset(timeUs: number): void;
  /** Writes what was put off (numbers handled, compaction). Called after each chunk of input and on the timer. */
  flush(): void;
  close(): void;
}

/** Bounds of what a store keeps for resending. */
export interface RetentionOptions {
  readonly maxMessages: number;
  readonly maxBytes: number;
}

export const DEFAULT_RETENTION: RetentionOptions = { maxMessages: 16_384, maxBytes: 8 << 20 };

/** The newest messages, bounded by count and bytes. */
export class RetainedMessages {
  readonly #options: RetentionOptions;
  readonly #bySeq = new Map<number, StoredMessage>();
  #bytes = 0;

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  add(message: StoredMessage): void {
    this.#bySeq.set(message.seq, message);
    this.#bytes += message.bytes.length;
    for (const [seq, oldest] of this.#bySeq) {
      if (this.#bySeq.size <= this.#options.maxMessages && this.#bytes <= this.#options.maxBytes) break;
      this.#bySeq.delete(seq);
      this.#bytes -= oldest.bytes.length;
    }
  }

  find(seq: number): StoredMessage | undefined {
    return this.#bySeq.get(seq);
  }

  /** Numbers are kept in ascending order, so the walk over the kept ones ends at the first that qualifies. */
  nextKept(from: number, to: number): number {
    if (to - from < this.#bySeq.size) {
      for (let seq = from; seq <= to; seq += 1) if (this.#bySeq.has(seq)) return seq;
      return to + 1;
    }
    for (const seq of this.#bySeq.keys()) if (seq >= from) return Math.min(seq, to + 1);
    return to + 1;
  }

  all(): IterableIterator<StoredMessage> {
    return this.#bySeq.values();
  }

  clear(): void {
    this.#bySeq.clear();
    this.#bytes = 0;
  }
}

/** A store that lives as long as the process; for simulated peers and sessions that reset at every logon. */
export class MemoryStore implements SessionStore {
  nextOutgoing = 1;
  nextIncoming = 1;
  startedUs = Number.NaN;
  readonly #messages: RetainedMessages;

  constructor(retention: RetentionOptions = DEFAULT_RETENTION) {
    this.#messages = new RetainedMessages(retention);
  }

  claimOutgoing(): number {
    const seq = this.nextOutgoing;
    this.nextOutgoing = seq + 1;
    return seq;
  }

  setNextIncoming(next: number): void {
    this.nextIncoming = next;
  }

  keep(seq: number, sendingTimeUs: number, bytes: Uint8Array, start: number, end: number): void {
    this.#messages.add({ seq, sendingTimeUs, bytes: bytes.slice(start, end) });
  }

  find(seq: number): StoredMessage | undefined {
    return this.#messages.find(seq);
  }

  nextKept(from: number, to: number): number {
    return this.#messages.nextKept(from, to);
  }

  reset(timeUs: number): void {
    this.nextOutgoing = 1;
    this.nextIncoming = 1;
    this.startedUs = timeUs;
    this.#messages.clear();
  }

  flush(): void {}

  close(): void {}
}
