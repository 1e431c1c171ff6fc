import type { HeadName } from "../../inference/card.ts";
import type { PredictionOutcome } from "../outcomes/table.ts";

/** Probabilities are held this far from 0 and 1 in the logarithm, so that one row cannot outweigh all others. */
const EDGE = 1e-6;
/** Logits are counted in this many bins from −{@link LOGIT_MAX} to {@link LOGIT_MAX}. */
const BINS = 128;
const LOGIT_MAX = 10;

/** Loss of one row, in nats. */
export function logLoss(p: number, y: number): number {
  const held = Math.min(Math.max(p, EDGE), 1 - EDGE);
  return -Math.log(y === 1 ? held : 1 - held);
}

/** How a head has done so far; NaN before there is anything to say. */
export interface HeadScore {
  readonly rows: number;
  readonly baseRate: number;
  readonly logLoss: number;
  readonly brier: number;
  /** Over bins of the logit. */
  readonly auc: number;
  /** Expected calibration error: the mean distance of what was said from what came, over bins of the logit. */
  readonly calibrationError: number;
}

/** Scores of one head, in bounded memory: sums, and counts by logit. */
export class HeadScores {
  /** Loss of the row added last, in nats. */
  lastLogLoss = Number.NaN;
  readonly #rows = new Float64Array(BINS);
  readonly #positives = new Float64Array(BINS);
  readonly #said = new Float64Array(BINS);
  #logLoss = 0;
  #brier = 0;

  add(p: number, y: number): void {
    const held = Math.min(Math.max(p, EDGE), 1 - EDGE);
    const logit = Math.log(held / (1 - held));
    this.lastLogLoss = logLoss(p, y);
    const bin = Math.min(BINS - 1, Math.max(0, Math.floor(((logit + LOGIT_MAX) / (2 * LOGIT_MAX)) * BINS)));
    this.#rows[bin] += 1;
    this.#positives[bin] += y;
    this.#said[bin] += p;
    this.#logLoss += this.lastLogLoss;
    this.#brier += (p - y) ** 2;
  }

  score(): HeadScore {
    let rows = 0;
    let positives = 0;
    let off = 0;
    let ranked = 0;
    for (let bin = 0; bin < BINS; bin += 1) {
      const negatives = rows - positives;
      const inBin = this.#rows[bin] - this.#positives[bin];
      ranked += this.#positives[bin] * (negatives + inBin / 2);
      rows += this.#rows[bin];
      positives += this.#positives[bin];
      off += Math.abs(this.#said[bin] - this.#positives[bin]);
    }
    return {
      rows,
      baseRate: positives / rows,
      logLoss: this.#logLoss / rows,
      brier: this.#brier / rows,
      auc: ranked / (positives * (rows - positives)),
      calibrationError: off / rows,
    };
  }
}

/** A model's scores, head by head. */
export class ModelScores {
  /** Mean log loss, and mean Brier score, of the row added last over all heads. */
  readonly last = { logLoss: Number.NaN, brier: Number.NaN };
  readonly #heads: readonly {
    readonly head: HeadName;
    readonly p: `p_${HeadName}`;
    readonly y: `y_${HeadName}`;
    readonly scores: HeadScores;
  }[];

  constructor(heads: readonly HeadName[]) {
    this.#heads = heads.map((head) => ({ head, p: `p_${head}`, y: `y_${head}`, scores: new HeadScores() }));
  }

  add(row: PredictionOutcome): void {
    let loss = 0;
    let brier = 0;
    for (const { p, y, scores } of this.#heads) {
      const [said, came] = [row[p], row[y]];
      scores.add(said, came);
      loss += scores.lastLogLoss;
      brier += (said - came) ** 2;
    }
    this.last.logLoss = loss / this.#heads.length;
    this.last.brier = brier / this.#heads.length;
  }

  view(): Record<string, HeadScore> {
    return Object.fromEntries(this.#heads.map(({ head, scores }) => [head, scores.score()]));
  }
}
