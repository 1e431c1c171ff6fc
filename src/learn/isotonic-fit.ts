import type { Platt } from "../inference/calibration.ts";
import type { Isotonic } from "../inference/isotonic.ts";

/** Predictions with about the same logit, and what came of them. */
export interface OutcomeBin {
  /** Mean before calibration; anything where there are no outcomes. */
  readonly logit: number;
  /** How many, and how many of them came; fractions where rows count in part. */
  readonly outcomes: number;
  readonly came: number;
}

/** How firmly each bin is held to the initial calibration: as by so many outcomes that came as often as that says. */
const PRIOR_OUTCOMES = 8;

/**
 * The calibration that rises with the logit and makes the outcomes most likely, with a prior around `initial`: pool adjacent violators
 * (Ayer et al. 1955, "An empirical distribution function for sampling with incomplete information"; Zadrozny and Elkan 2002 for
 * probabilities of classifiers). Pools become knots at their mean logits, and it is straight between them, so that no two
 * predictions become equal. Deterministic.
 *
 * @param bins with rising logits
 * @param distanceMax a knot is moved from `initial` by no more than this, in logits
 * @returns null while no bin has an outcome
 */
export function fitIsotonic(
  bins: readonly OutcomeBin[],
  { slope, intercept }: Platt,
  distanceMax: number,
): Isotonic | null {
  const pools: { logits: number; weight: number; came: number }[] = [];
  for (const { logit, outcomes, came } of bins) {
    if (!(outcomes > 0)) continue;
    const expected = 1 / (1 + Math.exp(-(slope * logit + intercept)));
    const weight = outcomes + PRIOR_OUTCOMES;
    let pool = { logits: logit * weight, weight, came: came + PRIOR_OUTCOMES * expected };
    for (let before = pools.at(-1); before !== undefined; before = pools.at(-1)) {
      if (before.came / before.weight < pool.came / pool.weight) break;
      pools.pop();
      pool = {
        logits: before.logits + pool.logits,
        weight: before.weight + pool.weight,
        came: before.came + pool.came,
      };
    }
    pools.push(pool);
  }
  if (pools.length === 0) return null;
  const logits: number[] = [];
  const scaled: number[] = [];
  for (const { logits: sum, weight, came } of pools) {
    const logit = sum / weight;
    const rate = came / weight;
    const held = slope * logit + intercept;
    const found = Math.min(Math.max(Math.log(rate / (1 - rate)), held - distanceMax), held + distanceMax);
    // Rounding may bring two pools together.
    if (logits.length > 0 && !(logit > logits[logits.length - 1] && found > scaled[scaled.length - 1]))
      continue;
    logits.push(logit);
    scaled.push(found);
  }
  return { logits, scaled };
}
