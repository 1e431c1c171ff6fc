import type { DeskPort } from "../desk/desk.ts";
import type { FeedPort } from "../feed/feed.ts";
import { MassQuoteEncoder } from "../gateway/fix/mass-quote.ts";
import type { SeenBook } from "../gateway/seen-book.ts";
import type { EngineLostError } from "../inference/engine.ts";
import type { InstrumentTable } from "../market/instrument.ts";
import type { ApprovedQuotes } from "../risk/gate.ts";

/**
 * A desk's outside without sockets: a venue in memory on one side, on the other quotes encoded to FIX as they would leave. A
 * subclass says what becomes of submits and decisions; nothing here starts a lost engine again, so a loss is thrown on.
 */
export class MemoryPort implements DeskPort {
  /** Bytes of FIX encoded so far. */
  encodedBytes = 0;
  readonly #venue: FeedPort;
  #encoder: MassQuoteEncoder | null = null;
  #bytes = new Uint8Array(0);
  #sequence = 1;

  constructor(venue: FeedPort) {
    this.#venue = venue;
  }

  /** The desk, made after its port, has these instruments. Until then quotes are not encoded. */
  attach(instruments: InstrumentTable): void {
    this.#encoder = new MassQuoteEncoder(
      { version: "4.4", senderCompId: "KEEL", targetCompId: "PEER" },
      instruments,
    );
    this.#bytes = new Uint8Array(this.#encoder.maxBytes);
  }

  connect(feed: number): void {
    this.#venue.connect(feed);
  }

  send(feed: number, text: string): void {
    this.#venue.send(feed, text);
  }

  disconnect(feed: number, reason: string): void {
    this.#venue.disconnect(feed, reason);
  }

  request(feed: number, request: number, path: string): void {
    this.#venue.request(feed, request, path);
  }

  publish({ batch }: ApprovedQuotes, timeUs: number): void {
    const encoder = this.#encoder;
    if (encoder === null) return;
    for (let row = 0; row < batch.count; row += encoder.maxEntries) {
      const count = Math.min(encoder.maxEntries, batch.count - row);
      this.encodedBytes += encoder.encode(batch, row, count, this.#sequence, timeUs, this.#bytes);
      this.#sequence += 1;
    }
  }

  submit(_rows: number): void {}

  engineLost(_step: number, error: EngineLostError, _timeUs: number): void {
    throw error;
  }

  cancelAll(_timeUs: number): void {}

  killChanged(): void {}

  sendOrder(): void {}

  cancelOrder(): void {}

  askOrder(): void {}

  decidedRisk(): void {}

  decided(_underlying: number, _timeUs: number, _payload: Uint8Array): void {}

  predicted(
    _underlying: number,
    _probabilities: Float32Array,
    _offset: number,
    _heads: number,
    _status: number,
    _timeUs: number,
    _book: SeenBook,
  ): void {}
}
