import { Histogram } from "../core/histogram.ts";

/** The recent maximum is of at least this long and at most twice as long. */
const RECENT_NS = 10_000_000_000;

/** How much later than asked for the event loop came back to the desk's timer: what everything on it had to wait. */
export class LoopLag {
  /** µs, one value a turn of the timer. */
  readonly histogram = new Histogram();
  /** As {@link histogram}, of the turns since whose predecessor garbage was collected: its pause, and what else came late then. */
  readonly collecting = new Histogram();
  readonly #intervalNs: number;
  #turnNs = Number.NaN;
  #sinceNs = Number.NaN;
  #currentMs = 0;
  #beforeMs = 0;

  /** @param intervalMs of the timer */
  constructor(intervalMs: number) {
    this.#intervalNs = intervalMs * 1e6;
  }

  /**
   * The timer has come.
   *
   * @param nowNs monotonic
   * @param hasCollected garbage was collected since the turn before
   */
  turn(nowNs: number, hasCollected: boolean): void {
    if (!Number.isNaN(this.#turnNs)) {
      const lagNs = Math.max(nowNs - this.#turnNs - this.#intervalNs, 0);
      this.histogram.record(lagNs / 1_000);
      if (hasCollected) this.collecting.record(lagNs / 1_000);
      this.#currentMs = Math.max(this.#currentMs, lagNs / 1e6);
    } else {
      this.#sinceNs = nowNs;
    }
    this.#turnNs = nowNs;
    if (nowNs - this.#sinceNs < RECENT_NS) return;
    this.#beforeMs = this.#currentMs;
    this.#currentMs = 0;
    this.#sinceNs = nowNs;
  }

  /** The longest lag of the last 10 to 20 s, ms. */
  get recentMsMax(): number {
    return Math.max(this.#currentMs, this.#beforeMs);
  }
}
