import { Rng } from "../../core/rng.ts";

export interface Interval {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export interface BootstrapOptions {
  /** Length of a block; a few times as long as outcomes hang together. */
  readonly blockUs: number;
  readonly resamples: number;
  readonly seed: number;
  /** Share of resamples inside the interval, e.g. 0.95. */
  readonly level: number;
}

export const BOOTSTRAP_OPTIONS: BootstrapOptions = {
  blockUs: 60_000_000,
  resamples: 1_000,
  seed: 1,
  level: 0.95,
};

/** An interval from fewer blocks would be far too narrow. */
const BLOCKS_MIN = 5;

/** Sums of numerator and denominator over one block of time. */
interface Block {
  numerator: number;
  denominator: number;
}

/**
 * A ratio of sums over time (a mean: the denominator counts) and its interval by the block bootstrap: blocks of time are drawn with
 * replacement, so that what hangs together within a block stays together (H. Künsch, "The jackknife and the bootstrap for general
 * stationary observations", 1989; percentile interval). Holds one pair of sums per block, whatever the number of values.
 */
export class RatioBootstrap {
  readonly #options: BootstrapOptions;
  readonly #blocks = new Map<number, Block>();

  constructor(options: BootstrapOptions = BOOTSTRAP_OPTIONS) {
    this.#options = options;
  }

  /** Blocks with values. */
  get blocks(): number {
    return this.#blocks.size;
  }

  /** A value that is not finite is left out. */
  add(timeUs: number, numerator: number, denominator = 1): void {
    if (!Number.isFinite(numerator) || !Number.isFinite(denominator)) return;
    const key = Math.floor(timeUs / this.#options.blockUs);
    const block = this.#blocks.get(key) ?? { numerator: 0, denominator: 0 };
    block.numerator += numerator;
    block.denominator += denominator;
    this.#blocks.set(key, block);
  }

  /** NaN without a value; the interval is NaN with fewer than five blocks. The same seed gives the same interval. */
  interval(): Interval {
    const blocks = [...this.#blocks.values()];
    const value = ratio(blocks);
    if (blocks.length < BLOCKS_MIN) return { value, low: Number.NaN, high: Number.NaN };
    const { resamples, seed, level } = this.#options;
    const rng = new Rng(seed);
    const drawn: number[] = [];
    for (let resample = 0; resample < resamples; resample += 1) {
      let [numerator, denominator] = [0, 0];
      for (let count = 0; count < blocks.length; count += 1) {
        const block = blocks[rng.int(blocks.length)];
        numerator += block?.numerator ?? 0;
        denominator += block?.denominator ?? 0;
      }
      if (denominator !== 0) drawn.push(numerator / denominator);
    }
    const sorted = Float64Array.from(drawn).sort();
    return { value, low: quantile(sorted, (1 - level) / 2), high: quantile(sorted, (1 + level) / 2) };
  }
}

function ratio(blocks: readonly Block[]): number {
  const numerator = blocks.reduce((sum, block) => sum + block.numerator, 0);
  const denominator = blocks.reduce((sum, block) => sum + block.denominator, 0);
  return denominator === 0 ? Number.NaN : numerator / denominator;
}

/** Of sorted values, between neighbours linearly. */
function quantile(sorted: Float64Array, at: number): number {
  if (sorted.length === 0) return Number.NaN;
  const place = at * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(sorted.length - 1, below + 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}
