import { invariant } from "../../core/invariant.ts";
import type { ProfileDistribution, TrainingProfile } from "../../inference/profile.ts";
import { DistributionWindow } from "./distribution-window.ts";
import { HeadOutcomes, type HeadScores, OUTCOME_SAMPLE_US } from "./head-outcomes.ts";

/** Quantiles between bins. */
const EDGES = 9;
/** Values beyond these quantiles say little of a range. */
const TAIL = 0.001;
/** Rows that quantiles are taken of; every second one goes when there are more. */
const SAMPLE_ROWS_MAX = 40_000;
/** Digits that an edge keeps. */
const DIGITS = 5;
/** The windows of the training rows are looked at so often within their length. */
const LOOKS_PER_WINDOW = 12;
const NOTHING = { psi: 0, ks: 0, wasserstein: 0 };

/** One instrument's training rows in the order of time; may be gone through again and again. */
export interface ProfiledRows {
  readonly rows: number;
  timeUs(row: number): number;
  /** Raw features, in the order of the schema; valid until the next call. */
  features(row: number): Float32Array;
  /** The model's probabilities as an engine gives them; valid until the next call. */
  probabilities(row: number): Float32Array;
  /** 0 or 1, in the order of the model's heads; valid until the next call. */
  labels(row: number): ArrayLike<number>;
}

export interface ProfileOptions {
  readonly featureCount: number;
  readonly heads: number;
  readonly sampleMs: number;
  readonly windowSeconds: number;
}

export const DEFAULT_PROFILE_OPTIONS = { sampleMs: 20, windowSeconds: 60 } as const;

/**
 * Profiles the rows that a model was trained on: where its features, predictions and update times lie, how far single windows of
 * single instruments are from that, and what came of the predictions.
 *
 * @throws InvariantError when there is no row
 */
export function trainingProfileOf(parts: readonly ProfiledRows[], options: ProfileOptions): TrainingProfile {
  const { featureCount, heads, sampleMs, windowSeconds } = options;
  const sampled = parts.map((part) => sampledRows(part, sampleMs * 1_000));
  const count = sampled.reduce((sum, { length }) => sum + length, 0);
  invariant(count > 0, "rows to profile");
  const stride = Math.ceil(count / SAMPLE_ROWS_MAX);
  const width = featureCount + heads;
  const values = Array.from({ length: width }, () => new Float64Array(Math.ceil(count / stride)));
  const intervals: number[] = [];
  let taken = 0;
  let seen = 0;
  for (const [at, part] of parts.entries()) {
    for (const row of sampled[at] ?? []) {
      seen += 1;
      if ((seen - 1) % stride !== 0) continue;
      const features = part.features(row);
      for (let column = 0; column < featureCount; column += 1) values[column][taken] = features[column];
      const probabilities = part.probabilities(row);
      for (let head = 0; head < heads; head += 1)
        values[featureCount + head][taken] = logitOf(probabilities[head]);
      if (row > 0) intervals.push(Math.log1p((part.timeUs(row) - part.timeUs(row - 1)) / 1_000));
      taken += 1;
    }
  }
  const plain = values.map((column) => distribution(column.subarray(0, taken)));
  const interval = distribution(Float64Array.from(intervals.length === 0 ? [0] : intervals));
  const features = plain.slice(0, featureCount);
  const predictions = plain.slice(featureCount);
  const usual = usualOf(parts, sampled, { features, predictions, interval }, windowSeconds);
  return {
    sampleMs,
    windowSeconds,
    rows: count,
    features: usual.features,
    predictions: usual.predictions,
    intervals: usual.interval,
    outcomes: outcomesOf(parts, heads, windowSeconds),
  };
}

function sampledRows(part: ProfiledRows, everyUs: number): Int32Array {
  const rows: number[] = [];
  let lastUs = Number.NEGATIVE_INFINITY;
  for (let row = 0; row < part.rows; row += 1) {
    const timeUs = part.timeUs(row);
    if (timeUs - lastUs < everyUs) continue;
    lastUs = timeUs;
    rows.push(row);
  }
  return Int32Array.from(rows);
}

/** Bins between deciles; the shares are those of the values given. */
function distribution(values: Float64Array): ProfileDistribution {
  const sorted = values.filter(Number.isFinite).sort();
  const last = sorted.length - 1;
  if (last < 0) return { edges: [], shares: [1], low: 0, high: 0, rests: true, usual: NOTHING };
  const at = (quantile: number): number => rounded(sorted[Math.round(quantile * last)]);
  const low = at(TAIL);
  const high = at(1 - TAIL);
  const edges: number[] = [];
  for (let edge = 1; edge <= EDGES; edge += 1) {
    const bound = at(edge / (EDGES + 1));
    if (bound < high && bound >= low && bound > (edges.at(-1) ?? Number.NEGATIVE_INFINITY)) edges.push(bound);
  }
  const shares = new Array<number>(edges.length + 1).fill(0);
  let bin = 0;
  for (const value of sorted) {
    while (bin < edges.length && value > edges[bin]) bin += 1;
    shares[bin] += 1 / sorted.length;
  }
  return { edges, shares: shares.map(rounded), low, high, rests: false, usual: NOTHING };
}

