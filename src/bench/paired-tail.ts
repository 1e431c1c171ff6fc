import { invariant } from "../core/invariant.ts";
import { Rng } from "../core/rng.ts";

/** Blocks of all groups together. */
const BLOCKS_MAX = 65_536;
const RESAMPLES = 1_000;
const FIRST_CAPACITY = 4_096;

/** A ratio of percentiles, and the interval in which it lies with 95 %. */
export interface TailRatio {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/**
 * Times of the same work done twice, with something and without it, in blocks that were done one right after the other: a percentile of all
 * the times with it over that of all without. What the host does to a block it does to all its times, and where a run's memory happens to lie
 * is the same for all its blocks: the interval is found by drawing runs, and of each of them whole blocks, with and without together, with
 * replacement. Of a single run it knows nothing of how much runs differ, of a few too little.
 */
export class PairedTail {
  readonly #with = new BlockedTimes();
  readonly #without = new BlockedTimes();
  /** Numbers that blocks are known by here, by run and by their number in it. */
  readonly #runs: number[][] = [];
  #blocks = 0;

  record(run: number, block: number, isWith: boolean, ns: number): void {
    this.#runs[run] ??= [];
    const numbers = this.#runs[run];
    numbers[block] ??= this.#blocks++;
    (isWith ? this.#with : this.#without).record(numbers[block], ns);
  }

  /** @param q in [0, 1); NaN throughout while either has no times */
  ratio(q: number, seed: number): TailRatio {
    const [above, below] = [this.#with.sorted(this.#blocks), this.#without.sorted(this.#blocks)];
    const weights = new Float64Array(this.#blocks).fill(1);
    const ratio = (): number => above.quantile(q, weights) / below.quantile(q, weights);
    const value = ratio();
    const runs = this.#runs.map((numbers) => numbers.filter((number) => number !== undefined));
    const rng = new Rng(seed);
    const drawn = Float64Array.from({ length: RESAMPLES }, () => {
      weights.fill(0);
      for (let draw = 0; draw < runs.length; draw += 1) {
        const run = runs[rng.int(runs.length)] ?? [];
        for (let each = 0; each < run.length; each += 1) weights[run[rng.int(run.length)]] += 1;
      }
      return ratio();
    })
      .filter((one) => !Number.isNaN(one))
      .sort();
    const at = (part: number): number => drawn[Math.floor(part * (drawn.length - 1))] ?? Number.NaN;
    return { value, low: at(0.025), high: at(0.975) };
  }
}

/** Times in whole ns, each with its block, as one number: `ns × 65,536 + block`. */
class BlockedTimes {
  #keys = new Float64Array(FIRST_CAPACITY);
  #size = 0;

  record(block: number, ns: number): void {
    invariant(block < BLOCKS_MAX, "there are no more than 65,536 blocks");
    if (this.#size === this.#keys.length) {
      const larger = new Float64Array(this.#size * 2);
      larger.set(this.#keys);
      this.#keys = larger;
    }
    this.#keys[this.#size] = Math.round(Math.max(ns, 0)) * BLOCKS_MAX + block;
    this.#size += 1;
  }

  /** @param blocks that there are */
  sorted(blocks: number): SortedTimes {
    return new SortedTimes(this.#keys.slice(0, this.#size).sort(), blocks);
  }
}

class SortedTimes {
  /** Times of a block, by block. */
  readonly #counts: Float64Array;
  readonly #keys: Float64Array;

  constructor(keys: Float64Array, blocks: number) {
    this.#keys = keys;
    this.#counts = new Float64Array(blocks);
    for (const key of keys) this.#counts[key % BLOCKS_MAX] += 1;
  }

  /** By nearest rank, where each block's times count as often as its weight says; NaN where none does. */
  quantile(q: number, weights: Float64Array): number {
    let total = 0;
    for (let block = 0; block < weights.length; block += 1) total += this.#counts[block] * weights[block];
    if (total === 0) return Number.NaN;
    const above = total - Math.max(1, Math.ceil(q * total));
    let seen = 0;
    for (let at = this.#keys.length - 1; at >= 0; at -= 1) {
      const key = this.#keys[at];
      seen += weights[key % BLOCKS_MAX];
      if (seen > above) return Math.floor(key / BLOCKS_MAX);
    }
    return Number.NaN;
  }
}
