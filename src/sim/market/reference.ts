import type { Rng } from "../../core/rng.ts";

const EIGHT_HOURS_MS = 8 * 3_600_000;
const INDEX_SECONDS = 0.4;
const BASIS_SECONDS = 30;
const FUNDING_MEAN = 0.0001;
const FUNDING_DEVIATION = 0.00008;
const FUNDING_SECONDS = 1_800;
/** Deribit caps nothing in calm markets but shows the rate with eight decimals; the simulated rate stays within this. */
const FUNDING_LIMIT = 0.003;

/**
 * Index, mark prices and funding: the index is a short average of the venues' mids, a mark is the index plus the venue's slow
 * basis, and the funding rate (per eight hours) reverts to its usual level and leans with the basis.
 */
export class ReferencePrices {
  /** In quote currency. */
  index: number;
  /** Funding per eight hours as a fraction. */
  fundingRate = FUNDING_MEAN;
  readonly #rng: Rng;
  readonly #basis: Float64Array;
  #wander = 0;

  constructor(price: number, venues: number, rng: Rng) {
    this.index = price;
    this.#basis = new Float64Array(venues);
    this.#rng = rng;
  }

  /** @param mids the venues' mids in quote currency; NaN = none just now */
  advance(deltaUs: number, mids: readonly number[]): void {
    let sum = 0;
    let count = 0;
    for (const mid of mids) {
      if (Number.isNaN(mid)) continue;
      sum += mid;
      count += 1;
    }
    if (count > 0)
      this.index += (sum / count - this.index) * (1 - Math.exp(-deltaUs / (INDEX_SECONDS * 1e6)));
    const slow = 1 - Math.exp(-deltaUs / (BASIS_SECONDS * 1e6));
    for (let venue = 0; venue < this.#basis.length; venue += 1) {
      const mid = mids[venue] ?? Number.NaN;
      if (!Number.isNaN(mid)) this.#basis[venue] += (mid - this.index - this.#basis[venue]) * slow;
    }
    const keep = Math.exp(-deltaUs / (FUNDING_SECONDS * 1e6));
    this.#wander = this.#wander * keep + FUNDING_DEVIATION * Math.sqrt(1 - keep * keep) * this.#rng.normal();
    const leaning = FUNDING_MEAN + this.#wander + (this.#basis[0] / this.index) * 0.5;
    this.fundingRate = Math.max(-FUNDING_LIMIT, Math.min(FUNDING_LIMIT, leaning));
  }

  /** Mark price of a venue's perpetual, in quote currency. */
  mark(venue: number): number {
    return this.index + this.#basis[venue];
  }
}

/** Start of the next funding period (00, 08, 16 h UTC), ms since the epoch. */
export function nextFundingMs(timeMs: number): number {
  return (Math.floor(timeMs / EIGHT_HOURS_MS) + 1) * EIGHT_HOURS_MS;
}
