import { ConfidenceSequence } from "./confidence.ts";

/** A difference, challenger less champion, and the interval that its mean is in at every time; null before there is one. */
export interface Difference {
  readonly mean: number;
  readonly lower: number | null;
  readonly upper: number | null;
}

/** What two models on the same events showed so far. */
export interface PairedEvidence {
  readonly blocks: number;
  readonly rows: number;
  /** Of log loss and Brier score, means over heads and rows: below 0 the challenger is better. */
  readonly logLoss: Difference;
  readonly brier: Difference;
  /** Of what the models' terms kept away and cost, quote currency a block: above 0 the challenger is better. */
  readonly value: Difference;
}

export interface PairedOptions {
  readonly alpha: number;
  readonly blockUs: number;
  /** Blocks at which the intervals are narrowest. */
  readonly blocksTightest: number;
}

/**
 * Compares two models on the same rows. Rows next to each other tell of the same move, so that what is tested is the mean of each
 * block of time, and blocks without a row are left out.
 */
export class PairedBlocks {
  #rows = 0;
  #inBlock = 0;
  #logLossSum = 0;
  #brierSum = 0;
  #valueSum = 0;
  #blockEndUs = Number.NaN;
  readonly #blockUs: number;
  readonly #logLoss: ConfidenceSequence;
  readonly #brier: ConfidenceSequence;
  readonly #value: ConfidenceSequence;

  constructor({ alpha, blockUs, blocksTightest }: PairedOptions) {
    this.#blockUs = blockUs;
    this.#logLoss = new ConfidenceSequence(alpha, blocksTightest);
    this.#brier = new ConfidenceSequence(alpha, blocksTightest);
    this.#value = new ConfidenceSequence(alpha, blocksTightest);
  }

  /** @param logLoss of the challenger less the champion's, of one row; likewise `brier` */
  add(timeUs: number, logLoss: number, brier: number): void {
    this.#turn(timeUs);
    this.#inBlock += 1;
    this.#rows += 1;
    this.#logLossSum += logLoss;
    this.#brierSum += brier;
  }

  /** @param money that the challenger's terms made more than the champion's */
  addValue(money: number): void {
    this.#valueSum += money;
  }

  evidence(): PairedEvidence {
    return {
      blocks: this.#logLoss.count,
      rows: this.#rows,
      logLoss: difference(this.#logLoss),
      brier: difference(this.#brier),
      value: difference(this.#value),
    };
  }

  #turn(timeUs: number): void {
    if (timeUs < this.#blockEndUs) return;
    if (this.#inBlock > 0) {
      this.#logLoss.add(this.#logLossSum / this.#inBlock);
      this.#brier.add(this.#brierSum / this.#inBlock);
      this.#value.add(this.#valueSum);
      this.#inBlock = 0;
      this.#logLossSum = 0;
      this.#brierSum = 0;
      this.#valueSum = 0;
    }
    this.#blockEndUs = (Math.floor(timeUs / this.#blockUs) + 1) * this.#blockUs;
  }
}

function difference(sequence: ConfidenceSequence): Difference {
  const known = sequence.count >= 2;
  return {
    mean: sequence.mean,
    lower: known ? sequence.lower : null,
    upper: known ? sequence.upper : null,
  };
}
