import { Rng } from "../../src/core/rng.ts";
import { VenueBook } from "./fake-venue.ts";

/** A resting order of a fake venue. */
export interface VenueOrder {
  readonly id: number;
  readonly side: 0 | 1;
  readonly ticks: number;
  lots: number;
}

/** What happened to an order: `lots` are left of it. */
export interface OrderStep {
  readonly kind: "add" | "reduce" | "remove";
  readonly order: VenueOrder;
  readonly by: number;
}

/** The book of a fake venue that shows its orders; the levels of {@link VenueBook} are their sums. */
export class OrderVenueBook extends VenueBook {
  readonly orders: VenueOrder[] = [];
  readonly #draw: Rng;
  #nextId: number;

  constructor(seed: number) {
    super(seed);
    this.#draw = new Rng(seed + 77);
    this.#nextId = seed * 1_000_000 + 1;
    for (const side of [0, 1] as const) {
      for (const [ticks, lots] of this.sides[side]) this.#rest(side, ticks, lots);
    }
  }

  /** One order comes, is traded in part, or goes. Never the best ones, so that neither side empties. */
  step(): OrderStep {
    const others = this.orders.filter(({ ticks }) => ticks < 1_000 || ticks > 1_001);
    const choice = others.length > 40 ? 2 : this.#draw.int(3);
    const known = others[this.#draw.int(Math.max(1, others.length))];
    if (choice === 0 || known === undefined) {
      const side = this.#draw.int(2) === 0 ? 0 : 1;
      const ticks = side === 0 ? 999 - this.#draw.int(15) : 1_002 + this.#draw.int(15);
      return { kind: "add", order: this.add(side, ticks, 1 + this.#draw.int(5)), by: 0 };
    }
    if (choice === 1 && known.lots > 1) return this.reduce(known, 1);
    return this.remove(known);
  }

  add(side: 0 | 1, ticks: number, lots: number): VenueOrder {
    const levels = this.sides[side];
    levels.set(ticks, (levels.get(ticks) ?? 0) + lots);
    return this.#rest(side, ticks, lots);
  }

  reduce(order: VenueOrder, by: number): OrderStep {
    order.lots -= by;
    this.#take(order, by);
    return { kind: "reduce", order, by };
  }

  remove(order: VenueOrder): OrderStep {
    this.orders.splice(this.orders.indexOf(order), 1);
    this.#take(order, order.lots);
    return { kind: "remove", order, by: order.lots };
  }

  #take({ side, ticks }: VenueOrder, lots: number): void {
    const left = (this.sides[side].get(ticks) ?? 0) - lots;
    if (left > 0) this.sides[side].set(ticks, left);
    else this.sides[side].delete(ticks);
  }

  #rest(side: 0 | 1, ticks: number, lots: number): VenueOrder {
    const order = { id: this.#nextId, side, ticks, lots };
    this.#nextId += 1;
    this.orders.push(order);
    return order;
  }
}
