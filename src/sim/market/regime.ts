import type { Rng } from "../../core/rng.ts";

export const REGIME = { calm: 0, toxic: 1 } as const;
export const REGIME_NAMES = ["calm", "toxic"] as const;

/** How the market's mood changes. */
export interface RegimeParameters {
  readonly calmMeanSeconds: number;
  readonly toxicMeanSeconds: number;
  /** Order flow in the toxic regime as a multiple of that in the calm one. */
  readonly toxicActivity: number;
  /** Stationary standard deviation of the log of activity within a regime, and its mean-reversion time. */
  readonly activityDeviation: number;
  readonly activitySeconds: number;
}

/**
 * The market's mood: a two-state Markov chain (calm, toxic; exponential stays) times a log-Ornstein-Uhlenbeck activity that makes
 * quiet and busy seconds within a regime.
 */
export class Regime {
  current: number = REGIME.calm;
  /** Multiple of the base rate of order flow; mean about 1 in calm. */
  activity = 1;
  readonly #parameters: RegimeParameters;
  readonly #rng: Rng;
  #log: number;
  #switchUs: number;

  constructor(parameters: RegimeParameters, rng: Rng, startUs: number) {
    this.#parameters = parameters;
    this.#rng = rng;
    this.#log = parameters.activityDeviation * rng.normal();
    this.#switchUs = startUs + rng.exponential(parameters.calmMeanSeconds) * 1e6;
    this.#update();
  }

  /** Becomes (or stays) toxic or calm until `untilUs` at least; one that was there already keeps its own time if that is later. */
  hold(regime: number, untilUs: number): void {
    this.#switchUs = this.current === regime ? Math.max(this.#switchUs, untilUs) : untilUs;
    this.current = regime;
    this.#update();
  }

  /** Time passes: `deltaUs` up to `timeUs`. */
  advance(deltaUs: number, timeUs: number): void {
    const { activityDeviation, activitySeconds, calmMeanSeconds, toxicMeanSeconds } = this.#parameters;
    const keep = Math.exp(-deltaUs / (activitySeconds * 1e6));
    this.#log = this.#log * keep + activityDeviation * Math.sqrt(1 - keep * keep) * this.#rng.normal();
    if (timeUs >= this.#switchUs) {
      this.current = this.current === REGIME.calm ? REGIME.toxic : REGIME.calm;
      const mean = this.current === REGIME.calm ? calmMeanSeconds : toxicMeanSeconds;
      this.#switchUs = timeUs + this.#rng.exponential(mean) * 1e6;
    }
    this.#update();
  }

  #update(): void {
    const { activityDeviation, toxicActivity } = this.#parameters;
    const level = this.current === REGIME.toxic ? toxicActivity : 1;
    this.activity = level * Math.exp(this.#log - 0.5 * activityDeviation * activityDeviation);
  }
}
