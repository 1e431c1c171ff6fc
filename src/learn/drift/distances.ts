import type { Distances, ProfileDistribution } from "../../inference/profile.ts";

/** A share that is not there counts as this, so that an empty bin gives a large index and no infinite one. */
const SHARE_MIN = 1e-4;

/** Which bin a value is in: as many edges as lie below it. */
export function binOf(edges: ArrayLike<number>, value: number): number {
  let from = 0;
  let to = edges.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (edges[middle] < value) from = middle + 1;
    else to = middle;
  }
  return from;
}

/**
 * Distances of counts, one per bin from `offset` on, from the distribution: population stability index (Siddiqi 2006, *Credit
 * Risk Scorecards*), Kolmogorov–Smirnov at the edges, and Wasserstein-1 with values spread evenly within each bin, as a share of the
 * profile's range.
 *
 * @param total sum of the counts, above 0
 */
export function distancesOf(
  { edges, shares, low, high }: ProfileDistribution,
  counts: ArrayLike<number>,
  offset: number,
  total: number,
): Distances {
  let psi = 0;
  let ks = 0;
  let area = 0;
  let expected = 0;
  let found = 0;
  let before = 0;
  let at = low;
  for (let bin = 0; bin < shares.length; bin += 1) {
    const p = shares[bin];
    const q = counts[offset + bin] / total;
    const heldP = Math.max(p, SHARE_MIN);
    const heldQ = Math.max(q, SHARE_MIN);
    psi += (heldQ - heldP) * Math.log(heldQ / heldP);
    expected += p;
    found += q;
    const difference = found - expected;
    ks = Math.max(ks, Math.abs(difference));
    const end = bin < edges.length ? Math.min(Math.max(edges[bin], low), high) : high;
    area += (end - at) * betweenLines(before, difference);
    before = difference;
    at = end;
  }
  const range = high - low;
  return { psi, ks, wasserstein: range > 0 ? area / range : 0 };
}

/** Mean of |x| where x goes straight from one value to the other. */
function betweenLines(from: number, to: number): number {
  if (from * to >= 0) return (Math.abs(from) + Math.abs(to)) / 2;
  return (from * from + to * to) / (2 * (Math.abs(from) + Math.abs(to)));
}
