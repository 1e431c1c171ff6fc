import { invariant } from "../../core/invariant.ts";
import { yearsToExpiry } from "../black76.ts";
import { DOMAIN, enforce, writeSsvi } from "./arbitrage.ts";
import type { SurfaceParameters } from "./parameters.ts";
import { SliceQuotes } from "./quotes.ts";
import { SliceFit } from "./slice-fit.ts";
import { SVI, SVI_SIZE, sviVariance } from "./svi.ts";

/** Where an expiry's volatilities come from, best first. */
export const SURFACE_SOURCE = {
  /** Nothing: the caller falls back to the venue's volatility, and without that does not quote. */
  none: 0,
  /** Its neighbours: between two linear in total variance at the same log-moneyness, before the first and after the last in
   * proportion to time. */
  neighbours: 1,
  /** One level fitted to its few quotes, with the shape of a neighbour or of a plain SSVI slice. */
  ssvi: 2,
  /** Its own five parameters. */
  svi: 3,
} as const;
export const SURFACE_SOURCE_NAMES = ["none", "neighbours", "ssvi", "svi"] as const;

export interface SurfaceOptions {
  /** Expiries and options of one expiry that the surface can hold. */
  readonly expiries: number;
  readonly optionsPerExpiry: number;
  readonly parameters: SurfaceParameters;
}

/** A pass first fits every expiry by itself, then orders the wings, then fits them again one above the other. */
const PHASE = { idle: 0, prepare: 1, survey: 2, order: 3, fit: 4, finish: 5 } as const;
/** One unit of work, a few µs: this many options made ready, or one iteration of a fit; the checks at the end cost several. */
const OPTIONS_PER_UNIT = 8;
const FINISH_UNITS = 4;
/** Iterations for a slice that starts from its last parameters, and for one that starts from a guess. */
const WARM_ITERATIONS = 12;
const COLD_ITERATIONS = 40;
/** Two-sided quotes that five parameters need. */
const LEAST_QUOTES = 6;
/** Of the two-sided quotes, the share that a fitted slice must pass through (within two half-widths) to be used. */
const LEAST_WITHIN = 0.6;
const LEVEL_ITERATIONS = 12;
const DEFAULT_RHO = -0.1;
/** φ·√θ of a slice of which nothing is known. */
const DEFAULT_CURVATURE = 1.2;

/**
 * The volatility surface of one underlying: an SVI slice for each expiry with quotes, fitted to bid and ask, free of butterfly and
 * calendar arbitrage at every strike of its domain (|ln(K/F)| ≤ {@link DOMAIN}).
 *
 * A refit goes over all expiries, earliest first, in units of work: {@link step} does as many as it is told and keeps its place,
 * so that an event loop bounds what it spends and a replay with the same calls gives the same surface bit for bit. What was
 * fitted comes into force all at once when the pass is done; until then the last surface holds.
 *
 * Between refits an expiry's smile moves with its forward by `stickiness` s: the volatility of strike K is read at
 * ln(K/F₀) − s·ln(F/F₀), F₀ being the forward of the fit. 0 keeps each strike's volatility (sticky strike), 1 each moneyness's
 * (sticky delta). Volatilities, not total variances, hold as time passes.
 */
export class VolatilitySurface {
  /** Goes up with every surface that comes into force. */
  version = 0;
  /** Passes that were done, and slices that were refused because they could not be made free of arbitrage or fitted badly. */
  readonly counters = { passes: 0, refusedSlices: 0 };

  readonly #parameters: SurfaceParameters;
  readonly #optionsPerExpiry: number;
  /** By slot; slots are numbered as expiries were added, `#order` goes by expiry. */
  readonly #quotes: SliceQuotes[] = [];
  readonly #capacity: number;
  readonly #order: Int32Array;
  readonly #forward: Float64Array;

