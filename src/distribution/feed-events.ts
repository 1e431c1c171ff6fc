import { RING_NONE, type RingProducer } from "../core/ring.ts";
import type { Book } from "../market/book.ts";
import { EVENT, type EventBatch, SIDE, TICKER_FIELDS } from "../market/event-batch.ts";
import { FEED_EVENT, FEED_EVENT_VALUES, HEAD_BYTES, LEVEL_VALUES, RECORD } from "./record.ts";

/** Levels a side told after a loss. */
const LEVELS_MAX = 24_000;
/** Books told anew in one turn after the thread was lost. */
const RETOLD_MAX = 8;

const prices = new Int32Array(LEVELS_MAX);
const sizes = new Float64Array(LEVELS_MAX);

/**
 * Copies the events that the desk takes in to the ring, whole: what another keel needs to have the same books. An event that does not
 * fit is a loss of its instrument; once there is room the desk's own book goes in its place, and the readers are told of the loss.
 */
export class FeedEvents {
  #ring: RingProducer;
  readonly #books: readonly Book[];
  readonly #onDropped: () => void;
  readonly #lost: Uint8Array;
  readonly #states: Uint8Array;
  readonly #reasons: Uint8Array;
  /** The first instrument that is still to be told anew. */
  #retold = Number.POSITIVE_INFINITY;
  #closed = false;

  constructor(ring: RingProducer, books: readonly Book[], capacity: number, onDropped: () => void) {
    this.#ring = ring;
    this.#books = books;
    this.#onDropped = onDropped;
    this.#lost = new Uint8Array(capacity);
    this.#states = new Uint8Array(capacity);
    this.#reasons = new Uint8Array(capacity);
  }

  /** Whether books are still to be told anew. */
  get retells(): boolean {
    return this.#retold < this.#lost.length;
  }

  close(): void {
    this.#closed = true;
  }

  /** The reader of the ring was lost, and with it what it had taken: another one reads this ring, and is told all books by {@link retell}. */
  restart(ring: RingProducer): void {
    this.#ring = ring;
    this.#lost.fill(1);
    this.#retold = 0;
  }

