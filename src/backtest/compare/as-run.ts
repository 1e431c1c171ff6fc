import { SOURCES, type Source } from "../../position/attribution.ts";
import type { CellOutcome } from "../grid.ts";
import { type BacktestSummary, type IntervalRecord, MARKOUT_MS } from "../result.ts";
import type { ResultStore } from "../store.ts";
import type { Cell, ComparisonPlan } from "./plan.ts";
import { deflatedSharpe, sharpe } from "./sharpe.ts";

/** A variant at scale 1 over all recordings, each by itself and one after the other. Amounts in quote currency. */
export interface AsRun {
  readonly variant: string;
  readonly seconds: number;
  readonly profit: number;
  readonly sources: Readonly<Record<Source, number>>;
  readonly fees: number;
  readonly fills: number;
  readonly volume: number;
  readonly spreadCapturedBp: number | null;
  /** By horizon, in the order of `MARKOUT_MS`. */
  readonly markoutBp: readonly (number | null)[];
  readonly adverseBp: readonly (number | null)[];
  readonly fillRatio: number;
  /** Largest of the recordings. */
  readonly drawdown: number;
  readonly deltaMax: number;
  readonly exposureMax: number;
  /** Of the profit of an interval: mean over standard deviation, its standard error (Lo 2002). */
  readonly sharpe: { readonly value: number; readonly standardError: number; readonly intervals: number };
  /** The Sharpe ratio that the best of all variants has by luck, and the probability that this one's is truly higher. */
  readonly deflated: { readonly bar: number; readonly probability: number };
  readonly stability: SteadinessTotals;
  /** Runs that the kill switch ended. */
  readonly killed: number;
  /** Profit since the beginning, by recording. */
  readonly course: readonly {
    readonly recording: number;
    readonly points: readonly { readonly seconds: number; readonly profit: number; readonly delta: number }[];
  }[];
}

/** Means over time; NaN where no run has any. */
export interface SteadinessTotals {
  readonly quotes: number;
  readonly quotesPerSecond: number;
  readonly flickers: number;
  readonly lifeMeanMs: number;
  readonly distanceBp: number;
  readonly timeAtBestShare: number;
}

/** Points of a course that are kept for a plot. */
const POINTS_MAX = 200;

export function asRun(
  plan: ComparisonPlan,
  cells: readonly Cell[],
  outcomes: readonly CellOutcome[],
  store: ResultStore,
): AsRun[] {
  const made = plan.variants.map(({ name }, variant) => {
    const runs = cells.flatMap((cell, at) => {
      const digest = outcomes[at]?.digest;
      const isOwn = cell.variant === variant && cell.scale === 1 && cell.latencyUs === null;
      return isOwn && digest !== undefined ? [{ recording: cell.recording, ...store.load(digest) }] : [];
    });
    const summaries = runs.map(({ summary }) => summary);
    const returns = runs.flatMap(({ intervals }) => increments(intervals));
    const total = totalOf(summaries);
    return {
      variant: name,
      ...total,
      sharpe: sharpe(returns),
      course: runs.map(({ recording, intervals, summary }) => ({
        recording,
        points: thinned(intervals).map(({ timeUs, profit, delta }) => ({
          seconds: (timeUs - summary.fromUs) / 1e6,
          ...{ profit, delta },
        })),
      })),
    };
  });
  const tried = made.map((one) => one.sharpe.value);
  return made.map((one) => ({ ...one, deflated: deflatedSharpe(one.sharpe, tried) }));
}

