import type { BacktestResult } from "../result.ts";

/** What is added up of fills and of the course of a run, by block of time. Amounts in quote currency. */
export const SUM = {
  fills: 0,
  volume: 1,
  /** Σ worth at the middle of the moment less price paid. */
  spread: 2,
  /** Notional of fills whose middle was known then and at the judged horizon. */
  judged: 3,
  /** Σ what the market took back of the spread until the judged horizon: the adverse-selection cost. */
  adverse: 4,
  /** Σ worth at the judged horizon less price paid. */
  markout: 5,
  /** What the desk's books gained, fees taken off. */
  profit: 6,
  quotes: 7,
} as const;
export const SUMS = 8;

/** Sums of one run by block of time: number of the block since the epoch → {@link SUM}. */
export type BlockSums = ReadonlyMap<number, Float64Array>;

export interface BlockRule {
  readonly blockUs: number;
  /** Index into the markouts of a fill. */
  readonly horizon: number;
}

function blockOf(timeUs: number, { blockUs }: BlockRule): number {
  return Math.floor(timeUs / blockUs);
}

/** Adds up a run. Blocks in which nothing happened are there too, from the first to the last of the run. */
export function blockSums({ summary, fills, intervals }: BacktestResult, rule: BlockRule): BlockSums {
  const blocks = new Map<number, Float64Array>();
  const of = (timeUs: number): Float64Array => {
    const key = blockOf(timeUs, rule);
    let sums = blocks.get(key);
    if (sums === undefined) {
      sums = new Float64Array(SUMS);
      blocks.set(key, sums);
    }
    return sums;
  };
  for (let timeUs = summary.fromUs; timeUs < summary.toUs; timeUs += rule.blockUs) of(timeUs);
  for (const { timeUs, notional, spread, markout } of fills) {
    const sums = of(timeUs);
    sums[SUM.fills] += 1;
    sums[SUM.volume] += notional;
    sums[SUM.spread] += spread ?? 0;
    const worth = markout[rule.horizon] ?? null;
    if (spread === null || worth === null) continue;
    sums[SUM.judged] += notional;
    sums[SUM.markout] += worth;
    sums[SUM.adverse] += spread - worth;
  }
  let [profit, quotes] = [0, 0];
  for (const interval of intervals) {
    // An interval belongs to the time that it closes.
    const sums = of(Math.max(summary.fromUs, interval.timeUs - 1));
    sums[SUM.profit] += interval.profit - profit;
    sums[SUM.quotes] += interval.quotes - quotes;
    ({ profit, quotes } = interval);
  }
  return blocks;
}
