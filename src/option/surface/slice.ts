import { durrleman, SVI_SIZE, sviFirst, sviSecond, sviVariance } from "./svi.ts";

/**
 * One expiry of a surface in an array of numbers: an SVI slice, and on top of it a correction where the quotes are,
 *
 * w(k) = SVI(k) + Σ c_j·B(x − j), x = (asinh(k/h) − u₀)/Δ,
 *
 * B the cubic B-spline on [0, 4] (I. J. Schoenberg, 1946). Through asinh the spline's knots lie densely at the money and ever
 * farther apart towards the wings, as strikes do. Its support is bounded, so the wings are SVI's; w has a continuous second
 * derivative, so the density is continuous. Without a correction Δ⁻¹ is 0.
 */
export const SLICE = {
  /** u₀ */
  origin: SVI_SIZE,
  /** Δ⁻¹ */
  perStep: SVI_SIZE + 1,
  /** h⁻¹ */
  perScale: SVI_SIZE + 2,
  coefficients: SVI_SIZE + 3,
} as const;
/** Most coefficients of a correction; it reaches over three more steps than that. */
export const COEFFICIENTS = 20;
export const STEPS = COEFFICIENTS + 3;
/** Numbers of a slice in an array. */
export const SLICE_SIZE = SLICE.coefficients + COEFFICIENTS;

/** Total variance of the slice whose numbers start at `from`. */
export function sliceVariance(p: Float64Array, from: number, k: number): number {
  const variance = sviVariance(p, from, k);
  const perStep = p[from + SLICE.perStep];
  if (perStep === 0) return variance;
  const x = (Math.asinh(k * p[from + SLICE.perScale]) - p[from + SLICE.origin]) * perStep;
  if (!(x > 0 && x < STEPS)) return variance;
  const step = Math.floor(x);
  const t = x - step;
  const u = 1 - t;
  const first = from + SLICE.coefficients + step;
  const last = first - 3;
  const start = from + SLICE.coefficients;
  const end = start + COEFFICIENTS;
  let sum = 0;
  if (first < end) sum += p[first] * t * t * t;
  if (first - 1 >= start && first - 1 < end) sum += p[first - 1] * (1 + 3 * t * (1 + t * u));
  if (first - 2 >= start && first - 2 < end) sum += p[first - 2] * (1 + 3 * u * (1 + u * t));
  if (last >= start) sum += p[last] * u * u * u;
  return variance + sum / 6;
}

/** Durrleman's g(k) of a slice, as `sviDensity` is of its SVI part. */
export function sliceDensity(p: Float64Array, from: number, k: number): number {
  const perStep = p[from + SLICE.perStep];
  const w = sviVariance(p, from, k);
  const first = sviFirst(p, from, k);
  const second = sviSecond(p, from, k);
  if (perStep === 0) return durrleman(k, w, first, second);
  const perScale = p[from + SLICE.perScale];
  const scaled = k * perScale;
  const x = (Math.asinh(scaled) - p[from + SLICE.origin]) * perStep;
  if (!(x > 0 && x < STEPS)) return durrleman(k, w, first, second);
  const root = 1 / Math.sqrt(1 + scaled * scaled);
  const bend = perStep * perScale * root;
  const step = Math.floor(x);
  let value = 0;
  let slope = 0;
  let curvature = 0;
  for (let j = Math.max(step - 3, 0); j <= Math.min(step, COEFFICIENTS - 1); j += 1) {
    const c = p[from + SLICE.coefficients + j];
    value += c * spline(x - j);
    slope += c * splineSlope(x - j);
    curvature += c * splineCurvature(x - j);
  }
  const twist = -bend * scaled * perScale * root * root;
  return durrleman(k, w + value, first + slope * bend, second + curvature * bend * bend + slope * twist);
}

/** The cubic B-spline on [0, 4]. */
export function spline(x: number): number {
  const y = x < 2 ? x : 4 - x;
  if (!(y > 0)) return 0;
  if (y < 1) return (y * y * y) / 6;
  const t = y - 1;
  return (1 + 3 * t * (1 + t * (1 - t))) / 6;
}

/** Its first derivative. */
export function splineSlope(x: number): number {
  const y = x < 2 ? x : 4 - x;
  if (!(y > 0)) return 0;
  const t = y - 1;
  const slope = y < 1 ? 0.5 * y * y : 0.5 + t * (1 - 1.5 * t);
  return x < 2 ? slope : -slope;
}

/** Its second derivative. */
export function splineCurvature(x: number): number {
  const y = x < 2 ? x : 4 - x;
  if (!(y > 0)) return 0;
  return y < 1 ? y : 1 - 3 * (y - 1);
}