interface Parts {
  readonly features: readonly ProfileDistribution[];
  readonly predictions: readonly ProfileDistribution[];
  readonly interval: ProfileDistribution;
}

interface Usual {
  readonly features: ProfileDistribution[];
  readonly predictions: ProfileDistribution[];
  readonly interval: ProfileDistribution;
}

/** The largest distances that the windows of the parts have from all rows. */
function usualOf(
  parts: readonly ProfiledRows[],
  sampled: readonly Int32Array[],
  plain: Parts,
  windowSeconds: number,
): Usual {
  const all = [...plain.features, ...plain.predictions];
  const worst = [...all, plain.interval].map(() => ({ ...NOTHING }));
  const rests = [...all, plain.interval].map(() => false);
  const windowUs = windowSeconds * 1e6;
  const row = new Float64Array(all.length);
  for (const [at, part] of parts.entries()) {
    const window = new DistributionWindow(all, windowUs);
    const intervals = new DistributionWindow([plain.interval], windowUs);
    const startUs = part.rows === 0 ? 0 : part.timeUs(0);
    // A recording shorter than a window is one window.
    const lengthUs = part.rows === 0 ? 0 : part.timeUs(part.rows - 1) - startUs;
    const fullUs = startUs + Math.min(windowUs, lengthUs * 0.9);
    let lookUs = fullUs;
    let next = 0;
    for (const sample of sampled[at] ?? []) {
      const timeUs = part.timeUs(sample);
      for (; next <= sample; next += 1) {
        if (next === 0) continue;
        intervals.advance(part.timeUs(next));
        intervals.add([Math.log1p((part.timeUs(next) - part.timeUs(next - 1)) / 1_000)], 0);
      }
      window.advance(timeUs);
      const features = part.features(sample);
      row.set(features);
      const probabilities = part.probabilities(sample);
      for (let head = 0; head < plain.predictions.length; head += 1)
        row[plain.features.length + head] = logitOf(probabilities[head]);
      window.add(row, 0);
      if (timeUs < lookUs) continue;
      lookUs = timeUs + (windowSeconds * 1e6) / LOOKS_PER_WINDOW;
      for (let column = 0; column < all.length; column += 1) {
        if (window.still(column)) rests[column] = true;
        raise(worst[column], window.distances(column));
      }
      raise(worst[all.length], intervals.distances(0));
    }
  }
  const done = [...all, plain.interval].map((each, column) => ({
    ...each,
    rests: rests[column],
    usual: {
      psi: rounded(worst[column].psi),
      ks: rounded(worst[column].ks),
      wasserstein: rounded(worst[column].wasserstein),
    },
  }));
  const interval = done.pop();
  invariant(interval !== undefined, "the intervals come last");
  return {
    features: done.slice(0, plain.features.length),
    predictions: done.slice(plain.features.length),
    interval,
  };
}

function raise(worst: { psi: number; ks: number; wasserstein: number }, found: typeof NOTHING | null): void {
  if (found === null) return;
  worst.psi = Math.max(worst.psi, found.psi);
  worst.ks = Math.max(worst.ks, found.ks);
  worst.wasserstein = Math.max(worst.wasserstein, found.wasserstein);
}

function outcomesOf(
  parts: readonly ProfiledRows[],
  heads: number,
  windowSeconds: number,
): TrainingProfile["outcomes"] {
  const endless = Number.MAX_SAFE_INTEGER;
  const all = new HeadOutcomes(heads, endless, 2);
  all.advance(0);
  const usual = new Array<number>(heads).fill(0);
  for (const part of parts) {
    const window = new HeadOutcomes(heads, windowSeconds * 1e6, 10);
    let lookUs = part.rows === 0 ? 0 : part.timeUs(0) + windowSeconds * 1e6;
    let countedUs = Number.NEGATIVE_INFINITY;
    for (let row = 0; row < part.rows; row += 1) {
      const timeUs = part.timeUs(row);
      if (timeUs - countedUs < OUTCOME_SAMPLE_US) continue;
      countedUs = timeUs;
      window.advance(timeUs);
      const probabilities = part.probabilities(row);
      const labels = part.labels(row);
      for (let head = 0; head < heads; head += 1) {
        all.add(head, probabilities[head], labels[head]);
        window.add(head, probabilities[head], labels[head]);
      }
      if (timeUs < lookUs) continue;
      lookUs = timeUs + (windowSeconds * 1e6) / LOOKS_PER_WINDOW;
      for (let head = 0; head < heads; head += 1)
        usual[head] = Math.max(usual[head], window.scores(head).calibrationError ?? 0);
    }
  }
  return Array.from({ length: heads }, (_, head) => {
    const { baseRate, auc, brier, skill, calibrationError }: HeadScores = all.scores(head);
    return {
      baseRate: rounded(baseRate ?? 0),
      auc: roundedOrNull(auc),
      brier: roundedOrNull(brier),
      skill: roundedOrNull(skill),
      calibrationError: roundedOrNull(calibrationError),
      usualCalibrationError: rounded(usual[head]),
    };
  });
}

function logitOf(p: number): number {
  return Math.min(Math.max(Math.log(p / (1 - p)), -16), 16);
}

function rounded(value: number): number {
  return Number(value.toPrecision(DIGITS));
}

function roundedOrNull(value: number | null): number | null {
  return value === null ? null : rounded(value);
}
