import { EVENT, type EventBatch, FEED_STATE, UNSOUND } from "../market/event-batch.ts";
import type { Instrument } from "../market/instrument.ts";
import { BOOK_SHAPE, L2Book } from "../market/l2-book.ts";

/** Who is told that a book of the desk is not to be trusted; may append to the batch. */
export interface Distrusted {
  onUnsound(feed: number, instrument: number, reason: number, timeUs: number, batch: EventBatch): void;
}

/** Every instrument's book and the state of its feed. A live book that turns out crossed is told on at once. */
export class TrustedBooks {
  readonly books: L2Book[] = [];
  /** {@link FEED_STATE} by instrument. */
  readonly feedState: Uint8Array;
  readonly #feedOf: Int32Array;

  constructor(instrumentCapacity: number) {
    this.feedState = new Uint8Array(instrumentCapacity);
    this.#feedOf = new Int32Array(instrumentCapacity).fill(-1);
  }

  /** Takes on the next instrument. @param feed the first line of the feed that described it */
  add({ id, kind }: Instrument, feed: number): void {
    this.#feedOf[id] = feed;
    this.books.push(new L2Book(BOOK_SHAPE[kind]));
  }

  /** The first line of the feed that described an instrument. */
  feedOf(instrument: number): number {
    return this.#feedOf[instrument];
  }

  /** A book is cleared when its feed stops being live. @returns the state before */
  enter(id: number, state: number): number {
    const before = this.feedState[id];
    this.feedState[id] = state;
    if (state !== FEED_STATE.live && before === FEED_STATE.live) this.books[id].clear();
    return before;
  }

  /** Lets the event of a row change its book. @returns false for events that change none */
  move(batch: EventBatch, row: number): boolean {
    const book = this.books[batch.instrument[row]];
    switch (batch.kind[row]) {
      case EVENT.bookSnapshot:
        book.applySnapshot(batch, row);
        return true;
      case EVENT.bookDelta:
        book.applyDelta(batch, row);
        return true;
      case EVENT.top:
        book.applyTop(batch, row);
        return true;
      default:
        return false;
    }
  }

  /** To be called when a book has moved, and when its feed has come live. @returns whether it is live and crossed */
  judge(id: number, distrusted: Distrusted, timeUs: number, batch: EventBatch): boolean {
    if (this.feedState[id] !== FEED_STATE.live || !this.books[id].crossed) return false;
    distrusted.onUnsound(this.#feedOf[id], id, UNSOUND.crossed, timeUs, batch);
    return true;
  }
}
