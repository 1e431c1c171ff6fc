import type { OrderKey } from "./order-key.ts";
import { NONE, OrderTable } from "./order-table.ts";

/** The ids of the last so many orders that something happened to; the oldest one makes room for a new one. Allocates nothing. */
export class RecentOrders {
  readonly #table: OrderTable;
  readonly #ring: Int32Array;
  #next = 0;

  /** @param capacity a power of two ≥ 16. */
  constructor(capacity: number, seed: number) {
    this.#table = new OrderTable(capacity, capacity, seed);
    this.#ring = new Int32Array(capacity).fill(NONE);
  }

  has(key: OrderKey): boolean {
    return this.#table.find(key) !== NONE;
  }

  add(key: OrderKey): void {
    if (this.has(key)) return;
    const oldest = this.#ring[this.#next];
    if (oldest !== NONE) this.#table.delete(oldest);
    this.#ring[this.#next] = this.#table.insert(key);
    this.#next = (this.#next + 1) & (this.#ring.length - 1);
  }

  clear(): void {
    this.#table.clear();
    this.#ring.fill(NONE);
    this.#next = 0;
  }
}
