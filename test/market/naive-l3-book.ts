/** One resting order of the reference book. */
interface NaiveOrder {
  readonly id: string;
  side: number;
  priceTicks: number;
  lots: number;
  enteredUs: number;
}

/** The reference level-3 book: one array of orders in the order they took their places, searched from end to end. */
export class NaiveL3Book {
  readonly orders: NaiveOrder[] = [];

  find(id: string): NaiveOrder | undefined {
    return this.orders.find((order) => order.id === id);
  }

  add(id: string, side: number, priceTicks: number, lots: number, enteredUs: number): void {
    this.orders.push({ id, side, priceTicks, lots, enteredUs });
  }

  remove(id: string): void {
    const at = this.orders.findIndex((order) => order.id === id);
    if (at >= 0) this.orders.splice(at, 1);
  }

  reduce(id: string, by: number): void {
    const order = this.find(id);
    if (order === undefined) return;
    if (order.lots > by) order.lots -= by;
    else this.remove(id);
  }

  resize(id: string, lots: number, timeUs: number): void {
    const order = this.find(id);
    if (order === undefined) return;
    if (lots <= 0) this.remove(id);
    else if (lots <= order.lots) order.lots = lots;
    else this.move(id, order.priceTicks, lots, timeUs);
  }

  move(id: string, priceTicks: number, lots: number, timeUs: number): void {
    const order = this.find(id);
    if (order === undefined) return;
    this.remove(id);
    this.add(id, order.side, priceTicks, lots, timeUs);
  }

  queue(side: number, priceTicks: number): readonly NaiveOrder[] {
    return this.orders.filter((order) => order.side === side && order.priceTicks === priceTicks);
  }

  /** Levels of a side, best first. */
  levels(side: number): [number, number][] {
    const sizes = new Map<number, number>();
    for (const order of this.orders) {
      if (order.side === side) sizes.set(order.priceTicks, (sizes.get(order.priceTicks) ?? 0) + order.lots);
    }
    return [...sizes].sort(([a], [b]) => (side === 0 ? b - a : a - b));
  }
}
