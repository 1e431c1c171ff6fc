/**
 * Logistic regressions of the heads over rows of the past, for walk-forward comparisons: maximum likelihood with a ridge by Newton's
 * method.
 *
 * @module
 */
import { FEATURE_COUNT, featureIndex, SCHEMA_HASH } from "../../feature/schema.ts";
import { HEADS } from "../../inference/card.ts";
import type { DatasetRow, RowSink, RowSource } from "../../learn/dataset/row.ts";
import { LABEL_OPTIONS, Labeller } from "../../learn/labels.ts";
import { type RuleFile, unitsOf } from "../fitted-rule.ts";

/** Rows that a fit uses at most; of more, every nth. */
const ROWS_MAX = 12_000;
const NEWTON_STEPS = 8;
const CLIP = 4;
/** Precision of the normal prior around zero that each weight has, in rows. */
const RIDGE = 5;

export interface LabelledRows {
  /** `[row][feature]`, as the schema has them. */
  readonly features: Float32Array;
  /** `[row][head]`. */
  readonly labels: Uint8Array;
  readonly timesUs: Float64Array;
}

/** All rows of a source with what then happened. */
export async function labelledRows(source: RowSource): Promise<LabelledRows> {
  const collector = new Collector();
  await source.play(collector, Number.POSITIVE_INFINITY);
  return collector.rows();
}

class Collector implements RowSink {
  readonly #labellers = new Map<
    string,
    { labeller: Labeller; waiting: Map<number, { timeUs: number; features: Float32Array }> }
  >();
  readonly #features: Float32Array[] = [];
  readonly #labels: Uint8Array[] = [];
  readonly #timesUs: number[] = [];

  row({ timeUs, instrument, midTicks, bidDepth, askDepth, features }: DatasetRow): void {
    let kept = this.#labellers.get(instrument);
    if (kept === undefined) {
      const waiting = new Map<number, { timeUs: number; features: Float32Array }>();
      const labeller = new Labeller((row, labels) => {
        const known = waiting.get(row);
        if (known === undefined) return;
        waiting.delete(row);
        this.#features.push(known.features);
        this.#labels.push(labels.slice());
        this.#timesUs.push(known.timeUs);
      }, LABEL_OPTIONS);
      kept = { labeller, waiting };
      this.#labellers.set(instrument, kept);
    }
    kept.waiting.set(kept.labeller.rows, { timeUs, features: features.slice() });
    kept.labeller.push(timeUs, midTicks, bidDepth, askDepth);
  }

  broken(instrument: string): void {
    const kept = this.#labellers.get(instrument);
    kept?.labeller.reset();
    kept?.waiting.clear();
  }