  /** Tells some of the books anew, those that had an event in between excepted. @param named instruments that the reader knows */
  retell(named: number, timeUs: number): void {
    const count = Math.min(named, this.#books.length);
    for (let told = 0; told < RETOLD_MAX && this.#retold < count; this.#retold += 1) {
      if (this.#lost[this.#retold] === 0) continue;
      if (!this.#book(this.#retold, timeUs)) return;
      this.#lost[this.#retold] = 0;
      told += 1;
    }
    if (this.#retold >= count) this.#retold = Number.POSITIVE_INFINITY;
  }

  onEvent(events: EventBatch, row: number, instrument: number, timeUs: number): void {
    if (this.#closed) return;
    const kind = events.kind[row];
    if (kind === EVENT.status) {
      this.#states[instrument] = events.code[row];
      this.#reasons[instrument] = events.reason[row];
    }
    const isLost = this.#lost[instrument] === 1;
    if (isLost && this.#book(instrument, timeUs)) this.#lost[instrument] = 0;
    // The book that went in place of what was lost has this event in it.
    const isTold = isLost && kind !== EVENT.trade && kind !== EVENT.ticker;
    if (
      isTold ||
      (kind === EVENT.ticker
        ? this.#ticker(events, row, instrument, timeUs)
        : this.#levels(events, row, instrument, timeUs))
    )
      return;
    this.#lost[instrument] = 1;
    this.#onDropped();
  }

  #levels(events: EventBatch, row: number, instrument: number, timeUs: number): boolean {
    const { levelStart, levelCount, side, priceTicks, sizeLots } = events;
    const count = levelCount[row];
    let at = this.#begin(events, row, instrument, timeUs, count * LEVEL_VALUES);
    if (at < 0) return false;
    const { f64 } = this.#ring;
    const start = levelStart[row];
    for (let level = start; level < start + count; level += 1) {
      f64[at] = side[level];
      f64[at + 1] = priceTicks[level];
      f64[at + 2] = sizeLots[level];
      at += LEVEL_VALUES;
    }
    this.#commit(count * LEVEL_VALUES);
    return true;
  }

  #ticker(events: EventBatch, row: number, instrument: number, timeUs: number): boolean {
    const at = this.#begin(events, row, instrument, timeUs, TICKER_FIELDS);
    if (at < 0) return false;
    const from = row * TICKER_FIELDS;
    for (let column = 0; column < TICKER_FIELDS; column += 1)
      this.#ring.f64[at + column] = events.values[from + column];
    this.#commit(TICKER_FIELDS);
    return true;
  }

  /** The desk's book as it stands, after a loss. What lies over its levels comes with the venue's next best prices. */
  #book(instrument: number, timeUs: number): boolean {
    const book = this.#books[instrument];
    const count = Math.min(LEVELS_MAX, book.levels(SIDE.bid)) + Math.min(LEVELS_MAX, book.levels(SIDE.ask));
    const head = this.#reserve(instrument, timeUs, count * LEVEL_VALUES);
    if (head < 0) return false;
    const { f64 } = this.#ring;
    f64[head + FEED_EVENT.kind] = EVENT.bookSnapshot;
    f64[head + FEED_EVENT.exchangeUs] = Number.NaN;
    f64[head + FEED_EVENT.firstSequence] = book.lastSequence;
    f64[head + FEED_EVENT.lastSequence] = book.lastSequence;
    f64[head + FEED_EVENT.previousSequence] = Number.NaN;
    f64[head + FEED_EVENT.code] = this.#states[instrument];
    f64[head + FEED_EVENT.reason] = this.#reasons[instrument];
    f64[head + FEED_EVENT.afterLoss] = 1;
    let at = head + FEED_EVENT_VALUES;
    for (const side of [SIDE.bid, SIDE.ask]) {
      const levels = book.top(side, LEVELS_MAX, prices, sizes);
      for (let level = 0; level < levels; level += 1) {
        f64[at] = side;
        f64[at + 1] = prices[level];
        f64[at + 2] = sizes[level];
        at += LEVEL_VALUES;
      }
    }
    this.#commit(count * LEVEL_VALUES);
    return true;
  }

  /** @returns where levels or values go, −1 when there is no room */
  #begin(events: EventBatch, row: number, instrument: number, timeUs: number, values: number): number {
    const at = this.#reserve(instrument, timeUs, values);
    if (at < 0) return -1;
    const { f64 } = this.#ring;
    f64[at + FEED_EVENT.kind] = events.kind[row];
    f64[at + FEED_EVENT.exchangeUs] = events.exchangeTimeUs[row];
    f64[at + FEED_EVENT.firstSequence] = events.firstSequence[row];
    f64[at + FEED_EVENT.lastSequence] = events.lastSequence[row];
    f64[at + FEED_EVENT.previousSequence] = events.previousSequence[row];
    f64[at + FEED_EVENT.code] = events.code[row];
    f64[at + FEED_EVENT.reason] = events.reason[row];
    f64[at + FEED_EVENT.afterLoss] = 0;
    return at + FEED_EVENT_VALUES;
  }

  #reserve(instrument: number, timeUs: number, values: number): number {
    const at = this.#ring.reserve(HEAD_BYTES + (FEED_EVENT_VALUES + values) * 8);
    if (at === RING_NONE) return -1;
    const { u32, f64 } = this.#ring;
    u32[at >> 2] = RECORD.feedEvent;
    u32[(at >> 2) + 1] = instrument;
    f64[(at >> 3) + 1] = timeUs;
    return (at + HEAD_BYTES) >> 3;
  }

  #commit(values: number): void {
    this.#ring.commit(HEAD_BYTES + (FEED_EVENT_VALUES + values) * 8);
  }
}
