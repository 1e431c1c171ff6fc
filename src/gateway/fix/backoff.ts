import type { Rng } from "../../core/rng.ts";

/** When to try to connect again: doubling from a first delay up to a cap, each delay drawn from its upper half. */
export class Backoff {
  readonly #firstMs: number;
  readonly #capMs: number;
  readonly #rng: Rng;
  #attempts = 0;

  constructor(firstMs: number, capMs: number, rng: Rng) {
    this.#firstMs = firstMs;
    this.#capMs = capMs;
    this.#rng = rng;
  }

  /** Delay before the next attempt, in µs. */
  nextDelayUs(): number {
    const fullMs = Math.min(this.#capMs, this.#firstMs * 2 ** Math.min(this.#attempts, 30));
    this.#attempts += 1;
    return fullMs * (0.5 + this.#rng.next() / 2) * 1_000;
  }

  reset(): void {
    this.#attempts = 0;
  }
}
