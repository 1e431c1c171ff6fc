import { InvariantError } from "../core/invariant.ts";
import type { BookView } from "./book.ts";
import { SIDE } from "./event-batch.ts";
import type { BookShape } from "./l2-book.ts";
import { Ladder, NO_KEY } from "./ladder.ts";
import { LevelTable } from "./level-table.ts";
import type { OrderKey } from "./order-key.ts";
import { NONE, OrderTable } from "./order-table.ts";

/** What became of a change. Anything but `done` leaves the book as it was. */
export const L3 = {
  done: 0,
  /** No order of that id is held. */
  unknown: 1,
  /** An order of that id is held already. */
  duplicate: 2,
  /** The book holds as many orders as it may. */
  full: 3,
} as const;
export type L3Outcome = (typeof L3)[keyof typeof L3];

export interface L3BookOptions {
  /** Memory of the aggregated view, as of a level-2 book. */
  readonly shape: BookShape;
  /** Orders that there is room for at once, a power of two ≥ 16; more grow the memory. Default 4,096. */
  readonly initialOrders?: number;
  /** Most orders ever held; 60 bytes each. Default 1,048,576. */
  readonly maxOrders?: number;
  /** Seed of the hash over order ids. Default 1. */
  readonly seed?: number;
}

const INITIAL_ORDERS = 4_096;
const MAX_ORDERS = 1_048_576;

/**
 * A level-3 book: every resting order by its id, first come first served within each price, in whole ticks and lots.
 *
 * Its aggregated view is a level-2 book's, level for level; `bestBid…` and `bestAsk…` are the orders' own, there is no overlay. After
 * every change {@link touchedSide} and {@link touchedTicks} name the level that it fell on. In steady state nothing is
 * allocated: orders and levels are rows of typed arrays that double, up to a bound, when more are held than ever before.
 */
export class L3Book implements BookView {
  bestBidTicks = -1;
  bestBidLots = 0;
  bestAskTicks = -1;
  bestAskLots = 0;
  /** The venue's sequence number that the book stands at; kept by whoever applies the venue's messages. */
  lastSequence = Number.NaN;
  /** The level that the last change fell on. */
  touchedSide: number = SIDE.bid;
  touchedTicks = -1;
  /** The price that the order of the last {@link move} left. */
  leftTicks = -1;
  /** What {@link findQueuePosition} found. */
  readonly position = {
    side: 0,
    priceTicks: -1,
    lots: 0,
    ordersAhead: 0,
    lotsAhead: 0,
    enteredUs: Number.NaN,
  };
  readonly #orders: OrderTable;
  readonly #levels: readonly [LevelTable, LevelTable] = [new LevelTable(), new LevelTable()];
  readonly #bids: Ladder;
  readonly #asks: Ladder;
  #originUs = Number.NaN;

  constructor({ shape, initialOrders = INITIAL_ORDERS, maxOrders = MAX_ORDERS, seed = 1 }: L3BookOptions) {
    this.#orders = new OrderTable(initialOrders, maxOrders, seed);
    this.#bids = new Ladder(shape.windowTicks, shape.farLevels);
    this.#asks = new Ladder(shape.windowTicks, shape.farLevels);
  }

  get crossed(): boolean {
    return this.bestBidTicks >= 0 && this.bestAskTicks >= 0 && this.bestBidTicks >= this.bestAskTicks;
  }

  get overflowed(): number {
    return this.#bids.overflowed + this.#asks.overflowed;
  }

  /** Orders held. */
  get orders(): number {
    return this.#orders.size;
  }

  /** Orders that fit before the memory grows. */
  get orderCapacity(): number {
    return this.#orders.capacity;
  }

  has(key: OrderKey): boolean {
    return this.#orders.find(key) !== NONE;
  }

  /** Lots left of an order, 0 when it is not held. */
  lotsOf(key: OrderKey): number {
    const slot = this.#orders.find(key);
    return slot === NONE ? 0 : this.#orders.lots[slot];
  }

  /** The price that an order stands at, −1 when it is not held. */
  priceTicksOf(key: OrderKey): number {
    const slot = this.#orders.find(key);
    if (slot === NONE) return -1;
    const level = this.#orders.level[slot];
    return this.#levels[sideOf(level)].priceTicks[level >> 1];
  }