function totalOf(summaries: readonly BacktestSummary[]) {
  const sum = (of: (summary: BacktestSummary) => number): number =>
    summaries.reduce((total, summary) => total + of(summary), 0);
  const most = (of: (summary: BacktestSummary) => number): number =>
    summaries.reduce((largest, summary) => Math.max(largest, of(summary)), 0);
  const bp = (money: number, notional: number): number | null =>
    notional > 0 ? (money / notional) * 1e4 : null;
  const volume = sum((summary) => summary.volume);
  const horizons = summaries[0]?.markouts ?? [];
  const overMarkouts = (of: "markout" | "adverse"): (number | null)[] =>
    horizons.map((_, at) =>
      bp(
        sum(({ markouts }) => markouts[at]?.[of] ?? 0),
        sum(({ markouts }) => markouts[at]?.notional ?? 0),
      ),
    );
  const seconds = sum((summary) => summary.seconds);
  const quotes = sum(({ desk }) => desk.quotesSent);
  const mean = (of: (summary: BacktestSummary) => number | null): number => {
    const known = summaries.filter((summary) => Number.isFinite(of(summary) ?? Number.NaN));
    const time = known.reduce((total, one) => total + one.seconds, 0);
    return known.reduce((total, one) => total + ((of(one) ?? 0) * one.seconds) / time, 0);
  };
  return {
    seconds,
    profit: sum(({ profit }) => profit),
    sources: Object.fromEntries(
      SOURCES.map((source) => [source, sum(({ sources }) => sources[source])]),
    ) as Record<Source, number>,
    fees: sum(({ fees }) => fees),
    fills: sum(({ fills }) => fills),
    volume,
    spreadCapturedBp: bp(
      sum(({ spreadCaptured }) => spreadCaptured),
      volume,
    ),
    markoutBp: overMarkouts("markout"),
    adverseBp: overMarkouts("adverse").map((value) => (value === null ? null : -value)),
    fillRatio: quotes === 0 ? 0 : sum(({ fills }) => fills) / quotes,
    drawdown: most(({ drawdown }) => drawdown),
    deltaMax: most(({ deltaMax }) => deltaMax),
    exposureMax: most(({ exposureMax }) => exposureMax),
    stability: {
      quotes,
      quotesPerSecond: seconds > 0 ? quotes / seconds : 0,
      flickers: sum(({ stability }) => stability.flickers),
      lifeMeanMs: mean(({ stability }) => stability.lifeMs.mean),
      distanceBp: mean(({ stability }) => stability.distanceBp),
      timeAtBestShare: mean(({ stability }) => stability.timeAtBestShare),
    },
    killed: summaries.filter(({ killed }) => killed !== null).length,
  };
}

/** What each interval added to the profit. */
function increments(intervals: readonly IntervalRecord[]): number[] {
  return intervals.map(({ profit }, at) => profit - (intervals[at - 1]?.profit ?? 0));
}

function thinned<T>(records: readonly T[]): T[] {
  const stride = Math.max(1, Math.ceil(records.length / POINTS_MAX));
  return records.filter((_, at) => at % stride === 0 || at === records.length - 1);
}

/** A variant at scale 1 when orders and answers are under way for so long each. */
export interface LatencyCost {
  readonly variant: string;
  readonly points: readonly {
    readonly latencyUs: number;
    readonly profit: number;
    readonly fills: number;
    readonly volume: number;
    readonly adverseBp: number | null;
    readonly markoutBp: number | null;
  }[];
}

export function latencyCosts(
  plan: ComparisonPlan,
  cells: readonly Cell[],
  outcomes: readonly CellOutcome[],
): LatencyCost[] {
  if (plan.latenciesUs.length === 0) return [];
  return plan.variants.map(({ name }, variant) => ({
    variant: name,
    points: plan.latenciesUs.map((latencyUs) => {
      const total = totalOf(
        cells.flatMap((cell, at) => {
          const summary = outcomes[at]?.result?.summary;
          const isOwn = cell.variant === variant && cell.latencyUs === latencyUs;
          return isOwn && summary !== undefined ? [summary] : [];
        }),
      );
      const horizon = MARKOUT_MS.indexOf(plan.horizonMs);
      return {
        latencyUs,
        profit: total.profit,
        fills: total.fills,
        volume: total.volume,
        adverseBp: total.adverseBp[horizon] ?? null,
        markoutBp: total.markoutBp[horizon] ?? null,
      };
    }),
  }));
}
