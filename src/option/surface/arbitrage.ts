import { calendarExcess } from "./calendar.ts";
import { CALENDAR_MARGIN, DENSITY_MARGIN, DOMAIN, STEP, VERTEX_STEP, vertexReach } from "./domain.ts";
import { sliceDensity } from "./slice.ts";
import { SVI, SVI_SIZE, sviVariance } from "./svi.ts";

const BISECTIONS = 12;
const ROUNDS = 6;

/** Least g(k) of a slice over the grid of the domain and about its vertex; see `durrleman`. NaN counts as −∞. */
function leastDensity(p: Float64Array, from: number): number {
  let least = sliceDensity(p, from, DOMAIN);
  for (let k = -DOMAIN; k < DOMAIN; k += STEP) {
    const g = sliceDensity(p, from, k);
    if (!(g >= least)) least = g;
  }
  const centre = p[from + SVI.centre];
  const width = p[from + SVI.width];
  for (let u = -vertexReach(width); u < Infinity; u += VERTEX_STEP) {
    const k = centre + width * Math.sinh(u);
    if (k > DOMAIN) break;
    const g = k < -DOMAIN ? least : sliceDensity(p, from, k);
    if (!(g >= least)) least = g;
  }
  return Number.isNaN(least) ? Number.NEGATIVE_INFINITY : least;
}

/**
 * Writes the slice of Gatheral and Jacquier's surface SSVI with at-the-money total variance θ, correlation ρ and curvature φ:
 * w = θ/2·(1 + ρφk + √((φk + ρ)² + 1 − ρ²)). φ is cut to where it is free of butterfly arbitrage: θφ(1 + |ρ|) < 4 and
 * θφ²(1 + |ρ|) ≤ 4 (their theorem 4.2).
 */
export function writeSsvi(out: Float64Array, from: number, theta: number, rho: number, phi: number): void {
  const spread = 1 + Math.abs(rho);
  const curvature = 0.98 * Math.min(phi / 0.98, 4 / (theta * spread), 2 / Math.sqrt(theta * spread));
  out[from + SVI.level] = 0.5 * theta * (1 - rho * rho);
  out[from + SVI.left] = 0.5 * theta * curvature * (1 - rho);
  out[from + SVI.right] = 0.5 * theta * curvature * (1 + rho);
  out[from + SVI.centre] = -rho / curvature;
  out[from + SVI.width] = Math.sqrt(1 - rho * rho) / curvature;
}

const safe = new Float64Array(SVI_SIZE);
const fitted = new Float64Array(SVI_SIZE);

/**
 * Projects a slice onto what is free of arbitrage, moving it no farther than needed: towards the SSVI slice with the same level
 * and wings until its density is nowhere negative, then up until it is nowhere below the slice of the previous expiry.
 *
 * @param earlier the previous expiry's slice, already free of arbitrage; null for the first
 * @returns false when it could not be done (then the slice must not be used)
 */
export function enforce(
  p: Float64Array,
  from: number,
  earlier: Float64Array | null,
  earlierFrom: number,
): boolean {
  for (let round = 0; round < ROUNDS; round += 1) {
    const dense = leastDensity(p, from) >= DENSITY_MARGIN;
    if (!dense) towardsSafe(p, from);
    const excess = earlier === null ? -Infinity : calendarExcess(earlier, earlierFrom, p, from);
    const apart = excess <= -CALENDAR_MARGIN;
    if (dense && apart) return true;
    if (!apart) p[from + SVI.level] += excess + 1.5 * CALENDAR_MARGIN;
  }
  return false;
}

function towardsSafe(p: Float64Array, from: number): void {
  const theta = sviVariance(p, from, 0);
  const left = p[from + SVI.left];
  const right = p[from + SVI.right];
  const rho = Math.max(-0.95, Math.min(0.95, (right - left) / (right + left)));
  writeSsvi(safe, 0, theta, rho, (left + right) / theta);
  for (let i = 0; i < SVI_SIZE; i += 1) fitted[i] = p[from + i];
  let enough = 1;
  let tooLittle = 0;
  for (let i = 0; i < BISECTIONS; i += 1) {
    const share = 0.5 * (enough + tooLittle);
    blend(p, from, share);
    if (leastDensity(p, from) >= DENSITY_MARGIN) enough = share;
    else tooLittle = share;
  }
  blend(p, from, enough);
}

function blend(p: Float64Array, from: number, share: number): void {
  for (let i = 0; i < SVI_SIZE; i += 1) p[from + i] = fitted[i] + share * (safe[i] - fitted[i]);
}
