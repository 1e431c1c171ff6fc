/**
 * Logistic regressions of the heads over rows of the past, for walk-forward comparisons: of clipped features, on rows and their mirror
 * images, as the models' baseline is. Minutes of the past have a direction, and a rule that learnt it would foretell it ever after.
 *
 * @module
 */
import { FEATURE_COUNT, FEATURES, featureIndex, mirrorMap, SCHEMA_HASH } from "../../feature/schema.ts";
import { HEADS } from "../../inference/card.ts";
import type { DatasetRow, RowSink, RowSource } from "../../learn/dataset/row.ts";
import { LABEL_OPTIONS, Labeller } from "../../learn/labels.ts";
import { MIRRORED_HEAD } from "../../learn/train/linear-trainer.ts";
import { fitLogistic } from "../../learn/train/logistic.ts";
import { type RuleFile, unitsOf } from "../fitted-rule.ts";

/** Rows that a fit uses at most, and as many mirror images; of more, every nth. */
const ROWS_MAX = 12_000;
/** Rows of a source that are kept for fits; of more, every second, fourth and so on. */
const KEPT_MAX = 240_000;
/** As that of the model's own logistic regression. */
const PENALTY = 3e-3;

export interface LabelledRows {
  /** `[row][feature]`, as the schema has them. */
  readonly features: Float32Array;
  /** `[row][head]`. */
  readonly labels: Uint8Array;
  readonly timesUs: Float64Array;
}

/** Rows of a source with what then happened, spread evenly over it. */
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
  #features: Float32Array[] = [];
  #labels: Uint8Array[] = [];
  #timesUs: number[] = [];
  #labelled = 0;
  #stride = 1;

  row({ timeUs, instrument, midTicks, bidDepth, askDepth, features }: DatasetRow): void {
    let kept = this.#labellers.get(instrument);
    if (kept === undefined) {
      const waiting = new Map<number, { timeUs: number; features: Float32Array }>();
      const labeller = new Labeller((row, labels) => {
        const known = waiting.get(row);
        if (known === undefined) return;
        waiting.delete(row);
        this.#labelled += 1;
        if ((this.#labelled - 1) % this.#stride !== 0) return;
        this.#features.push(known.features);
        this.#labels.push(labels.slice());
        this.#timesUs.push(known.timeUs);
        if (this.#timesUs.length > KEPT_MAX) this.#thin();
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

  #thin(): void {
    this.#features = this.#features.filter((_, at) => at % 2 === 0);
    this.#labels = this.#labels.filter((_, at) => at % 2 === 0);
    this.#timesUs = this.#timesUs.filter((_, at) => at % 2 === 0);
    this.#stride *= 2;
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
  const scale = {
    features: [...columns],
    // The middle and half the width of what the schema clips to: beyond it a unit is 1.
    mean: columns.map((column) => (FEATURES[column].clip[0] + FEATURES[column].clip[1]) / 2),
    deviation: columns.map((column) => (FEATURES[column].clip[1] - FEATURES[column].clip[0]) / 2),
    clip: 1,
  };
  const width = columns.length;
  const rows = 2 * used.length;
  const inputs = new Float32Array(rows * width);
  const units = new Float64Array(width);
  const mirror = mirrorMap();
  const mirrored = new Float32Array(FEATURE_COUNT);
  for (const [index, { at, row }] of used.entries()) {
    const raw = sources[at].features.subarray(row * FEATURE_COUNT, (row + 1) * FEATURE_COUNT);
    for (let column = 0; column < FEATURE_COUNT; column += 1)
      mirrored[column] = raw[mirror.index[column]] * mirror.factor[column];
    unitsOf(scale, raw, 0, units);
    inputs.set(units, 2 * index * width);
    unitsOf(scale, mirrored, 0, units);
    inputs.set(units, (2 * index + 1) * width);
  }
  const moments = normalise(inputs, rows, width);
  const weights = new Float32Array(rows).fill(1);
  const heads = HEADS.map((head, index) => {
    const labels = new Float32Array(rows);
    for (const [one, { at, row }] of used.entries()) {
      const from = row * HEADS.length;
      labels[2 * one] = sources[at].labels[from + index];
      labels[2 * one + 1] = sources[at].labels[from + MIRRORED_HEAD[index]];
    }
    const fit = fitLogistic({ rows, columns: width, inputs, labels, weights, penalty: PENALTY });
    const own = moments.map(({ deviation }, column) =>
      deviation > 0 ? fit.coefficients[column] / deviation : 0,
    );
    const intercept = own.reduce((sum, weight, column) => sum - weight * moments[column].mean, fit.intercept);
    return [head, { intercept, weights: own }];
  });
  return { schemaHash: SCHEMA_HASH, ...scale, heads: Object.fromEntries(heads) as RuleFile["heads"], about };
}

/** To mean 0 and deviation 1, in place; a column that stands still is 0. */
function normalise(inputs: Float32Array, rows: number, width: number) {
  return Array.from({ length: width }, (_, column) => {
    let [mean, squares] = [0, 0];
    for (let row = 0; row < rows; row += 1) {
      mean += inputs[row * width + column] / rows;
      squares += inputs[row * width + column] ** 2 / rows;
    }
    const variance = squares - mean ** 2;
    const deviation = variance > 1e-18 ? Math.sqrt(variance) : 0;
    for (let row = 0; row < rows; row += 1) {
      const at = row * width + column;
      inputs[at] = deviation > 0 ? (inputs[at] - mean) / deviation : 0;
    }
    return { mean, deviation };
  });
}
