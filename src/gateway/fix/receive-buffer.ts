import { invariant } from "../../core/invariant.ts";
import type { FixMessage } from "./message.ts";
import { type FixParser, PARSE } from "./parser.ts";

/** Who is given each message, in order. @returns false to stop: what is left of the chunk is dropped. */
export interface MessageSink {
  onMessage(message: FixMessage): boolean;
  /** `bytes[start, end)` were passed over. */
  onGarbled(problem: string, bytes: Uint8Array, start: number, end: number): boolean;
}

/**
 * Cuts a stream of chunks into messages. Messages that lie whole in a chunk are parsed where they are; only one that is
 * spread over chunks is copied, into a buffer of fixed size.
 */
export class ReceiveBuffer {
  readonly #parser: FixParser;
  readonly #message: FixMessage;
  readonly #held: Uint8Array;
  #heldBytes = 0;

  constructor(parser: FixParser, message: FixMessage) {
    this.#parser = parser;
    this.#message = message;
    this.#held = new Uint8Array(parser.maxMessageBytes * 2);
  }

  /** Bytes of an unfinished message. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  clear(): void {
    this.#heldBytes = 0;
  }

  receive(chunk: Uint8Array, sink: MessageSink): void {
    let taken = 0;
    while (this.#heldBytes > 0 && taken < chunk.length) {
      const room = Math.min(this.#held.length - this.#heldBytes, chunk.length - taken);
      invariant(room > 0, "an unfinished message is shorter than the receive buffer");
      this.#held.set(chunk.subarray(taken, taken + room), this.#heldBytes);
      const end = this.#heldBytes + room;
      taken += room;
      const at = this.#cut(this.#held, 0, end, sink);
      if (at < 0) return;
      this.#held.copyWithin(0, at, end);
      this.#heldBytes = end - at;
    }
    if (taken === chunk.length) return;
    const at = this.#cut(chunk, taken, chunk.length, sink);
    if (at < 0) return;
    this.#held.set(chunk.subarray(at), 0);
    this.#heldBytes = chunk.length - at;
  }

  /** @returns where the unfinished rest begins, −1 when the sink asked to stop. */
  #cut(bytes: Uint8Array, from: number, end: number, sink: MessageSink): number {
    let at = from;
    while (at < end) {
      const result = this.#parser.parse(bytes, at, end, this.#message);
      const from = at;
      at = this.#parser.next;
      if (result === PARSE.partial) break;
      const goOn =
        result === PARSE.complete
          ? sink.onMessage(this.#message)
          : sink.onGarbled(this.#parser.problem, bytes, from, at);
      if (!goOn) {
        this.#heldBytes = 0;
        return -1;
      }
    }
    return at;
  }
}
