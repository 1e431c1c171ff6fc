import { InvariantError } from "../core/invariant.ts";
import type { Book } from "../market/book.ts";
import { advanceContext, BOOK_FEATURE_COUNT, resetContext, takeVolatility, writeContext } from "./context.ts";
import { FEATURE_COUNT, SIGNALS } from "./schema.ts";
import type { FeatureSource } from "./source.ts";
import { STRIDE } from "./state.ts";
import { WarmUp } from "./warm-up.ts";

/** Rows of one turn: more than the coins that the subscriptions of a process name. */
export const FEATURE_ROWS_MAX = 1_024;

/** Rows of features of the instruments that a turn has moved, as the thread that keeps their feeds made them. */
export class FeatureRows {
  count = 0;
  /** Values from one row to the next. */
  readonly width = FEATURE_COUNT;
  readonly instrument: Int32Array;
  /** `[row][feature]`; only the first {@link BOOK_FEATURE_COUNT} of a row are told. */
  readonly values: Float32Array;
  /** The same memory: bits that are copied as whole numbers stay as they are. */
  readonly bits: Uint32Array;

  constructor(capacity: number) {
    this.instrument = new Int32Array(capacity);
    this.values = new Float32Array(capacity * FEATURE_COUNT);
    this.bits = new Uint32Array(this.values.buffer);
  }
}

/**
 * Features whose windows are kept by the threads that keep the feeds (`ShardMarket`): a turn brings the row of each book that it
 * moved. What does not come from that book is added here: volatility, signals, and the warm-up. A row is to the bit what
 * `FeatureState` makes of the same events.
 */
export class PublishedFeatures implements FeatureSource {
  readonly #rows: Float32Array;
  /** Time of the slot's row; NaN while there is none. */
  readonly #rowUs: Float64Array;
  readonly #warmUp: WarmUp;
  readonly #context: Float64Array;
  readonly #signals = new Float64Array(SIGNALS.length);

  constructor(slotCount: number) {
    this.#rows = new Float32Array(slotCount * FEATURE_COUNT);
    this.#rowUs = new Float64Array(slotCount).fill(Number.NaN);
    this.#warmUp = new WarmUp(slotCount);
    this.#context = new Float64Array(slotCount * STRIDE);
    for (let slot = 0; slot < slotCount; slot += 1) this.reset(slot);
  }

  /** The slot's row as of `timeUs`, before the events that led to it are told. */
  publish(slot: number, rows: FeatureRows, row: number, timeUs: number): void {
    const from = row * FEATURE_COUNT;
    const to = slot * FEATURE_COUNT;
    for (let i = 0; i < BOOK_FEATURE_COUNT; i += 1) this.#rows[to + i] = rows.values[from + i];
    this.#rowUs[slot] = timeUs;
  }

  reset(slot: number): void {
    this.#warmUp.reset(slot);
    resetContext(this.#context, slot * STRIDE);
  }

  restart(slot: number): void {
    this.#warmUp.restart(slot);
  }

  onBook(slot: number, book: Book, _batch: unknown, _row: number, timeUs: number): void {
    this.#warmUp.book(slot);
    this.onTop(slot, book, timeUs);
  }

  onTop(slot: number, book: Book, timeUs: number): void {
    this.onTrade(slot, 0, 0, timeUs);
    this.#warmUp.top(slot, book.bestBidTicks, book.bestAskTicks);
  }

  onTrade(slot: number, _aggressorSide: number, _sizeLots: number, timeUs: number): void {
    this.#warmUp.advance(slot, timeUs);
    this.#warmUp.count(slot);
  }

  onTicker(slot: number, _instrument: unknown, _batch: unknown, _row: number, timeUs: number): void {
    this.#warmUp.advance(slot, timeUs);
  }

  onVolatility(slot: number, atmIv: number, timeUs: number): void {
    takeVolatility(this.#context, slot * STRIDE, atmIv, timeUs);
  }

  onSignal(signal: number, value: number): void {
    if (signal < this.#signals.length && Math.abs(value) < Infinity) this.#signals[signal] = value;
  }

  ready(slot: number, timeUs: number): boolean {
    return this.#warmUp.ready(slot, timeUs);
  }

  /** The row must have been published for this time: it stands in the turn that asks for it. */
  write(slot: number, timeUs: number, out: Float32Array, offset: number): void {
    if (this.#rowUs[slot] !== timeUs) {
      throw new InvariantError(`slot ${slot} has a row of features as of ${timeUs} µs`);
    }
    const from = slot * FEATURE_COUNT;
    const at = slot * STRIDE;
    this.#warmUp.advance(slot, timeUs);
    advanceContext(this.#context, at, timeUs);
    for (let i = 0; i < BOOK_FEATURE_COUNT; i += 1) out[offset + i] = this.#rows[from + i];
    writeContext(this.#context, at, this.#signals, out, offset + BOOK_FEATURE_COUNT);
  }
}
