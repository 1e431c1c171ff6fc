import { DOMAIN } from "./domain.ts";
import { SLICE_SIZE, sliceVariance } from "./slice.ts";

/** Where an expiry's volatilities come from, best first. */
export const SURFACE_SOURCE = {
  /** Nothing: the caller falls back to the venue's volatility, and without that does not quote. */
  none: 0,
  /** Its neighbours: between two linear in total variance at the same log-moneyness, before the first and after the last in
   * proportion to time. */
  neighbours: 1,
  /** One level fitted to its few quotes, with the shape of a neighbour or of a plain SSVI slice. */
  ssvi: 2,
  /** Its own slice. */
  svi: 3,
} as const;
export const SURFACE_SOURCE_NAMES = ["none", "neighbours", "ssvi", "svi"] as const;

/** The slices of all expiries as of one moment, by slot, and in which order of time the slots are. */
export class SurfaceSlices {
  /** By {@link SLICE_SIZE}. */
  readonly slices: Float64Array;
  /** One of {@link SURFACE_SOURCE}. */
  readonly source: Uint8Array;
  readonly forward: Float64Array;
  readonly years: Float64Array;
  readonly #order: Int32Array;

  /** @param order slots by expiry; shared with whoever keeps it */
  constructor(expiries: number, order: Int32Array) {
    this.#order = order;
    this.slices = new Float64Array(expiries * SLICE_SIZE);
    this.source = new Uint8Array(expiries);
    this.forward = new Float64Array(expiries).fill(Number.NaN);
    this.years = new Float64Array(expiries).fill(Number.NaN);
  }

  copyFrom(other: SurfaceSlices): void {
    this.slices.set(other.slices);
    this.source.set(other.source);
    this.forward.set(other.forward);
    this.years.set(other.years);
  }

  /** Slot of the next expiry with a slice of its own after a place in the order; −1 when there is none. */
  later(place: number, count: number): number {
    for (let at = place + 1; at < count; at += 1) {
      const slot = this.#order[at];
      if (this.source[slot] >= SURFACE_SOURCE.ssvi) return slot;
    }
    return -1;
  }

  /** Total variance of a slot at a log-moneyness in the domain; NaN where it has none. */
  variance(slot: number, k: number, count: number): number {
    if (!(Math.abs(k) <= DOMAIN)) return Number.NaN;
    return this.source[slot] === SURFACE_SOURCE.neighbours
      ? this.between(this.years[slot], k, count)
      : sliceVariance(this.slices, slot * SLICE_SIZE, k);
  }

  /**
   * Total variance at any time: linear in time between expiries, in proportion to time outside them.
   *
   * @param count expiries in the order
   */
  between(years: number, k: number, count: number): number {
    let before = -1;
    for (let at = 0; at < count; at += 1) {
      const slot = this.#order[at];
      if (this.source[slot] < SURFACE_SOURCE.ssvi) continue;
      const slotYears = this.years[slot];
      if (slotYears >= years) {
        const w = sliceVariance(this.slices, slot * SLICE_SIZE, k);
        if (before < 0) return (w * years) / slotYears;
        const earlier = sliceVariance(this.slices, before * SLICE_SIZE, k);
        const beforeYears = this.years[before];
        return earlier + ((w - earlier) * (years - beforeYears)) / (slotYears - beforeYears);
      }
      before = slot;
    }
    if (before < 0) return Number.NaN;
    return (sliceVariance(this.slices, before * SLICE_SIZE, k) * years) / this.years[before];
  }
}
