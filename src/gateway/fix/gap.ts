import type { FixMessage } from "./message.ts";

/** A gap that the peer does not fill is asked for again after this long, and given up after {@link MAX_REQUESTS}. */
const REPEAT_AFTER_US = 10e6;
const MAX_REQUESTS = 3;

/** A message that came ahead of a gap: its bytes, or null when it was acted on already and only its number counts. */
export interface Queued {
  readonly bytes: Uint8Array | null;
}

/** The messages missing from the peer, and those received ahead of them. Bounded. */
export class IncomingGap {
  readonly #maxQueued: number;
  readonly #maxBytes: number;
  readonly #queue = new Map<number, Queued>();
  #bytes = 0;
  #lastMissing = 0;
  #requestedUs = 0;
  #requests = 0;

  constructor(maxQueued: number, maxBytes: number) {
    this.#maxQueued = maxQueued;
    this.#maxBytes = maxBytes;
  }

  /** A resend has been asked for and `next` is still missing. */
  open(next: number): boolean {
    return this.#lastMissing >= next;
  }

  requested(lastMissing: number, timeUs: number): void {
    this.#lastMissing = lastMissing;
    this.#requestedUs = timeUs;
    this.#requests += 1;
  }

  /** The gap's last number is not known to be filled for too long. */
  overdue(next: number, timeUs: number): boolean {
    return this.open(next) && timeUs - this.#requestedUs >= REPEAT_AFTER_US;
  }

  get exhausted(): boolean {
    return this.#requests >= MAX_REQUESTS;
  }

  get lastMissing(): number {
    return this.#lastMissing;
  }

  /** Keeps a copy of a message received too early. @returns false when there is no room. */
  keep(seq: number, message: FixMessage | null): boolean {
    if (this.#queue.has(seq)) return true;
    const length = message === null ? 0 : message.end - message.start;
    if (this.#queue.size >= this.#maxQueued || this.#bytes + length > this.#maxBytes) return false;
    this.#bytes += length;
    this.#queue.set(seq, {
      bytes: message === null ? null : message.bytes.slice(message.start, message.end),
    });
    return true;
  }

  /** Takes the message with this number out, if it is there. */
  take(seq: number): Queued | undefined {
    const queued = this.#queue.get(seq);
    if (queued === undefined) return undefined;
    this.#queue.delete(seq);
    this.#bytes -= queued.bytes?.length ?? 0;
    return queued;
  }

  /** Forgets everything below `next`; when the gap is filled, the count of requests starts anew. */
  filledTo(next: number): void {
    if (this.#queue.size > 0) {
      for (const seq of this.#queue.keys()) if (seq < next) this.take(seq);
    }
    if (!this.open(next)) this.#requests = 0;
  }

  clear(): void {
    this.#queue.clear();
    this.#bytes = 0;
    this.#lastMissing = 0;
    this.#requests = 0;
  }
}
