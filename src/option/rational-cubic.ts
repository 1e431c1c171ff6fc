const ALMOST_MINUS_ONE = -0.999_999_985;
const LARGEST = 1e300;

/** Values and slopes at both ends of an interval, between which {@link RationalCubic.at} interpolates; one object, reused. */
export class RationalCubic {
  left = 0;
  right = 0;
  valueLeft = 0;
  valueRight = 0;
  slopeLeft = 0;
  slopeRight = 0;

  /**
   * The rational cubic of R. Delbourgo and J. A. Gregory ("Shape preserving piecewise rational interpolation", SIAM Journal on
   * Scientific and Statistical Computing 6, 1985) through the ends, with the control parameter that gives it a second
   * derivative at one end, bounded from below so that it stays monotone, and convex or concave where the data are.
   *
   * @param curvature second derivative wanted at one end
   * @param atRight which end
   */
  at(x: number, curvature: number, atRight: boolean): number {
    const width = this.right - this.left;
    if (!(width > 0)) return 0.5 * (this.valueLeft + this.valueRight);
    const { valueLeft, valueRight, slopeLeft, slopeRight } = this;
    const chord = (valueRight - valueLeft) / width;
    const turn = slopeRight - slopeLeft;
    const lack = atRight ? slopeRight - chord : chord - slopeLeft;
    const numerator = 0.5 * width * curvature + turn;
    const fitted = numerator === 0 ? 0 : lack === 0 ? Math.sign(numerator) * LARGEST : numerator / lack;
    const r = Math.max(fitted, leastControl(slopeLeft, slopeRight, chord));
    const t = (x - this.left) / width;
    const u = 1 - t;
    if (!(r < LARGEST)) return valueRight * t + valueLeft * u;
    const tu = t * u;
    const left = r * valueLeft + width * slopeLeft;
    const right = r * valueRight - width * slopeRight;
    return (
      (valueRight * t * t * t + right * t * tu + left * u * tu + valueLeft * u * u * u) / (1 + (r - 3) * tu)
    );
  }
}

function leastControl(slopeLeft: number, slopeRight: number, chord: number): number {
  const monotone = slopeLeft * chord >= 0 && slopeRight * chord >= 0;
  const bend = slopeRight - slopeLeft;
  const fromLeft = chord - slopeLeft;
  const toRight = slopeRight - chord;
  const curved = fromLeft * toRight > 0;
  let least = ALMOST_MINUS_ONE;
  if (monotone && chord !== 0) least = Math.max(least, (slopeRight + slopeLeft) / chord);
  if (curved) least = Math.max(least, Math.abs(bend / toRight), Math.abs(bend / fromLeft));
  return least;
}
