import { InvariantError } from "../../core/invariant.ts";
import { DOMAIN } from "./domain.ts";
import type { SurfaceParameters } from "./parameters.ts";
import { SliceQuotes } from "./quotes.ts";
import { SurfaceRefit } from "./refit.ts";
import { SLICE_SIZE } from "./slice.ts";
import { SURFACE_SOURCE, SurfaceSlices } from "./slices.ts";

export interface SurfaceOptions {
  /** Expiries and options of one expiry that the surface can hold. */
  readonly expiries: number;
  readonly optionsPerExpiry: number;
  readonly parameters: SurfaceParameters;
}

/** What a surface did since start. */
export interface SurfaceCounters {
  /** Passes that were done, and what they came to: units of work, and event time from their beginnings into force. */
  passes: number;
  units: number;
  passUs: number;
  /** Passes left because an expiry was added in their middle. */
  abandoned: number;
  /** Slices refused because they could not be made free of arbitrage or fitted badly. */
  refusedSlices: number;
  /** Options with an ask that passes left out: crossed, too old, or without a volatility. */
  refusedRows: number;
}

/**
 * The volatility surface of one underlying: for each expiry with quotes an SVI slice, corrected where its quotes are, fitted to
 * bid and ask, free of butterfly and calendar arbitrage at every strike of its domain (|ln(K/F)| ≤ {@link DOMAIN}).
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
  readonly counters: SurfaceCounters = {
    passes: 0,
    units: 0,
    passUs: 0,
    abandoned: 0,
    refusedSlices: 0,
    refusedRows: 0,
  };

  readonly #parameters: SurfaceParameters;
  readonly #optionsPerExpiry: number;
  /** By slot; slots are numbered as expiries were added, `#order` goes by expiry. */
  readonly #quotes: SliceQuotes[] = [];
  readonly #capacity: number;
  readonly #order: Int32Array;
  readonly #forward: Float64Array;
  readonly #inForce: SurfaceSlices;
  readonly #refit: SurfaceRefit;
  /** Local time of the latest {@link step}. */
  seenUs = Number.NEGATIVE_INFINITY;
  #fittedUs = Number.NEGATIVE_INFINITY;
  #timeUs = 0;
  #dirty = false;

  constructor(options: SurfaceOptions) {
    const { expiries, optionsPerExpiry } = options;
    this.#parameters = options.parameters;
    this.#optionsPerExpiry = optionsPerExpiry;
    this.#capacity = expiries;
    this.#order = new Int32Array(expiries);
    this.#forward = new Float64Array(expiries).fill(Number.NaN);
    this.#inForce = new SurfaceSlices(expiries, this.#order);
    this.#refit = new SurfaceRefit(expiries, optionsPerExpiry, {
      quotes: this.#quotes,
      order: this.#order,
      forward: this.#forward,
      inForce: this.#inForce,
    });
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
    return this.#inForce.source[slot];
  }

  /**
   * Does up to `units` of work on a refit. A pass begins when something has changed and `refitMs` have gone by since the last.
   *
   * @param exchangeTimeUs decides times to expiry
   * @param timeUs local time, decides which quotes are too old
   * @returns true when a new surface has come into force
   */
  step(units: number, exchangeTimeUs: number, timeUs: number): boolean {
    this.seenUs = timeUs;
    if (this.#refit.idle) {
      if (!this.#dirty || timeUs - this.#timeUs < this.#parameters.refitMs * 1_000) return false;
      this.#begin(exchangeTimeUs, timeUs);
    }
    if (!this.#refit.step(units)) return false;
    this.#publish(timeUs);
    return true;
  }

  /** A whole pass at once, whatever time has gone by. */
  refit(exchangeTimeUs: number, timeUs: number): void {
    this.#begin(exchangeTimeUs, timeUs);
    if (this.#refit.step(Number.POSITIVE_INFINITY)) this.#publish(timeUs);
  }

  /**
   * Volatility for an option of an expiry.
   *
   * @param forward of the expiry now
   * @returns as a fraction per √year; NaN where the surface has none: {@link source} is `none`, or the strike is outside its domain
   */
  volatility(slot: number, strike: number, forward: number): number {
    const { source, forward: forwards, years } = this.#inForce;
    if (source[slot] === SURFACE_SOURCE.none || !(forward > 0)) return Number.NaN;
    const fitted = forwards[slot];
    const k = Math.log(strike / fitted) - this.#parameters.stickiness * Math.log(forward / fitted);
    return Math.sqrt(this.#inForce.variance(slot, k, this.#quotes.length) / years[slot]);
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
    if (!(Math.abs(k) <= DOMAIN && years > 0)) return Number.NaN;
    return this.#inForce.between(years, k, this.#quotes.length);
  }

  /** The numbers of a slot in force, by `SLICE`, and whether it has its own. */
  copySlice(slot: number, out: Float64Array): boolean {
    for (let i = 0; i < SLICE_SIZE; i += 1) out[i] = this.#inForce.slices[slot * SLICE_SIZE + i];
    return this.#inForce.source[slot] >= SURFACE_SOURCE.ssvi;
  }

  /** When a slot expires, ms since the epoch. */
  expiryMs(slot: number): number {
    return this.#of(slot).expiryMs;
  }

  /** Years to expiry of a slot as of the surface in force; NaN where there is none. */
  fittedYears(slot: number): number {
    return this.#inForce.years[slot];
  }

  /** Forward of a slot as of the surface in force; NaN where there is none. */
  fittedForward(slot: number): number {
    return this.#inForce.forward[slot];
  }

  #of(slot: number): SliceQuotes {
    const quotes = this.#quotes[slot];
    if (quotes === undefined) throw new InvariantError(`expiry ${slot} is one of ${this.#quotes.length}`);
    return quotes;
  }

  /** An expiry was added in the middle of a pass: it begins anew. */
  #abandon(): void {
    if (!this.#refit.idle) this.counters.abandoned += 1;
    this.#refit.abandon();
    this.#dirty = true;
  }

  #begin(exchangeTimeUs: number, timeUs: number): void {
    this.#timeUs = timeUs;
    this.#dirty = false;
    this.#refit.begin(exchangeTimeUs, timeUs - this.#parameters.quoteMaxAgeMs * 1_000);
  }

  #publish(timeUs: number): void {
    this.#inForce.copyFrom(this.#refit.slices);
    this.#fittedUs = this.#timeUs;
    this.version += 1;
    const { counters } = this;
    counters.passes += 1;
    counters.units += this.#refit.units;
    counters.passUs += timeUs - this.#timeUs;
    counters.refusedSlices += this.#refit.refusedSlices;
    counters.refusedRows += this.#refit.refusedRows;
  }
}
