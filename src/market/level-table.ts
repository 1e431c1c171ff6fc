import { NONE } from "./order-table.ts";

const FREE = 0;
/** Levels that there is room for at the beginning; a power of two. */
const INITIAL_LEVELS = 256;

/**
 * The price levels of one side that have orders, by price: an open-addressing table like that of the orders. A level has a slot, a row
 * in typed arrays. There are never more levels than orders, so the orders' bound is theirs.
 */
export class LevelTable {
  size = 0;
  priceTicks = new Int32Array(INITIAL_LEVELS);
  /** First and last order of the queue. */
  head = new Int32Array(INITIAL_LEVELS);
  tail = new Int32Array(INITIAL_LEVELS);
  orders = new Int32Array(INITIAL_LEVELS);
  lots = new Float64Array(INITIAL_LEVELS);
  /** Sum over the orders of when each took its place, in µs from the book's own beginning. */
  enteredUs = new Float64Array(INITIAL_LEVELS);
  #next = new Int32Array(INITIAL_LEVELS);
  #places = new Int32Array(INITIAL_LEVELS * 2);
  #mask = INITIAL_LEVELS * 2 - 1;
  #free = NONE;
  #used = 0;

  /** The level's slot, {@link NONE} when nobody stands at that price. */
  find(priceTicks: number): number {
    const places = this.#places;
    const mask = this.#mask;
    for (let place = hashOf(priceTicks) & mask; ; place = (place + 1) & mask) {
      const slot = places[place] - 1;
      if (slot < 0 || this.priceTicks[slot] === priceTicks) return slot;
    }
  }

  /** The level's slot; an empty level where there was none. */
  open(priceTicks: number): number {
    const found = this.find(priceTicks);
    if (found !== NONE) return found;
    const slot = this.#takeSlot();
    this.priceTicks[slot] = priceTicks;
    this.head[slot] = NONE;
    this.tail[slot] = NONE;
    this.orders[slot] = 0;
    this.lots[slot] = 0;
    this.enteredUs[slot] = 0;
    this.#put(slot);
    this.size += 1;
    return slot;
  }

  delete(slot: number): void {
    const places = this.#places;
    const mask = this.#mask;
    let hole = hashOf(this.priceTicks[slot]) & mask;
    while (places[hole] !== slot + 1) hole = (hole + 1) & mask;
    for (let place = (hole + 1) & mask; places[place] !== FREE; place = (place + 1) & mask) {
      const home = hashOf(this.priceTicks[places[place] - 1]) & mask;
      if (((place - home) & mask) < ((place - hole) & mask)) continue;
      places[hole] = places[place];
      hole = place;
    }
    places[hole] = FREE;
    this.#next[slot] = this.#free;
    this.#free = slot;
    this.size -= 1;
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
      this.#free = this.#next[free];
      return free;
    }
    if (this.#used === this.lots.length) this.#grow();
    const slot = this.#used;
    this.#used += 1;
    return slot;
  }

  #put(slot: number): void {
    let place = hashOf(this.priceTicks[slot]) & this.#mask;
    while (this.#places[place] !== FREE) place = (place + 1) & this.#mask;
    this.#places[place] = slot + 1;
  }

  /** Called with all slots in use, so all of them are levels. */
  #grow(): void {
    const capacity = this.lots.length * 2;
    const ints = (from: Int32Array): Int32Array<ArrayBuffer> => {
      const into = new Int32Array(capacity);
      into.set(from);
      return into;
    };
    const doubles = (from: Float64Array): Float64Array<ArrayBuffer> => {
      const into = new Float64Array(capacity);
      into.set(from);
      return into;
    };
    this.priceTicks = ints(this.priceTicks);
    this.head = ints(this.head);
    this.tail = ints(this.tail);
    this.orders = ints(this.orders);
    this.lots = doubles(this.lots);
    this.enteredUs = doubles(this.enteredUs);
    this.#next = ints(this.#next);
    this.#places = new Int32Array(capacity * 2);
    this.#mask = this.#places.length - 1;
    for (let slot = 0; slot < this.#used; slot += 1) this.#put(slot);
  }
}

function hashOf(priceTicks: number): number {
  const hash = Math.imul(priceTicks, 0x9e3779b1);
  return (hash ^ (hash >>> 15)) >>> 0;
}
