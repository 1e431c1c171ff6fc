/**
 * Strategies at equal volume. A strategy that quotes further away trades less, and what it trades is not comparable; so each
 * is run at several scales of its half-spread (a ladder), and the volume asked for lies between two neighbouring rungs. Trading on
 * the nearer one a share of the time and on the wider one else has exactly that volume on average, and every sum of it is
 * the same mixture of the rungs' sums.
 *
 * @module
 */
import { invariant } from "../../core/invariant.ts";
import { SUM, SUMS } from "./sums.ts";

/** Which two rungs are mixed, and how. */
export interface Mix {
  /** Index of the nearer rung. */
  readonly near: number;
  /** Index of the wider one; −1 = not quoting. */
  readonly wide: number;
  /** Share of the time on the nearer one, 0 … 1. */
  readonly share: number;
  /** The nearest rung does not trade as much: it is taken as it is. */
  readonly isShort: boolean;
}

/**
 * Between which rungs the volume lies: the widest pair that has it between them, so that noise in a ladder leads to no nearer one than
 * is needed.
 *
 * @param volumes of the rungs, from the nearest to the widest
 */
export function mixFor(volumes: ArrayLike<number>, target: number): Mix {
  invariant(volumes.length > 0 && target >= 0, "a ladder has a rung, a volume is not negative");
  for (let near = volumes.length - 1; near >= 0; near -= 1) {
    const volume = volumes[near] ?? 0;
    if (volume < target) continue;
    const isWidest = near === volumes.length - 1;
    const below = isWidest ? 0 : (volumes[near + 1] ?? 0);
    const share = volume === below ? 1 : (target - below) / (volume - below);
    return { near, wide: isWidest ? -1 : near + 1, share, isShort: false };
  }
  return { near: 0, wide: -1, share: 1, isShort: true };
}

/** One instrument's ladder of a strategy: sums of every rung in every block. */
export class Ladder {
  readonly scales: readonly number[];
  /** `[rung][block][SUM]`. */
  readonly #sums: Float64Array;
  readonly #blocks: number;

  /** @param scales ascending: from the nearest rung to the widest */
  constructor(scales: readonly number[], blocks: number) {
    invariant(
      scales.length > 0 && scales.every((scale, at) => scale > (scales[at - 1] ?? 0)),
      "scales ascend",
    );
    this.scales = scales;
    this.#blocks = blocks;
    this.#sums = new Float64Array(scales.length * blocks * SUMS);
  }

  add(rung: number, block: number, sums: Float64Array): void {
    const from = (rung * this.#blocks + block) * SUMS;
    for (let sum = 0; sum < SUMS; sum += 1) this.#sums[from + sum] += sums[sum];
  }

  /** Sums of a rung over blocks, each as often as its weight says. */
  total(rung: number, weights: ArrayLike<number>): Float64Array {
    const total = new Float64Array(SUMS);
    for (let block = 0; block < this.#blocks; block += 1) {
      const weight = weights[block] ?? 0;
      if (weight === 0) continue;
      const from = (rung * this.#blocks + block) * SUMS;
      for (let sum = 0; sum < SUMS; sum += 1) total[sum] += weight * this.#sums[from + sum];
    }
    return total;
  }

  /** The mixture that has the volume over the weighted blocks. */
  mixFor(target: number, weights: ArrayLike<number>): Mix {
    const volumes = this.scales.map((_, rung) => this.total(rung, weights)[SUM.volume] ?? 0);
    return mixFor(volumes, target);
  }

  /** Sums of a mixture over weighted blocks. */
  mixed({ near, wide, share }: Mix, weights: ArrayLike<number>): Float64Array {
    const sums = this.total(near, weights);
    const other = wide < 0 ? null : this.total(wide, weights);
    for (let sum = 0; sum < SUMS; sum += 1) {
      sums[sum] = share * sums[sum] + (other === null ? 0 : (1 - share) * other[sum]);
    }
    return sums;
  }

  /** The scale that a mixture has on average; NaN where it includes not quoting. */
  scaleOf({ near, wide, share }: Mix): number {
    const scale = this.scales[near] ?? Number.NaN;
    if (share === 1) return scale;
    return wide < 0 ? Number.NaN : share * scale + (1 - share) * (this.scales[wide] ?? Number.NaN);
  }
}
