import { INVERSE_ROOT_2PI, mills, millsMoment, ROOT_2PI } from "./mills.ts";
import { normalCdf } from "./normal.ts";

/** Beyond this distance (in standard deviations) of the nearer boundary the asymptotic series is exact to double precision. */
const ASYMPTOTIC_FROM = 10;
const ASYMPTOTIC_TERMS = 18;
/** Half-deviations t and products |h|t up to which the series in t is used. */
const SERIES_HALF_DEVIATION = 0.21;
const SERIES_PRODUCT = 1;
/** Value of x/s + s/2 from which the difference of the two terms no longer cancels. */
export const DIRECT_FROM = 0.85;

/**
 * Time value of an option over its normalised vega: b/b′, where b(x, s) = e^(x/2)Φ(x/s + s/2) − e^(−x/2)Φ(x/s − s/2) is
 * Black's normalised call (price / √(FK)) and b′ = φ(0)·exp(−(h² + t²)/2) its slope in s, with h = x/s and t = s/2.
 *
 * P. Jäckel, "Let's Be Rational" (Wilmott, 2015), section 6, divides the half plane of calls out of the money into four
 * regions; so does this: (1) far out of the money the asymptotic series of Φ/φ, differenced term by term; (2) small t
 * the odd moments of exp(−|h|u − u²/2) that make up the Taylor series of the difference; (3) well past the inflection the
 * two normal distribution functions themselves; (4) else the difference of two Mills ratios (erfcx). Relative error about
 * 1e-15, growing to 2e-13 where b itself is near the smallest double.
 *
 * @param h x/s ≤ 0
 * @param t s/2 > 0
 */
export function blackOverVega(h: number, t: number): number {
  if (-h - t > ASYMPTOTIC_FROM) return asymptotic(-h, t);
  if (t < SERIES_HALF_DEVIATION && h * t > -SERIES_PRODUCT) return momentSeries(-h, t);
  if (h + t > DIRECT_FROM)
    return ROOT_2PI * Math.exp(0.5 * (h + t) * (h + t)) * normalCdf(h + t) - mills(t - h);
  return mills(-h - t) - mills(t - h);
}

/**
 * Black's normalised call out of the money, b(x, s) in [0, e^(x/2)].
 *
 * @param x ln(F/K) ≤ 0
 * @param s σ√T ≥ 0
 */
export function normalisedBlack(x: number, s: number): number {
  if (!(s > 0)) return 0;
  const h = x / s;
  const t = 0.5 * s;
  if (h + t > DIRECT_FROM && t >= SERIES_HALF_DEVIATION) {
    return Math.exp(0.5 * x) * normalCdf(h + t) - Math.exp(-0.5 * x) * normalCdf(h - t);
  }
  return normalisedVega(h, t) * blackOverVega(h, t);
}

/** ∂b/∂s of {@link normalisedBlack}, from h = x/s and t = s/2. */
export function normalisedVega(h: number, t: number): number {
  return INVERSE_ROOT_2PI * Math.exp(-0.5 * (h * h + t * t));
}

/**
 * (e^(x/2) − b)/b′: what a call out of the money lacks to its upper bound, over its vega; a sum, so nothing cancels.
 *
 * @param h x/s ≤ 0
 * @param t s/2 with h + t > −1
 */
export function complementOverVega(h: number, t: number): number {
  return mills(h + t) + mills(t - h);
}

/** M(H−t) − M(H+t) by M(y) ~ Σ (−1)^k (2k−1)!!/y^(2k+1); the differences of the powers are built up without subtraction. */
function asymptotic(distance: number, t: number): number {
  const near = 1 / (distance - t);
  const far = 1 / (distance + t);
  const nearSquare = near * near;
  const farSquare = far * far;
  const gap = 2 * t * near * far;
  const squareGap = gap * (near + far);
  let difference = gap;
  let farPower = far;
  let coefficient = 1;
  let sum = gap;
  for (let k = 1; k < ASYMPTOTIC_TERMS; k += 1) {
    difference = nearSquare * difference + farPower * squareGap;
    farPower *= farSquare;
    coefficient *= 1 - 2 * k;
    const next = sum + coefficient * difference;
    if (next === sum) return sum;
    sum = next;
  }
  return sum;
}

/**
 * M(H−t) − M(H+t) = 2·Σ t^(2k+1)/(2k+1)!·m₂ₖ₊₁(H) with the moments mₙ(H) = ∫ uⁿ exp(−Hu − u²/2) du, odd ones by
 * mₙ₊₂ = (2n + 1 + H²)·mₙ − n(n − 1)·mₙ₋₂, whose rounding stays harmless while tH = |x|/2 ≤ 1.
 */
function momentSeries(distance: number, t: number): number {
  const h2 = distance * distance;
  const t2 = t * t;
  const m1 = millsMoment(distance);
  const m3 = (3 + h2) * m1 - 1;
  const m5 = (7 + h2) * m3 - 6 * m1;
  const m7 = (11 + h2) * m5 - 20 * m3;
  const m9 = (15 + h2) * m7 - 42 * m5;
  const m11 = (19 + h2) * m9 - 72 * m7;
  const m13 = (23 + h2) * m11 - 110 * m9;
  const high = m9 * (1 / 362_880) + t2 * (m11 * (1 / 39_916_800) + t2 * m13 * (1 / 6_227_020_800));
  const low = m3 * (1 / 6) + t2 * (m5 * (1 / 120) + t2 * m7 * (1 / 5_040));
  return 2 * t * (m1 + t2 * (low + t2 * t2 * t2 * high));
}
