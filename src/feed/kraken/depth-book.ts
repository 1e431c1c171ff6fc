import { invariant } from "../../core/invariant.ts";
import { type EventBatch, SIDE } from "../../market/event-batch.ts";
import { ChecksumText } from "../checksum.ts";
import { CHECKSUM_LEVELS } from "./venue.ts";

/** Digits of a price or size in a checksum's text, at most. */
const MAX_DIGITS = 40;
/** A price and a size. */
const LEVEL_BYTES = 2 * MAX_DIGITS;
const ZERO = 48;

/** What a book event came to. */
export const APPLIED = { changed: 0, unchanged: 1, mismatch: 2, full: 3 } as const;
export type Applied = (typeof APPLIED)[keyof typeof APPLIED];

/** Elements that a loop moves faster than the engine's own call, which costs some 40 ns. */
const FEW = 24;

/** `copyWithin` for arrays whose ends are busy. */
function shift(array: Int32Array | Float64Array, to: number, from: number, end: number): void {
  if (end - from > FEW) array.copyWithin(to, from, end);
  else if (to < from) for (let i = from; i < end; i += 1) array[to + i - from] = array[i];
  else for (let i = end - 1; i >= from; i -= 1) array[to + i - from] = array[i];
}

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
    shift(this.#keys, at, at + 1, this.#end);
    shift(this.#sizes, at, at + 1, this.#end);
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
    shift(this.#keys, index + 1, index, this.#end);
    shift(this.#sizes, index + 1, index, this.#end);
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

/**
 * One side's part of the text that a checksum is taken over. A message mostly changes one level: the text of the others is kept where it is
 * or moved in one piece, and one level is written.
 */
class BestText {
  readonly #options: KrakenBookOptions;
  readonly #sign: number;
  readonly #text = new ChecksumText(CHECKSUM_LEVELS * 2 * MAX_DIGITS + LEVEL_BYTES);
  readonly #level = new ChecksumText(LEVEL_BYTES);
  /** What the text holds: keys, sizes and the length before each level, and behind the last one. */
  readonly #keys = new Int32Array(CHECKSUM_LEVELS);
  readonly #sizes = new Float64Array(CHECKSUM_LEVELS);
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
    const first = Math.min(side.unchanged, levels, this.#levels);
    let level = first;
    if (level < levels && level < this.#levels) {
      // Levels behind the first one that changed: where they were, one further, or one nearer.
      if (this.#follows(side, first + 1, first + 1, levels)) this.#move(side, first, first + 1, first + 1);
      else if (this.#follows(side, first + 1, first, levels)) this.#move(side, first, first + 1, first);
      else if (this.#follows(side, first, first + 1, levels)) this.#move(side, first, first, first + 1);
      else this.#cut(first);
      level = Math.min(this.#levels, levels);
    }
    this.#cut(level);
    for (; level < levels; level += 1) if (!this.#append(side, level)) return false;
    side.unchanged = levels;
    return true;
  }

  /** Whether the side's levels from `at` on are those of the text from `held` on, as far as both go. */
  #follows(side: DepthSide, at: number, held: number, levels: number): boolean {
    const count = Math.min(levels - at, this.#levels - held);
    if (count <= 0) return false;
    for (let i = 0; i < count; i += 1) {
      if (side.keyAt(at + i) !== this.#keys[held + i] || side.sizeAt(at + i) !== this.#sizes[held + i])
        return false;
    }
    return true;
  }

  /** The text of `first` is written anew where it belongs to the side's levels before `at`, and what the text has from `held` on follows it. */
  #move(side: DepthSide, first: number, at: number, held: number): void {
    this.#level.clear();
    if (at > first && !this.#digitsOf(side, first, this.#level)) {
      this.#cut(first);
      return;
    }
    const kept = Math.min(this.#levels - held, CHECKSUM_LEVELS - at);
    const moved = this.#lengths[first] + this.#level.length - this.#lengths[held];
    const end = this.#lengths[held + kept];
    this.#text.truncate(end);
    this.#text.replace(this.#lengths[first], this.#lengths[held], this.#level);
    if (at !== held) {
      shift(this.#keys, at, held, held + kept);
      shift(this.#sizes, at, held, held + kept);
      shift(this.#lengths, at, held, held + kept + 1);
    }
    for (let i = at; i <= at + kept; i += 1) this.#lengths[i] += moved;
    if (at > first) this.#hold(side, first);
    this.#levels = at + kept;
  }

  #append(side: DepthSide, level: number): boolean {
    if (!this.#digitsOf(side, level, this.#text)) {
      this.#cut(level);
      return false;
    }
    this.#hold(side, level);
    this.#lengths[level + 1] = this.#text.length;
    this.#levels = level + 1;
    return true;
  }

  #cut(levels: number): void {
    this.#levels = levels;
    this.#text.truncate(this.#lengths[levels]);
  }

  #hold(side: DepthSide, level: number): void {
    this.#keys[level] = side.keyAt(level);
    this.#sizes[level] = side.sizeAt(level);
  }

  /** Appends a level's text. @returns false for a size between two lots, with which the side has no text */
  #digitsOf(side: DepthSide, level: number, text: ChecksumText): boolean {
    const { priceZeros, sizeZeros, tickMantissa } = this.#options;
    const lots = side.sizeAt(level);
    if (!Number.isSafeInteger(lots)) return false;
    digits(text, this.#sign * side.keyAt(level) * tickMantissa, priceZeros);
    digits(text, lots, sizeZeros);
    return true;
  }
}

/** A price of 0 has no digits left when leading zeros are gone. */
function digits(text: ChecksumText, value: number, zeros: number): void {
  if (value === 0) return;
  text.integer(value);
  for (let i = 0; i < zeros; i += 1) text.byte(ZERO);
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
