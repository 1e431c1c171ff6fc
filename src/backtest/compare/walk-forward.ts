/**
 * Chosen on the past, judged on what came next. The time is cut into consecutive parts; for each part but the first, all parts
 * before it are what is known: from them come the scale of the half-spread that gives the reference's volume, which of a family's
 * parameters to use, and rules that are fitted anew. The block before a part is left out of what is known, since outcomes of its
 * fills reach into the part (purging after M. López de Prado, 2018, chapter 7).
 *
 * @module
 */
import type { Interval } from "../../learn/report/bootstrap.ts";
import { referenceVolume } from "./equal-volume.ts";
import type { Ladder, Mix } from "./ladder.ts";
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

/** Indices of blocks. */
export interface FoldBlocks {
  readonly train: readonly number[];
  readonly test: readonly number[];
}

/** Cuts so many blocks into parts; every part but the first is tested once. */
export function foldsOf(blocks: number, parts: number): FoldBlocks[] {
  const cut = (part: number): number => Math.round((part * blocks) / parts);
  const range = (from: number, to: number): number[] =>
    Array.from({ length: Math.max(0, to - from) }, (_, at) => from + at);
  return Array.from({ length: Math.max(0, parts - 1) }, (_, at) => ({
    train: range(0, cut(at + 1) - 1),
    test: range(cut(at + 1), cut(at + 2)),
  })).filter(({ train, test }) => train.length > 0 && test.length > 0);
}

/** What may be chosen: a row of the ladder table. */
export interface Candidate {
  readonly name: string;
  readonly family: string;
  /** Row of {@link LadderTable.ladders}. */
  readonly row: number;
  /** Fitted for this fold alone; null = for all. */
  readonly fold: number | null;
}

export interface WalkForwardFamily {
  readonly family: string;
  /** By fold: what was chosen, and how it did; null where nothing could be. */
  readonly folds: readonly ({
    readonly chosen: string;
    readonly scores: Readonly<Record<Score, number | null>>;
    readonly volume: number;
  } | null)[];
  readonly fills: number;
  /** Of all tested parts, and as a share of the reference's: it was made equal on the past only. */
  readonly volume: number;
  readonly volumeShare: number;
  readonly profit: number;
  readonly scores: Readonly<Record<Score, Interval>>;
  readonly differences: Readonly<Record<Score, Interval>> | null;
  readonly p: number | null;
  readonly pHolm: number | null;
  readonly pMarkout: number | null;
  readonly pMarkoutHolm: number | null;
}

interface Choice {
  readonly candidate: Candidate;
  /** By market; null where nothing is known of it. */
  readonly mixes: readonly (Mix | null)[];
}

/**
 * @param candidates the first is the reference, which stays at scale 1
 * @param choose among a family's parameters by this score: the lowest adverse cost, or the highest of another
 */
