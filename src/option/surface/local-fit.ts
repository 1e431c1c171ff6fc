import { bandPull } from "./band.ts";
import { CALENDAR_MARGIN, DOMAIN } from "./domain.ts";
import type { SliceQuotes } from "./quotes.ts";
import { COEFFICIENTS, SLICE, STEPS, sliceVariance, spline, splineCurvature, splineSlope } from "./slice.ts";
import { durrleman, sviFirst, sviSecond, sviVariance } from "./svi.ts";

/** Knots lie evenly within this share of a standard deviation to expiry, and beyond in proportion to their distance. */
const DENSE = 1;
/** Distinct quotes for one step of the spline. */
const QUOTES_PER_STEP = 2;
/** Steps over the range of the quotes, and on either side of it. */
const LEAST_SPAN = 4;
const MARGIN_STEPS = 2;
const MOST_SPAN = STEPS - 2 * MARGIN_STEPS;
/** Points in a step, its knot the first of them, at which density and calendar are held. */
const POINTS = 6;
/** Pull of a coefficient to the line between its neighbours, against the curvature of what its quotes ask for. */
const SMOOTHNESS = 0.15;
/** Kept between expiries, relative to total variance: between two points slices come nearer than at them. */
const CALENDAR_ROOM = 1.002;
/** Least share of its SVI's total variance that a slice keeps: towards zero its density runs away. */
const LEAST_SHARE = 0.5;
/** Least g(k) at the points. */
const LEAST_DENSITY = 0.02;
const HALVINGS = 4;
const SWEEPS = 6;

/** Basis functions that reach into a step, at its points: value, slope and curvature, by point and how many steps back they began. */
const BASIS = new Float64Array(POINTS * 4);
const BASIS_SLOPE = new Float64Array(POINTS * 4);
const BASIS_CURVATURE = new Float64Array(POINTS * 4);
for (let point = 0; point < POINTS; point += 1) {
  for (let back = 0; back < 4; back += 1) {
    const x = back + point / POINTS;
    BASIS[point * 4 + back] = spline(x);
    BASIS_SLOPE[point * 4 + back] = splineSlope(x);
    BASIS_CURVATURE[point * 4 + back] = splineCurvature(x);
  }
}

/**
 * Fits the correction on top of one slice's SVI to bands of total variance: one coefficient after the other takes a Newton step
 * on the same cost as the slice's, halved until the density is nowhere below its margin and total variance nowhere below the
 * previous expiry's or above the next one's SVI. What begins free of arbitrage stays so at every step, so a fit may be left at
 * any sweep.
 */
export class LocalFit {
  readonly #row: Int32Array;
  readonly #stepStart = new Int32Array(STEPS + 1);
  readonly #moneyness: Float64Array;
  readonly #weights: Float64Array;
  readonly #variance: Float64Array;
  readonly #k = new Float64Array(STEPS * POINTS);
  readonly #w = new Float64Array(STEPS * POINTS);
  readonly #first = new Float64Array(STEPS * POINTS);
  readonly #second = new Float64Array(STEPS * POINTS);
  /** ∂x/∂k and ∂²x/∂k². */
  readonly #bend = new Float64Array(STEPS * POINTS);
  readonly #twist = new Float64Array(STEPS * POINTS);
  readonly #floor = new Float64Array(STEPS * POINTS);
  readonly #ceiling = new Float64Array(STEPS * POINTS);
  #count = 0;
  #sweeps = 0;
  #quotes: SliceQuotes | null = null;
  #p: Float64Array = new Float64Array(0);
  #from = 0;

  constructor(quotes: number) {
    this.#row = new Int32Array(quotes);
    this.#moneyness = new Float64Array(quotes);
    this.#weights = new Float64Array(quotes * 4);
    this.#variance = new Float64Array(quotes);
  }

  /**
   * @param p slices by {@link SLICE}; the one at `from` is corrected in place
   * @param earlier where the previous expiry's slice begins in `p`, likewise the next one's; negative for none
   */
  begin(p: Float64Array, from: number, earlier: number, later: number, quotes: SliceQuotes): boolean {
    this.#p = p;
    this.#from = from;
    this.#quotes = quotes;
    this.#sweeps = SWEEPS;
    p.fill(0, from + SLICE.origin, from + SLICE.coefficients + COEFFICIENTS);
    let least = Infinity;
    let most = -Infinity;
    for (let i = 0; i < quotes.used; i += 1) {
      if (quotes.low[i] === 0) continue;
      least = Math.min(least, quotes.moneyness[i]);
      most = Math.max(most, quotes.moneyness[i]);
    }
    least = Math.max(least, -0.8 * DOMAIN);
    most = Math.min(most, 0.8 * DOMAIN);
    if (!(most > least)) return false;
    const perScale = 1 / (DENSE * Math.sqrt(sviVariance(p, from, 0)));
    const start = Math.asinh(least * perScale);
    const span = Math.max(LEAST_SPAN, Math.min(MOST_SPAN, Math.floor(quotes.twoSided / QUOTES_PER_STEP)));
    const perStep = span / (Math.asinh(most * perScale) - start);
    const origin = start - MARGIN_STEPS / perStep;
    p[from + SLICE.origin] = origin;
    p[from + SLICE.perStep] = perStep;
    p[from + SLICE.perScale] = perScale;
    this.#count = span + 2 * MARGIN_STEPS - 3;
    this.#placeQuotes(quotes, span + 2 * MARGIN_STEPS);
    this.#placeGrid(span + 2 * MARGIN_STEPS, earlier, later);
    return true;
  }

