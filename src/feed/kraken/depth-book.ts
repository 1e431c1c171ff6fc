import { invariant } from "../../core/invariant.ts";
import { type EventBatch, SIDE } from "../../market/event-batch.ts";
import { ChecksumText } from "../checksum.ts";
import { CHECKSUM_LEVELS } from "./venue.ts";

/** Digits of a price or size in a checksum's text, at most. */
const MAX_DIGITS = 40;
const ZERO = 48;

/** What a book event came to. */
export const APPLIED = { changed: 0, unchanged: 1, mismatch: 2, full: 3 } as const;
export type Applied = (typeof APPLIED)[keyof typeof APPLIED];

/** One side, worst level first, so that the touch is where the array ends; a smaller key is a better one. */
class DepthSide {
  readonly #keys: Int32Array;
  readonly #sizes: Float64Array;
  #start = 0;
  #end = 0;
  /** So many of the best levels are as they were when this was last set. */
  unchanged = 0;

  constructor(capacity: number) {
    this.#keys = new Int32Array(capacity);
    this.#sizes = new Float64Array(capacity);
  }

  get levels(): number {
    return this.#end - this.#start;
  }

  clear(): void {
    this.#start = 0;
    this.#end = 0;
    this.unchanged = 0;
  }

  /** The `index`-th best key and its size. */
  keyAt(index: number): number {
    return this.#keys[this.#end - 1 - index];
  }

  sizeAt(index: number): number {
    return this.#sizes[this.#end - 1 - index];
  }

  /** Sets a size, 0 removes it. @returns whether anything changed. */
  set(key: number, size: number): boolean {
    const at = this.#indexOf(key);
    const isThere = at < this.#end && this.#keys[at] === key;
    if (isThere) {
      if (this.#sizes[at] === size) return false;
      this.unchanged = Math.min(this.unchanged, this.#end - 1 - at);
      if (size > 0) this.#sizes[at] = size;
      else this.#close(at);
      return true;
    }
    if (size === 0) return false;
    this.unchanged = Math.min(this.unchanged, this.#end - at);
    this.#open(at, key, size);
    return true;
  }

  /** Lets go of the worst level. @returns its key. */
  dropWorst(): number {
    this.#start += 1;
    return this.#keys[this.#start - 1];
  }

  /** Index of the first key ≤ `key` (keys descend); nearly all changes are near the end. */
  #indexOf(key: number): number {
    let low = this.#start;
    let high = this.#end;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#keys[middle] > key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #close(at: number): void {
    this.#keys.copyWithin(at, at + 1, this.#end);
    this.#sizes.copyWithin(at, at + 1, this.#end);
    this.#end -= 1;
  }

  #open(at: number, key: number, size: number): void {
    let index = at;
    if (this.#end === this.#keys.length) {
      if (this.#start === 0) this.#start = 1;
      const moved = this.#start;
      this.#keys.copyWithin(0, moved, this.#end);
      this.#sizes.copyWithin(0, moved, this.#end);
      this.#end -= moved;
      this.#start = 0;
      index = Math.max(0, index - moved);
    }
    this.#keys.copyWithin(index + 1, index, this.#end);
    this.#sizes.copyWithin(index + 1, index, this.#end);
    this.#keys[index] = key;
    this.#sizes[index] = size;
    this.#end += 1;
  }
}

export interface KrakenBookOptions {
  /** Levels a side that are subscribed. */
  readonly depth: number;
  /** Zeros to append to a price in ticks and a size in lots to come to the checksum's digits (docs.kraken.com, "Book checksum"). */
  readonly priceZeros: number;
  readonly sizeZeros: number;
  readonly tickMantissa: number;
}

/** One side's part of the text that a checksum is taken over: only levels from the best one that changed on are written anew. */
class BestText {
  readonly #options: KrakenBookOptions;
  readonly #sign: number;
  readonly #text = new ChecksumText(CHECKSUM_LEVELS * 2 * MAX_DIGITS);
  /** The text's length before each level, and behind the last one. */
  readonly #lengths = new Int32Array(CHECKSUM_LEVELS + 1);
  /** Levels in the text. */
  #levels = 0;
  #before = Number.NaN;
  #crc32 = Number.NaN;

  constructor(options: KrakenBookOptions, sign: number) {
    this.#options = options;
    this.#sign = sign;
  }

  /** @param before the sum of what stands before it; NaN comes to NaN */
  crc32(side: DepthSide, before: number): number {
    const levels = Math.min(CHECKSUM_LEVELS, side.levels);
    if (side.unchanged >= levels && this.#levels === levels) {
      if (before === this.#before) return this.#crc32;
    } else if (!this.#write(side, levels)) {
      this.#before = Number.NaN;
      return Number.NaN;
    }
    this.#before = before;
    this.#crc32 = Number.isNaN(before) ? Number.NaN : this.#text.crc32(before);
    return this.#crc32;
  }

  #write(side: DepthSide, levels: number): boolean {
    const { priceZeros, sizeZeros, tickMantissa } = this.#options;
    let level = Math.min(side.unchanged, levels);
    this.#text.truncate(this.#lengths[level]);
    this.#levels = level;
    for (; level < levels; level += 1) {
      const lots = side.sizeAt(level);
      if (!Number.isSafeInteger(lots)) return false;
      this.#digits(this.#sign * side.keyAt(level) * tickMantissa, priceZeros);
      this.#digits(lots, sizeZeros);
      this.#lengths[level + 1] = this.#text.length;
      side.unchanged = level + 1;
      this.#levels = level + 1;
    }
    return true;
  }

  /** A price of 0 has no digits left when leading zeros are gone. */
  #digits(value: number, zeros: number): void {
    if (value === 0) return;
    this.#text.integer(value);
    for (let i = 0; i < zeros; i += 1) this.#text.byte(ZERO);
  }
}

/**
 * A book as Kraken wants it kept: cut to the subscribed depth after every message, because nothing tells of levels that fall
 * out of it, and proven by the checksum over the ten best of each side.
 *
 * Source: Kraken WebSocket API v2, "Book checksum".
 */
export class KrakenBook {
  readonly #options: KrakenBookOptions;
  readonly #bids: DepthSide;
  readonly #asks: DepthSide;
  readonly #bidText: BestText;
  readonly #askText: BestText;

