const ALMOST_MINUS_ONE = -0.999_999_985;
const LARGEST = 1e300;

/**
 * The rational cubic of R. Delbourgo and J. A. Gregory ("Shape preserving piecewise rational interpolation", SIAM Journal on
 * Scientific and Statistical Computing 6, 1985) through the ends of an interval, with the control parameter that gives it a
 * second derivative at one end, bounded from below so that it stays monotone, and convex or concave where the data are.
 *
 * @param x in [left, right]
 * @param valueLeft value at the left end; likewise the value at the right one and the slopes at both
 * @param curvature second derivative wanted at one end
 * @param atRight which end
 */
export function rationalCubic(
  x: number,
  left: number,
  right: number,
  valueLeft: number,
  valueRight: number,
  slopeLeft: number,
  slopeRight: number,
  curvature: number,
  atRight: boolean,
): number {
  const width = right - left;
  if (!(width > 0)) return 0.5 * (valueLeft + valueRight);
  const inverse = 1 / width;
  const chord = (valueRight - valueLeft) * inverse;
  const fromLeft = chord - slopeLeft;
  const toRight = slopeRight - chord;
  const lack = atRight ? toRight : fromLeft;
  const turn = slopeRight - slopeLeft;
  const numerator = 0.5 * width * curvature + turn;
  let r = lack !== 0 ? numerator / lack : numerator > 0 ? LARGEST : 0;
  if (r < ALMOST_MINUS_ONE) r = ALMOST_MINUS_ONE;
  if (slopeLeft * chord >= 0 && slopeRight * chord >= 0 && chord !== 0) {
    const monotone = (slopeRight + slopeLeft) / chord;
    if (r < monotone) r = monotone;
  }
  if (fromLeft * toRight > 0) {
    const shorter = fromLeft * fromLeft < toRight * toRight ? fromLeft : toRight;
    const curved = turn / shorter;
    if (r < curved) r = curved;
  }
  const t = (x - left) * inverse;
  const u = 1 - t;
  if (!(r < LARGEST)) return valueRight * t + valueLeft * u;
  const tu = t * u;
  const nearLeft = r * valueLeft + width * slopeLeft;
  const nearRight = r * valueRight - width * slopeRight;
  const sum = valueRight * t * t * t + nearRight * t * tu + nearLeft * u * tu + valueLeft * u * u * u;
  return sum / (1 + (r - 3) * tu);
}
