import { SlidingCounts } from "./sliding-counts.ts";

/** Equal bins of the probability. */
const BINS = 20;
/** Of a head: Σ (p − y)², Σ log loss, then by bin rows, those whose outcome came, Σ p. */
const SQUARES = 0;
const LOG_LOSS = 1;
const FIRST_BIN = 2;
const FIELDS = 3;
const CELLS = FIRST_BIN + BINS * FIELDS;
/** Probabilities are held so far from 0 and 1, that one wrong certainty is not everything. */
const CERTAIN = 1e-6;

/** Rows next to each other tell of the same move: one is counted in this time. */
export const OUTCOME_SAMPLE_US = 5_000;

/** How good a head's predictions of the window were; null where it cannot be told. */
export interface HeadScores {
  readonly rows: number;
  readonly positives: number;
  readonly baseRate: number | null;
  readonly brier: number | null;
  /** 1 − log loss ÷ log loss of the window's own base rate: 0 is as good as a constant, below it worse. */
  readonly skill: number | null;
  /** From the bins; rows of the same bin count as half. */
  readonly auc: number | null;
  /** Σ over bins of the share of rows × |mean probability − rate|. */
  readonly calibrationError: number | null;
}

/** What came of one underlying's predictions within a sliding window, by head. */
export class HeadOutcomes {
  readonly #window: SlidingCounts;

  constructor(heads: number, windowUs: number, slices: number) {
    this.#window = new SlidingCounts(heads * CELLS, windowUs, slices);
  }

  advance(timeUs: number): void {
    this.#window.advance(timeUs);
  }

  /** Since when the window's rows have been gathered, µs; NaN before the first. */
  sinceUs(timeUs: number): number {
    return this.#window.sinceUs(timeUs);
  }

  get memoryBytes(): number {
    return this.#window.memoryBytes;
  }

  /** @param p a probability; one that is none is left out */
  add(head: number, p: number, y: number): void {
    if (!(p >= 0 && p <= 1)) return;
    const from = head * CELLS;
    const window = this.#window;
    window.add(from + SQUARES, (p - y) ** 2);
    window.add(from + LOG_LOSS, -Math.log(Math.max(y === 1 ? p : 1 - p, CERTAIN)));
    const bin = from + FIRST_BIN + Math.min(BINS - 1, Math.floor(p * BINS)) * FIELDS;
    window.add(bin);
    if (y === 1) window.add(bin + 1);
    window.add(bin + 2, p);
  }

  scores(head: number): HeadScores {
    const { sums } = this.#window;
    const from = head * CELLS;
    let rows = 0;
    let positives = 0;
    let below = 0;
    let ranked = 0;
    let error = 0;
    for (let bin = 0; bin < BINS; bin += 1) {
      const at = from + FIRST_BIN + bin * FIELDS;
      const negatives = sums[at] - sums[at + 1];
      ranked += sums[at + 1] * (below + negatives / 2);
      below += negatives;
      rows += sums[at];
      positives += sums[at + 1];
      error += Math.abs(sums[at + 2] - sums[at + 1]);
    }
    const rate = positives / rows;
    const constant = -(rate * Math.log(rate) + (1 - rate) * Math.log(1 - rate));
    const pairs = positives * (rows - positives);
    return {
      rows,
      positives,
      baseRate: rows === 0 ? null : rate,
      brier: rows === 0 ? null : sums[from + SQUARES] / rows,
      skill: pairs === 0 ? null : 1 - sums[from + LOG_LOSS] / rows / constant,
      auc: pairs === 0 ? null : ranked / pairs,
      calibrationError: rows === 0 ? null : error / rows,
    };
  }
}
