/** A budget that refills with time: at most `burst` at once, `perSecond` in the long run. */
export class TokenBucket {
  #perSecond: number;
  #burst: number;
  #tokens: number;
  #atUs = Number.NaN;

  constructor(perSecond: number, burst: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = burst;
  }

  /** Another budget from now on; what is left of the old one is kept up to the new burst. */
  setRate(perSecond: number, burst: number): void {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = Math.min(this.#tokens, burst);
  }

  /** @returns false when the budget is spent. A time before the last one refills nothing. */
  take(timeUs: number): boolean {
    if (timeUs > this.#atUs) {
      this.#tokens = Math.min(this.#burst, this.#tokens + (timeUs - this.#atUs) * 1e-6 * this.#perSecond);
      this.#atUs = timeUs;
    } else if (Number.isNaN(this.#atUs)) {
      this.#atUs = timeUs;
    }
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

const SLOTS = 16;

/** A sum over a sliding window, in sixteen slots: what is older than the window by a slot is out for certain. */
export class WindowSum {
  readonly #slotUs: number;
  readonly windowMs: number;
  readonly #sums = new Float64Array(SLOTS);
  #slot = Number.NEGATIVE_INFINITY;

  constructor(windowMs: number) {
    this.windowMs = windowMs;
    this.#slotUs = (windowMs * 1_000) / (SLOTS - 1);
  }

  /** Adds an amount and returns the sum over the window that ends now. */
  add(amount: number, timeUs: number): number {
    const slot = Math.floor(timeUs / this.#slotUs);
    if (slot - this.#slot >= SLOTS) {
      this.#sums.fill(0);
      this.#slot = slot;
    }
    while (this.#slot < slot) {
      this.#slot += 1;
      this.#sums[((this.#slot % SLOTS) + SLOTS) % SLOTS] = 0;
    }
    this.#sums[((this.#slot % SLOTS) + SLOTS) % SLOTS] += amount;
    let total = 0;
    for (let i = 0; i < SLOTS; i += 1) total += this.#sums[i];
    return total;
  }

  clear(): void {
    this.#sums.fill(0);
  }
}
