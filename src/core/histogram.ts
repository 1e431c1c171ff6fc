import { invariant } from "./invariant.ts";

const SUB_BITS = 7;
const SUB_COUNT = 1 << SUB_BITS;
const LINEAR = SUB_COUNT * 2;
const BUCKETS = LINEAR + (32 - SUB_BITS - 1) * SUB_COUNT;
const MAX_VALUE = 2 ** 32 - 1;

/** Buckets of a {@link Histogram}. */
export const HISTOGRAM_BUCKETS = BUCKETS;

/**
 * A histogram of non-negative whole numbers below 2^32 (latencies in ns up to 4.29 s; larger values are clamped and show in
 * `max`), exact below 256 and within 0.8 % above, in fixed memory: log-linear buckets as in HdrHistogram. `record` is O(1)
 * and allocates nothing.
 */
export class Histogram {
  readonly #counts = new Float64Array(BUCKETS);
  count = 0;
  sum = 0;
  min = Number.POSITIVE_INFINITY;
  max = 0;

  record(value: number): void {
    const clamped = Math.min(Math.max(value, 0), MAX_VALUE);
    this.#counts[bucketOf(clamped >>> 0)] += 1;
    this.count += 1;
    this.sum += value;
    if (value < this.min) this.min = value;
    if (value > this.max) this.max = value;
  }

  /** Value at a quantile in [0, 1]: the middle of its bucket, at most `max`; NaN when empty. */
  quantile(q: number): number {
    invariant(q >= 0 && q <= 1, `a quantile lies in [0, 1], got ${q}`);
    if (this.count === 0) return Number.NaN;
    if (q === 1) return this.max;
    const rank = Math.max(1, Math.ceil(q * this.count));
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      seen += this.#counts[bucket];
      if (seen >= rank) return Math.min(middleOf(bucket), this.max);
    }
    return this.max;
  }

  get mean(): number {
    return this.count === 0 ? Number.NaN : this.sum / this.count;
  }

  /** How many values were at most `bound` (to bucket precision). */
  countAtMost(bound: number): number {
    const [count] = this.countsAtMost([bound]);
    return count;
  }

  /** As {@link countAtMost} of each of `bounds`, in one pass; they ascend. */
  countsAtMost(bounds: readonly number[]): number[] {
    const counts = this.#counts;
    const found: number[] = [];
    let seen = 0;
    let bucket = 0;
    for (const bound of bounds) {
      const last = bucketOf(Math.min(Math.max(bound, 0), MAX_VALUE) >>> 0);
      for (; bucket <= last; bucket += 1) seen += counts[bucket];
      found.push(seen);
    }
    return found;
  }

  /** Copies the counts of all buckets, {@link HISTOGRAM_BUCKETS} of them; what was recorded since is then the difference. */
  copyCounts(out: Float64Array): void {
    out.set(this.#counts);
  }

  /** Takes in what another one has recorded. */
  merge(other: Histogram): void {
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) this.#counts[bucket] += other.#counts[bucket];
    this.count += other.count;
    this.sum += other.sum;
    this.min = Math.min(this.min, other.min);
    this.max = Math.max(this.max, other.max);
  }

  reset(): void {
    this.#counts.fill(0);
    this.count = 0;
    this.sum = 0;
    this.min = Number.POSITIVE_INFINITY;
    this.max = 0;
  }
}

function bucketOf(value: number): number {
  if (value < LINEAR) return value;
  const exponent = 31 - Math.clz32(value);
  return LINEAR + (exponent - SUB_BITS - 1) * SUB_COUNT + ((value >>> (exponent - SUB_BITS)) - SUB_COUNT);
}

/** The middle of the values of a bucket. */
export function middleOf(bucket: number): number {
  if (bucket < LINEAR) return bucket;
  const group = Math.floor((bucket - LINEAR) / SUB_COUNT);
  const width = 2 ** (group + 1);
  return (SUB_COUNT + ((bucket - LINEAR) % SUB_COUNT)) * width + width / 2;
}
