import type { Instrument } from "../market/instrument.ts";

/** Underlyings (base coins) of the process, numbered densely; the number is also the model's state slot. */
export class Underlyings {
  readonly capacity: number;
  readonly #numbers = new Map<string, number>();
  readonly #bases: string[] = [];
  /** Instrument whose book leads the underlying; −1 while there is none. */
  readonly reference: Int32Array;
  readonly #rank: Float64Array;
  readonly #candidates: { readonly instrument: number; readonly rank: number }[][];

  constructor(capacity: number) {
    this.capacity = capacity;
    this.#candidates = Array.from({ length: capacity }, () => []);
    this.reference = new Int32Array(capacity).fill(-1);
    this.#rank = new Float64Array(capacity).fill(Number.POSITIVE_INFINITY);
  }

  get size(): number {
    return this.#bases.length;
  }

  base(underlying: number): string {
    return this.#bases[underlying] ?? "";
  }

  /** @returns the number of a base coin, −1 when there are already `capacity` others. */
  number(base: string): number {
    const known = this.#numbers.get(base);
    if (known !== undefined) return known;
    if (this.#bases.length === this.capacity) return -1;
    const underlying = this.#bases.length;
    this.#bases.push(base);
    this.#numbers.set(base, underlying);
    return underlying;
  }

  /**
   * Offers an instrument as the one that leads its underlying. The feed listed first in `KEEL_FEEDS` wins, within a feed the
   * instrument described first; options never lead.
   *
   * @returns true when it leads from now on.
   */
  offer(underlying: number, instrument: Instrument, feed: number): boolean {
    if (instrument.kind === "option") return false;
    const rank = feed * 1e6 + instrument.id;
    const isFirst = rank < this.#rank[underlying];
    if (isFirst || instrument.kind !== "future") {
      this.#candidates[underlying].push({ instrument: instrument.id, rank });
      this.#candidates[underlying].sort((a, b) => a.rank - b.rank);
    }
    if (!isFirst) return false;
    this.#rank[underlying] = rank;
    this.reference[underlying] = instrument.id;
    return true;
  }

  /** The best instrument that may lead an underlying and for which `fits` holds; −1 when there is none. Dated futures never stand in. */
  best(underlying: number, fits: (instrument: number) => boolean): number {
    for (const { instrument } of this.#candidates[underlying]) if (fits(instrument)) return instrument;
    return -1;
  }
}