  /** Puts a new order at the back of its level's queue. @param sizeLots more than 0. */
  add(key: OrderKey, side: number, priceTicks: number, sizeLots: number, timeUs: number): L3Outcome {
    if (!(sizeLots > 0)) throw new InvariantError(`an order of more than 0 lots, got ${sizeLots}`);
    if (this.#orders.find(key) !== NONE) return L3.duplicate;
    const slot = this.#orders.insert(key);
    if (slot === NONE) return L3.full;
    this.#orders.lots[slot] = sizeLots;
    this.#enqueue(slot, side, priceTicks, timeUs);
    this.#tell(side, priceTicks);
    return L3.done;
  }

  /** Takes lots off an order, which keeps its place; with the last of them it is gone. */
  reduce(key: OrderKey, byLots: number): L3Outcome {
    const slot = this.#orders.find(key);
    if (slot === NONE) return L3.unknown;
    const left = this.#orders.lots[slot] - byLots;
    if (left > 0) this.#shrink(slot, left);
    else this.#drop(slot);
    return L3.done;
  }

  /** Gives an order another size: a smaller one keeps its place, a larger one goes to the back, none at all removes it. */
  resize(key: OrderKey, sizeLots: number, timeUs: number): L3Outcome {
    const slot = this.#orders.find(key);
    if (slot === NONE) return L3.unknown;
    if (!(sizeLots > 0)) this.#drop(slot);
    else if (sizeLots <= this.#orders.lots[slot]) this.#shrink(slot, sizeLots);
    else {
      const level = this.#orders.level[slot];
      const side = sideOf(level);
      const priceTicks = this.#levels[side].priceTicks[level >> 1];
      this.#dequeue(slot);
      this.#orders.lots[slot] = sizeLots;
      this.#enqueue(slot, side, priceTicks, timeUs);
      this.#tell(side, priceTicks);
    }
    return L3.done;
  }

  /** Puts an order at the back of another price's queue; {@link leftTicks} is the price that it left. */
  move(key: OrderKey, priceTicks: number, sizeLots: number, timeUs: number): L3Outcome {
    if (!(sizeLots > 0)) throw new InvariantError(`an order of more than 0 lots, got ${sizeLots}`);
    const slot = this.#orders.find(key);
    if (slot === NONE) return L3.unknown;
    const side = sideOf(this.#orders.level[slot]);
    this.#dequeue(slot);
    this.leftTicks = this.touchedTicks;
    this.#tell(side, this.leftTicks);
    this.#orders.lots[slot] = sizeLots;
    this.#enqueue(slot, side, priceTicks, timeUs);
    this.#tell(side, priceTicks);
    return L3.done;
  }

  remove(key: OrderKey): L3Outcome {
    const slot = this.#orders.find(key);
    if (slot === NONE) return L3.unknown;
    this.#drop(slot);
    return L3.done;
  }

  clear(): void {
    this.#orders.clear();
    for (const levels of this.#levels) levels.clear();
    this.#bids.reset();
    this.#asks.reset();
    this.lastSequence = Number.NaN;
    this.#originUs = Number.NaN;
    this.#refresh();
  }

  /**
   * Finds who stands before an order, and writes it to {@link position}. Takes time with the length of the queue before it.
   *
   * @returns false when the order is not held.
   */
  findQueuePosition(key: OrderKey): boolean {
    const { position } = this;
    const orders = this.#orders;
    const slot = orders.find(key);
    if (slot === NONE) return false;
    const level = orders.level[slot];
    position.side = sideOf(level);
    position.priceTicks = this.#levels[position.side].priceTicks[level >> 1];
    position.lots = orders.lots[slot];
    position.enteredUs = orders.timeUs[slot];
    position.ordersAhead = 0;
    position.lotsAhead = 0;
    for (let ahead = orders.previous[slot]; ahead !== NONE; ahead = orders.previous[ahead]) {
      position.ordersAhead += 1;
      position.lotsAhead += orders.lots[ahead];
    }
    return true;
  }

  /** Orders that stand at a price. */
  ordersAt(side: number, priceTicks: number): number {
    const levels = this.#side(side);
    const level = levels.find(priceTicks);
    return level === NONE ? 0 : levels.orders[level];
  }

  /** How long the first order of a level has stood in its place, µs; NaN when the level is empty. */
  oldestAgeUs(side: number, priceTicks: number, timeUs: number): number {
    const levels = this.#side(side);
    const level = levels.find(priceTicks);
    return level === NONE ? Number.NaN : timeUs - this.#orders.timeUs[levels.head[level]];
  }

  /** Mean age of a level's orders, µs; NaN when the level is empty. */
  meanAgeUs(side: number, priceTicks: number, timeUs: number): number {
    const levels = this.#side(side);
    const level = levels.find(priceTicks);
    if (level === NONE) return Number.NaN;
    return timeUs - this.#originUs - levels.enteredUs[level] / levels.orders[level];
  }

  /**
   * Copies the sizes and entry times of a level's first `depth` orders, in their order. @returns how many there were.
   */
  queue(
    side: number,
    priceTicks: number,
    depth: number,
    sizeLots: Float64Array,
    enteredUs: Float64Array,
  ): number {
    const levels = this.#side(side);
    const level = levels.find(priceTicks);
    if (level === NONE) return 0;
    let copied = 0;
    for (let slot = levels.head[level]; copied < depth && slot !== NONE; slot = this.#orders.next[slot]) {
      sizeLots[copied] = this.#orders.lots[slot];
      enteredUs[copied] = this.#orders.timeUs[slot];
      copied += 1;
    }
    return copied;
  }

  levels(side: number): number {
    return side === SIDE.bid ? this.#bids.levels : this.#asks.levels;
  }

  top(side: number, depth: number, priceTicks: Int32Array, sizeLots: Float64Array): number {
    return side === SIDE.bid
      ? this.#bids.top(depth, -1, priceTicks, sizeLots)
      : this.#asks.top(depth, 1, priceTicks, sizeLots);
  }

  sizeAt(side: number, priceTicks: number): number {
    const levels = this.#side(side);
    const level = levels.find(priceTicks);
    return level === NONE ? 0 : levels.lots[level];
  }

  #side(side: number): LevelTable {
    return this.#levels[side === SIDE.bid ? 0 : 1];
  }

  #enqueue(slot: number, side: number, priceTicks: number, timeUs: number): void {
    const orders = this.#orders;
    const levels = this.#side(side);
    const level = levels.open(priceTicks);
    const last = levels.tail[level];
    if (Number.isNaN(this.#originUs)) this.#originUs = timeUs;
    orders.level[slot] = (level << 1) | side;
    orders.timeUs[slot] = timeUs;
    orders.previous[slot] = last;
    orders.next[slot] = NONE;
    if (last === NONE) levels.head[level] = slot;
    else orders.next[last] = slot;
    levels.tail[level] = slot;
    levels.orders[level] += 1;
    levels.enteredUs[level] += timeUs - this.#originUs;
    this.#addLots(levels, level, orders.lots[slot]);
  }

  /** Takes an order out of its queue, and an empty level out of the book. */
  #dequeue(slot: number): void {
    const orders = this.#orders;
    const side = sideOf(orders.level[slot]);
    const level = orders.level[slot] >> 1;
    const levels = this.#levels[side];
    const before = orders.previous[slot];
    const behind = orders.next[slot];
    if (before === NONE) levels.head[level] = behind;
    else orders.next[before] = behind;
    if (behind === NONE) levels.tail[level] = before;
    else orders.previous[behind] = before;
    levels.orders[level] -= 1;
    levels.enteredUs[level] -= orders.timeUs[slot] - this.#originUs;
    this.touchedSide = side;
    this.touchedTicks = levels.priceTicks[level];
    if (levels.orders[level] === 0) levels.delete(level);
    else this.#addLots(levels, level, -orders.lots[slot]);
  }

  #drop(slot: number): void {
    this.#dequeue(slot);
    this.#orders.delete(slot);
    this.#tell(this.touchedSide, this.touchedTicks);
  }

  #shrink(slot: number, lots: number): void {
    const orders = this.#orders;
    const side = sideOf(orders.level[slot]);
    const level = orders.level[slot] >> 1;
    const change = lots - orders.lots[slot];
    orders.lots[slot] = lots;
    this.#addLots(this.#levels[side], level, change);
    this.#tell(side, this.#levels[side].priceTicks[level]);
  }

  /** Whole lots add up exactly; where fractions are about, the queue is summed anew so that no rounding stays behind. */
  #addLots(levels: LevelTable, level: number, lots: number): void {
    const sum = levels.lots[level] + lots;
    if (Number.isInteger(sum) && Number.isInteger(lots)) {
      levels.lots[level] = sum;
      return;
    }
    let whole = 0;
    for (let slot = levels.head[level]; slot !== NONE; slot = this.#orders.next[slot]) {
      whole += this.#orders.lots[slot];
    }
    levels.lots[level] = whole;
  }

  /** Writes a level's size to the aggregated view. */
  #tell(side: number, priceTicks: number): void {
    this.touchedSide = side;
    this.touchedTicks = priceTicks;
    const lots = this.sizeAt(side, priceTicks);
    if (side === SIDE.bid) this.#bids.set(0 - priceTicks, lots);
    else this.#asks.set(priceTicks, lots);
    this.#refresh();
  }

  #refresh(): void {
    this.bestBidTicks = this.#bids.best === NO_KEY ? -1 : 0 - this.#bids.best;
    this.bestBidLots = this.#bids.bestSize;
    this.bestAskTicks = this.#asks.best === NO_KEY ? -1 : this.#asks.best;
    this.bestAskLots = this.#asks.bestSize;
  }
}

function sideOf(level: number): 0 | 1 {
  return (level & 1) === SIDE.bid ? SIDE.bid : SIDE.ask;
}
