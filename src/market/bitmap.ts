import { invariant } from "../core/invariant.ts";
import { nativeWords } from "../core/native.ts";

/** No bit is set at or after the place asked for. */
export const NO_BIT = -1;

/**
 * A fixed set of small integers with a three-level summary, so that the next member is found by looking at a few words however
 * far away it is: bit `i` of a level says whether word `i` of the level below has any bit set.
 */
export class HierarchicalBitmap {
  readonly bits: number;
  /** Addresses of the three levels for native code. */
  readonly addresses: readonly [leaf: number, middle: number, root: number];
  readonly #leaf: Uint32Array;
  readonly #middle: Uint32Array;
  readonly #root: Uint32Array;

  /** @param bits capacity, a power of two and a multiple of 32. */
  constructor(bits: number) {
    invariant(bits >= 32 && (bits & (bits - 1)) === 0, `bitmap capacity ${bits} is not a power of two ≥ 32`);
    this.bits = bits;
    const leaf = nativeWords(bits >>> 5);
    const middle = nativeWords(Math.ceil(leaf.values.length / 32));
    const root = nativeWords(Math.ceil(middle.values.length / 32));
    this.#leaf = leaf.values;
    this.#middle = middle.values;
    this.#root = root.values;
    this.addresses = [leaf.memory.address, middle.memory.address, root.memory.address];
  }

  add(bit: number): void {
    const word = bit >>> 5;
    this.#leaf[word] |= 1 << (bit & 31);
    this.#middle[word >>> 5] |= 1 << (word & 31);
    this.#root[word >>> 10] |= 1 << ((word >>> 5) & 31);
  }

  delete(bit: number): void {
    const word = bit >>> 5;
    this.#leaf[word] &= ~(1 << (bit & 31));
    if (this.#leaf[word] !== 0) return;
    const middle = word >>> 5;
    this.#middle[middle] &= ~(1 << (word & 31));
    if (this.#middle[middle] !== 0) return;
    this.#root[middle >>> 5] &= ~(1 << (middle & 31));
  }

  has(bit: number): boolean {
    return (this.#leaf[bit >>> 5] & (1 << (bit & 31))) !== 0;
  }

  clear(): void {
    this.#leaf.fill(0);
    this.#middle.fill(0);
    this.#root.fill(0);
  }

  /** The smallest member ≥ `from`, or {@link NO_BIT}. `from` is in [0, bits]. */
  next(from: number): number {
    if (from >= this.bits) return NO_BIT;
    let word = from >>> 5;
    const here = this.#leaf[word] & (-1 << (from & 31));
    if (here !== 0) return (word << 5) + lowestBit(here);

    word += 1;
    let middle = word >>> 5;
    if (middle >= this.#middle.length) return NO_BIT;
    const near = this.#middle[middle] & (-1 << (word & 31));
    if (near !== 0) return this.#lowestInLeaf((middle << 5) + lowestBit(near));

    middle += 1;
    let root = middle >>> 5;
    if (root >= this.#root.length) return NO_BIT;
    let summary = this.#root[root] & (-1 << (middle & 31));
    while (summary === 0) {
      root += 1;
      if (root === this.#root.length) return NO_BIT;
      summary = this.#root[root];
    }
    middle = (root << 5) + lowestBit(summary);
    return this.#lowestInLeaf((middle << 5) + lowestBit(this.#middle[middle]));
  }

  #lowestInLeaf(word: number): number {
    return (word << 5) + lowestBit(this.#leaf[word]);
  }
}

/** Index of the lowest set bit of a word that is not 0. */
function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word);
}
