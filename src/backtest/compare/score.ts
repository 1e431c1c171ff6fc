import { Rng } from "../../core/rng.ts";
import type { Interval } from "../../learn/report/bootstrap.ts";
import { SUM } from "./sums.ts";

/** What strategies are compared by, in the order of {@link scoresOf}. Costs in bp of the volume. */
export const SCORES = ["adverseBp", "markoutBp", "spreadBp", "profitBp"] as const;
export type Score = (typeof SCORES)[number];

/** NaN where nothing was traded. */
export function scoresOf(sums: Float64Array): Float64Array {
  const bp = (money: number, of: number): number => (of > 0 ? (money / of) * 1e4 : Number.NaN);
  return Float64Array.of(
    bp(sums[SUM.adverse], sums[SUM.judged]),
    bp(sums[SUM.markout], sums[SUM.judged]),
    bp(sums[SUM.spread], sums[SUM.volume]),
    bp(sums[SUM.profit], sums[SUM.volume]),
  );
}

export interface ResampleOptions {
  readonly resamples: number;
  readonly seed: number;
  /** Share of resamples inside an interval, e.g. 0.95. */
  readonly level: number;
}

/**
 * Draws blocks with replacement, as many as there are, and asks for all estimates of each draw; so what is compared sees the same
 * blocks (H. Künsch, 1989).
 *
 * @param estimate of weighted blocks; always as many numbers
 * @returns `[estimate][resample]`
 */
export function resample(
  blocks: readonly number[],
  blockCount: number,
  estimate: (weights: Float64Array) => ArrayLike<number>,
  { resamples, seed }: ResampleOptions,
): number[][] {
  const rng = new Rng(seed);
  const weights = new Float64Array(blockCount);
  const drawn: number[][] = [];
  for (let at = 0; at < resamples; at += 1) {
    weights.fill(0);
    for (let count = 0; count < blocks.length; count += 1) weights[blocks[rng.int(blocks.length)] ?? 0] += 1;
    const values = estimate(weights);
    for (let index = 0; index < values.length; index += 1) {
      const kept = drawn[index] ?? [];
      kept.push(values[index] ?? Number.NaN);
      drawn[index] = kept;
    }
  }
  return drawn;
}

/** The percentile interval of what was drawn; NaN where too little of it is a number. */
export function intervalOf(value: number, drawn: readonly number[], level: number): Interval {
  const sorted = Float64Array.from(drawn.filter(Number.isFinite)).sort();
  if (sorted.length < drawn.length / 2 || sorted.length < 2)
    return { value, low: Number.NaN, high: Number.NaN };
  const at = (share: number): number => {
    const place = share * (sorted.length - 1);
    const below = Math.floor(place);
    const [from = 0, to = from] = [sorted[below], sorted[below + 1]];
    return from + (to - from) * (place - below);
  };
  return { value, low: at((1 - level) / 2), high: at((1 + level) / 2) };
}

/** Two-sided p-value that a difference is none, by the share of resamples on the other side of zero (B. Efron, 1993, chapter 16). */
export function bootstrapP(drawn: readonly number[]): number {
  const known = drawn.filter(Number.isFinite);
  if (known.length === 0) return Number.NaN;
  const below = known.filter((value) => value <= 0).length;
  const above = known.filter((value) => value >= 0).length;
  return Math.min(1, (2 * (Math.min(below, above) + 1)) / (known.length + 1));
}

/** p-values as they count when so many were looked at (S. Holm, 1979). NaN stays, and counts as looked at. */
export function holm(values: readonly number[]): number[] {
  const order = values.map((value, at) => ({ value, at })).sort((a, b) => (a.value || 2) - (b.value || 2));
  const adjusted = values.slice();
  let most = 0;
  for (const [rank, { value, at }] of order.entries()) {
    if (Number.isNaN(value)) continue;
    most = Math.max(most, Math.min(1, value * (values.length - rank)));
    adjusted[at] = most;
  }
  return adjusted;
}

/** What a comparison against the first one says of chance; null of the first one itself. */
export interface Significance {
  readonly p: number | null;
  readonly pMarkout: number | null;
  /** The same, as they count when so many were looked at. */
  readonly pHolm: number | null;
  readonly pMarkoutHolm: number | null;
}

/** Fills in what the p-values of all but the first one count together, see {@link holm}. */
export function withHolm<T extends Significance>(made: readonly T[]): T[] {
  const others = made.slice(1);
  const cost = holm(others.map(({ p }) => p ?? Number.NaN));
  const markout = holm(others.map(({ pMarkout }) => pMarkout ?? Number.NaN));
  return made.map((one, at) =>
    at === 0 ? one : { ...one, pHolm: cost[at - 1] ?? null, pMarkoutHolm: markout[at - 1] ?? null },
  );
}