  #placeQuotes(quotes: SliceQuotes, steps: number): void {
    const { moneyness, used } = quotes;
    const p = this.#p;
    const from = this.#from;
    const starts = this.#stepStart.fill(0);
    const stepOf = (k: number): number =>
      (Math.asinh(k * p[from + SLICE.perScale]) - p[from + SLICE.origin]) * p[from + SLICE.perStep];
    for (let i = 0; i < used; i += 1) {
      const x = stepOf(moneyness[i]);
      this.#moneyness[i] = x;
      if (x >= 0 && x < steps) starts[Math.floor(x) + 1] += 1;
    }
    for (let step = 0; step < steps; step += 1) starts[step + 1] += starts[step];
    for (let step = steps; step < STEPS; step += 1) starts[step + 1] = starts[steps];
    for (let i = 0; i < used; i += 1) {
      const x = this.#moneyness[i];
      if (!(x >= 0 && x < steps)) continue;
      const step = Math.floor(x);
      const at = starts[step];
      starts[step] += 1;
      this.#row[at] = i;
      for (let back = 0; back < 4; back += 1) this.#weights[at * 4 + back] = spline(x - step + back);
      this.#variance[at] = sviVariance(p, from, moneyness[i]);
    }
    for (let step = steps; step > 0; step -= 1) starts[step] = starts[step - 1];
    starts[0] = 0;
  }

  #placeGrid(steps: number, earlier: number, later: number): void {
    const p = this.#p;
    const from = this.#from;
    const perStep = p[from + SLICE.perStep];
    const perScale = p[from + SLICE.perScale];
    for (let at = 0; at < steps * POINTS; at += 1) {
      const scaled = Math.sinh(p[from + SLICE.origin] + at / POINTS / perStep);
      const k = scaled / perScale;
      const root = 1 / Math.sqrt(1 + scaled * scaled);
      this.#k[at] = k;
      this.#w[at] = sviVariance(p, from, k);
      this.#first[at] = sviFirst(p, from, k);
      this.#second[at] = sviSecond(p, from, k);
      this.#bend[at] = perStep * perScale * root;
      this.#twist[at] = -perStep * perScale * perScale * scaled * root * root * root;
      const below = earlier < 0 ? 0 : sliceVariance(p, earlier, k) * CALENDAR_ROOM + CALENDAR_MARGIN;
      this.#floor[at] = Math.max(below, LEAST_SHARE * this.#w[at]);
      this.#ceiling[at] = later < 0 ? Infinity : sviVariance(p, later, k) / CALENDAR_ROOM - CALENDAR_MARGIN;
    }
  }

  /** One round over all coefficients. @returns false when it was the last. */
  sweep(): boolean {
    const quotes = this.#quotes;
    if (quotes === null) return false;
    for (let j = 0; j < this.#count; j += 1) this.#improve(j, quotes);
    this.#sweeps -= 1;
    return this.#sweeps > 0;
  }

  #improve(j: number, quotes: SliceQuotes): void {
    const starts = this.#stepStart;
    let slope = 0;
    let curvature = 0;
    for (let back = 0; back < 4; back += 1) {
      for (let at = starts[j + back]; at < starts[j + back + 1]; at += 1) {
        const i = this.#row[at];
        bandPull(quotes, i, this.#variance[at], pull);
        const weight = this.#weights[at * 4 + back];
        slope += pull.force * weight;
        curvature += pull.weight * weight * weight;
      }
    }
    const p = this.#p;
    const c = this.#from + SLICE.coefficients;
    const before = j > 0 ? p[c + j - 1] : 0;
    const after = j + 1 < this.#count ? p[c + j + 1] : 0;
    const off = p[c + j] - 0.5 * (before + after);
    if (!(curvature > 0)) return;
    let change = -(slope + SMOOTHNESS * curvature * off) / (curvature * (1 + SMOOTHNESS));
    if (!Number.isFinite(change)) return;
    for (let halving = 0; !this.#free(j, change); halving += 1) {
      if (halving === HALVINGS) return;
      change *= 0.5;
    }
    p[c + j] += change;
    for (let back = 0; back < 4; back += 1) {
      for (let at = starts[j + back]; at < starts[j + back + 1]; at += 1) {
        this.#variance[at] += change * this.#weights[at * 4 + back];
      }
    }
    this.#shift(j, change);
  }

  /** Whether a coefficient may change by so much. */
  #free(j: number, change: number): boolean {
    for (let back = 0; back < 4; back += 1) {
      for (let point = 0; point < POINTS; point += 1) {
        const at = (j + back) * POINTS + point;
        const basis = point * 4 + back;
        const w = this.#w[at] + change * BASIS[basis];
        if (change < 0 ? w < this.#floor[at] : w > this.#ceiling[at]) return false;
        const bend = this.#bend[at];
        const bySlope = change * BASIS_SLOPE[basis];
        const first = this.#first[at] + bySlope * bend;
        const second =
          this.#second[at] + change * BASIS_CURVATURE[basis] * bend * bend + bySlope * this.#twist[at];
        const g = durrleman(this.#k[at], w, first, second);
        if (!(g >= LEAST_DENSITY)) {
          if (!(g > durrleman(this.#k[at], this.#w[at], this.#first[at], this.#second[at]))) return false;
        }
      }
    }
    return true;
  }

  #shift(j: number, change: number): void {
    for (let back = 0; back < 4; back += 1) {
      for (let point = 0; point < POINTS; point += 1) {
        const at = (j + back) * POINTS + point;
        const basis = point * 4 + back;
        const bend = this.#bend[at];
        const bySlope = change * BASIS_SLOPE[basis];
        this.#w[at] += change * BASIS[basis];
        this.#first[at] += bySlope * bend;
        this.#second[at] += change * BASIS_CURVATURE[basis] * bend * bend + bySlope * this.#twist[at];
      }
    }
  }
}

const pull = { force: 0, weight: 0 };
