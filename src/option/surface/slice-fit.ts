import { type BandPull, bandPull } from "./band.ts";
import { DOMAIN } from "./domain.ts";
import type { SliceQuotes } from "./quotes.ts";
import { STEEPEST_WING, SVI, SVI_SIZE, sviVariance } from "./svi.ts";

/** Force of the previous expiry's total variance, per unit of the slice's own at the money. */
const CALENDAR_WEIGHT = 400;
/** The fit keeps this much total variance away from it. */
const CALENDAR_ROOM = 1e-6;
/** Points where it is compared: within reach of the quotes, and beyond on either side up to the end of the domain. */
const REACH_POINTS = 17;
const WING_POINTS = 3;
const LEAST_WING = 1e-4;
const LEAST_WIDTH = 1e-3;
const MOST_WIDTH = 3;
const FARTHEST_CENTRE = 2;
const CONVERGED = 1e-4;
const MOST_DAMPING = 1e7;

/**
 * Levenberg-Marquardt fit of one SVI slice to bands of total variance (K. Levenberg 1944, D. Marquardt 1963). Inside a band only
 * a weak force pulls to its middle, at and beyond an edge a strong one pushes back; both are measured in half-widths, so that a
 * quote counts by its vega and its tightness. One {@link iterate} at a time, so that an event loop can spread a fit.
 */
export class SliceFit {
  /** The slice being fitted, by {@link SVI}. */
  readonly parameters = new Float64Array(SVI_SIZE);
  /** Between what the slopes of the wings may lie. */
  leastLeft = LEAST_WING;
  mostLeft = STEEPEST_WING;
  leastRight = LEAST_WING;
  mostRight = STEEPEST_WING;
  readonly #trial = new Float64Array(SVI_SIZE);
  readonly #gradient = new Float64Array(SVI_SIZE);
  readonly #step = new Float64Array(SVI_SIZE);
  readonly #hessian = new Float64Array(SVI_SIZE * SVI_SIZE);
  readonly #factor = new Float64Array(SVI_SIZE * SVI_SIZE);
  readonly #pull: BandPull = { force: 0, weight: 0 };
  #quotes: SliceQuotes | null = null;
  #floor: Float64Array | null = null;
  #floorFrom = 0;
  #reach = 0;
  #scale = 1;
  #damping = 1e-3;
  #cost = Number.NaN;

  /**
   * Begins a fit from where {@link parameters} stand.
   *
   * @param floor parameters of the previous expiry's slice, which this one must not cross; null for the first
   */
  begin(quotes: SliceQuotes, floor: Float64Array | null, floorFrom: number): void {
    this.#quotes = quotes;
    this.#floor = floor;
    this.#floorFrom = floorFrom;
    this.#reach = 0;
    for (let i = 0; i < quotes.used; i += 1) {
      this.#reach = Math.max(this.#reach, 1.2 * Math.abs(quotes.moneyness[i]));
    }
    this.#scale = 1 / Math.max(sviVariance(this.parameters, 0, 0), 1e-8);
    this.#damping = 1e-3;
    this.#bound(this.parameters);
    this.#cost = this.#evaluate(this.parameters, true);
  }

  /** Lets the wings lie anywhere. */
  free(): void {
    this.leastLeft = LEAST_WING;
    this.mostLeft = STEEPEST_WING;
    this.leastRight = LEAST_WING;
    this.mostRight = STEEPEST_WING;
  }

  /** A first guess from the band nearest the money: a symmetric smile through its middle. */
  guess(quotes: SliceQuotes): void {
    let nearest = 0;
    for (let i = 1; i < quotes.used; i += 1) {
      const better = quotes.low[i] > 0 || quotes.low[nearest] === 0;
      if (better && Math.abs(quotes.moneyness[i]) < Math.abs(quotes.moneyness[nearest])) nearest = i;
    }
    const variance = 0.5 * (quotes.low[nearest] + quotes.high[nearest]);
    const deviation = Math.sqrt(variance);
    const p = this.parameters;
    p[SVI.left] = 0.8 * deviation;
    p[SVI.right] = 0.8 * deviation;
    p[SVI.centre] = 0;
    p[SVI.width] = 0.7 * deviation;
    p[SVI.level] = variance - 0.8 * deviation * p[SVI.width];
  }

