import type { L2Book } from "../../src/market/l2-book.ts";

const DEPTH = 20;
const prices = new Int32Array(DEPTH);
const sizes = new Float64Array(DEPTH);

/** A reference side: prices in a sorted array, best first, sizes in a map. */
class ReferenceSide {
  readonly sizes = new Map<number, number>();
  readonly prices: number[] = [];
  readonly #sign: number;

  constructor(isBid: boolean) {
    this.#sign = isBid ? -1 : 1;
  }

  set(price: number, size: number): void {
    const known = this.sizes.has(price);
    if (size > 0) this.sizes.set(price, size);
    else this.sizes.delete(price);
    if (known === size > 0) return;
    let low = 0;
    let high = this.prices.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.prices[middle] * this.#sign < price * this.#sign) low = middle + 1;
      else high = middle;
    }
    this.prices.splice(low, size > 0 ? 0 : 1, ...(size > 0 ? [price] : []));
  }

  clear(): void {
    this.sizes.clear();
    this.prices.length = 0;
  }
}

/** The naive book that real captures are checked against; it knows nothing of the code under test but how to read its top. */
export class ReferenceBook {
  readonly sides: readonly [ReferenceSide, ReferenceSide] = [
    new ReferenceSide(true),
    new ReferenceSide(false),
  ];
  sequence = Number.NaN;
  top: { sequence: number; bid: number; bidSize: number; ask: number; askSize: number } | null = null;

  clear(): void {
    for (const side of this.sides) side.clear();
  }

  /** What differs between the two books, empty when nothing does. */
  difference(book: L2Book): string {
    const overlay = this.top !== null && this.top.sequence > this.sequence ? this.top : null;
    const bid = overlay?.bid ?? this.#best(0);
    const ask = overlay?.ask ?? this.#best(1);
    const bidSize = overlay?.bidSize ?? this.sides[0].sizes.get(bid) ?? 0;
    const askSize = overlay?.askSize ?? this.sides[1].sizes.get(ask) ?? 0;
    if (book.bestBidTicks !== bid || book.bestBidLots !== bidSize) {
      return `best bid ${book.bestBidTicks} × ${book.bestBidLots}, expected ${bid} × ${bidSize}`;
    }
    if (book.bestAskTicks !== ask || book.bestAskLots !== askSize) {
      return `best ask ${book.bestAskTicks} × ${book.bestAskLots}, expected ${ask} × ${askSize}`;
    }
    for (const side of [0, 1]) {
      const reference = this.sides[side];
      if (book.levels(side) !== reference.prices.length) {
        return `side ${side}: ${book.levels(side)} levels, expected ${reference.prices.length}`;
      }
      const count = book.top(side, DEPTH, prices, sizes);
      if (count !== Math.min(DEPTH, reference.prices.length)) return `side ${side}: top has ${count} levels`;
      for (let i = 0; i < count; i += 1) {
        const price = reference.prices[i];
        if (prices[i] !== price || sizes[i] !== reference.sizes.get(price)) {
          return `side ${side} level ${i}: ${prices[i]} × ${sizes[i]}, expected ${price} × ${reference.sizes.get(price)}`;
        }
      }
    }
    return "";
  }

  #best(side: number): number {
    return this.sides[side].prices[0] ?? -1;
  }
}
