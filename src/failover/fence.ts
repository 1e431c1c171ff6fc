import type { TermFence } from "../gateway/wire-fence.ts";

/**
 * The present term of leadership, as the wire sees it: open until a monotonic time that lies before the lease's end, and only
 * while no number beyond those reserved with the lease has been used. Both come from answers of the coordination service alone,
 * so that a process that slept through its term finds it over without being told.
 */
export class LeaseFence implements TermFence {
  readonly #monotonicNs: () => number;
  #token = 0;
  #untilNs = Number.NEGATIVE_INFINITY;
  #numbersEnd = Number.POSITIVE_INFINITY;
  /** Next outgoing number of the session. */
  #used: () => number = () => 0;
  /** Writes that were refused, by connections of a term that is over. */
  refused = 0;

  constructor(monotonicNs: () => number) {
    this.#monotonicNs = monotonicNs;
  }

  get token(): number {
    return this.#token;
  }

  /** The end of the term as it is now, monotonic ns. */
  get untilNs(): number {
    return this.#untilNs;
  }

  /** Where to read which numbers are used; left unset where there are none. */
  watch(used: () => number): void {
    this.#used = used;
  }

  /** A term begins or is prolonged. */
  open(token: number, untilNs: number, numbersEnd: number): void {
    this.#token = token;
    this.#untilNs = untilNs;
    this.#numbersEnd = numbersEnd;
  }

  /** The term is over before its time. The token stays: it was this process's last. */
  close(): void {
    this.#untilNs = Number.NEGATIVE_INFINITY;
  }

  permits(token: number): boolean {
    if (token === this.#token && this.#monotonicNs() < this.#untilNs && this.#used() <= this.#numbersEnd) {
      return true;
    }
    this.refused += 1;
    return false;
  }
}
