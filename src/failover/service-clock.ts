/** Clocks that run at different rates, as a share of the time between two looks. */
const DRIFT = 1e-3;
/** What the rounding of the service's time comes to, and what a rate beyond {@link DRIFT} does between two looks. */
const SLACK_MS = 2;

export interface ClockLook {
  /** By how much the clock was put since the last look, as far as that is certain; below 0 = back, 0 = it may not have been. */
  readonly putMs: number;
  /** By how much it may have been put forward at most; infinite at the first look. */
  readonly forwardMsMax: number;
}

/**
 * The wall clock of a coordination service, seen by this process's monotonic one: a service that counts a lease's end by a clock that
 * can be put frees a lease whose holder does not know. Each answer carries the service's time, which was read somewhere between request
 * and answer; the tighter answers bound the difference of the two clocks, and what lies beyond the bounds was a step. So the end of
 * a lease can be told from a step by one quick answer, however long this process could not look.
 */
export class ServiceClock {
  /** Bounds of the service's clock less the monotonic one, ms. */
  #low = Number.NEGATIVE_INFINITY;
  #high = Number.POSITIVE_INFINITY;
  #lookedMs = Number.NaN;

  /** An answer came. @param clockMs the service's time in it, ms since the epoch */
  look(clockMs: number, sentNs: number, answeredNs: number): ClockLook {
    const [sentMs, answeredMs] = [sentNs / 1e6, answeredNs / 1e6];
    const passedMs = Number.isNaN(this.#lookedMs) ? 0 : answeredMs - this.#lookedMs;
    const low = this.#low - passedMs * DRIFT;
    const high = this.#high + passedMs * DRIFT;
    const [lowNow, highNow] = [clockMs - answeredMs, clockMs - sentMs];
    const isAnother = lowNow > high || highNow < low;
    this.#low = isAnother ? lowNow : Math.max(low, lowNow);
    this.#high = isAnother ? highNow : Math.min(high, highNow);
    this.#lookedMs = answeredMs;
    let putMs = 0;
    if (lowNow > high + SLACK_MS) putMs = lowNow - high;
    if (highNow < low - SLACK_MS) putMs = highNow - low;
    // One step that is seen may be the sum of several.
    return { putMs, forwardMsMax: putMs === 0 ? Math.max(0, highNow - low) : Number.POSITIVE_INFINITY };
  }
}