  constructor(options: KrakenBookOptions) {
    invariant(options.depth >= CHECKSUM_LEVELS, `a depth of ${options.depth}`);
    this.#options = options;
    this.#bidText = new BestText(options, -1);
    this.#askText = new BestText(options, 1);
    this.#bids = new DepthSide(options.depth * 3);
    this.#asks = new DepthSide(options.depth * 3);
  }

  clear(): void {
    this.#bids.clear();
    this.#asks.clear();
  }

  /**
   * Applies the batch's last event and verifies its checksum. Levels that fall out of the depth are added to the event with
   * size 0. After `mismatch` and `full` the book is of no use.
   */
  apply(batch: EventBatch, row: number): Applied {
    const start = batch.levelStart[row];
    const end = start + batch.levelCount[row];
    let changed = false;
    for (let at = start; at < end; at += 1) {
      const isBid = batch.side[at] === SIDE.bid;
      const side = isBid ? this.#bids : this.#asks;
      const ticks = batch.priceTicks[at];
      changed = side.set(isBid ? 0 - ticks : ticks, batch.sizeLots[at]) || changed;
    }
    for (let excess = this.#bids.levels - this.#options.depth; excess > 0; excess -= 1) {
      if (!batch.level(SIDE.bid, 0 - this.#bids.dropWorst(), 0)) return APPLIED.full;
    }
    for (let excess = this.#asks.levels - this.#options.depth; excess > 0; excess -= 1) {
      if (!batch.level(SIDE.ask, this.#asks.dropWorst(), 0)) return APPLIED.full;
    }
    if (this.checksum() !== batch.checksum[row]) return APPLIED.mismatch;
    return changed ? APPLIED.changed : APPLIED.unchanged;
  }

  /** CRC-32 over asks, then bids, best first: price and size without point and leading zeros. NaN when a size is no whole lot. */
  checksum(): number {
    return this.#bidText.crc32(this.#bids, this.#askText.crc32(this.#asks, 0));
  }
}
