import type { Book } from "../market/book.ts";
import type { EventBatch } from "../market/event-batch.ts";
import type { Instrument } from "../market/instrument.ts";

/**
 * Takes in the events of up to `slotCount` underlyings and gives their features: on the host (`FeatureState`) or on the GPU
 * (`SweepFeatures`). Times are the local receive clock, µs. Call the `on…` methods after the book has taken the event.
 */
export interface FeatureSource {
  /** Forgets everything about a slot; for a new connection or after a book was unsound. */
  reset(slot: number): void;
  /** The model's state of the slot began anew: its warm-up does, too, while the windows go on. */
  restart(slot: number): void;
  /** After the book took the snapshot or delta of `batch` at `row`. */
  onBook(slot: number, book: Book, batch: EventBatch, row: number, timeUs: number): void;
  /** After the book took a new best bid and ask. */
  onTop(slot: number, book: Book, timeUs: number): void;
  /** A trade; `aggressorSide` 0 bought from the ask, 1 sold into the bid. */
  onTrade(slot: number, aggressorSide: number, sizeLots: number, timeUs: number): void;
  /** Index price and funding rate of a ticker; values the frame did not carry stay as they are. */
  onTicker(slot: number, instrument: Instrument, batch: EventBatch, row: number, timeUs: number): void;
  /** At-the-money implied volatility of the options on this underlying, as a fraction. */
  onVolatility(slot: number, atmIv: number, timeUs: number): void;
  /** An external signal changed; it is the same for all slots. */
  onSignal(signal: number, value: number): void;
  /** Enough events and time seen for the windows to mean something, and both sides of the book are there. */
  ready(slot: number, timeUs: number): boolean;
  /**
   * Makes the slot's features as they stand at `timeUs` the row of `out` at `offset`: at once on the host; on a GPU with the
   * submit that follows, on the device, and `out` stays as it is.
   */
  write(slot: number, timeUs: number, out: Float32Array, offset: number): void;
}
