import { Rng } from "../../core/rng.ts";
import { SIDE } from "../../market/event-batch.ts";

/** A resting order, or one that is just coming in. */
export interface SpotOrder {
  readonly number: number;
  readonly side: 0 | 1;
  priceTicks: number;
  lots: number;
}

/** Who tells what happens in the market, in its order. */
export interface SpotListener {
  received(order: SpotOrder): void;
  opened(order: SpotOrder): void;
  /** `lots` of the resting `maker` were traded; its `lots` are what is left. */
  matched(maker: SpotOrder, taker: SpotOrder, lots: number): void;
  /** A resting order has another size; where it grew it is at the back of its queue. */
  changed(order: SpotOrder, oldLots: number): void;
  done(order: SpotOrder, reason: "filled" | "canceled", rested: boolean): void;
  /** A batch of actions is over. */
  flushed(timeUs: number): void;
}

const FIRST_ORDERS = 300;
const MIN_LEVELS = 20;
const MAX_ORDERS = 800;

/**
 * A seeded spot market by order, first come first served: limit orders, cancellations, changes of size and marketable orders that take
 * from the best price on. What spot venues with order feeds tell is made from it.
 */
export class SpotOrders {
  timeUs: number;
  /** Resting orders by side and price, each queue in its order. */
  readonly levels: readonly [Map<number, SpotOrder[]>, Map<number, SpotOrder[]>] = [new Map(), new Map()];
  readonly #listeners: SpotListener[] = [];
  readonly #rng: Rng;
  readonly #resting: SpotOrder[] = [];
  #next = 1;
  #middleTicks: number;

  constructor(options: { readonly seed: number; readonly startUs: number; readonly middleTicks: number }) {
    this.#rng = new Rng(options.seed);
    this.timeUs = options.startUs;
    this.#middleTicks = options.middleTicks;
    for (let i = 0; i < FIRST_ORDERS; i += 1) this.#come(this.#away(i % 2 === 0 ? SIDE.bid : SIDE.ask));
  }

  listen(listener: SpotListener): void {
    this.#listeners.push(listener);
  }

  /** Lets time pass with so many actions in it, told in batches of up to `batch`. */
  advance(toUs: number, actions: number, batch = 5): void {
    const stepUs = Math.max(1, Math.floor((toUs - this.timeUs) / Math.max(1, actions)));
    for (let i = 1; i <= actions; i += 1) {
      this.timeUs += stepUs;
      this.#act();
      if (i % batch === 0 || i === actions)
        for (const listener of this.#listeners) listener.flushed(this.timeUs);
    }
    this.timeUs = toUs;
  }

  /** Size at a price. */
  lotsAt(side: 0 | 1, priceTicks: number): number {
    return (this.levels[side].get(priceTicks) ?? []).reduce((sum, { lots }) => sum + lots, 0);
  }

  /** Prices of a side, best first. */
  prices(side: 0 | 1): number[] {
    return [...this.levels[side].keys()].sort((a, b) => (side === SIDE.bid ? b - a : a - b));
  }

  /** Orders of a side, best price first, in the order of their queues. */
  orders(side: 0 | 1): SpotOrder[] {
    return this.prices(side).flatMap((price) => this.levels[side].get(price) ?? []);
  }

  #act(): void {
    const draw = this.#rng.int(100);
    const few = Math.min(this.levels[0].size, this.levels[1].size) < MIN_LEVELS;
    if (this.#resting.length < MAX_ORDERS && (few || draw < 45)) {
      const scarce = this.levels[0].size < this.levels[1].size ? SIDE.bid : SIDE.ask;
      this.#come(this.#away(few ? scarce : this.#rng.int(2) === 0 ? SIDE.bid : SIDE.ask));
    } else if (draw < 85) {
      const order = this.#resting[this.#rng.int(this.#resting.length)];
      this.#leave(order);
      for (const listener of this.#listeners) listener.done(order, "canceled", true);
    } else if (draw < 92) {
      this.#change(this.#resting[this.#rng.int(this.#resting.length)]);
    } else {
      this.#take(this.#rng.int(2) === 0 ? SIDE.bid : SIDE.ask);
    }
  }

  /** A price off the other side's best, mostly near it. */
  #away(side: 0 | 1): SpotOrder {
    const away = Math.floor(120 * this.#rng.next() ** 2);
    const other = this.prices(side === SIDE.bid ? SIDE.ask : SIDE.bid)[0] ?? this.#middleTicks;
    const priceTicks = side === SIDE.bid ? other - 1 - away : other + 1 + away;
    return this.#order(side, priceTicks, 1 + this.#rng.int(50_000_000));
  }

  #order(side: 0 | 1, priceTicks: number, lots: number): SpotOrder {
    const order = { number: this.#next, side, priceTicks, lots };
    this.#next += 1;
    return order;
  }

  #come(order: SpotOrder): void {
    for (const listener of this.#listeners) listener.received(order);
    this.#rest(order);
    for (const listener of this.#listeners) listener.opened(order);
  }

  #rest(order: SpotOrder): void {
    const queue = this.levels[order.side].get(order.priceTicks);
    if (queue === undefined) this.levels[order.side].set(order.priceTicks, [order]);
    else queue.push(order);
    this.#resting.push(order);
  }

  #leave(order: SpotOrder): void {
    const queue = this.levels[order.side].get(order.priceTicks) ?? [];
    queue.splice(queue.indexOf(order), 1);
    if (queue.length === 0) this.levels[order.side].delete(order.priceTicks);
    this.#resting.splice(this.#resting.indexOf(order), 1);
  }

  #change(order: SpotOrder): void {
    const oldLots = order.lots;
    if (this.#rng.int(3) > 0) {
      order.lots = Math.max(1, Math.floor(oldLots / 2));
    } else {
      this.#leave(order);
      order.lots = oldLots + 1 + this.#rng.int(1_000_000);
      this.#rest(order);
    }
    for (const listener of this.#listeners) listener.changed(order, oldLots);
  }

  /** A marketable order takes from the other side; what is left of it rests. */
  #take(side: 0 | 1): void {
    const other = side === SIDE.bid ? SIDE.ask : SIDE.bid;
    const prices = this.prices(other);
    const limit = prices[Math.min(prices.length - 1, this.#rng.int(4))];
    if (limit === undefined || prices.length < MIN_LEVELS) return;
    const taker = this.#order(side, limit, 1 + this.#rng.int(120_000_000));
    for (const listener of this.#listeners) listener.received(taker);
    for (const price of prices) {
      if (side === SIDE.bid ? price > limit : price < limit) break;
      for (const maker of [...(this.levels[other].get(price) ?? [])]) {
        const lots = Math.min(maker.lots, taker.lots);
        maker.lots -= lots;
        taker.lots -= lots;
        if (maker.lots === 0) this.#leave(maker);
        for (const listener of this.#listeners) {
          listener.matched(maker, taker, lots);
          if (maker.lots === 0) listener.done(maker, "filled", true);
        }
        if (taker.lots === 0) break;
      }
      if (taker.lots === 0) break;
    }
    if (taker.lots === 0) {
      for (const listener of this.#listeners) listener.done(taker, "filled", false);
      return;
    }
    this.#rest(taker);
    for (const listener of this.#listeners) listener.opened(taker);
  }
}
