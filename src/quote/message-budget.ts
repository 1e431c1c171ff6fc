import { invariant } from "../core/invariant.ts";
import type { QuoteParameters } from "./parameters.ts";
import type { QuoteBatch } from "./quote-batch.ts";

/** How much more a tightening must bring when the message budget is spent. */
const PRESSURE_AT_EMPTY = 4;
const RANKED_MAX = 8_192;

/**
 * The counterparty's message budget: a token bucket. Every quote takes a token. What must leave at once takes it also when there
 * is none, down to a debt of one burst; what may leave takes what is left over, the most valuable first.
 */
export class MessageBudget {
  /** Most of the bucket that was ever in use, as a share of it; above 1 while in debt. */
  usedShareMax = 0;
  readonly #parameters: QuoteParameters;
  readonly #ranked = new Float64Array(RANKED_MAX);
  #tokens: number;
  #refilledUs = Number.NaN;

  constructor(parameters: QuoteParameters) {
    this.#parameters = parameters;
    this.#tokens = parameters.messageBurst;
  }

  /** Share of the bucket in use: 0 when it is full, 1 when it is empty, up to 2 in debt. */
  get usedShare(): number {
    return 1 - this.#tokens / this.#parameters.messageBurst;
  }

  /** Tightenings that it can pay for now. */
  get left(): number {
    return Math.max(Math.floor(this.#tokens), 0);
  }

  /** Fills the bucket up to the time. */
  refill(timeUs: number): void {
    const { messageBurst, messagesPerSecond } = this.#parameters;
    if (timeUs > this.#refilledUs) {
      this.#tokens = Math.min(
        messageBurst,
        this.#tokens + (timeUs - this.#refilledUs) * 1e-6 * messagesPerSecond,
      );
    }
    if (!(timeUs <= this.#refilledUs)) this.#refilledUs = timeUs;
  }

  /** Takes what quotes cost, whether it is there or not. */
  spend(quotes: number): void {
    this.#tokens = Math.max(this.#tokens - quotes, -this.#parameters.messageBurst);
    this.usedShareMax = Math.max(this.usedShareMax, this.usedShare);
  }

  /** What an improvement must bring, in multiples: 1 while half of the budget or more is left, then linearly up to 4 when it is spent. */
  pressure(): number {
    const spent = 2 * this.usedShare - 1;
    return spent <= 0 ? 1 : 1 + (PRESSURE_AT_EMPTY - 1) * Math.min(spent, 1);
  }

  /**
   * Value from which on the budget pays for the tightenings among the rows of a batch, the rows that must leave being paid first.
   *
   * @param ties receives how many rows of exactly that value it pays for
   * @returns −Infinity when it pays for all, Infinity when for none
   */
  worthFrom(batch: QuoteBatch, fromRow: number, ties: Int32Array): number {
    invariant(batch.capacity <= RANKED_MAX, `a batch of ${batch.capacity} rows can be ranked`);
    let optional = 0;
    for (let row = fromRow; row < batch.count; row += 1) {
      if (batch.value[row] === Number.POSITIVE_INFINITY) continue;
      this.#ranked[optional] = batch.value[row];
      optional += 1;
    }
    const paid = Math.max(Math.floor(this.#tokens - (batch.count - fromRow - optional)), 0);
    if (paid >= optional) return Number.NEGATIVE_INFINITY;
    if (paid === 0) return Number.POSITIVE_INFINITY;
    const values = this.#ranked.subarray(0, optional).sort();
    const least = values[optional - paid];
    let above = 0;
    for (let i = optional - paid; i < optional; i += 1) if (values[i] > least) above += 1;
    ties[0] = paid - above;
    return least;
  }
}
