import type { RiskLimits } from "./limits.ts";
import { WindowSum } from "./rate.ts";

/**
 * Market-maker protection: when an underlying is hit too often, or for too much net delta or vega, within a window, its quotes
 * are pulled for a while. Somebody knows something, and every strike is exposed to it at once.
 */
export class Protection {
  #limits: RiskLimits;
  readonly #fills: (WindowSum | undefined)[];
  readonly #delta: (WindowSum | undefined)[];
  readonly #vega: (WindowSum | undefined)[];
  readonly #frozenUntilUs: Float64Array;
  /** Times it was set off. */
  triggered = 0;

  constructor(underlyings: number, limits: RiskLimits) {
    this.#limits = limits;
    this.#fills = new Array<WindowSum | undefined>(underlyings).fill(undefined);
    this.#delta = new Array<WindowSum | undefined>(underlyings).fill(undefined);
    this.#vega = new Array<WindowSum | undefined>(underlyings).fill(undefined);
    this.#frozenUntilUs = new Float64Array(underlyings).fill(Number.NEGATIVE_INFINITY);
  }

  /** A window of another length begins empty, but what is pulled stays pulled. */
  setLimits(limits: RiskLimits): void {
    this.#limits = limits;
  }

  frozen(underlying: number, timeUs: number): boolean {
    return timeUs < this.#frozenUntilUs[underlying];
  }

  /**
   * @param deltaNotional delta bought (+) or sold (−) in quote currency; NaN counts as beyond the limit
   * @param vega bought (+) or sold (−), quote currency per vol point; NaN counts as beyond the limit
   * @returns true when this fill set it off
   */
  onFill(underlying: number, deltaNotional: number, vega: number, timeUs: number): boolean {
    const limits = this.#limits;
    const fills = window(this.#fills, underlying, limits.protectionWindowMs);
    const deltas = window(this.#delta, underlying, limits.protectionWindowMs);
    const vegas = window(this.#vega, underlying, limits.protectionWindowMs);
    const count = fills.add(1, timeUs);
    const netDelta = Math.abs(deltas.add(deltaNotional, timeUs));
    const netVega = Math.abs(vegas.add(vega, timeUs));
    if (
      count < limits.protectionFills &&
      netDelta < limits.protectionDeltaNotional &&
      netVega < limits.protectionVega
    ) {
      return false;
    }
    this.#frozenUntilUs[underlying] = timeUs + limits.protectionFrozenMs * 1_000;
    this.triggered += 1;
    fills.clear();
    deltas.clear();
    vegas.clear();
    return true;
  }
}

/** Made with the first fill: an underlying that is never hit needs none. */
function window(windows: (WindowSum | undefined)[], underlying: number, windowMs: number): WindowSum {
  const known = windows[underlying];
  if (known !== undefined && known.windowMs === windowMs) return known;
  const made = new WindowSum(windowMs);
  windows[underlying] = made;
  return made;
}
