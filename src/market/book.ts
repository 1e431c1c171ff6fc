import type { EventBatch } from "./event-batch.ts";

/**
 * A level-2 book in whole ticks and lots, with the venue's faster best-bid/ask stream laid over it.
 *
 * The overlay holds while its sequence is newer than the book's (venues publish the top ahead of the depth); it never writes
 * into the levels. `bestBid…`/`bestAsk…` see the overlay, `level…` do not. An empty side has price −1 and size 0.
 */
export interface Book extends BookView {
  /** Replaces all levels. */
  applySnapshot(batch: EventBatch, row: number): void;
  applyDelta(batch: EventBatch, row: number): void;
  applyTop(batch: EventBatch, row: number): void;
  clear(): void;
}

/** What can be read of a book, whether it is kept by level or by order. */
export interface BookView {
  readonly bestBidTicks: number;
  readonly bestBidLots: number;
  readonly bestAskTicks: number;
  readonly bestAskLots: number;
  /** Best bid ≥ best ask, seen with the overlay. */
  readonly crossed: boolean;

  /** Number of levels held on a side (0 = bid, 1 = ask). */
  levels(side: number): number;
  /**
   * Copies the best `depth` levels of a side, best first, into the arrays. @returns how many there were.
   * No allocation, no sorting.
   */
  top(side: number, depth: number, priceTicks: Int32Array, sizeLots: Float64Array): number;
  /** Size at a price, 0 when there is none. */
  sizeAt(side: number, priceTicks: number): number;

  readonly lastSequence: number;
  /** Levels that did not fit the book's bounded memory and were left out, since the last snapshot. */
  readonly overflowed: number;
}
