import { invariant } from "../core/invariant.ts";
import {
  type NativeMemory,
  nativeDoubles,
  nativeInts,
  nativeMemory,
  writeAddresses,
} from "../core/native.ts";
import { HierarchicalBitmap } from "./bitmap.ts";

/** Best key of an empty ladder; greater than every key. */
export const NO_KEY = 0x7fffffff;

/** Layout of `keel_ladder` in `ffi/book.h`: six addresses, then numbers of 32 bits. */
export const LADDER_BYTES = 80;
const ADDRESSES_BYTES = 48;
const BEST = 2;
const BASE = 3;
const COUNT = 4;
const FAR_COUNT = 5;
const OVERFLOWED = 6;
const NUMBERS = 8;

/**
 * One side of a book over integer keys, where the smaller key is the better one (an ask's price; a bid's price negated).
 *
 * Keys near the best one live in a dense circular window of sizes with an occupancy bitmap: setting, removing and finding the
 * next best cost a few words each. Keys worse than the window's end live in a bounded array, worst first, so that levels
 * move between the two at its end. Always: the window holds the best level when there is any.
 *
 * When the far array is full, the worst level of all is left out and counted in {@link overflowed}.
 */
export class Ladder {
  /** The numbers of `keel_ladder`: native code and this class move the same levels. */
  readonly #numbers: Int32Array;
  readonly #window: number;
  readonly #mask: number;
  readonly #lead: number;
  readonly #sizes: Float64Array;
  readonly #occupied: HierarchicalBitmap;
  readonly #farKeys: Int32Array;
  readonly #farSizes: Float64Array;

  /**
   * @param window keys held densely, a power of two ≥ 32.
   * @param farLevels levels held beyond the window, ≥ 1.
   * @param memory where the {@link LADDER_BYTES} of its description are, from `byteOffset` of the buffer on.
   */
  constructor(
    window: number,
    farLevels: number,
    memory: NativeMemory = nativeMemory(LADDER_BYTES),
    byteOffset = memory.byteOffset,
  ) {
    invariant(farLevels >= 1, `a ladder of ${farLevels} far levels`);
    const occupied = new HierarchicalBitmap(window);
    const sizes = nativeDoubles(window);
    const farKeys = nativeInts(farLevels);
    const farSizes = nativeDoubles(farLevels);
    this.#window = window;
    this.#mask = window - 1;
    this.#lead = window >>> 2;
    this.#occupied = occupied;
    this.#sizes = sizes.values;
    this.#farKeys = farKeys.values;
    this.#farSizes = farSizes.values;
    this.#numbers = new Int32Array(memory.buffer, byteOffset + ADDRESSES_BYTES, NUMBERS);
    this.#numbers.set([window, farLevels, NO_KEY]);
    const words = [sizes.memory.address, ...occupied.addresses];
    writeAddresses(memory, byteOffset, [...words, farKeys.memory.address, farSizes.memory.address]);
  }

  /** The smallest key held, or {@link NO_KEY}. */
  get best(): number {
    return this.#numbers[BEST];
  }

  /** Levels left out since {@link reset}. */
  get overflowed(): number {
    return this.#numbers[OVERFLOWED];
  }

  get levels(): number {
    return this.#count + this.#farCount;
  }

  /** Size at the best key, 0 when the ladder is empty. */
  get bestSize(): number {
    return this.best === NO_KEY ? 0 : this.#sizes[this.best & this.#mask];
  }

  /** Sets the size at a key; 0 removes it. */
  set(key: number, size: number): void {
    const offset = key - this.#base;
    if (offset < 0 || offset >= this.#window || this.best === NO_KEY) {
      this.#setOutside(key, size);
      return;
    }
    const slot = key & this.#mask;
    const before = this.#sizes[slot];
    this.#sizes[slot] = size;
    if (size > 0) {
      if (before > 0) return;
      this.#occupied.add(slot);
      this.#count += 1;
      if (key < this.best) this.#numbers[BEST] = key;
    } else if (before > 0) {
      this.#occupied.delete(slot);
      this.#count -= 1;
      if (key === this.best) this.#findBest();
    }
  }

