import type { Rng } from "../../core/rng.ts";

/** Kinds of order at the touch. */
export const ORDER = { limit: 0, cancel: 1, market: 2 } as const;

/** Self-exciting flow at the touch. */
export interface OrderFlowParameters {
  /** Orders per second that nothing caused, at activity 1. */
  readonly immigrantsPerSecond: number;
  /** Mean number of orders that one order causes directly; below 1. */
  readonly branching: number;
  /** Delays of what it causes: a mixture of two exponentials. */
  readonly fastShare: number;
  readonly fastMeanUs: number;
  readonly slowMeanUs: number;
  /** Share of market orders among those that nothing caused. */
  readonly marketShare: number;
  /** How strongly the flow leans towards the thinner queue, 0 … 1. */
  readonly lean: number;
}

/**
 * What one order causes, per kind of cause: cumulative probabilities over [limit same, limit other, cancel same, cancel other,
 * market same, market other], "same" being the side the causing order worked on (the side hit, for a market order).
 */
const OFFSPRING: readonly (readonly number[])[] = [
  [0.37, 0.45, 0.83, 0.94, 0.965, 1],
  [0.36, 0.46, 0.8, 0.87, 0.97, 1],
  [0.22, 0.34, 0.6, 0.64, 0.98, 1],
];

/**
 * A Hawkes process with exponential kernels in its cluster form (Hawkes & Oakes, "A cluster process representation of a
 * self-exciting process", Journal of Applied Probability 11, 1974): orders that nothing caused arrive as a Poisson process,
 * and each order causes a Poisson number of further ones after random delays. Exact, and each order costs O(1).
 */
export class OrderFlow {
  readonly #parameters: OrderFlowParameters;
  readonly #rng: Rng;
  /** What the last draw chose. */
  kind: number = ORDER.limit;
  /** Side of the book that the order works on: joined, left or hit. */
  side = 0;

  constructor(parameters: OrderFlowParameters, rng: Rng) {
    this.#parameters = parameters;
    this.#rng = rng;
  }

  /** Time to the next order that nothing caused. */
  nextImmigrantUs(activity: number): number {
    return this.#rng.exponential(1e6 / (this.#parameters.immigrantsPerSecond * activity));
  }

  /**
   * Draws an order that nothing caused into `kind` and `side`.
   * @param imbalance (bid − ask) / (bid + ask) of the best queues. @param full each queue's size over its usual size
   */
  drawImmigrant(imbalance: number, bidFull: number, askFull: number): void {
    const { marketShare, lean } = this.#parameters;
    if (this.#rng.next() < marketShare) {
      this.kind = ORDER.market;
      this.side = this.#rng.next() < 0.5 - 0.5 * lean * imbalance ? 0 : 1;
      return;
    }
    this.side = this.#rng.next() < 0.5 ? 0 : 1;
    const full = this.side === 0 ? bidFull : askFull;
    const towards = this.side === 0 ? imbalance : -imbalance;
    const limit = 1 / (1 + full ** 0.7) + 0.25 * lean * towards;
    this.kind = this.#rng.next() < limit ? ORDER.limit : ORDER.cancel;
  }

  /** Number of orders that one order causes (Poisson). */
  offspring(): number {
    const limit = Math.exp(-this.#parameters.branching);
    let product = this.#rng.next();
    let count = 0;
    while (product > limit) {
      product *= this.#rng.next();
      count += 1;
    }
    return count;
  }

  /** Draws one order caused by an order of `kind` on `side` into `kind` and `side`. */
  drawOffspring(kind: number, side: number): void {
    const row = OFFSPRING[kind] ?? [];
    const u = this.#rng.next();
    let cell = 0;
    while (cell < 5 && u >= (row[cell] ?? 1)) cell += 1;
    this.kind = cell >> 1;
    this.side = (cell & 1) === 0 ? side : 1 - side;
  }

  delayUs(): number {
    const { fastShare, fastMeanUs, slowMeanUs } = this.#parameters;
    return this.#rng.exponential(this.#rng.next() < fastShare ? fastMeanUs : slowMeanUs);
  }
}
