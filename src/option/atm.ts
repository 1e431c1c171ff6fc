/**
 * At-the-money implied volatility of each underlying, for the features: the mark IV of the option nearest the money in the
 * nearest expiry at least a day away. O(1) per ticker.
 */
export class AtmVolatility {
  readonly #instrument: Int32Array;
  readonly #expiryMs: Float64Array;
  readonly #distance: Float64Array;
  readonly #iv: Float64Array;

  constructor(underlyings: number) {
    this.#instrument = new Int32Array(underlyings).fill(-1);
    this.#expiryMs = new Float64Array(underlyings).fill(Number.POSITIVE_INFINITY);
    this.#distance = new Float64Array(underlyings).fill(Number.POSITIVE_INFINITY);
    this.#iv = new Float64Array(underlyings).fill(Number.NaN);
  }

  /**
   * An option's ticker has come.
   *
   * @param markIv as a fraction
   * @param exchangeTimeMs the ticker's own time, which decides how far away the expiry is
   * @returns true when the underlying's at-the-money volatility may have changed
   */
  onTicker(
    underlying: number,
    instrument: number,
    strike: number,
    expiryMs: number,
    forward: number,
    markIv: number,
    exchangeTimeMs: number,
  ): boolean {
    if (!(markIv > 0) || !(forward > 0)) return false;
    const distance = Math.abs(Math.log(strike / forward));
    const held = this.#instrument[underlying] === instrument;
    const heldTooNear = this.#expiryMs[underlying] - exchangeTimeMs < DAY_MS;
    if (!held && expiryMs - exchangeTimeMs < DAY_MS) return false;
    const better =
      heldTooNear ||
      expiryMs < this.#expiryMs[underlying] ||
      (expiryMs === this.#expiryMs[underlying] && distance < this.#distance[underlying]);
    if (!held && !better) return false;
    this.#instrument[underlying] = instrument;
    this.#expiryMs[underlying] = expiryMs;
    this.#distance[underlying] = distance;
    this.#iv[underlying] = markIv;
    return true;
  }

  /** As a fraction; NaN while no option has been seen. */
  iv(underlying: number): number {
    return this.#iv[underlying] ?? Number.NaN;
  }
}

const DAY_MS = 86_400_000;
