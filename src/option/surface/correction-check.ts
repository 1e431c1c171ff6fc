import { DENSITY_MARGIN, DOMAIN, VERTEX_STEP } from "./domain.ts";
import { COEFFICIENTS, SLICE, SlicePoint, STEPS, sliceAt, sliceVariance } from "./slice.ts";
import { SVI } from "./svi.ts";

const CUTS = 3;
/** Points of the check in a step of a correction. */
const CHECKS = 16;
/** How often the way between two points is halved where what is looked at changes fast. */
const LOOKS = 5;

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
  const perScale = p[from + SLICE.perScale];
  let steps = STEPS;
  while (steps > 3 && p[from + SLICE.coefficients + steps - 4] === 0) steps -= 1;
  walk.begin(p, from, earlier, later);
  for (let at = 0; at <= steps * CHECKS; at += 1) {
    if (!walk.freeTo(Math.sinh(origin + at / (CHECKS * perStep)) / perScale)) return false;
  }
  const least = Math.max(Math.sinh(origin) / perScale, -DOMAIN);
  const most = Math.min(Math.sinh(origin + steps / perStep) / perScale, DOMAIN);
  return (
    isFreeAbout(p, from, least, most) &&
    (earlier < 0 || isFreeAbout(p, earlier, least, most)) &&
    (later < 0 || isFreeAbout(p, later, least, most))
  );
}

/**
 * Checks the slice about a vertex, as far as its correction reaches: beyond, it is as it was checked before.
 *
 * @param vertex where the slice whose vertex it is begins in `p`
 */
function isFreeAbout(p: Float64Array, vertex: number, least: number, most: number): boolean {
  const centre = p[vertex + SVI.centre];
  const width = p[vertex + SVI.width];
  const end = Math.asinh((most - centre) / width);
  walk.again();
  for (let u = Math.asinh((least - centre) / width); u < end; u += VERTEX_STEP) {
    if (!walk.freeTo(centre + width * Math.sinh(u))) return false;
  }
  return true;
}

/**
 * Looks at a slice from point to point. Where density or distance to a neighbouring expiry changes or bends from one point to the
 * next by more than what is left of it, it looks between them.
 */
class Walk {
  #p: Float64Array = new Float64Array(0);
  #from = 0;
  #earlier = -1;
  #later = -1;
  readonly #point = new SlicePoint();
  #k = Number.NaN;
  readonly #density = new Margin();
  readonly #above = new Margin();
  readonly #below = new Margin();

  begin(p: Float64Array, from: number, earlier: number, later: number): void {
    this.#p = p;
    this.#from = from;
    this.#earlier = earlier;
    this.#later = later;
    this.again();
  }

  /** The next point is a first one. */
  again(): void {
    this.#density.begin();
    this.#above.begin();
    this.#below.begin();
  }

  /** Goes on to a point, at most to the end of the domain. @returns whether the slice is free of arbitrage there and on the way */
  freeTo(k: number): boolean {
    return this.#goTo(Math.max(-DOMAIN, Math.min(DOMAIN, k)), LOOKS);
  }

  #goTo(k: number, looks: number): boolean {
    sliceAt(this.#p, this.#from, k, this.#point);
    const { variance, density } = this.#point;
    const above = variance - (this.#earlier < 0 ? 0 : sliceVariance(this.#p, this.#earlier, k));
    const below = this.#later < 0 ? Infinity : sliceVariance(this.#p, this.#later, k) - variance;
    if (!(density > 0.5 * DENSITY_MARGIN && above > 0 && below > 0)) return false;
    const unclear =
      looks > 0 && (this.#density.mayEnd(density) || this.#above.mayEnd(above) || this.#below.mayEnd(below));
    if (unclear) return this.#goTo(0.5 * (this.#k + k), looks - 1) && this.#goTo(k, looks - 1);
    this.#k = k;
    this.#density.goOn(density);
    this.#above.goOn(above);
    this.#below.goOn(below);
    return true;
  }
}

/** What must stay positive, at the last two points. */
class Margin {
  #last = Number.NaN;
  #before = Number.NaN;

  begin(): void {
    this.#last = Number.NaN;
    this.#before = Number.NaN;
  }

  /** Between the last point and one where it is `now` it may have been negative. */
  mayEnd(now: number): boolean {
    const least = Math.min(now, this.#last);
    return Math.abs(now - this.#last) > least || Math.abs(now - 2 * this.#last + this.#before) > least;
  }

  goOn(now: number): void {
    this.#before = this.#last;
    this.#last = now;
  }
}

const walk = new Walk();
