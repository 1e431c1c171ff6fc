import { Histogram } from "../../core/histogram.ts";
import { FEATURE_COUNT } from "../../feature/schema.ts";
import { HEADS, type HeadName } from "../../inference/card.ts";
import type { StepEngine } from "../../inference/engine.ts";
import type { LoadedRows } from "../dataset/load.ts";
import { type BootstrapOptions, type Interval, RatioBootstrap } from "../report/bootstrap.ts";

const EDGE = 1e-6;
const CALIBRATION_BINS = 20;

/** What a model said of rows of several instruments, each from the initial state. */
export interface Answers {
  readonly heads: readonly HeadName[];
  /** One array `[rows, heads]` a part. */
  readonly probabilities: readonly Float32Array[];
  /** Values that are no probabilities. */
  readonly odd: number;
  /** Time of a step, µs, 99th percentile. */
  readonly stepUs: number;
}

/** Runs the rows through an engine, in order, as a desk would. */
export async function answersOf(engine: StepEngine, parts: readonly LoadedRows[]): Promise<Answers> {
  const heads = engine.card.heads.map(({ name }) => name);
  const times = new Histogram();
  let odd = 0;
  await engine.warmUp();
  engine.slots[0] = 0;
  const probabilities: Float32Array[] = [];
  for (const { rows, features, starts } of parts) {
    const said = new Float32Array(rows * heads.length);
    let begun = 0;
    for (let row = 0; row < rows; row += 1) {
      if (row === starts[begun]) {
        engine.resetSlot(0);
        begun += 1;
      }
      engine.features.set(features.subarray(row * FEATURE_COUNT, (row + 1) * FEATURE_COUNT));
      const before = Bun.nanoseconds();
      if (engine.synchronous) engine.step(1);
      else await engine.submit(1);
      times.record(Bun.nanoseconds() - before);
      for (let head = 0; head < heads.length; head += 1) {
        const p = engine.probabilities[head];
        if (!(p >= 0 && p <= 1)) odd += 1;
        said[row * heads.length + head] = p;
      }
    }
    probabilities.push(said);
  }
  return { heads, probabilities, odd, stepUs: times.quantile(0.99) / 1e3 };
}

/** How good a head's answers were. */
export interface HeadResult {
  readonly head: HeadName;
  readonly rows: number;
  readonly baseRate: number;
  readonly auc: number;
  readonly logLoss: number;
  readonly brier: number;
  readonly calibrationError: number;
  /** 1 − log loss ÷ that of the base rate. */
  readonly skill: number;
}

/** Scores of each head over all parts; a head whose outcome never comes, or always does, has AUC and skill NaN. */
export function scoreHeads(answers: Answers, parts: readonly LoadedRows[]): HeadResult[] {
  return answers.heads.map((head, at) => {
    const column = HEADS.indexOf(head);
    const rows = parts.reduce((sum, part) => sum + part.rows, 0);
    const said = new Float64Array(rows);
    const came = new Uint8Array(rows);
    let to = 0;
    for (const [index, part] of parts.entries()) {
      for (let row = 0; row < part.rows; row += 1) {
        said[to] = answers.probabilities[index][row * answers.heads.length + at];
        came[to] = part.labels[row * HEADS.length + column];
        to += 1;
      }
    }
    return headResult(head, said, came);
  });
}

function headResult(head: HeadName, said: Float64Array, came: Uint8Array): HeadResult {
  const rows = said.length;
  let positives = 0;
  let logLoss = 0;
  let brier = 0;
  const bins = new Float64Array(CALIBRATION_BINS);
  for (let row = 0; row < rows; row += 1) {
    const p = said[row];
    const y = came[row];
    positives += y;
    logLoss -= Math.log(Math.max(y === 1 ? p : 1 - p, EDGE));
    brier += (p - y) ** 2;
    bins[Math.min(CALIBRATION_BINS - 1, Math.floor(p * CALIBRATION_BINS))] += p - y;
  }
  const rate = positives / rows;
  const constant = -(rate * Math.log(rate) + (1 - rate) * Math.log(1 - rate));
  return {
    head,
    rows,
    baseRate: rate,
    auc: areaUnderCurve(said, came, positives),
    logLoss: logLoss / rows,
    brier: brier / rows,
    calibrationError: bins.reduce((sum, off) => sum + Math.abs(off), 0) / rows,
    skill: 1 - logLoss / rows / constant,
  };
}

/** Rank sum; equal values share their rank. */
function areaUnderCurve(said: Float64Array, came: Uint8Array, positives: number): number {
  const order = Uint32Array.from(said, (_, row) => row).sort((a, b) => said[a] - said[b]);
  let ranks = 0;
  for (let from = 0; from < order.length; ) {
    let end = from;
    let inside = 0;
    while (end < order.length && said[order[end]] === said[order[from]]) {
      inside += came[order[end]];
      end += 1;
    }
    ranks += inside * ((from + 1 + end) / 2);
    from = end;
  }
  return (ranks - (positives * (positives + 1)) / 2) / (positives * (said.length - positives));
}

/**
 * Mean over rows, and over the heads that both models have, of the difference in log loss, with its interval over blocks of time:
 * below 0 the first is better.
 */
export function lossDifference(
  first: Answers,
  second: Answers,
  parts: readonly LoadedRows[],
  options: BootstrapOptions,
): Interval {
  const heads = first.heads.filter((head) => second.heads.includes(head));
  const bootstrap = new RatioBootstrap(options);
  const lossOf = (
    { heads: own, probabilities }: Answers,
    index: number,
    row: number,
    head: HeadName,
    y: number,
  ) => {
    const p = probabilities[index][row * own.length + own.indexOf(head)];
    return -Math.log(Math.max(y === 1 ? p : 1 - p, EDGE));
  };
  for (const [index, part] of parts.entries()) {
    for (let row = 0; row < part.rows; row += 1) {
      let difference = 0;
      for (const head of heads) {
        const y = part.labels[row * HEADS.length + HEADS.indexOf(head)];
        difference += lossOf(first, index, row, head, y) - lossOf(second, index, row, head, y);
      }
      bootstrap.add(part.times[row], difference / heads.length);
    }
  }
  return bootstrap.interval();
}
