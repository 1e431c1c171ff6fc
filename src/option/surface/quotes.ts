import { invariant } from "../../core/invariant.ts";
import { ImpliedVolatility, IV_STATUS, impliedVolatility } from "../implied-volatility.ts";

/** Least half-width of a quote's band of total variance, relative to its middle: no quote is worth more than this. */
const LEAST_BAND = 2e-3;

/** Of one expiry: the options' best prices as they come in, and the bands of total variance made from them for a fit. */
export class SliceQuotes {
  readonly expiryMs: number;
  /** Options known, and how many of them the latest {@link prepare} found fit to be used. */
  options = 0;
  used = 0;
  /** Of those used: how many have both sides. */
  twoSided = 0;
  /** Of those left out: how many have an ask, and so are crossed, too old or without a volatility. */
  refused = 0;

  /** Bands of the used options: ln(K/F), total variance at bid (0 where there is none) and ask, half their distance. */
  readonly moneyness: Float64Array;
  readonly low: Float64Array;
  readonly high: Float64Array;
  readonly half: Float64Array;

  readonly #strike: Float64Array;
  readonly #call: Uint8Array;
  readonly #inverse: Uint8Array;
  readonly #bid: Float64Array;
  readonly #ask: Float64Array;
  readonly #timeUs: Float64Array;
  #next = 0;

  constructor(expiryMs: number, capacity: number) {
    this.expiryMs = expiryMs;
    const column = (): Float64Array => new Float64Array(capacity);
    this.moneyness = column();
    this.low = column();
    this.high = column();
    this.half = column();
    this.#strike = column();
    this.#call = new Uint8Array(capacity);
    this.#inverse = new Uint8Array(capacity);
    this.#bid = column();
    this.#ask = column();
    this.#timeUs = column().fill(Number.NEGATIVE_INFINITY);
  }

  get capacity(): number {
    return this.#strike.length;
  }

  /** @returns the option's row, −1 when the expiry is full. */
  add(strike: number, call: boolean, inverse: boolean): number {
    invariant(strike > 0 && strike < Infinity, `strike ${strike} is a price`);
    if (this.options === this.capacity) return -1;
    const row = this.options;
    this.options += 1;
    this.#strike[row] = strike;
    this.#call[row] = call ? 1 : 0;
    this.#inverse[row] = inverse ? 1 : 0;
    return row;
  }

  /** The option's best prices, in coin where it is inverse; anything that is not above 0 is an empty side. */
  set(row: number, bid: number, ask: number, timeUs: number): void {
    this.#bid[row] = bid;
    this.#ask[row] = ask;
    this.#timeUs[row] = timeUs;
  }

  /** The option's prices, unchanged, are known to be of now. */
  touch(row: number, timeUs: number): void {
    this.#timeUs[row] = timeUs;
  }

  /** Begins a new set of bands. */
  begin(): void {
    this.#next = 0;
    this.used = 0;
    this.twoSided = 0;
    this.refused = 0;
  }

  /**
   * Makes the bands of the next `count` options. Left out are options without an ask, crossed or locked ones, ones older than
   * `oldestUs`, and ones whose ask has no implied volatility.
   *
   * @returns false when all are made.
   */
  prepare(count: number, forward: number, years: number, oldestUs: number): boolean {
    const end = Math.min(this.#next + count, this.options);
    for (let row = this.#next; row < end; row += 1) this.#band(row, forward, years, oldestUs);
    this.#next = end;
    return end < this.options;
  }

  /**
   * Forward by put-call parity, from the strike with the narrowest pair of quotes: C − P = F − K for linear options,
   * 1 − K/F for inverse ones.
   *
   * @returns NaN when no strike has both options quoted on both sides
   */
  parityForward(oldestUs: number): number {
    let forward = Number.NaN;
    let narrowest = Infinity;
    for (let call = 0; call < this.options; call += 1) {
      if (this.#call[call] === 0 || !this.#twoSided(call, oldestUs)) continue;
      for (let put = 0; put < this.options; put += 1) {
        if (this.#call[put] !== 0 || this.#strike[put] !== this.#strike[call]) continue;
        if (!this.#twoSided(put, oldestUs) || this.#inverse[put] !== this.#inverse[call]) continue;
        const strike = this.#strike[call];
        const difference = 0.5 * (this.#bid[call] + this.#ask[call] - this.#bid[put] - this.#ask[put]);
        const implied = this.#inverse[call] === 1 ? strike / (1 - difference) : strike + difference;
        const unit = this.#inverse[call] === 1 ? implied : 1;
        const width = (this.#ask[call] - this.#bid[call] + this.#ask[put] - this.#bid[put]) * unit;
        if (!(implied > 0) || !(width < narrowest)) continue;
        narrowest = width;
        forward = implied;
      }
    }
    return forward;
  }

  #twoSided(row: number, oldestUs: number): boolean {
    return this.#bid[row] > 0 && this.#ask[row] > this.#bid[row] && this.#timeUs[row] >= oldestUs;
  }

  #band(row: number, forward: number, years: number, oldestUs: number): void {
    const bid = this.#bid[row];
    const ask = this.#ask[row];
    if (!(ask > 0)) return;
    if (bid >= ask || this.#timeUs[row] < oldestUs) {
      this.refused += 1;
      return;
    }
    const call = this.#call[row] !== 0;
    const strike = this.#strike[row];
    const unit = this.#inverse[row] !== 0 ? forward : 1;
    if (impliedVolatility(implied, call, ask * unit, forward, strike, years) !== IV_STATUS.ok) {
      this.refused += 1;
      return;
    }
    const high = implied.volatility * implied.volatility * years;
    let low = 0;
    if (bid > 0 && impliedVolatility(implied, call, bid * unit, forward, strike, years) === IV_STATUS.ok) {
      low = implied.volatility * implied.volatility * years;
    }
    const at = this.used;
    this.used = at + 1;
    if (low > 0) this.twoSided += 1;
    this.moneyness[at] = Math.log(strike / forward);
    this.low[at] = low;
    this.high[at] = high;
    this.half[at] = Math.max(0.5 * (high - low), 0.5 * LEAST_BAND * (high + low));
  }
}

const implied = new ImpliedVolatility();
