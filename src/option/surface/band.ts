import type { SliceQuotes } from "./quotes.ts";

/** Weight of the middle of a band against its edges. */
const MIDDLE_WEIGHT = 0.09;
/** Of its half-width: how near to its edge a band begins to push. */
const BAND = 0.9;
/** Beyond an edge by more than this, a quote pulls with constant force: what nothing can satisfy must not bend the rest. */
const EDGE_FORCE = 0.3;
/** The same for the pull of the middle, in half-widths. */
const MIDDLE_FORCE = 3;
/** Where an ask stands alone, total variance is taken to lie about here below it. */
const ALONE_MIDDLE = 0.7;
const ALONE_WEIGHT = 9e-4;

/** What a quote does to a slice that passes by it, per unit of total variance. */
export interface BandPull {
  /** Half the slope of its cost. */
  force: number;
  /** Half the curvature that Gauss and Newton give it. */
  weight: number;
}

/**
 * How a quote's band of total variance pulls at a slice: inside a weak force to its middle, at and beyond an edge a strong one
 * back, both measured in half-widths, so that a quote counts by its vega and its tightness; bounded far outside.
 *
 * @param w total variance of the slice there
 * @returns the cost
 */
export function bandPull(quotes: SliceQuotes, i: number, w: number, out: BandPull): number {
  const low = quotes.low[i];
  const high = quotes.high[i];
  const alone = low === 0;
  const per = 1 / (alone ? 0.5 * high : quotes.half[i]);
  const distance = (w - (alone ? ALONE_MIDDLE * high : 0.5 * (low + high))) * per;
  const beyond = distance < 0 ? -distance : distance;
  const pull = alone && distance < 0 ? ALONE_WEIGHT : MIDDLE_WEIGHT;
  let weight: number;
  let cost: number;
  if (beyond > MIDDLE_FORCE) {
    weight = (pull * MIDDLE_FORCE) / beyond;
    cost = pull * MIDDLE_FORCE * (2 * beyond - MIDDLE_FORCE);
  } else {
    weight = pull;
    cost = pull * distance * distance;
  }
  let force = weight * distance;
  const excess = beyond - (alone ? (1 - ALONE_MIDDLE) / 0.5 : BAND);
  if (excess > 0 && (!alone || distance > 0)) {
    const push = excess > EDGE_FORCE ? EDGE_FORCE / excess : 1;
    cost += excess > EDGE_FORCE ? EDGE_FORCE * (2 * excess - EDGE_FORCE) : excess * excess;
    force += distance < 0 ? -push * excess : push * excess;
    weight += push;
  }
  out.force = force * per;
  out.weight = weight * per * per;
  return cost;
}