  rows(): LabelledRows {
    const features = new Float32Array(this.#features.length * FEATURE_COUNT);
    const labels = new Uint8Array(this.#labels.length * HEADS.length);
    for (const [row, values] of this.#features.entries()) features.set(values, row * FEATURE_COUNT);
    for (const [row, values] of this.#labels.entries()) labels.set(values, row * HEADS.length);
    return { features, labels, timesUs: Float64Array.from(this.#timesUs) };
  }
}

/** What a rule may look at: the imbalance of the best queues alone, or every feature. */
const FITTED = {
  "queue-imbalance": [featureIndex("queueImbalance")],
  logistic: Array.from({ length: FEATURE_COUNT }, (_, feature) => feature),
} as const satisfies Record<string, readonly number[]>;
export type FittedName = keyof typeof FITTED;

/**
 * Fits a rule to the rows for which `isTrained` holds.
 *
 * @returns null when there are no such rows
 */
export function fitRule(
  name: FittedName,
  sources: readonly LabelledRows[],
  isTrained: (timeUs: number) => boolean,
  about: string,
): RuleFile | null {
  const columns = FITTED[name];
  const all = sources.flatMap((source, at) =>
    Array.from(source.timesUs.keys())
      .filter((row) => isTrained(source.timesUs[row]))
      .map((row) => ({ at, row })),
  );
  if (all.length === 0) return null;
  const stride = Math.ceil(all.length / ROWS_MAX);
  const used = all.filter((_, index) => index % stride === 0);
  const readOne = ({ at, row }: (typeof used)[number], column: number): number =>
    sources[at]?.features[row * FEATURE_COUNT + column] ?? Number.NaN;
  const moments = columns.map((column) => momentsOf(used.map((one) => readOne(one, column))));
  const scale = {
    features: [...columns],
    mean: moments.map(({ mean }) => mean),
    deviation: moments.map(({ deviation }) => deviation),
    clip: CLIP,
  };
  const width = columns.length + 1;
  const inputs = new Float64Array(used.length * width);
  const units = new Float64Array(columns.length);
  for (const [index, { at, row }] of used.entries()) {
    unitsOf(scale, sources[at]?.features ?? new Float32Array(), row * FEATURE_COUNT, units);
    inputs.set(units, index * width);
    inputs[index * width + columns.length] = 1;
  }
  const heads = HEADS.map((head, index) => {
    const labels = Uint8Array.from(
      used,
      ({ at, row }) => sources[at]?.labels[row * HEADS.length + index] ?? 0,
    );
    const weights = logisticRegression(inputs, labels, width);
    return [head, { intercept: weights[columns.length] ?? 0, weights: [...weights.subarray(0, -1)] }];
  });
  return { schemaHash: SCHEMA_HASH, ...scale, heads: Object.fromEntries(heads) as RuleFile["heads"], about };
}

function momentsOf(values: readonly number[]): { mean: number; deviation: number } {
  const known = values.filter(Number.isFinite);
  if (known.length === 0) return { mean: 0, deviation: 1 };
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
  const variance = known.reduce((sum, value) => sum + (value - mean) ** 2, 0) / known.length;
  return { mean, deviation: variance > 1e-18 ? Math.sqrt(variance) : 1 };
}

/**
 * Maximum a posteriori weights.
 *
 * @param inputs `[row][width]`, the last column 1
 */
export function logisticRegression(inputs: Float64Array, labels: Uint8Array, width: number): Float64Array {
  const rows = labels.length;
  const weights = new Float64Array(width);
  const came = labels.reduce((sum, label) => sum + label, 0);
  weights[width - 1] = Math.log((came + 0.5) / (rows - came + 0.5));
  const gradient = new Float64Array(width);
  const hessian = new Float64Array(width * width);
  for (let step = 0; step < NEWTON_STEPS; step += 1) {
    gradient.fill(0);
    hessian.fill(0);
    for (let row = 0; row < rows; row += 1) {
      const from = row * width;
      let logit = 0;
      for (let i = 0; i < width; i += 1) logit += weights[i] * inputs[from + i];
      const p = 1 / (1 + Math.exp(-logit));
      const error = labels[row] - p;
      const curvature = p * (1 - p);
      for (let i = 0; i < width; i += 1) {
        const value = inputs[from + i];
        gradient[i] += error * value;
        const scaled = curvature * value;
        if (scaled === 0) continue;
        for (let j = 0; j <= i; j += 1) hessian[i * width + j] += scaled * inputs[from + j];
      }
    }
    for (let i = 0; i < width; i += 1) {
      const precision = i === width - 1 ? 1e-6 : RIDGE;
      gradient[i] -= precision * weights[i];
      hessian[i * width + i] += precision;
    }
    const change = choleskySolve(hessian, gradient, width);
    let most = 0;
    for (let i = 0; i < width; i += 1) {
      weights[i] += change[i];
      most = Math.max(most, Math.abs(change[i]));
    }
    if (most < 1e-6) break;
  }
  return weights;
}

/** Solves `matrix · x = right` for a positive definite matrix of which the lower half is given; the matrix is overwritten. */
function choleskySolve(matrix: Float64Array, right: Float64Array, width: number): Float64Array {
  for (let i = 0; i < width; i += 1) {
    for (let j = 0; j <= i; j += 1) {
      let sum = matrix[i * width + j];
      for (let k = 0; k < j; k += 1) sum -= matrix[i * width + k] * matrix[j * width + k];
      matrix[i * width + j] = i === j ? Math.sqrt(Math.max(sum, 1e-12)) : sum / matrix[j * width + j];
    }
  }
  const x = Float64Array.from(right);
  for (let i = 0; i < width; i += 1) {
    for (let k = 0; k < i; k += 1) x[i] -= matrix[i * width + k] * x[k];
    x[i] /= matrix[i * width + i];
  }
  for (let i = width - 1; i >= 0; i -= 1) {
    for (let k = i + 1; k < width; k += 1) x[i] -= matrix[k * width + i] * x[k];
    x[i] /= matrix[i * width + i];
  }
  return x;
}
