import type { Interval } from "../../learn/report/bootstrap.ts";
import type { Ladder } from "./ladder.ts";
import {
  bootstrapP,
  intervalOf,
  type ResampleOptions,
  resample,
  SCORES,
  type Score,
  scoresOf,
  withHolm,
} from "./score.ts";
import { SUM, SUMS } from "./sums.ts";
import type { LadderTable } from "./table.ts";

/** A variant at the reference's volume, in every market. Money in quote currency. */
export interface EqualVolume {
  readonly variant: string;
  readonly fills: number;
  readonly volume: number;
  readonly profit: number;
  readonly quotes: number;
  /** Mean scale of the half-spread that gives the volume, by market; null where not quoting is mixed in. */
  readonly scales: readonly (number | null)[];
  /** Markets in which its nearest rung trades less than the volume asked for: there it is not equal. */
  readonly shortIn: readonly string[];
  readonly scores: Readonly<Record<Score, Interval>>;
  /** Less those of the reference, from the same resamples; null for the reference. */
  readonly differences: Readonly<Record<Score, Interval>> | null;
  /** That the difference of the adverse-selection cost is none: by itself, and among all that were compared. */
  readonly p: number | null;
  readonly pHolm: number | null;
  /** The same of the markout. */
  readonly pMarkout: number | null;
  readonly pMarkoutHolm: number | null;
}

/**
 * Every variant at the volume that the reference has at scale 1, market by market, with intervals by the block bootstrap. In each
 * resample the volumes are made equal anew.
 *
 * @param blocks indices of the blocks that count
 */
export function equalVolume(
  table: LadderTable,
  names: readonly string[],
  blocks: readonly number[],
  options: ResampleOptions,
): EqualVolume[] {
  const { ladders, markets, blocksUs } = table;
  const reference = ladders[0] ?? [];
  const sumsOf = (variant: number, weights: ArrayLike<number>): Float64Array => {
    const sums = new Float64Array(SUMS);
    for (const [market, ladder] of (ladders[variant] ?? []).entries()) {
      const target = referenceVolume(reference[market], weights);
      const mixed = ladder.mixed(
        variant === 0 ? referenceMix(ladder) : ladder.mixFor(target, weights),
        weights,
      );
      for (let sum = 0; sum < SUMS; sum += 1) sums[sum] += mixed[sum];
    }
    return sums;
  };
  const scoresIn = (weights: Float64Array): Float64Array => {
    const scores = new Float64Array(ladders.length * SCORES.length);
    for (let variant = 0; variant < ladders.length; variant += 1)
      scores.set(scoresOf(sumsOf(variant, weights)), variant * SCORES.length);
    return scores;
  };
  const once = new Float64Array(blocksUs.length);
  for (const block of blocks) once[block] = 1;
  const values = scoresIn(once);
  const drawn = resample(blocks, blocksUs.length, scoresIn, options);
  const drawnDifference = (at: number, score: number): number[] =>
    (drawn[at] ?? []).map((value, index) => value - (drawn[score]?.[index] ?? Number.NaN));
  const made = ladders.map((own, variant): EqualVolume => {
    const sums = sumsOf(variant, once);
    const mixes = own.map((ladder, market) =>
      variant === 0 ? referenceMix(ladder) : ladder.mixFor(referenceVolume(reference[market], once), once),
    );
    const record = (of: (at: number, score: number) => Interval): Record<Score, Interval> => {
      const intervals = SCORES.map((name, score) => [name, of(variant * SCORES.length + score, score)]);
      return Object.fromEntries(intervals) as Record<Score, Interval>;
    };
    const pOf = (score: Score): number | null => {
      if (variant === 0) return null;
      const index = SCORES.indexOf(score);
      return bootstrapP(drawnDifference(variant * SCORES.length + index, index));
    };
    return {
      variant: names[variant] ?? "",
      fills: sums[SUM.fills],
      volume: sums[SUM.volume],
      profit: sums[SUM.profit],
      quotes: sums[SUM.quotes],
      scales: mixes.map((mix, market) => {
        const scale = own[market]?.scaleOf(mix) ?? Number.NaN;
        return Number.isNaN(scale) ? null : scale;
      }),
      shortIn: markets.filter((_, market) => mixes[market]?.isShort),
      scores: record((at) => intervalOf(values[at], drawn[at] ?? [], options.level)),
      differences:
        variant === 0
          ? null
          : record((at, score) =>
              intervalOf(values[at] - values[score], drawnDifference(at, score), options.level),
            ),
      p: pOf("adverseBp"),
      pMarkout: pOf("markoutBp"),
      ...{ pHolm: null, pMarkoutHolm: null },
    };
  });
  return withHolm(made);
}

function referenceMix(ladder: Ladder) {
  return { near: ladder.scales.indexOf(1), wide: -1, share: 1, isShort: false };
}

/** What the reference trades at scale 1. */
export function referenceVolume(ladder: Ladder | undefined, weights: ArrayLike<number>): number {
  return ladder?.total(ladder.scales.indexOf(1), weights)[SUM.volume] ?? 0;
}
