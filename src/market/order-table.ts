import { invariant } from "../core/invariant.ts";
import type { OrderKey } from "./order-key.ts";

/** No order, no place. */
export const NONE = -1;
const FREE = 0;

/**
 * Orders by id. Each has a slot, a row in typed arrays; an open-addressing table of slots with linear probing finds it by the whole
 * id. Deletion moves what follows back instead of leaving tombstones, so searches stay as short after a day as at the
 * beginning. The table is at most half full; both double when it is, up to `maxOrders`.
 *
 * The hash takes a seed, so that whoever chooses order ids cannot choose them to collide.
 */
export class OrderTable {
  readonly maxOrders: number;
  /** Orders held. */
  size = 0;
  /** Lots left of each order. */
  lots: Float64Array;
  /** When it took its place in the queue, µs. */
  timeUs: Float64Array;
  /** Neighbours in the queue of its level, towards the back and towards the front. */
  next: Int32Array;
  previous: Int32Array;
  /** Its level's slot. */
  level: Int32Array;
  #words: Uint32Array;
  #hash: Uint32Array;
  #places: Int32Array;
  #mask: number;
  /** First free slot; the free ones are linked by `next`. */
  #free = NONE;
  #used = 0;
  readonly #seed: number;

  /** @param initialOrders a power of two ≥ 16. */
  constructor(initialOrders: number, maxOrders: number, seed: number) {
    invariant(
      initialOrders >= 16 && (initialOrders & (initialOrders - 1)) === 0 && initialOrders <= maxOrders,
      `a table of ${initialOrders} orders, at most ${maxOrders}: a power of two ≥ 16 is expected`,
    );
    this.maxOrders = maxOrders;
    this.#seed = seed | 0;
    this.lots = new Float64Array(initialOrders);
    this.timeUs = new Float64Array(initialOrders);
    this.next = new Int32Array(initialOrders);
    this.previous = new Int32Array(initialOrders);
    this.level = new Int32Array(initialOrders);
    this.#words = new Uint32Array(initialOrders * 4);
    this.#hash = new Uint32Array(initialOrders);
    this.#places = new Int32Array(initialOrders * 2);
    this.#mask = this.#places.length - 1;
  }

  /** Orders that fit before the next growth. */
  get capacity(): number {
    return this.lots.length;
  }

  /** The order's slot, {@link NONE} when there is no such order. */
  find(key: OrderKey): number {
    const hash = hashOf(key, this.#seed);
    const places = this.#places;
    const words = this.#words;
    const mask = this.#mask;
    for (let place = hash & mask; ; place = (place + 1) & mask) {
      const slot = places[place] - 1;
      if (slot < 0) return NONE;
      const at = slot << 2;
      if (
        words[at + 3] === key.w3 &&
        words[at + 2] === key.w2 &&
        words[at + 1] === key.w1 &&
        words[at] === key.w0
      ) {
        return slot;
      }
    }
  }

  /** Takes on an order that is not there yet. @returns its slot, {@link NONE} when `maxOrders` are held. */
  insert(key: OrderKey): number {
    const slot = this.#takeSlot();
    if (slot === NONE) return NONE;
    const hash = hashOf(key, this.#seed);
    const at = slot << 2;
    this.#words[at] = key.w0;
    this.#words[at + 1] = key.w1;
    this.#words[at + 2] = key.w2;
    this.#words[at + 3] = key.w3;
    this.#hash[slot] = hash;
    this.#put(slot, hash);
    this.size += 1;
    return slot;
  }

  delete(slot: number): void {
    const places = this.#places;
    const mask = this.#mask;
    let hole = this.#hash[slot] & mask;
    while (places[hole] !== slot + 1) hole = (hole + 1) & mask;
    for (let place = (hole + 1) & mask; places[place] !== FREE; place = (place + 1) & mask) {
      const home = this.#hash[places[place] - 1] & mask;
      // Whoever stands between its home and here may not move before its home.
      if (((place - home) & mask) < ((place - hole) & mask)) continue;
      places[hole] = places[place];
      hole = place;
    }
    places[hole] = FREE;
    this.next[slot] = this.#free;
    this.#free = slot;
    this.size -= 1;
  }

  /** Copies the id of an order that is held. */
  keyOf(slot: number, into: OrderKey): void {
    const at = slot << 2;
    into.w0 = this.#words[at];
    into.w1 = this.#words[at + 1];
    into.w2 = this.#words[at + 2];
    into.w3 = this.#words[at + 3];
  }

  clear(): void {
    if (this.size > 0) this.#places.fill(FREE);
    this.size = 0;
    this.#used = 0;
    this.#free = NONE;
  }

  #takeSlot(): number {
    const free = this.#free;
    if (free !== NONE) {
      this.#free = this.next[free];
      return free;
    }
    if (this.#used === this.lots.length && !this.#grow()) return NONE;
    const slot = this.#used;
    this.#used += 1;
    return slot;
  }

  #put(slot: number, hash: number): void {
    let place = hash & this.#mask;
    while (this.#places[place] !== FREE) place = (place + 1) & this.#mask;
    this.#places[place] = slot + 1;
  }

  /** Called with all slots in use, so all of them are orders. */
  #grow(): boolean {
    const capacity = this.lots.length * 2;
    if (capacity > this.maxOrders) return false;
    this.lots = grown(this.lots, new Float64Array(capacity));
    this.timeUs = grown(this.timeUs, new Float64Array(capacity));
    this.next = grown(this.next, new Int32Array(capacity));
    this.previous = grown(this.previous, new Int32Array(capacity));
    this.level = grown(this.level, new Int32Array(capacity));
    this.#words = grown(this.#words, new Uint32Array(capacity * 4));
    this.#hash = grown(this.#hash, new Uint32Array(capacity));
    this.#places = new Int32Array(capacity * 2);
    this.#mask = this.#places.length - 1;
    for (let slot = 0; slot < this.#used; slot += 1) this.#put(slot, this.#hash[slot]);
    return true;
  }
}

function grown<A extends { set(from: A): void }>(from: A, into: A): A {
  into.set(from);
  return into;
}

/** Murmur3's mixing over the four words. */
function hashOf({ w0, w1, w2, w3 }: OrderKey, seed: number): number {
  let hash = mixed(seed, w0);
  hash = mixed(hash, w1);
  hash = mixed(hash, w2);
  hash = mixed(hash, w3);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function mixed(hash: number, word: number): number {
  let mix = Math.imul(word, 0xcc9e2d51);
  mix = Math.imul((mix << 15) | (mix >>> 17), 0x1b873593);
  const both = hash ^ mix;
  return (Math.imul((both << 13) | (both >>> 19), 5) + 0xe6546b64) | 0;
}