  /** @returns false when the fit has converged. */
  iterate(): boolean {
    this.#hold(SVI.left, this.leastLeft, this.mostLeft);
    this.#hold(SVI.right, this.leastRight, this.mostRight);
    if (!this.#solve()) {
      this.#damping *= 10;
      return this.#damping < MOST_DAMPING;
    }
    const { parameters: p } = this;
    const trial = this.#trial;
    const step = this.#step;
    for (let i = 0; i < SVI.width; i += 1) trial[i] = p[i] - step[i];
    trial[SVI.width] = p[SVI.width] * Math.exp(-Math.max(-1, Math.min(1, step[SVI.width])));
    this.#bound(trial);
    const cost = this.#evaluate(trial, false);
    if (!(cost < this.#cost)) {
      this.#damping *= 8;
      return this.#damping < MOST_DAMPING;
    }
    const gain = (this.#cost - cost) / this.#cost;
    p.set(trial);
    this.#damping = Math.max(0.2 * this.#damping, 1e-9);
    if (gain < CONVERGED) return false;
    this.#cost = this.#evaluate(p, true);
    return true;
  }

  #bound(p: Float64Array): void {
    p[SVI.left] = Math.min(this.mostLeft, Math.max(this.leastLeft, p[SVI.left]));
    p[SVI.right] = Math.min(this.mostRight, Math.max(this.leastRight, p[SVI.right]));
    p[SVI.centre] = Math.min(FARTHEST_CENTRE, Math.max(-FARTHEST_CENTRE, p[SVI.centre]));
    p[SVI.width] = Math.min(MOST_WIDTH, Math.max(LEAST_WIDTH, p[SVI.width]));
    const least = 1e-3 / this.#scale - p[SVI.width] * Math.sqrt(p[SVI.left] * p[SVI.right]);
    if (!(p[SVI.level] >= least)) p[SVI.level] = least;
  }

  /** Cost at `p`; with `build` also its gradient and the Gauss-Newton matrix. */
  #evaluate(p: Float64Array, build: boolean): number {
    const quotes = this.#quotes;
    if (quotes === null) return Number.NaN;
    if (build) {
      this.#gradient.fill(0);
      this.#hessian.fill(0);
    }
    const { moneyness, used } = quotes;
    const level = p[SVI.level];
    const left = p[SVI.left];
    const right = p[SVI.right];
    const centre = p[SVI.centre];
    const width = p[SVI.width];
    const pull = this.#pull;
    let cost = 0;
    for (let i = 0; i < used; i += 1) {
      const y = moneyness[i] - centre;
      const z = Math.sqrt(y * y + width * width);
      const w = level + 0.5 * ((right - left) * y + (right + left) * z);
      cost += bandPull(quotes, i, w, pull);
      if (build) this.#add(y, z, left, right, width, pull.force, pull.weight);
    }
    return cost + this.#calendarCost(p, build);
  }

  /** Where the slice lies below the previous one. */
  #calendarCost(p: Float64Array, build: boolean): number {
    if (this.#floor === null) return 0;
    let cost = 0;
    for (let i = 0; i < REACH_POINTS; i += 1) {
      cost += this.#calendarAt(p, this.#reach * ((2 * i) / (REACH_POINTS - 1) - 1), build);
    }
    for (let i = 1; i <= WING_POINTS; i += 1) {
      const k = this.#reach + (Math.max(DOMAIN - this.#reach, 0) * i) / WING_POINTS;
      cost += this.#calendarAt(p, k, build) + this.#calendarAt(p, -k, build);
    }
    return cost;
  }