  /** In force. */
  readonly #slices: Float64Array;
  readonly #source: Uint8Array;
  readonly #fitForward: Float64Array;
  readonly #fitYears: Float64Array;
  #fittedUs = Number.NEGATIVE_INFINITY;
  /** Being made. */
  readonly #newSlices: Float64Array;
  readonly #newSource: Uint8Array;
  readonly #newForward: Float64Array;
  readonly #newYears: Float64Array;
  /** Each slice fitted by itself, and the bounds that follow for its wings, left and right. */
  readonly #surveyed: Float64Array;
  readonly #wings: Float64Array;
  readonly #pooled: Int32Array;
  readonly #fit = new SliceFit();
  #phase: number = PHASE.idle;
  #at = 0;
  #slot = -1;
  #previous = -1;
  #iterations = 0;
  #exchangeTimeUs = 0;
  #timeUs = 0;
  #oldestUs = 0;
  #dirty = false;

  constructor(options: SurfaceOptions) {
    const { expiries } = options;
    this.#parameters = options.parameters;
    this.#optionsPerExpiry = options.optionsPerExpiry;
    this.#capacity = expiries;
    this.#order = new Int32Array(expiries);
    this.#forward = new Float64Array(expiries).fill(Number.NaN);
    this.#slices = new Float64Array(expiries * SVI_SIZE);
    this.#source = new Uint8Array(expiries);
    this.#fitForward = new Float64Array(expiries).fill(Number.NaN);
    this.#fitYears = new Float64Array(expiries).fill(Number.NaN);
    this.#newSlices = new Float64Array(expiries * SVI_SIZE);
    this.#newSource = new Uint8Array(expiries);
    this.#surveyed = new Float64Array(expiries * SVI_SIZE);
    this.#wings = new Float64Array(expiries * 2);
    this.#pooled = new Int32Array(expiries);
    this.#newForward = new Float64Array(expiries);
    this.#newYears = new Float64Array(expiries);
  }

  get expiries(): number {
    return this.#quotes.length;
  }

  /** Local time of the pass whose surface is in force; −Infinity before the first. */
  get fittedUs(): number {
    return this.#fittedUs;
  }

