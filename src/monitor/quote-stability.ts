import type { Desk } from "../desk/desk.ts";
import type { HistogramScale, MetricRegistry } from "./metrics.ts";

/** Lives are kept in µs: from flicker to a quote that nobody had reason to move. */
const LIVES: HistogramScale = {
  perSecond: 1e6,
  boundsSeconds: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800],
};

/** How steady a run's quotes were, by event time. */
export interface QuoteStability {
  /** Rows handed over per second, from the first to the last, and the most within one second. */
  readonly updatesPerSecond: number;
  readonly updatesPerSecondMax: number;
  /** For how long a price stood; NaN before one has ended. */
  readonly lifeMs: { readonly mean: number; readonly p50: number; readonly p99: number };
  /** Sides that reversed their direction within 100 ms, and their share of all prices that ended. */
  readonly flickers: number;
  readonly flickerShare: number;
  /** Mean distance of standing first levels to fair, bp of the underlying. */
  readonly distanceBp: number;
  /** Share of the time with a best price to compare with in which a standing side was at it or better. */
  readonly timeAtBestShare: number;
  /** Share of the counterparty's message budget in use now and at most; above 1 while in debt. */
  readonly budgetUsedShare: number;
  readonly budgetUsedShareMax: number;
  readonly widened: number;
  readonly retreated: number;
  readonly tightened: number;
  readonly pulled: number;
  /** Tightenings that began to wait, and those for which the budget left nothing. */
  readonly held: number;
  readonly heldForBudget: number;
}

export function quoteStability({ quoter }: Desk): QuoteStability {
  const { counters, quality, budget, stability } = quoter;
  const seconds = Math.max((quality.lastSentUs - quality.firstSentUs) * 1e-6, 1);
  const { sent, flickers, lives, lifeSumUs, widened, retreated, tightened, pulled, held, heldForBudget } =
    counters;
  const lifeMs = (q: number): number => stability.lifeUs.quantile(q) / 1_000;
  return {
    updatesPerSecond: sent === 0 ? 0 : sent / seconds,
    updatesPerSecondMax: quality.peakPerSecond,
    lifeMs: {
      mean: lives === 0 ? Number.NaN : lifeSumUs / lives / 1_000,
      p50: lifeMs(0.5),
      p99: lifeMs(0.99),
    },
    flickers,
    flickerShare: lives === 0 ? 0 : flickers / lives,
    distanceBp: quality.distanceBpSeconds / quality.standingSeconds,
    timeAtBestShare: quality.atBestSeconds / quality.comparedSeconds,
    budgetUsedShare: budget.usedShare,
    budgetUsedShareMax: budget.usedShareMax,
    ...{ widened, retreated, tightened, pulled, held, heldForBudget },
  };
}

/** For people, as part of a run's summary. */
export function stabilityLines(of: QuoteStability): string[] {
  const number = (value: number, digits: number): string =>
    Number.isNaN(value) ? "–" : value.toFixed(digits);
  const share = (value: number): string => `${number(100 * value, 1)} %`;
  return [
    `quote updates ${number(of.updatesPerSecond, 1)}/s, at most ${of.updatesPerSecondMax}/s; message budget used at most ${share(of.budgetUsedShareMax)}`,
    `quote life ${number(of.lifeMs.p50, 0)} ms (p50), ${number(of.lifeMs.mean, 0)} ms (mean); flickers ${of.flickers} (${share(of.flickerShare)}); to fair ${number(of.distanceBp, 2)} bp; at best ${share(of.timeAtBestShare)} of the time`,
    `quotes widened ${of.widened}, retreated ${of.retreated}, tightened ${of.tightened}, pulled ${of.pulled}; tightenings held ${of.held}, for the budget ${of.heldForBudget}`,
  ];
}

/** Registers the metrics of {@link QuoteStability}. Names are listed in `docs/metrics.md`. */
export function registerStability(metrics: MetricRegistry, { quoter }: Desk): void {
  const { counters, quality, budget, stability } = quoter;
  metrics.add({
    name: "keel_quote_moves_total",
    type: "counter",
    help: "Quotes sent by what they did; widened counts beside the others.",
    collect: (emit) => {
      for (const move of ["widened", "retreated", "tightened", "pulled"] as const) {
        emit(counters[move], { move });
      }
    },
  });
  metrics.add({
    name: "keel_quote_life_seconds",
    type: "histogram",
    help: "For how long a price of a side stood.",
    collect: (_emit, emitHistogram) => emitHistogram(stability.lifeUs, {}, LIVES),
  });
  const counter = (name: string, help: string, read: () => number): void =>
    metrics.single(name, "counter", help, read);
  counter(
    "keel_quote_flickers_total",
    "Sides that reversed their direction within 100 ms.",
    () => counters.flickers,
  );
  counter("keel_quote_held_total", "Tightenings that began to wait.", () => counters.held);
  counter(
    "keel_quote_budget_held_total",
    "Tightenings for which the message budget left nothing.",
    () => counters.heldForBudget,
  );
  counter(
    "keel_quote_standing_side_seconds_total",
    "Time for which sides of first levels stood.",
    () => quality.standingSeconds,
  );
  counter(
    "keel_quote_distance_bp_seconds_total",
    "Distance to fair of standing sides, bp of the underlying, summed over their time.",
    () => quality.distanceBpSeconds,
  );
  counter(
    "keel_quote_compared_side_seconds_total",
    "Time for which sides stood while their venue showed a best price.",
    () => quality.comparedSeconds,
  );
  counter(
    "keel_quote_at_best_side_seconds_total",
    "Time of these at the venue's best price or better.",
    () => quality.atBestSeconds,
  );
  metrics.single(
    "keel_quote_budget_used_ratio",
    "gauge",
    "Share of the counterparty's message budget in use; above 1 while in debt.",
    () => budget.usedShare,
  );
  metrics.single(
    "keel_quote_updates_per_second_max",
    "gauge",
    "Most quotes sent within one second of event time since start.",
    () => quality.peakPerSecond,
  );
}
