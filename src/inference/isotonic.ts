import { invariant } from "../core/invariant.ts";

/** A calibration by knots has no more than these. */
const KNOTS_MAX = 64;

/**
 * Isotonic calibration of one head: logits before, rising, and what each becomes, rising too. Straight between two knots, parallel to the
 * identity beyond the ends. Rising without a plateau, so that it keeps the order of predictions and can be undone.
 */
export interface Isotonic {
  readonly logits: readonly number[];
  readonly scaled: readonly number[];
}

/** @throws InvariantError when the knots are no order-keeping calibration */
export function checkIsotonic({ logits, scaled }: Isotonic): void {
  invariant(
    logits.length >= 1 && logits.length <= KNOTS_MAX,
    `1 to ${KNOTS_MAX} knots, not ${logits.length}`,
  );
  invariant(logits.length === scaled.length, "as many values as knots");
  for (const values of [logits, scaled]) {
    invariant(
      values.every((value, at) => Number.isFinite(value) && (at === 0 || value > values[at - 1])),
      "finite knots that rise",
    );
  }
}

/** What a logit becomes. */
export function scale({ logits, scaled }: Isotonic, logit: number): number {
  return between(logits, scaled, logit);
}

/** The logit that becomes this one. */
export function unscale({ logits, scaled }: Isotonic, logit: number): number {
  return between(scaled, logits, logit);
}

function between(from: readonly number[], to: readonly number[], value: number): number {
  const last = from.length - 1;
  // A NaN is in no piece and stays one.
  if (!(value > from[0])) return to[0] + (value - from[0]);
  if (value >= from[last]) return to[last] + (value - from[last]);
  let low = 0;
  let high = last;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (from[middle] <= value) low = middle;
    else high = middle;
  }
  const part = (value - from[low]) / (from[high] - from[low]);
  return to[low] + part * (to[high] - to[low]);
}
