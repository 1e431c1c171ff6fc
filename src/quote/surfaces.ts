import type { Instrument } from "../market/instrument.ts";
import type { SurfaceParameters } from "../option/surface/parameters.ts";
import { SURFACE_SOURCE } from "../option/surface/slices.ts";
import { VolatilitySurface } from "../option/surface/surface.ts";

/** Expiries of one underlying, and options of one expiry; what is beyond rests on the venue's volatility. */
const EXPIRIES = 128;
const OPTIONS_PER_EXPIRY = 512;

/** The volatility surfaces of the quoted underlyings, by instrument. An underlying has one from its first option on. */
export class Surfaces {
  readonly parameters: SurfaceParameters;
  readonly #surfaces: (VolatilitySurface | null)[];
  readonly #underlyingOf: Int32Array;
  readonly #slotOf: Int32Array;
  readonly #rowOf: Int32Array;

  /** @param capacity instruments are numbered below this */
  constructor(capacity: number, underlyings: number, parameters: SurfaceParameters) {
    this.parameters = parameters;
    this.#surfaces = new Array<VolatilitySurface | null>(underlyings).fill(null);
    this.#underlyingOf = new Int32Array(capacity).fill(-1);
    this.#slotOf = new Int32Array(capacity).fill(-1);
    this.#rowOf = new Int32Array(capacity).fill(-1);
  }

  /** Null before the underlying's first option. */
  of(underlying: number): VolatilitySurface | null {
    return this.#surfaces[underlying];
  }

  /** Takes in an option. @returns its expiry's slot in the underlying's surface; −1 when that is full */
  add(option: Instrument, underlying: number): number {
    const surface =
      this.#surfaces[underlying] ??
      new VolatilitySurface({
        expiries: EXPIRIES,
        optionsPerExpiry: OPTIONS_PER_EXPIRY,
        parameters: this.parameters,
      });
    this.#surfaces[underlying] = surface;
    const slot = surface.addExpiry(option.expiryMs);
    if (slot < 0) return -1;
    const row = surface.addOption(slot, option.strike, option.optionType === "call", option.inverse);
    this.#underlyingOf[option.id] = underlying;
    this.#slotOf[option.id] = slot;
    this.#rowOf[option.id] = row;
    return slot;
  }

  /** Best prices of an option's book in its price unit; what is not above 0 is an empty side. */
  setQuote(option: number, bid: number, ask: number, timeUs: number): void {
    const surface = this.#surfaceOf(option);
    if (surface !== null && this.#rowOf[option] >= 0) {
      surface.setQuote(this.#slotOf[option], this.#rowOf[option], bid, ask, timeUs);
    }
  }

  /** The option's prices, unchanged, are known to be of now. */
  touch(option: number, timeUs: number): void {
    const surface = this.#surfaceOf(option);
    if (surface !== null && this.#rowOf[option] >= 0) {
      surface.touchQuote(this.#slotOf[option], this.#rowOf[option], timeUs);
    }
  }

  /**
   * Does a timer tick's share of the refit.
   *
   * @returns true when the underlying has a new surface
   */
  step(underlying: number, exchangeTimeUs: number, timeUs: number): boolean {
    const surface = this.#surfaces[underlying];
    return surface?.step(this.parameters.stepUnits, exchangeTimeUs, timeUs) ?? false;
  }

  /** @returns as a fraction per √year; NaN where the surface has none, or has not been renewed for `maxAgeMs` */
  volatility(option: number, strike: number, forward: number, timeUs: number): number {
    const surface = this.#surfaceOf(option);
    if (surface === null || timeUs - surface.fittedUs > this.parameters.maxAgeMs * 1_000) return Number.NaN;
    return surface.volatility(this.#slotOf[option], strike, forward);
  }

  /** One of {@link SURFACE_SOURCE}. */
  source(option: number): number {
    return this.#surfaceOf(option)?.source(this.#slotOf[option]) ?? SURFACE_SOURCE.none;
  }

  #surfaceOf(option: number): VolatilitySurface | null {
    const underlying = this.#underlyingOf[option];
    return underlying < 0 ? null : this.#surfaces[underlying];
  }
}
