import type { JsonObject } from "../../feed/decoder.ts";
import { ASKS, BIDS } from "./text-book.ts";

/** Messages kept for a recorded snapshot that is still to come. */
const EARLY_MAX = 65_536;
/** Decimals that a size is kept to when part of an order is filled. */
const SIZE_DECIMALS = 8;

type Applied = (orders: OrderBookText, message: JsonObject) => void;

interface Order {
  readonly side: number;
  readonly price: string;
  size: string;
}

/** A venue's own book by order while its capture plays; prices and sizes stay the venue's texts. */
export class OrderBookText {
  /** Of the last message or snapshot; NaN before the first. */
  sequence = Number.NaN;
  readonly #orders = new Map<string, Order>();
  #early: { readonly sequence: number; readonly message: JsonObject }[] = [];
  #isWhole = false;

  set(side: number, id: string, price: string, size: string): void {
    this.#orders.set(id, { side, price, size });
  }

  remove(id: string): void {
    this.#orders.delete(id);
  }

  resize(id: string, size: string): void {
    const order = this.#orders.get(id);
    if (order !== undefined) order.size = size;
  }

  reduce(id: string, by: string): void {
    const order = this.#orders.get(id);
    if (order !== undefined) order.size = (Number(order.size) - Number(by)).toFixed(SIZE_DECIMALS);
  }

  /** Takes a message in; those that come before the recorded snapshot are kept for it as well. */
  apply(sequence: number, message: JsonObject, applied: Applied): void {
    if (!this.#isWhole) {
      if (this.#early.length === EARLY_MAX) this.#early.shift();
      this.#early.push({ sequence, message });
    }
    applied(this, message);
    this.sequence = sequence;
  }

  /** A recorded snapshot with `[price, size, id]` of each order. Changes nothing while the book is whole. */
  join(sequence: number, sides: readonly unknown[], applied: Applied): void {
    if (this.#isWhole) return;
    this.#orders.clear();
    for (const [side, entries] of sides.entries()) {
      for (const entry of Array.isArray(entries) ? entries : [])
        this.set(side, String(entry[2]), String(entry[0]), String(entry[1]));
    }
    this.sequence = sequence;
    this.#isWhole = true;
    const early = this.#early;
    this.#early = [];
    for (const { sequence: at, message } of early) if (at > sequence) this.apply(at, message, applied);
  }

  interrupt(): void {
    this.#isWhole = false;
    this.#early = [];
  }

  /** `[price, size, id]` of a side's orders, best first, older ones first at a price. */
  entries(side: number): [string, string, string][] {
    const sign = side === BIDS ? -1 : ASKS;
    return [...this.#orders]
      .filter(([, order]) => order.side === side && Number(order.size) > 0)
      .map(([id, { price, size }]): [string, string, string] => [price, size, id])
      .sort(([a], [b]) => sign * (Number(a) - Number(b)));
  }
}
