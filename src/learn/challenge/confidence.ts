import { invariant } from "../../core/invariant.ts";

/**
 * A confidence sequence for the mean of a stream: an interval after each value, so that all of them together hold the mean with
 * probability 1 − alpha however often they are looked at and whenever one stops looking.
 *
 * The normal mixture of Robbins (1970) in its asymptotic, variance-adaptive form: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas,
 * *Time-uniform central limit theory and asymptotic confidence sequences* (Annals of Statistics 2024), theorem 2.2. Inverting
 * it is the mixture sequential probability ratio test (mSPRT) of Johari, Koomen, Pekelis and Walsh, *Always valid inference*
 * (Operations Research 2022). With mean m, variance s² and t values:
 *
 * m ± s·√( 2(tρ² + 1) / (t²ρ²) · ln( √(tρ² + 1) / alpha ) ),  ρ² = (−2 ln alpha + ln(−2 ln alpha + 1)) / tightest
 */
export class ConfidenceSequence {
  count = 0;
  mean = 0;
  readonly #alpha: number;
  readonly #rho2: number;
  #squares = 0;

  /** @param tightest the number of values at which the interval is as narrow as it can be made */
  constructor(alpha: number, tightest: number) {
    invariant(alpha > 0 && alpha < 1 && tightest >= 1, "0 < alpha < 1 and tightest ≥ 1");
    this.#alpha = alpha;
    const spread = -2 * Math.log(alpha);
    this.#rho2 = (spread + Math.log(spread + 1)) / tightest;
  }

  add(value: number): void {
    this.count += 1;
    const off = value - this.mean;
    this.mean += off / this.count;
    this.#squares += off * (value - this.mean);
  }

  /** Half the width of the interval; infinite before the second value. */
  get radius(): number {
    const t = this.count;
    if (t < 2) return Number.POSITIVE_INFINITY;
    const mixed = t * this.#rho2 + 1;
    const variance = this.#squares / t;
    return Math.sqrt(
      ((variance * 2 * mixed) / (t * t * this.#rho2)) * Math.log(Math.sqrt(mixed) / this.#alpha),
    );
  }

  get lower(): number {
    return this.mean - this.radius;
  }

  get upper(): number {
    return this.mean + this.radius;
  }
}
