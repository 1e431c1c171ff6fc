/**
 * Logistic regression with an L2 penalty, by limited-memory BFGS (Nocedal and Wright, *Numerical Optimization*, 2nd ed., algorithm
 * 7.5) with a backtracking line search. Deterministic.
 *
 * @module
 */

export interface LogisticProblem {
  readonly rows: number;
  readonly columns: number;
  /** `[rows, columns]`, normalised. */
  readonly inputs: Float32Array;
  /** `[rows]`, 0 or 1. */
  readonly labels: Float32Array;
  /** `[rows]`, ≥ 0. */
  readonly weights: Float32Array;
  /** Of half the sum of squares of the coefficients; the intercept is free. */
  readonly penalty: number;
}

/** P = σ(intercept + Σ coefficients · inputs). */
export interface LogisticFit {
  readonly coefficients: Float64Array;
  readonly intercept: number;
  readonly iterations: number;
}

const MEMORY = 10;
const ITERATIONS_MAX = 120;
const GRADIENT_SMALL = 1e-5;
const HALVINGS_MAX = 30;
const DECREASE = 1e-4;

/** Minimises the weighted log loss with its penalty, from the base rate on. It stops early where nothing is gained any more. */
export function fitLogistic(problem: LogisticProblem): LogisticFit {
  const size = problem.columns + 1;
  let at = new Float64Array(size);
  at[problem.columns] = baseLogit(problem);
  let gradient = new Float64Array(size);
  let loss = evaluate(problem, at, gradient);
  const steps: Float64Array[] = [];
  const changes: Float64Array[] = [];
  let iterations = 0;
  for (; iterations < ITERATIONS_MAX && largest(gradient) > GRADIENT_SMALL; iterations += 1) {
    const direction = descent(gradient, steps, changes);
    const slope = dot(direction, gradient);
    let length = steps.length === 0 ? Math.min(1, 1 / largest(gradient)) : 1;
    let found: { next: Float64Array<ArrayBuffer>; gradient: Float64Array<ArrayBuffer>; loss: number } | null =
      null;
    for (let halving = 0; halving < HALVINGS_MAX; halving += 1, length /= 2) {
      const next = at.map((value, column) => value + length * direction[column]);
      const nextGradient = new Float64Array(size);
      const nextLoss = evaluate(problem, next, nextGradient);
      if (nextLoss > loss + DECREASE * length * slope) continue;
      found = { next, gradient: nextGradient, loss: nextLoss };
      break;
    }
    if (found === null) break;
    const step = found.next.map((value, column) => value - at[column]);
    const change = found.gradient.map((value, column) => value - gradient[column]);
    if (dot(step, change) > 1e-12) {
      steps.push(step);
      changes.push(change);
      if (steps.length > MEMORY) {
        steps.shift();
        changes.shift();
      }
    }
    ({ next: at, gradient, loss } = found);
  }
  return { coefficients: at.subarray(0, problem.columns), intercept: at[problem.columns], iterations };
}

function baseLogit({ rows, labels, weights }: LogisticProblem): number {
  let total = 0;
  let positive = 0;
  for (let row = 0; row < rows; row += 1) {
    total += weights[row];
    positive += weights[row] * labels[row];
  }
  const rate = Math.min(Math.max(positive / total, 1e-4), 1 - 1e-4);
  return Math.log(rate / (1 - rate));
}

/** Mean weighted loss and penalty; writes the gradient. */
function evaluate(problem: LogisticProblem, at: Float64Array, gradient: Float64Array): number {
  const { rows, columns, inputs, labels, weights, penalty } = problem;
  gradient.fill(0);
  let loss = 0;
  let total = 0;
  for (let row = 0; row < rows; row += 1) {
    const from = row * columns;
    let logit = at[columns];
    for (let column = 0; column < columns; column += 1) logit += at[column] * inputs[from + column];
    const p = 1 / (1 + Math.exp(-logit));
    const weight = weights[row];
    total += weight;
    loss += weight * (Math.max(logit, 0) - logit * labels[row] + Math.log1p(Math.exp(-Math.abs(logit))));
    const excess = weight * (p - labels[row]);
    for (let column = 0; column < columns; column += 1) gradient[column] += excess * inputs[from + column];
    gradient[columns] += excess;
  }
  loss /= total;
  for (let column = 0; column <= columns; column += 1) gradient[column] /= total;
  for (let column = 0; column < columns; column += 1) {
    loss += (penalty * at[column] * at[column]) / 2;
    gradient[column] += penalty * at[column];
  }
  return loss;
}

/** The two-loop recursion. */
function descent(
  gradient: Float64Array,
  steps: readonly Float64Array[],
  changes: readonly Float64Array[],
): Float64Array<ArrayBuffer> {
  const direction = gradient.map((value) => -value);
  const shares: number[] = [];
  for (let at = steps.length - 1; at >= 0; at -= 1) {
    const share = dot(steps[at], direction) / dot(steps[at], changes[at]);
    shares[at] = share;
    for (let column = 0; column < direction.length; column += 1)
      direction[column] -= share * changes[at][column];
  }
  const last = steps.length - 1;
  if (last >= 0) {
    const scale = dot(steps[last], changes[last]) / dot(changes[last], changes[last]);
    for (let column = 0; column < direction.length; column += 1) direction[column] *= scale;
  }
  for (let at = 0; at < steps.length; at += 1) {
    const back = dot(changes[at], direction) / dot(steps[at], changes[at]);
    for (let column = 0; column < direction.length; column += 1)
      direction[column] += (shares[at] - back) * steps[at][column];
  }
  return direction;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at += 1) sum += a[at] * b[at];
  return sum;
}

function largest(values: Float64Array): number {
  let found = 0;
  for (const value of values) found = Math.max(found, Math.abs(value));
  return found;
}
