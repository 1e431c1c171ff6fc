import { Rng } from "../../../src/core/rng.ts";
import type { StageView } from "../../../src/monitor/dashboard/protocol.ts";
import type { Samples } from "./desk-process.ts";

/** A sample of resident memory. */
export interface MemorySample {
  /** Since the soak began. */
  readonly seconds: number;
  readonly bytes: number;
}

/** How resident memory went, from when the process had settled to the end. */
export interface MemoryVerdict {
  /** Medians of the fifth of the time after settling and of the last fifth. */
  readonly settledBytes: number;
  readonly lastBytes: number;
  /** `last / settled − 1`; below 0 it shrank. */
  readonly growth: number;
  /** What it grows by in an hour, bytes, after settling: 0 in the interval says that there is no trend. */
  readonly hourly: Trend;
}

/** A slope, and the interval in which it lies with 95 %. */
export interface Trend {
  readonly slope: number;
  readonly low: number;
  readonly high: number;
}

const SETTLING_SHARE = 0.2;
const SETTLING_SECONDS_MAX = 600;

/** A process takes what it needs in its first minutes: they are left out, a fifth of the time or ten minutes at most. */
export function memoryVerdict(samples: readonly MemorySample[]): MemoryVerdict {
  const end = samples.at(-1)?.seconds ?? 0;
  const from = Math.min(end * SETTLING_SHARE, SETTLING_SECONDS_MAX);
  const part = (end - from) / 5;
  const within = (a: number, b: number): number =>
    median(samples.filter(({ seconds }) => seconds >= a && seconds <= b).map(({ bytes }) => bytes));
  const settledBytes = within(from, from + part);
  const lastBytes = within(end - part, end);
  const settled = samples.filter(({ seconds }) => seconds >= from);
  return { settledBytes, lastBytes, growth: lastBytes / settledBytes - 1, hourly: hourlyTrend(settled) };
}

const TREND_PIECES = 60;
const SECONDS_PER_HOUR = 3_600;
/** Of the normal distribution, for 95 %. */
const Z_95 = 1.96;

/**
 * The slope by Theil and Sen: the median over all pairs of pieces of the time, each with its median, so that no single collection of garbage
 * decides. Its interval is Sen's (1968), by the variance of Kendall's rank statistic; it takes pieces for independent of one another.
 */
function hourlyTrend(samples: readonly MemorySample[]): Trend {
  const begin = samples[0]?.seconds ?? 0;
  const piece = ((samples.at(-1)?.seconds ?? 0) - begin) / TREND_PIECES;
  const medians = Array.from({ length: TREND_PIECES }, (_, at) =>
    median(
      samples
        .filter(({ seconds }) => Math.min(TREND_PIECES - 1, Math.floor((seconds - begin) / piece)) === at)
        .map(({ bytes }) => bytes),
    ),
  );
  const hours = piece / SECONDS_PER_HOUR;
  const slopes = medians
    .flatMap((later, at) =>
      medians.slice(0, at).map((earlier, of) => (later - earlier) / ((at - of) * hours)),
    )
    .filter(Number.isFinite)
    .sort((a, b) => a - b);
  const n = medians.filter(Number.isFinite).length;
  const spread = Z_95 * Math.sqrt((n * (n - 1) * (2 * n + 5)) / 18);
  const at = (rank: number): number =>
    slopes[Math.min(slopes.length - 1, Math.max(0, Math.round(rank)))] ?? Number.NaN;
  return {
    slope: median(slopes),
    low: at((slopes.length - spread) / 2),
    high: at((slopes.length + spread) / 2),
  };
}

/** Ratios of pairs of windows that were seen at the same time. */
export interface RatioVerdict {
  readonly windows: number;
  /** Median of the windows' ratios, and the interval in which it lies with 95 %, by resampling them. */
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

const RESAMPLES = 1_000;
/** Below this many events a 99th percentile is one of a few events. */
const EVENTS_MIN = 200;

/** A pair of windows of one stage, of the same ten seconds. */
export interface WindowPair {
  readonly of: StageView;
  readonly bare: StageView;
}

export function ratioVerdict(pairs: readonly WindowPair[], percentile: "p50" | "p99" | "p999"): RatioVerdict {
  const ratios = pairs.flatMap(({ of, bare }) => {
    const [above, below] = [of[percentile], bare[percentile]];
    const isEnough = of.count >= EVENTS_MIN && bare.count >= EVENTS_MIN;
    return isEnough && above !== null && below !== null && below > 0 ? [above / below] : [];
  });
  if (ratios.length === 0) return { windows: 0, median: Number.NaN, low: Number.NaN, high: Number.NaN };
  const rng = new Rng(1);
  const medians = Array.from({ length: RESAMPLES }, () =>
    median(Array.from(ratios, () => ratios[rng.int(ratios.length)])),
  ).sort((a, b) => a - b);
  return {
    windows: ratios.length,
    median: median(ratios),
    low: medians[Math.floor(0.025 * RESAMPLES)],
    high: medians[Math.floor(0.975 * RESAMPLES)],
  };
}

/** Counters that have to stay at nought: what was lost on the line, and beside it. */
const LOSSES = [
  ["keel_feed_unparsable_total", ""],
  ["keel_feed_gaps_total", ""],
  ["keel_feed_checksums_total", ""],
  ["keel_feed_overflows_total", ""],
  ["keel_feed_silences_total", ""],
  ["keel_market_crossed_total", ""],
  ["keel_journal_dropped_total", ""],
  ["keel_journal_failed", ""],
  ["keel_outcome_dropped_total", ""],
  ["keel_outcome_failed", ""],
  ["keel_distribution_dropped_total", ""],
  ["keel_distribution_failed", ""],
  ["keel_kafka_messages_total", 'result="failed"'],
  ["keel_kafka_messages_total", 'result="dropped"'],
  ["keel_redis_rows_total", 'result="failed"'],
  ["keel_model_challenge_dropped_total", ""],
  ["keel_model_challenge_failed", ""],
  ["keel_dashboard_slow_total", ""],
  ["keel_dashboard_faults_total", ""],
  ["keel_quote_rejected_total", ""],
] as const;

/** What was lost by the time of these samples, by name. */
export function losses(samples: Samples): Record<string, number> {
  const found = LOSSES.map(([family, part]) => [
    `${family}${part === "" ? "" : `{${part}}`}`,
    samples.sum(family, part),
  ]);
  return Object.fromEntries(found.filter(([, value]) => Number(value) > 0)) as Record<string, number>;
}

/** Counters that have to move in a process that has everything on; without Redis or Kafka theirs are not asked for. */
const WORK = [
  ["keel_market_events_total", "", null],
  ["keel_inference_predictions_total", "", null],
  ["keel_quote_acked_total", "", null],
  ["keel_gateway_executions_total", "", null],
  ["keel_outcome_rows_total", "", null],
  ["keel_dashboard_messages_total", "", null],
  ["keel_kafka_messages_total", 'result="sent"', "kafka"],
  ["keel_redis_rows_total", 'result="written"', "redis"],
] as const;

/** What stood still between two looks although it was on. */
export function idle(before: Samples, after: Samples, services: readonly string[]): string[] {
  return WORK.filter(([, , service]) => service === null || services.includes(service))
    .filter(([family, part]) => !(after.sum(family, part) > before.sum(family, part)))
    .map(([family]) => family);
}

export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