  /** Sets the sizes at `sign` times each price of a run, in its order. */
  setRun(priceTicks: Int32Array, sizeLots: Float64Array, from: number, to: number, sign: 1 | -1): void {
    const sizes = this.#sizes;
    const mask = this.#mask;
    const window = this.#window;
    let base = this.#base;
    for (let i = from; i < to; i += 1) {
      const key = 0 + sign * priceTicks[i];
      const size = sizeLots[i];
      const offset = key - base;
      // Most changes are of levels that are there and stay: these touch their size and nothing else.
      if (size > 0 && offset >= 0 && offset < window && sizes[key & mask] > 0) {
        sizes[key & mask] = size;
        continue;
      }
      this.set(key, size);
      base = this.#base;
    }
  }

  sizeAt(key: number): number {
    const offset = key - this.#base;
    if (this.best === NO_KEY || offset < 0) return 0;
    if (offset < this.#window) return this.#sizes[key & this.#mask];
    const at = this.#farIndex(key);
    return at < this.#farCount && this.#farKeys[at] === key ? this.#farSizes[at] : 0;
  }

  /** Copies the best `depth` keys times `sign` and their sizes, best first. @returns how many there were. */
  top(depth: number, sign: number, keys: Int32Array, sizes: Float64Array): number {
    let copied = 0;
    let key = this.best;
    while (copied < depth && key !== NO_KEY) {
      keys[copied] = key * sign;
      sizes[copied] = this.#sizes[key & this.#mask];
      copied += 1;
      key = this.#nextInWindow(key + 1);
    }
    for (let i = this.#farCount - 1; copied < depth && i >= 0; i -= 1) {
      keys[copied] = this.#farKeys[i] * sign;
      sizes[copied] = this.#farSizes[i];
      copied += 1;
    }
    return copied;
  }

  /** Removes every level. */
  reset(): void {
    for (let key = this.best; key !== NO_KEY; key = this.#nextInWindow(key + 1)) {
      this.#sizes[key & this.#mask] = 0;
    }
    this.#occupied.clear();
    this.#count = 0;
    this.#farCount = 0;
    this.#numbers[BEST] = NO_KEY;
    this.#numbers[OVERFLOWED] = 0;
  }

  get #base(): number {
    return this.#numbers[BASE];
  }

