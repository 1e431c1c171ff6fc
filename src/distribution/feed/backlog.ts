import { type Credit, WAITING_BATCHES_MAX } from "./credit.ts";

/**
 * For how long batches have waited for the desk's thread, by its own clock: from the first look that found them on their way. The reader's clock
 * is not asked, because what threads call the same time differs by as much as the host's clock was put between their starts.
 */
export class Backlog {
  readonly #credit: Credit;
  /** When each batch that waits was seen first, ns, by its number. */
  readonly #seenNs = new Float64Array(WAITING_BATCHES_MAX);
  #seen = 0;

  constructor(credit: Credit) {
    this.#credit = credit;
    this.#seen = credit.handed;
  }

  /**
   * Looks what is on its way; to be called often, because what has come since the last look is not known to have waited.
   *
   * @param nowNs monotonic
   * @returns for how long the oldest batch that has not been taken has waited at least, ms; 0 where none waits
   */
  waitedMs(nowNs: number): number {
    const { handed, taken } = this.#credit;
    const waiting = (handed - taken) | 0;
    for (let age = Math.min((handed - this.#seen) | 0, waiting); age > 0; age -= 1)
      this.#seenNs[slot(handed - age)] = nowNs;
    this.#seen = handed;
    return waiting > 0 ? (nowNs - this.#seenNs[slot(taken)]) / 1e6 : 0;
  }
}

function slot(batch: number): number {
  return batch & (WAITING_BATCHES_MAX - 1);
}
