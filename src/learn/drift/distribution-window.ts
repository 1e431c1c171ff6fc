import type { Distances, ProfileDistribution } from "../../inference/profile.ts";
import { binOf, distancesOf } from "./distances.ts";
import { SlidingCounts } from "./sliding-counts.ts";

/** A window is cut into so many slices. */
export const WINDOW_SLICES = 10;

/** Where several numbers' values of a sliding window lie, by the bins of their profiles. */
export class DistributionWindow {
  readonly #profiles: readonly ProfileDistribution[];
  /** First cell of each number; in front of its bins its count of values that differ from the one before. */
  readonly #from: Int32Array;
  readonly #counts: SlidingCounts;
  readonly #last: Float64Array;
  readonly #rowsAt: number;

  constructor(profiles: readonly ProfileDistribution[], windowUs: number) {
    this.#profiles = profiles;
    this.#from = new Int32Array(profiles.length);
    let cells = 0;
    for (const [at, { shares }] of profiles.entries()) {
      this.#from[at] = cells;
      cells += shares.length + 1;
    }
    this.#rowsAt = cells;
    this.#counts = new SlidingCounts(cells + 1, windowUs, WINDOW_SLICES);
    this.#last = new Float64Array(profiles.length).fill(Number.NaN);
  }

  get rows(): number {
    return this.#counts.sums[this.#rowsAt];
  }

  get memoryBytes(): number {
    return this.#counts.memoryBytes;
  }

  advance(timeUs: number): void {
    this.#counts.advance(timeUs);
  }

  /** Since when the window's rows have been gathered, µs; NaN before the first. */
  sinceUs(timeUs: number): number {
    return this.#counts.sinceUs(timeUs);
  }

  /** A row of values, one per profile; values that are no numbers count in no bin. */
  add(values: ArrayLike<number>, offset: number): void {
    const counts = this.#counts;
    for (let at = 0; at < this.#profiles.length; at += 1) {
      const value = values[offset + at];
      if (!Number.isFinite(value)) continue;
      const from = this.#from[at];
      if (value !== this.#last[at]) counts.add(from);
      this.#last[at] = value;
      counts.add(from + 1 + binOf(this.#profiles[at].edges, value));
    }
    counts.add(this.#rowsAt);
  }

  /** Null where no value was a number. */
  distances(at: number): Distances | null {
    const { shares } = this.#profiles[at];
    const from = this.#from[at] + 1;
    const { sums } = this.#counts;
    let total = 0;
    for (let bin = 0; bin < shares.length; bin += 1) total += sums[from + bin];
    return total === 0 ? null : distancesOf(this.#profiles[at], sums, from, total);
  }

  /** The number did move in training, and does not any more, or is missing. */
  still(at: number): boolean {
    const { low, high, rests } = this.#profiles[at];
    return low < high && !rests && this.#counts.sums[this.#from[at]] <= 1;
  }
}
