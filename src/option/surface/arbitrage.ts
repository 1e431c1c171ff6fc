import { COEFFICIENTS, SLICE, STEPS, sliceDensity, sliceVariance } from "./slice.ts";
import { SVI, SVI_SIZE, sviVariance } from "./svi.ts";

/** Log-moneyness up to which a surface is made and checked: strikes from 0.082 to 12.2 times the forward. */
export const DOMAIN = 2.5;
const STEP = 0.02;
/** Where slices of neighbouring expiries come near each other, and there the step between points of the calendar check. */
const CORE = 1;
const CORE_STEP = 0.005;
/** About its vertex an SVI slice bends on the scale of its width: points at centre + width·sinh(u), u in steps of this. */
const VERTEX_STEP = 0.1;
/** What the check asks for beyond zero, so that nothing is below zero between its points. */
export const DENSITY_MARGIN = 2e-3;
export const CALENDAR_MARGIN = 3e-6;
const BISECTIONS = 12;
const ROUNDS = 6;

/** The u at which the points about a vertex have left the domain, wherever it is. */
function vertexReach(width: number): number {
  return Math.asinh((2 * DOMAIN) / width);
}

/** Least g(k) of a slice over the grid of the domain and about its vertex; see `sviDensity`. NaN counts as −∞. */
export function leastDensity(p: Float64Array, from: number): number {
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

/** Most by which the earlier slice lies above the later one over the same points; ≤ 0 without calendar arbitrage. */
export function calendarExcess(
  earlier: Float64Array,
  earlierFrom: number,
  later: Float64Array,
  from: number,
): number {
  let most = sliceVariance(earlier, earlierFrom, DOMAIN) - sliceVariance(later, from, DOMAIN);
  for (let k = -DOMAIN; k < DOMAIN; k += Math.abs(k) < CORE ? CORE_STEP : STEP) {
    most = Math.max(most, sliceVariance(earlier, earlierFrom, k) - sliceVariance(later, from, k));
  }
  most = Math.max(most, excessAt(earlier, earlierFrom, later, from, earlier, earlierFrom));
  return Math.max(most, excessAt(earlier, earlierFrom, later, from, later, from));
}

function excessAt(
  earlier: Float64Array,
  earlierFrom: number,
  later: Float64Array,
  from: number,
  vertex: Float64Array,
  vertexFrom: number,
): number {
  const centre = vertex[vertexFrom + SVI.centre];
  const width = vertex[vertexFrom + SVI.width];
  let most = Number.NEGATIVE_INFINITY;
  for (let u = -vertexReach(width); u < Infinity; u += VERTEX_STEP) {
    const k = centre + width * Math.sinh(u);
    if (k > DOMAIN) break;
    if (k < -DOMAIN) continue;
    most = Math.max(most, sliceVariance(earlier, earlierFrom, k) - sliceVariance(later, from, k));
  }
  return most;
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

const CUTS = 3;
/** Points of the check in a step of a correction. */
const CHECKS = 16;

/**
 * Checks a corrected slice where its correction reaches: its density, that it is nowhere below the slice of the previous expiry
 * and nowhere above the one of the next. Where it offends, its correction is halved, and given up at last.
 *
 * @param earlier where the previous expiry's slice begins in `p`, likewise the next one's; negative for none
 * @returns whether it has a correction
 */
export function cutCorrection(p: Float64Array, from: number, earlier: number, later: number): boolean {
  for (let cut = 0; cut < CUTS; cut += 1) {
    if (isFree(p, from, earlier, later)) return true;
    for (let j = 0; j < COEFFICIENTS; j += 1) p[from + SLICE.coefficients + j] *= 0.5;
  }
  p.fill(0, from + SLICE.origin, from + SLICE.coefficients + COEFFICIENTS);
  return false;
}

function isFree(p: Float64Array, from: number, earlier: number, later: number): boolean {
  const origin = p[from + SLICE.origin];
  const perStep = p[from + SLICE.perStep];
  for (let at = 0; at <= STEPS * CHECKS; at += 1) {
    const k = Math.sinh(origin + at / (CHECKS * perStep)) / p[from + SLICE.perScale];
    if (!isFreeAt(p, from, earlier, later, k)) return false;
  }
  return (
    isFreeAbout(p, from, from, earlier, later) &&
    (earlier < 0 || isFreeAbout(p, earlier, from, earlier, later)) &&
    (later < 0 || isFreeAbout(p, later, from, earlier, later))
  );
}

/** Checks the slice about a vertex. @param vertex where the slice whose vertex it is begins in `p` */
function isFreeAbout(p: Float64Array, vertex: number, from: number, earlier: number, later: number): boolean {
  const centre = p[vertex + SVI.centre];
  const width = p[vertex + SVI.width];
  for (let u = -vertexReach(width); u < Infinity; u += VERTEX_STEP) {
    const k = centre + width * Math.sinh(u);
    if (k > DOMAIN) break;
    if (!isFreeAt(p, from, earlier, later, k)) return false;
  }
  return true;
}

function isFreeAt(p: Float64Array, from: number, earlier: number, later: number, k: number): boolean {
  if (Math.abs(k) > DOMAIN) return true;
  const w = sliceVariance(p, from, k);
  return (
    sliceDensity(p, from, k) > 0.5 * DENSITY_MARGIN &&
    (earlier < 0 || w > sliceVariance(p, earlier, k)) &&
    (later < 0 || w < sliceVariance(p, later, k))
  );
}
