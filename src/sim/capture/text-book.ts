/** One side or the other of a {@link TextBook}. */
export const BIDS = 0;
export const ASKS = 1;

/**
 * A venue's own book by price while its capture plays. Prices and sizes stay the venue's texts; an entry is a level in the venue's
 * own form.
 */
export class TextBook<Entry> {
  readonly #sides: readonly [Map<string, Entry>, Map<string, Entry>] = [new Map(), new Map()];

  clear(): void {
    for (const side of this.#sides) side.clear();
  }

  /** Sets a level; a size of nothing takes it away. */
  set(side: number, price: string, size: string, entry: Entry): void {
    const levels = this.#sides[side === BIDS ? BIDS : ASKS];
    if (Number(size) === 0) levels.delete(price);
    else levels.set(price, entry);
  }

  /** A side's levels, best first. */
  levels(side: number): Entry[] {
    return this.#sorted(side).map(([, entry]) => entry);
  }

  /** Forgets what is beyond a side's best levels, as a venue does that sends no more of them. */
  cut(depth: number): void {
    for (const side of [BIDS, ASKS] as const) {
      const levels = this.#sides[side];
      if (levels.size <= depth) continue;
      for (const [price] of this.#sorted(side).slice(depth)) levels.delete(price);
    }
  }

  #sorted(side: number): [string, Entry][] {
    const sign = side === BIDS ? -1 : 1;
    const levels = this.#sides[side === BIDS ? BIDS : ASKS];
    return [...levels].sort(([a], [b]) => sign * (Number(a) - Number(b)));
  }
}

/** The step of so many decimals, as venues write it: `0.01`. */
export function stepText(decimals: number): string {
  return decimals === 0 ? "1" : `0.${"1".padStart(decimals, "0")}`;
}