export function walkForwardOf(
  table: LadderTable,
  candidates: readonly Candidate[],
  folds: readonly FoldBlocks[],
  choose: Score,
  options: ResampleOptions,
): WalkForwardFamily[] {
  const [first] = candidates;
  if (first === undefined || folds.length === 0) return [];
  const reference = table.ladders[first.row] ?? [];
  const rest = candidates.slice(1);
  const groups = [...new Set(rest.map(({ family }) => family))].map((family) => {
    const own = rest.filter((one) => one.family === family);
    // Variants of the reference's own strategy compete with it.
    return family === first.family ? { family: `${family}, chosen`, own: [first, ...own] } : { family, own };
  });
  const compared = [{ family: first.name, own: [first] }, ...groups];
  const families = compared.map(({ family }) => family);
  const choices = compared.map(({ own }) =>
    folds.map((fold, at) => {
      const known = own.filter((one) => one.fold === null || one.fold === at);
      return chosen(table, reference, first, known, indicator(fold.train, table), choose);
    }),
  );
  const testOf = folds.map(({ test }) => indicator(test, table));
  const masked = new Float64Array(table.blocksUs.length);
  const sumsIn = (family: number, fold: number, weights: ArrayLike<number>): Float64Array => {
    const test = testOf[fold] ?? masked;
    for (let block = 0; block < masked.length; block += 1)
      masked[block] = test[block] * (weights[block] ?? 0);
    const sums = new Float64Array(SUMS);
    const choice = choices[family]?.[fold] ?? null;
    if (choice === null) return sums;
    for (const [market, ladder] of (table.ladders[choice.candidate.row] ?? []).entries()) {
      const mix = choice.mixes[market] ?? null;
      if (mix === null) continue;
      const mixed = ladder.mixed(mix, masked);
      for (let sum = 0; sum < SUMS; sum += 1) sums[sum] += mixed[sum];
    }
    return sums;
  };
  const pooled = (family: number, weights: ArrayLike<number>): Float64Array => {
    const sums = new Float64Array(SUMS);
    for (const fold of folds.keys()) {
      const own = sumsIn(family, fold, weights);
      for (let sum = 0; sum < SUMS; sum += 1) sums[sum] += own[sum];
    }
    return sums;
  };
  const estimates = (weights: Float64Array): Float64Array => {
    const scores = new Float64Array(families.length * SCORES.length);
    for (const family of families.keys())
      scores.set(scoresOf(pooled(family, weights)), family * SCORES.length);
    return scores;
  };
  const tested = folds.flatMap(({ test }) => test);
  const all = indicator(tested, table);
  const values = estimates(all);
  const drawn = resample(tested, table.blocksUs.length, estimates, options);
  const difference = (at: number, score: number): number[] =>
    (drawn[at] ?? []).map((value, index) => value - (drawn[score]?.[index] ?? Number.NaN));
  const volume = pooled(0, all)[SUM.volume];
  const made = families.map((family, index): WalkForwardFamily => {
    const sums = pooled(index, all);
    const record = (of: (at: number, score: number) => Interval): Record<Score, Interval> =>
      Object.fromEntries(
        SCORES.map((name, score) => [name, of(index * SCORES.length + score, score)]),
      ) as Record<Score, Interval>;
    const pOf = (score: Score): number | null => {
      if (index === 0) return null;
      const at = SCORES.indexOf(score);
      return bootstrapP(difference(index * SCORES.length + at, at));
    };
    return {
      family,
      folds: folds.map((_, fold) => {
        const choice = choices[index]?.[fold] ?? null;
        if (choice === null) return null;
        const own = sumsIn(index, fold, all);
        const scores = scoresOf(own);
        return {
          chosen: choice.candidate.name,
          scores: Object.fromEntries(
            SCORES.map((name, at) => [name, Number.isFinite(scores[at]) ? scores[at] : null]),
          ) as Record<Score, number | null>,
          volume: own[SUM.volume],
        };
      }),
      fills: sums[SUM.fills],
      volume: sums[SUM.volume],
      volumeShare: sums[SUM.volume] / volume,
      profit: sums[SUM.profit],
      scores: record((at) => intervalOf(values[at], drawn[at] ?? [], options.level)),
      differences:
        index === 0
          ? null
          : record((at, score) =>
              intervalOf(values[at] - values[score], difference(at, score), options.level),
            ),
      p: pOf("adverseBp"),
      pMarkout: pOf("markoutBp"),
      ...{ pHolm: null, pMarkoutHolm: null },
    };
  });
  return withHolm(made);
}

/** The best of the candidates at the reference's volume over the known blocks. */
function chosen(
  table: LadderTable,
  reference: readonly Ladder[],
  first: Candidate,
  candidates: readonly Candidate[],
  known: Float64Array,
  choose: Score,
): Choice | null {
  let best: Choice | null = null;
  let bestScore = Number.NEGATIVE_INFINITY;
  for (const candidate of candidates) {
    const sums = new Float64Array(SUMS);
    const mixes = (table.ladders[candidate.row] ?? []).map((ladder, market): Mix | null => {
      const target = referenceVolume(reference[market], known);
      if (target === 0) return null;
      const mix =
        candidate === first
          ? { near: ladder.scales.indexOf(1), wide: -1, share: 1, isShort: false }
          : ladder.mixFor(target, known);
      const mixed = ladder.mixed(mix, known);
      for (let sum = 0; sum < SUMS; sum += 1) sums[sum] += mixed[sum];
      return mix;
    });
    const value = scoresOf(sums)[SCORES.indexOf(choose)];
    const score = choose === "adverseBp" ? -value : value;
    if (!(score > bestScore)) continue;
    bestScore = score;
    best = { candidate, mixes };
  }
  return best;
}

function indicator(blocks: readonly number[], table: LadderTable): Float64Array {
  const weights = new Float64Array(table.blocksUs.length);
  for (const block of blocks) weights[block] = 1;
  return weights;
}