  #calendarAt(p: Float64Array, k: number, build: boolean): number {
    if (this.#floor === null) return 0;
    const gap = sviVariance(this.#floor, this.#floorFrom, k) - sviVariance(p, 0, k);
    const lack = (gap + CALENDAR_ROOM) * this.#scale;
    if (lack <= 0) return 0;
    const weight = CALENDAR_WEIGHT * this.#scale;
    if (build) {
      const y = k - p[SVI.centre];
      const z = Math.sqrt(y * y + p[SVI.width] * p[SVI.width]);
      this.#add(y, z, p[SVI.left], p[SVI.right], p[SVI.width], -weight * lack, weight * this.#scale);
    }
    return CALENDAR_WEIGHT * lack * lack;
  }

  /** Adds a residual with ½∂cost/∂w = force and curvature weight; the width's column is by its logarithm. */
  #add(
    y: number,
    z: number,
    left: number,
    right: number,
    width: number,
    force: number,
    weight: number,
  ): void {
    const gradient = this.#gradient;
    const hessian = this.#hessian;
    const byLeft = 0.5 * (z - y);
    const byRight = 0.5 * (z + y);
    const byCentre = -0.5 * (right - left + ((right + left) * y) / z);
    const byWidth = (0.5 * (right + left) * width * width) / z;
    gradient[0] += force;
    gradient[1] += force * byLeft;
    gradient[2] += force * byRight;
    gradient[3] += force * byCentre;
    gradient[4] += force * byWidth;
    const left2 = weight * byLeft;
    const right2 = weight * byRight;
    const centre2 = weight * byCentre;
    const width2 = weight * byWidth;
    hessian[0] += weight;
    hessian[5] += left2;
    hessian[6] += left2 * byLeft;
    hessian[10] += right2;
    hessian[11] += right2 * byLeft;
    hessian[12] += right2 * byRight;
    hessian[15] += centre2;
    hessian[16] += centre2 * byLeft;
    hessian[17] += centre2 * byRight;
    hessian[18] += centre2 * byCentre;
    hessian[20] += width2;
    hessian[21] += width2 * byLeft;
    hessian[22] += width2 * byRight;
    hessian[23] += width2 * byCentre;
    hessian[24] += width2 * byWidth;
  }

  /** Takes a slope that stands at its bound and would go beyond out of the step, so that the others are solved for without it. */
  #hold(parameter: number, least: number, most: number): void {
    const value = this.parameters[parameter];
    const slope = this.#gradient[parameter];
    if (!((value <= least && slope > 0) || (value >= most && slope < 0))) return;
    this.#gradient[parameter] = 0;
    for (let i = 0; i < SVI_SIZE; i += 1) {
      const at = i < parameter ? parameter * SVI_SIZE + i : i * SVI_SIZE + parameter;
      this.#hessian[at] = i === parameter ? 1 : 0;
    }
  }

  /** Solves the damped normal equations by Cholesky's factors. @returns false when they are not positive. */
  #solve(): boolean {
    const a = this.#hessian;
    const f = this.#factor;
    const x = this.#step;
    for (let i = 0; i < SVI_SIZE; i += 1) {
      for (let j = 0; j <= i; j += 1) {
        let sum = a[i * SVI_SIZE + j];
        if (i === j) sum += this.#damping * sum + 1e-14;
        for (let q = 0; q < j; q += 1) sum -= f[i * SVI_SIZE + q] * f[j * SVI_SIZE + q];
        if (i !== j) f[i * SVI_SIZE + j] = sum / f[j * SVI_SIZE + j];
        else if (sum > 0) f[i * SVI_SIZE + i] = Math.sqrt(sum);
        else return false;
      }
    }
    for (let i = 0; i < SVI_SIZE; i += 1) {
      let sum = this.#gradient[i];
      for (let j = 0; j < i; j += 1) sum -= f[i * SVI_SIZE + j] * x[j];
      x[i] = sum / f[i * SVI_SIZE + i];
    }
    for (let i = SVI_SIZE - 1; i >= 0; i -= 1) {
      let sum = x[i];
      for (let j = i + 1; j < SVI_SIZE; j += 1) sum -= f[j * SVI_SIZE + i] * x[j];
      x[i] = sum / f[i * SVI_SIZE + i];
    }
    return true;
  }
}
