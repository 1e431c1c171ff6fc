import { durrleman, SVI, SVI_SIZE, sviVariance } from "./svi.ts";

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
  const scaled = k * p[from + SLICE.perScale];
  const x = (arsinh(scaled, Math.sqrt(1 + scaled * scaled)) - p[from + SLICE.origin]) * perStep;
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

/** asinh(y), from y and √(1 + y²): absolute error of 1e-16, which is what a place among knots needs. */
function arsinh(y: number, root: number): number {
  return y < 0 ? -Math.log(root - y) : Math.log(root + y);
}

/** Receives total variance and density of a slice at a log-moneyness; made once, reused. */
export class SlicePoint {
  /** w(k) */
  variance = Number.NaN;
  /** Durrleman's g(k), as of `durrleman`. */
  density = Number.NaN;
}

/** Both at once, for those who check many points. */
export function sliceAt(p: Float64Array, from: number, k: number, out: SlicePoint): void {
  const y = k - p[from + SVI.centre];
  const width = p[from + SVI.width];
  const tilt = 0.5 * (p[from + SVI.right] - p[from + SVI.left]);
  const lift = 0.5 * (p[from + SVI.right] + p[from + SVI.left]);
  const distance = Math.sqrt(y * y + width * width);
  const inverse = 1 / distance;
  let w = p[from + SVI.level] + tilt * y + lift * distance;
  let first = tilt + lift * y * inverse;
  let second = lift * width * width * inverse * inverse * inverse;
  const perStep = p[from + SLICE.perStep];
  if (perStep !== 0) {
    const perScale = p[from + SLICE.perScale];
    const scaled = k * perScale;
    const root = Math.sqrt(1 + scaled * scaled);
    const x = (arsinh(scaled, root) - p[from + SLICE.origin]) * perStep;
    if (x > 0 && x < STEPS) {
      const step = Math.floor(x);
      const at = from + SLICE.coefficients + step;
      const c0 = step < COEFFICIENTS ? p[at] : 0;
      const c1 = step >= 1 && step <= COEFFICIENTS ? p[at - 1] : 0;
      const c2 = step >= 2 && step <= COEFFICIENTS + 1 ? p[at - 2] : 0;
      const c3 = step >= 3 ? p[at - 3] : 0;
      const t = x - step;
      const u = 1 - t;
      const bend = (perStep * perScale) / root;
      const twist = (-bend * scaled * perScale) / (root * root);
      const slope = 0.5 * (c0 * t * t + c1 * (1 + t * (2 - 3 * t)) - c2 * (1 + u * (2 - 3 * u)) - c3 * u * u);
      w +=
        (c0 * t * t * t + c1 * (1 + 3 * t * (1 + t * u)) + c2 * (1 + 3 * u * (1 + u * t)) + c3 * u * u * u) /
        6;
      first += slope * bend;
      second += (c0 * t + c1 * (1 - 3 * t) + c2 * (1 - 3 * u) + c3 * u) * bend * bend + slope * twist;
    }
  }
  out.variance = w;
  out.density = durrleman(k, w, first, second);
}

const point = new SlicePoint();

/** Durrleman's g(k) of a slice; see `durrleman`. */
export function sliceDensity(p: Float64Array, from: number, k: number): number {
  sliceAt(p, from, k, point);
  return point.density;
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
