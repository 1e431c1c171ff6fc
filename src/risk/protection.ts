import type { RiskLimits } from "./limits.ts";
import { WindowSum } from "./rate.ts";

/**
 * Market-maker protection: when an underlying is hit too often, or for too much net delta, within a window, its quotes are
 * pulled for a while. Somebody knows something, and every strike is exposed to it at once.
 */
export class Protection {
  readonly #limits: RiskLimits;
  readonly #fills: (WindowSum | undefined)[];
  readonly #delta: (WindowSum | undefined)[];
  readonly #frozenUntilUs: Float64Array;
  /** Times it was set off. */
  triggered = 0;

  constructor(underlyings: number, limits: RiskLimits) {
    this.#limits = limits;
    this.#fills = new Array<WindowSum | undefined>(underlyings).fill(undefined);
    this.#delta = new Array<WindowSum | undefined>(underlyings).fill(undefined);
    this.#frozenUntilUs = new Float64Array(underlyings).fill(Number.NEGATIVE_INFINITY);
  }

  frozen(underlying: number, timeUs: number): boolean {
    return timeUs < this.#frozenUntilUs[underlying];
  }

  /** @param deltaNotional delta bought (+) or sold (−) in quote currency; NaN counts as beyond the limit */
  onFill(underlying: number, deltaNotional: number, timeUs: number): void {
    const limits = this.#limits;
    const fills = window(this.#fills, underlying, limits.protectionWindowMs);
    const delta = window(this.#delta, underlying, limits.protectionWindowMs);
    const count = fills.add(1, timeUs);
    const net = delta.add(deltaNotional, timeUs);
    if (count < limits.protectionFills && Math.abs(net) < limits.protectionDeltaNotional) return;
    this.#frozenUntilUs[underlying] = timeUs + limits.protectionFrozenMs * 1_000;
    this.triggered += 1;
    fills.clear();
    delta.clear();
  }
}

/** Made with the first fill: an underlying that is never hit needs none. */
function window(windows: (WindowSum | undefined)[], underlying: number, windowMs: number): WindowSum {
  const known = windows[underlying];
  if (known !== undefined) return known;
  const made = new WindowSum(windowMs);
  windows[underlying] = made;
  return made;
}
