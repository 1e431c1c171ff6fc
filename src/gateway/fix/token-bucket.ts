/** Bounds a rate, with bursts of one second's worth. Time is passed in. */
export class TokenBucket {
  readonly #perSecond: number;
  #tokens: number;
  #timeUs = 0;

  /** @param perSecond `Infinity` = no bound */
  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#tokens = perSecond;
  }

  reset(timeUs: number): void {
    this.#tokens = this.#perSecond;
    this.#timeUs = timeUs;
  }

  /** @returns false when the rate is exceeded. */
  take(timeUs: number): boolean {
    if (this.#perSecond === Number.POSITIVE_INFINITY) return true;
    const elapsedUs = Math.max(0, timeUs - this.#timeUs);
    this.#timeUs = timeUs;
    this.#tokens = Math.min(this.#perSecond, this.#tokens + (elapsedUs / 1e6) * this.#perSecond);
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