  set #base(key: number) {
    this.#numbers[BASE] = key;
  }

  /** Levels in the window. */
  get #count(): number {
    return this.#numbers[COUNT];
  }

  set #count(count: number) {
    this.#numbers[COUNT] = count;
  }

  get #farCount(): number {
    return this.#numbers[FAR_COUNT];
  }

  set #farCount(count: number) {
    this.#numbers[FAR_COUNT] = count;
  }

  #setOutside(key: number, size: number): void {
    if (size > 0) {
      if (this.best === NO_KEY) {
        this.#base = key - this.#lead;
        this.#numbers[BEST] = key;
      } else if (key < this.#base) {
        this.#slideDown(key - this.#lead);
      } else {
        this.#setFar(key, size);
        return;
      }
      if (this.#count === 0) this.#numbers[BEST] = key;
      this.set(key, size);
    } else if (this.best !== NO_KEY && key >= this.#base) {
      this.#setFar(key, 0);
    }
  }

  /** The best level was removed: finds its successor and moves the window along when the touch has drifted past its middle. */
  #findBest(): void {
    const next = this.#nextInWindow(this.best + 1);
    this.#numbers[BEST] = next;
    if (next === NO_KEY) {
      if (this.#farCount === 0) return;
      this.#numbers[BEST] = this.#farKeys[this.#farCount - 1];
      this.#slideUp(this.best - this.#lead);
    } else if (next - this.#base > this.#window >>> 1) {
      this.#slideUp(next - this.#lead);
    }
  }

  /** The smallest key ≥ `key` in the window, or {@link NO_KEY}. */
  #nextInWindow(key: number): number {
    if (key - this.#base >= this.#window) return NO_KEY;
    const start = key & this.#mask;
    let slot = this.#occupied.next(start);
    if (slot < 0) slot = this.#occupied.next(0);
    if (slot < 0) return NO_KEY;
    const found = this.#base + ((slot - this.#base) & this.#mask);
    return found >= key ? found : NO_KEY;
  }

  /** Moves the window to worse keys. No level is below the best one, so none leaves; far ones come in. */
  #slideUp(base: number): void {
    this.#base = base;
    const end = base + this.#window;
    while (this.#farCount > 0 && this.#farKeys[this.#farCount - 1] < end) {
      this.#farCount -= 1;
      const slot = this.#farKeys[this.#farCount] & this.#mask;
      this.#sizes[slot] = this.#farSizes[this.#farCount];
      this.#occupied.add(slot);
      this.#count += 1;
    }
  }

  /** Moves the window to better keys; the levels beyond its new end go far. */
  #slideDown(base: number): void {
    const end = base + this.#window;
    const firstLeaving = this.#nextInWindow(Math.max(end, this.#base));
    let leaving = 0;
    for (let key = firstLeaving; key !== NO_KEY; key = this.#nextInWindow(key + 1)) leaving += 1;
    this.#makeRoom(leaving);
    const capacity = this.#farKeys.length;
    const start = this.#farCount;
    for (let key = firstLeaving; key !== NO_KEY; key = this.#nextInWindow(key + 1)) {
      const slot = key & this.#mask;
      if (this.#farCount < capacity) {
        this.#farKeys[this.#farCount] = key;
        this.#farSizes[this.#farCount] = this.#sizes[slot];
        this.#farCount += 1;
      } else {
        this.#numbers[OVERFLOWED] += 1;
      }
      this.#sizes[slot] = 0;
      this.#occupied.delete(slot);
    }
    this.#farKeys.subarray(start, this.#farCount).reverse();
    this.#farSizes.subarray(start, this.#farCount).reverse();
    this.#count -= leaving;
    this.#base = base;
  }

  /** Leaves out the worst far levels so that `wanted` better ones fit, as far as the capacity allows. */
  #makeRoom(wanted: number): void {
    const excess = Math.min(this.#farCount, this.#farCount + wanted - this.#farKeys.length);
    if (excess <= 0) return;
    this.#farKeys.copyWithin(0, excess, this.#farCount);
    this.#farSizes.copyWithin(0, excess, this.#farCount);
    this.#farCount -= excess;
    this.#numbers[OVERFLOWED] += excess;
  }

  #setFar(key: number, size: number): void {
    const at = this.#farIndex(key);
    if (at < this.#farCount && this.#farKeys[at] === key) {
      if (size > 0) {
        this.#farSizes[at] = size;
        return;
      }
      this.#farKeys.copyWithin(at, at + 1, this.#farCount);
      this.#farSizes.copyWithin(at, at + 1, this.#farCount);
      this.#farCount -= 1;
    } else if (size > 0) {
      this.#insertFar(at, key, size);
    }
  }

  #insertFar(at: number, key: number, size: number): void {
    if (this.#farCount === this.#farKeys.length) {
      if (at === 0) {
        this.#numbers[OVERFLOWED] += 1;
        return;
      }
      this.#makeRoom(1);
      at -= 1;
    }
    this.#farKeys.copyWithin(at + 1, at, this.#farCount);
    this.#farSizes.copyWithin(at + 1, at, this.#farCount);
    this.#farKeys[at] = key;
    this.#farSizes[at] = size;
    this.#farCount += 1;
  }

  /** Index of the first far key ≤ `key` (far keys descend). */
  #farIndex(key: number): number {
    let low = 0;
    let high = this.#farCount;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#farKeys[middle] > key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
