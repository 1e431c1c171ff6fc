import { BadInputError } from "../../core/errors.ts";
import { invariant } from "../../core/invariant.ts";
import { FEATURE_COUNT, FEATURES, mirrorMap } from "../../feature/schema.ts";
import { HEADS } from "../../inference/card.ts";
import type { LoadedRows } from "../dataset/load.ts";
import { fitLogistic } from "./logistic.ts";

/** Rows that a fit takes, and as many mirror images; every n-th is taken of more. */
const ROWS_MAX = 60_000;
/** A row of an instrument with N training rows weighs √(base/N), so that busy instruments do not drown quiet ones. */
const ROW_WEIGHT_BASE = 40_000;
const PENALTY = 3e-3;
/** Where bid and ask change places, these heads do: down ↔ up, bid ↔ ask; the spike stays. */
export const MIRRORED_HEAD = [2, 3, 0, 1, 5, 4, 6];

/** A fitted model: P(head) = σ(bias + Σ weight · clip(feature)), on raw features; one that is no number counts as 0. */
export interface LinearModel {
  /** `[FEATURE_COUNT, HEADS.length]`. */
  readonly weights: Float64Array;
  readonly bias: Float64Array;
  /** Of training rows, by head. */
  readonly baseRates: Float64Array;
  /** Mean move of training positives, bp; NaN for a head that is no move. */
  readonly meanMoveBp: Float64Array;
}

/**
 * Logistic regression of every head on all features, clipped and normalised, on rows and their mirror images.
 *
 * @throws BadInputError when a head's outcome never comes, or always does
 */
export function trainLinear(parts: readonly LoadedRows[], told: (line: string) => void): LinearModel {
  const { total, positives, moves } = outcomesOf(parts);
  for (const [head, count] of positives.entries()) {
    if (count > 0 && count < total) continue;
    throw new BadInputError(
      "training rows",
      `${count} of ${total} with ${HEADS[head]}`,
      "some with and some without: record for longer",
    );
  }
  const mirror = mirrorMap();
  const stride = Math.ceil(total / ROWS_MAX);
  const rows = 2 * parts.reduce((sum, part) => sum + Math.ceil(part.rows / stride), 0);
  const inputs = new Float32Array(rows * FEATURE_COUNT);
  const labels = HEADS.map(() => new Float32Array(rows));
  const weights = new Float32Array(rows);
  const raw = new Float32Array(FEATURE_COUNT);
  let to = 0;
  for (const part of parts) {
    const weight = Math.sqrt(ROW_WEIGHT_BASE / part.rows);
    for (let row = 0; row < part.rows; row += stride) {
      const from = row * FEATURE_COUNT;
      for (let column = 0; column < FEATURE_COUNT; column += 1)
        raw[column] = clipped(part.features[from + column], column);
      for (const mirrored of [false, true]) {
        for (let column = 0; column < FEATURE_COUNT; column += 1)
          inputs[to * FEATURE_COUNT + column] = mirrored
            ? raw[mirror.index[column]] * mirror.factor[column]
            : raw[column];
        for (let head = 0; head < HEADS.length; head += 1) {
          const source = mirrored ? MIRRORED_HEAD[head] : head;
          labels[head][to] = part.labels[row * HEADS.length + source];
        }
        weights[to] = weight;
        to += 1;
      }
    }
  }
  invariant(to === rows, "every row that was counted");
  const { mean, deviation } = normalise(inputs, weights, rows);
  const model = {
    weights: new Float64Array(FEATURE_COUNT * HEADS.length),
    bias: new Float64Array(HEADS.length),
    baseRates: positives.map((count) => count / total),
    meanMoveBp: moves,
  };
  for (const [head, name] of HEADS.entries()) {
    const fit = fitLogistic({
      ...{ rows, columns: FEATURE_COUNT, inputs, labels: labels[head], weights, penalty: PENALTY },
    });
    let bias = fit.intercept;
    for (let column = 0; column < FEATURE_COUNT; column += 1) {
      const weight = deviation[column] > 0 ? fit.coefficients[column] / deviation[column] : 0;
      model.weights[column * HEADS.length + head] = weight;
      bias -= weight * mean[column];
    }
    model.bias[head] = bias;
    told(`${name}: ${fit.iterations} iterations, base rate ${model.baseRates[head].toFixed(4)}`);
  }
  return model;
}

/** As the model sees a feature. */
function clipped(value: number, column: number): number {
  const [low, high] = FEATURES[column].clip;
  return Number.isNaN(value) ? Math.min(Math.max(0, low), high) : Math.min(Math.max(value, low), high);
}

function normalise(
  inputs: Float32Array,
  weights: Float32Array,
  rows: number,
): { readonly mean: Float64Array; readonly deviation: Float64Array } {
  const mean = new Float64Array(FEATURE_COUNT);
  const squares = new Float64Array(FEATURE_COUNT);
  let total = 0;
  for (let row = 0; row < rows; row += 1) {
    total += weights[row];
    for (let column = 0; column < FEATURE_COUNT; column += 1) {
      const value = inputs[row * FEATURE_COUNT + column];
      mean[column] += weights[row] * value;
      squares[column] += weights[row] * value * value;
    }
  }
  const deviation = new Float64Array(FEATURE_COUNT);
  for (let column = 0; column < FEATURE_COUNT; column += 1) {
    mean[column] /= total;
    const variance = squares[column] / total - mean[column] ** 2;
    deviation[column] = variance > 1e-12 ? Math.sqrt(variance) : 0;
  }
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < FEATURE_COUNT; column += 1) {
      const at = row * FEATURE_COUNT + column;
      inputs[at] = deviation[column] > 0 ? (inputs[at] - mean[column]) / deviation[column] : 0;
    }
  }
  return { mean, deviation };
}

function outcomesOf(parts: readonly LoadedRows[]) {
  const moveOf = [0, 1, 2, 3];
  const positives = new Float64Array(HEADS.length);
  const moves = new Float64Array(HEADS.length).fill(Number.NaN);
  const sums = new Float64Array(moveOf.length);
  let total = 0;
  for (const part of parts) {
    total += part.rows;
    for (let row = 0; row < part.rows; row += 1) {
      for (let head = 0; head < HEADS.length; head += 1) {
        const label = part.labels[row * HEADS.length + head];
        positives[head] += label;
        if (label === 1 && head < moveOf.length) sums[head] += part.moves[row * 4 + moveOf[head]];
      }
    }
  }
  for (const head of moveOf) moves[head] = sums[head] / Math.max(positives[head], 1);
  return { total, positives, moves };
}