  /** @returns the slot of an expiry, the same one every time; −1 when there are too many. Not on the line: allocates. */
  addExpiry(expiryMs: number): number {
    const known = this.#quotes.findIndex((quotes) => quotes.expiryMs === expiryMs);
    if (known >= 0) return known;
    const slot = this.#quotes.length;
    if (slot === this.#capacity) return -1;
    this.#abandon();
    this.#quotes.push(new SliceQuotes(expiryMs, this.#optionsPerExpiry));
    let at = slot;
    for (; at > 0 && this.#quotes[this.#order[at - 1]].expiryMs > expiryMs; at -= 1) {
      this.#order[at] = this.#order[at - 1];
    }
    this.#order[at] = slot;
    return slot;
  }

  /** @returns the option's row in the slot; −1 when the slot is full. */
  addOption(slot: number, strike: number, call: boolean, inverse: boolean): number {
    return this.#of(slot).add(strike, call, inverse);
  }

  /** Best prices of an option in its own price unit; what is not above 0 is an empty side. */
  setQuote(slot: number, row: number, bid: number, ask: number, timeUs: number): void {
    this.#of(slot).set(row, bid, ask, timeUs);
    this.#dirty = true;
  }

  /** The option's prices, unchanged, are known to be of now. */
  touchQuote(slot: number, row: number, timeUs: number): void {
    this.#of(slot).touch(row, timeUs);
    this.#dirty = true;
  }

  /** The expiry's forward, from its future or ticker; NaN leaves it to put-call parity. */
  setForward(slot: number, forward: number): void {
    this.#forward[slot] = forward;
  }

  /** One of {@link SURFACE_SOURCE}, for the surface in force. */
  source(slot: number): number {
    return this.#source[slot];
  }

  /**
   * Does up to `units` of work on a refit. A pass begins when something has changed and `refitMs` have gone by since the last.
   *
   * @param exchangeTimeUs decides times to expiry
   * @param timeUs local time, decides which quotes are too old
   * @returns true when a new surface has come into force
   */
  step(units: number, exchangeTimeUs: number, timeUs: number): boolean {
    if (this.#phase === PHASE.idle) {
      if (!this.#dirty || timeUs - this.#timeUs < this.#parameters.refitMs * 1_000) return false;
      this.#begin(exchangeTimeUs, timeUs);
    }
    let left = units;
    while (left > 0) {
      switch (this.#phase) {
        case PHASE.prepare:
          left -= 1;
          this.#prepare();
          break;
        case PHASE.survey:
          left -= 1;
          if (!this.#iterate()) this.#endSurvey();
          break;
        case PHASE.order:
          left -= 1;
          this.#orderWings();
          break;
        case PHASE.fit:
          left -= 1;
          if (!this.#iterate()) this.#phase = PHASE.finish;
          break;
        case PHASE.finish:
          left -= FINISH_UNITS;
          this.#finish();
          break;
        default:
          return false;
      }
      if (this.#phase > PHASE.order && this.#at === this.#quotes.length) {
        this.#publish();
        return true;
      }
    }
    return false;
  }

  /** A whole pass at once, whatever time has gone by. */
  refit(exchangeTimeUs: number, timeUs: number): void {
    this.#begin(exchangeTimeUs, timeUs);
    while (this.#phase !== PHASE.idle) this.step(Number.POSITIVE_INFINITY, exchangeTimeUs, timeUs);
  }

  /**
   * Volatility for an option of an expiry.
   *
   * @param forward of the expiry now
   * @returns as a fraction per √year; NaN where the surface has none: {@link source} is `none`, or the strike is outside its domain
   */
  volatility(slot: number, strike: number, forward: number): number {
    const source = this.#source[slot];
    if (source === SURFACE_SOURCE.none || !(forward > 0)) return Number.NaN;
    const fitted = this.#fitForward[slot];
    const k = Math.log(strike / fitted) - this.#parameters.stickiness * Math.log(forward / fitted);
    if (!(Math.abs(k) <= DOMAIN)) return Number.NaN;
    const years = this.#fitYears[slot];
    const variance =
      source === SURFACE_SOURCE.neighbours
        ? this.#between(years, k)
        : sviVariance(this.#slices, slot * SVI_SIZE, k);
    return Math.sqrt(variance / years);
  }

  /** Volatility for an expiry by its date. @returns NaN as for {@link volatility}, and for an expiry that was never added */
  iv(expiryMs: number, strike: number, forward: number): number {
    for (let slot = 0; slot < this.#quotes.length; slot += 1) {
      if (this.#quotes[slot].expiryMs === expiryMs) return this.volatility(slot, strike, forward);
    }
    return Number.NaN;
  }

  /**
   * Total variance of the surface in force at any time and log-moneyness: linear in time between expiries, in proportion to time
   * outside them, so free of calendar arbitrage wherever its slices are.
   *
   * @returns NaN before the first fit or outside the domain
   */
  totalVariance(years: number, k: number): number {
    return Math.abs(k) <= DOMAIN && years > 0 ? this.#between(years, k) : Number.NaN;
  }

  /** The parameters of a slot in force, by {@link SVI}, and whether it has its own. */
  copySlice(slot: number, out: Float64Array): boolean {
    for (let i = 0; i < SVI_SIZE; i += 1) out[i] = this.#slices[slot * SVI_SIZE + i];
    return this.#source[slot] >= SURFACE_SOURCE.ssvi;
  }

  /** Years to expiry of a slot as of the surface in force; NaN where there is none. */
  fittedYears(slot: number): number {
    return this.#fitYears[slot];
  }

  /** Forward of a slot as of the surface in force; NaN where there is none. */
  fittedForward(slot: number): number {
    return this.#fitForward[slot];
  }

  #of(slot: number): SliceQuotes {
    const quotes = this.#quotes[slot];
    invariant(quotes !== undefined, `expiry ${slot} is one of ${this.#quotes.length}`);
    return quotes;
  }

  #between(years: number, k: number): number {
    let before = -1;
    for (let at = 0; at < this.#quotes.length; at += 1) {
      const slot = this.#order[at];
      if (this.#source[slot] < SURFACE_SOURCE.ssvi) continue;
      const w = sviVariance(this.#slices, slot * SVI_SIZE, k);
      const slotYears = this.#fitYears[slot];
      if (slotYears >= years) {
        if (before < 0) return (w * years) / slotYears;
        const earlier = sviVariance(this.#slices, before * SVI_SIZE, k);
        const beforeYears = this.#fitYears[before];
        return earlier + ((w - earlier) * (years - beforeYears)) / (slotYears - beforeYears);
      }
      before = slot;
    }
    if (before < 0) return Number.NaN;
    return (sviVariance(this.#slices, before * SVI_SIZE, k) * years) / this.#fitYears[before];
  }

  /** An expiry was added in the middle of a pass: it begins anew. */
  #abandon(): void {
    this.#phase = PHASE.idle;
    this.#dirty = true;
  }

  #begin(exchangeTimeUs: number, timeUs: number): void {
    this.#exchangeTimeUs = exchangeTimeUs;
    this.#timeUs = timeUs;
    this.#oldestUs = timeUs - this.#parameters.quoteMaxAgeMs * 1_000;
    this.#dirty = false;
    this.#at = 0;
    this.#previous = -1;
    this.#phase = this.#quotes.length === 0 ? PHASE.idle : PHASE.prepare;
    this.#slot = -1;
  }

  #prepare(): void {
    const slot = this.#order[this.#at];
    const quotes = this.#quotes[slot];
    if (this.#slot !== slot) {
      this.#slot = slot;
      quotes.begin();
      const given = this.#forward[slot];
      this.#newYears[slot] = yearsToExpiry(quotes.expiryMs, this.#exchangeTimeUs);
      this.#newForward[slot] = given > 0 ? given : quotes.parityForward(this.#oldestUs);
    }
    const years = this.#newYears[slot];
    const forward = this.#newForward[slot];
    this.#newSource[slot] = years > 0 && forward > 0 ? SURFACE_SOURCE.neighbours : SURFACE_SOURCE.none;
    if (this.#newSource[slot] === SURFACE_SOURCE.none) {
      this.#nextSurvey();
      return;
    }
    if (quotes.prepare(OPTIONS_PER_UNIT, forward, years, this.#oldestUs)) return;
    if (quotes.twoSided < LEAST_QUOTES) {
      this.#nextSurvey();
      return;
    }
    const warm = this.#source[slot] === SURFACE_SOURCE.svi;
    if (warm) copy(this.#fit.parameters, 0, this.#surveyed, slot * SVI_SIZE);
    else this.#fit.guess(quotes);
    this.#fit.free();
    this.#fit.begin(quotes, null, 0);
    this.#iterations = warm ? WARM_ITERATIONS : COLD_ITERATIONS;
    this.#phase = PHASE.survey;
  }

  #iterate(): boolean {
    this.#iterations -= 1;
    return this.#fit.iterate() && this.#iterations > 0;
  }

  #endSurvey(): void {
    copy(this.#surveyed, this.#slot * SVI_SIZE, this.#fit.parameters, 0);
    this.#newSource[this.#slot] = SURFACE_SOURCE.svi;
    this.#nextSurvey();
  }

  #nextSurvey(): void {
    this.#at += 1;
    this.#slot = -1;
    this.#phase = this.#at < this.#quotes.length ? PHASE.prepare : PHASE.order;
  }

  /**
   * A later slice's wings must not be flatter than an earlier one's, or they would cross far out. What the expiries say of their
   * wings is brought into order by pooling neighbours that violate it (isotonic regression of the logarithms, by M. Ayer and
   * others, 1955); the result bounds each slice's wings from above, the previous slice's own ones from below.
   */
  #orderWings(): void {
    let count = 0;
    for (let at = 0; at < this.#quotes.length; at += 1) {
      const slot = this.#order[at];
      if (this.#newSource[slot] !== SURFACE_SOURCE.svi) continue;
      this.#pooled[count] = slot;
      count += 1;
    }
    pool(this.#surveyed, SVI.left, this.#newYears, this.#pooled, count, this.#wings, 0);
    pool(this.#surveyed, SVI.right, this.#newYears, this.#pooled, count, this.#wings, 1);
    this.#at = 0;
    this.#nextFit();
  }

  #nextFit(): void {
    if (this.#at === this.#quotes.length) {
      this.#phase = PHASE.finish;
      return;
    }
    const slot = this.#order[this.#at];
    this.#slot = slot;
    if (this.#newSource[slot] !== SURFACE_SOURCE.svi) {
      this.#phase = PHASE.finish;
      return;
    }
    const { parameters } = this.#fit;
    const first = this.#previous < 0;
    const from = this.#previous * SVI_SIZE;
    copy(parameters, 0, this.#surveyed, slot * SVI_SIZE);
    this.#fit.free();
    if (!first) {
      this.#fit.leastLeft = this.#newSlices[from + SVI.left];
      this.#fit.leastRight = this.#newSlices[from + SVI.right];
    }
    this.#fit.mostLeft = Math.max(this.#wings[2 * slot], this.#fit.leastLeft);
    this.#fit.mostRight = Math.max(this.#wings[2 * slot + 1], this.#fit.leastRight);
    this.#fit.begin(this.#quotes[slot], first ? null : this.#newSlices, from);
    this.#iterations = COLD_ITERATIONS;
    this.#phase = PHASE.fit;
  }

  #finish(): void {
    const slot = this.#slot;
    const quotes = this.#quotes[slot];
    const from = slot * SVI_SIZE;
    const earlier = this.#previous < 0 ? null : this.#newSlices;
    const earlierFrom = this.#previous * SVI_SIZE;
    let source: number = SURFACE_SOURCE.neighbours;
    if (this.#newSource[slot] === SURFACE_SOURCE.none) {
      this.#advance();
      return;
    }
    if (this.#newSource[slot] === SURFACE_SOURCE.svi) {
      copy(this.#newSlices, from, this.#fit.parameters, 0);
      if (enforce(this.#newSlices, from, earlier, earlierFrom) && this.#fits(from, quotes)) {
        source = SURFACE_SOURCE.svi;
      } else {
        this.counters.refusedSlices += 1;
      }
    }
    if (source !== SURFACE_SOURCE.svi && quotes.twoSided > 0) {
      this.#fitLevel(slot, quotes);
      if (enforce(this.#newSlices, from, earlier, earlierFrom) && this.#fits(from, quotes)) {
        source = SURFACE_SOURCE.ssvi;
      }
    }
    this.#newSource[slot] = source;
    if (source >= SURFACE_SOURCE.ssvi) this.#previous = slot;
    this.#advance();
  }

  /** An SSVI slice through the quotes' middles: its level is their vega-weighted average, its shape the nearest slice's. */
  #fitLevel(slot: number, quotes: SliceQuotes): void {
    const from = slot * SVI_SIZE;
    let shape = this.#newSlices;
    let shapeFrom = this.#previous * SVI_SIZE;
    if (this.#previous < 0) {
      shape = this.#slices;
      shapeFrom = this.#laterSlice() * SVI_SIZE;
    }
    let rho = DEFAULT_RHO;
    let curvature = DEFAULT_CURVATURE;
    if (shapeFrom >= 0) {
      const left = shape[shapeFrom + SVI.left];
      const right = shape[shapeFrom + SVI.right];
      rho = Math.max(-0.95, Math.min(0.95, (right - left) / (right + left)));
      curvature = (left + right) / Math.sqrt(sviVariance(shape, shapeFrom, 0));
    }
    let theta = 0.5 * (quotes.low[0] + quotes.high[0]);
    for (let round = 0; round < LEVEL_ITERATIONS; round += 1) {
      writeSsvi(this.#newSlices, from, theta, rho, curvature / Math.sqrt(theta));
      let weights = 0;
      let ratios = 0;
      for (let i = 0; i < quotes.used; i += 1) {
        if (quotes.low[i] === 0) continue;
        const middle = 0.5 * (quotes.low[i] + quotes.high[i]);
        const weight = 1 / (quotes.half[i] * quotes.half[i]);
        weights += weight;
        ratios += (weight * middle) / sviVariance(this.#newSlices, from, quotes.moneyness[i]);
      }
      theta *= ratios / weights;
    }
    writeSsvi(this.#newSlices, from, theta, rho, curvature / Math.sqrt(theta));
  }

  /** Slot of the next later expiry that has a slice in force; −1 when there is none. */
  #laterSlice(): number {
    for (let at = this.#at + 1; at < this.#quotes.length; at += 1) {
      const slot = this.#order[at];
      if (this.#source[slot] >= SURFACE_SOURCE.ssvi) return slot;
    }
    return -1;
  }

  #fits(from: number, quotes: SliceQuotes): boolean {
    let within = 0;
    for (let i = 0; i < quotes.used; i += 1) {
      if (quotes.low[i] === 0) continue;
      const w = sviVariance(this.#newSlices, from, quotes.moneyness[i]);
      if (Math.abs(w - 0.5 * (quotes.low[i] + quotes.high[i])) <= 2 * quotes.half[i]) within += 1;
    }
    return within >= LEAST_WITHIN * quotes.twoSided;
  }

  #advance(): void {
    this.#at += 1;
    this.#nextFit();
  }

  #publish(): void {
    this.#phase = PHASE.idle;
    const neighbours = this.#previous >= 0;
    for (let slot = 0; slot < this.#quotes.length; slot += 1) {
      const source = this.#newSource[slot];
      const alone = source === SURFACE_SOURCE.neighbours && !neighbours;
      this.#source[slot] = alone ? SURFACE_SOURCE.none : source;
      this.#fitForward[slot] = this.#newForward[slot];
      this.#fitYears[slot] = this.#newYears[slot];
    }
    this.#slices.set(this.#newSlices);
    this.#fittedUs = this.#timeUs;
    this.counters.passes += 1;
    this.version += 1;
  }
}

function copy(to: Float64Array, at: number, from: Float64Array, start: number): void {
  for (let i = 0; i < SVI_SIZE; i += 1) to[at + i] = from[start + i];
}

/**
 * Geometric means over runs of slots whose values fall, so that the means rise; written to `out[2·slot + column]`. A slot weighs
 * by the root of its time: the quotes of the nearest expiries reach least far into the wings.
 */
function pool(
  slices: Float64Array,
  parameter: number,
  years: Float64Array,
  slots: Int32Array,
  count: number,
  out: Float64Array,
  column: number,
): void {
  let done = 0;
  while (done < count) {
    // The run from `done` on whose mean is least ends the pool: taken greedily, the least of them all rises.
    let sum = 0;
    let weights = 0;
    let least = Infinity;
    let end = done;
    for (let i = done; i < count; i += 1) {
      const weight = Math.sqrt(years[slots[i]]);
      weights += weight;
      sum += weight * Math.log(slices[slots[i] * SVI_SIZE + parameter]);
      const mean = sum / weights;
      if (mean <= least) {
        least = mean;
        end = i + 1;
      }
    }
    for (let i = done; i < end; i += 1) out[2 * slots[i] + column] = Math.exp(least);
    done = end;
  }
}
