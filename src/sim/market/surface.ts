import type { Rng } from "../../core/rng.ts";

const BASE_VOLATILITY = 0.52;
const LEVEL_DEVIATION = 0.06;
const LEVEL_SECONDS = 600;
const SHOCK_SECONDS = 150;
const SHOCK_LIMIT = 0.8;
/** Log-volatility per basis point of a jump; up-jumps move it by less. */
const SHOCK_PER_BP_DOWN = 0.003;
const SHOCK_PER_BP_UP = 0.0015;
const SKEW_MEAN = -0.22;
const SKEW_DEVIATION = 0.06;
const SKEW_SECONDS = 900;
const SKEW_LIMIT = 0.7;
/** Curvature of the smile: SSVI's η; free of butterfly arbitrage while η²(1+|ρ|) ≤ 4. */
const CURVATURE = 0.85;
/** Expiries at which the term structure and the reaction to shocks have their reference value. */
const REFERENCE_YEARS = 30 / 365.25;

/**
 * A stochastic volatility surface: SSVI smiles (Gatheral & Jacquier, "Arbitrage-free SVI volatility surfaces", Quantitative
 * Finance 14, 2014, with φ(θ) = η/√θ) whose at-the-money level and skew revert to their means and whose level jumps with the
 * price, more so for near expiries.
 */
export class VolatilitySurface {
  readonly #rng: Rng;
  #level: number;
  #skew: number;
  #shock = 0;

  constructor(rng: Rng) {
    this.#rng = rng;
    this.#level = LEVEL_DEVIATION * rng.normal();
    this.#skew = SKEW_DEVIATION * rng.normal();
  }

  /** Lets the level and the skew wander. */
  advance(deltaUs: number): void {
    this.#level = this.#revert(this.#level, LEVEL_DEVIATION, LEVEL_SECONDS, deltaUs);
    this.#skew = this.#revert(this.#skew, SKEW_DEVIATION, SKEW_SECONDS, deltaUs);
    this.#shock *= Math.exp(-deltaUs / (SHOCK_SECONDS * 1e6));
  }

  /** The price has jumped by `bp` basis points, negative = down: volatility jumps up. */
  shock(bp: number): void {
    this.#shock += bp < 0 ? -bp * SHOCK_PER_BP_DOWN : bp * SHOCK_PER_BP_UP;
    this.#shock = Math.min(SHOCK_LIMIT, this.#shock);
  }

  /** At-the-money volatility for an expiry, as a fraction. */
  atTheMoney(years: number): number {
    const near = Math.min(1.6, (REFERENCE_YEARS / Math.max(years, 1e-4)) ** 0.25);
    return BASE_VOLATILITY * Math.exp(this.#level * near + this.#shock * near - 0.03 * (near - 1));
  }

  /** @param logMoneyness ln(strike / forward) */
  volatility(logMoneyness: number, years: number): number {
    const total = this.atTheMoney(years) ** 2 * years;
    const x = (CURVATURE / Math.sqrt(total)) * logMoneyness;
    const rho = Math.max(-SKEW_LIMIT, Math.min(SKEW_LIMIT, SKEW_MEAN + this.#skew));
    const variance = 0.5 * total * (1 + rho * x + Math.sqrt((x + rho) ** 2 + 1 - rho * rho));
    return Math.sqrt(variance / years);
  }

  #revert(value: number, deviation: number, seconds: number, deltaUs: number): number {
    const keep = Math.exp(-deltaUs / (seconds * 1e6));
    return value * keep + deviation * Math.sqrt(1 - keep * keep) * this.#rng.normal();
  }
}
