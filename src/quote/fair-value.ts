import { invariant } from "../core/invariant.ts";
import { type EventBatch, TICKER, TICKER_FIELDS } from "../market/event-batch.ts";
import type { Instrument } from "../market/instrument.ts";
import { black76, OptionValue, yearsToExpiry } from "../option/black76.ts";
import type { Surfaces } from "./surfaces.ts";

/** Between full valuations the fair value follows the forward by delta and gamma, up to these bounds. */
const EXPANSION_MOVE = 5e-4;
const EXPANSION_DEVIATIONS = 0.05;
const EXPANSION_AGE_US = 500_000;
const EXPANSION_STAGGER_US = 10_000;
const STAGGERS = 64;
const LEAST_REACH = 0.5;
/** The basis of an expiry is averaged over this time, unless it is off by more than the jump. */
const BASIS_TIME_US = 500_000;
const BASIS_JUMP = 2e-3;

/**
 * Fair value and Greeks of every quoted instrument.
 *
 * A perpetual or future is worth its own book's microprice. An option is worth Black-76 at the volatility of the underlying's
 * surface; where that has none, or without surfaces, at the venue's own implied volatility (mark, else the middle of bid and ask),
 * sticky to its strike. The forward is that of its expiry: the reference market's price
 * times the expiry's basis, which is the underlying price of the venue's tickers over the reference price at their arrival,
 * averaged over half a second because tickers lag behind the market. Without a reference market the forward is the last ticker's
 * underlying price. Time to expiry runs on the exchange's clock. A full valuation holds while the forward stays within 5 bp and a
 * twentieth of a standard deviation to expiry, or down to half of that, for at most about a second; both are staggered over the
 * instruments, so that a chain is not valued anew in one turn. Within that the value follows by delta and gamma (error below 1e-8
 * of the forward).
 *
 * Inverse options are valued in coin (Black-76 / forward). NaN stands for "no value".
 */
export class FairValues {
  /** In the instrument's price unit. */
  readonly fair: Float64Array;
  /** Black delta (∂ premium in quote currency / ∂ forward); 1 for a perpetual or future. */
  readonly delta: Float64Array;
  readonly gamma: Float64Array;
  /** Quote currency for 1.00 of volatility; 0 unless an option. */
  readonly vega: Float64Array;
  /** Forward of the option's expiry, or the price of the perpetual or future itself, in quote currency. */
  readonly forward: Float64Array;
  /** What the option is valued at: the surface's volatility, else the venue's. */
  readonly impliedVolatility: Float64Array;
  /** The venue's own, from its tickers. */
  readonly venueVolatility: Float64Array;
  /** Local time of the ticker or book that the value rests on; −Infinity before the first one. */
  readonly sourceUs: Float64Array;

  readonly #surfaces: Surfaces | null;
  /** By expiry: whose surface it belongs to and its slot there; −1 where none. */
  readonly #surfaceUnderlying: Int32Array;
  readonly #surfaceSlot: Int32Array;
  readonly #expirySlot: Int32Array;
  readonly #slotByExpiry = new Map<string, number>();
  readonly #expiryUnderlying: Int32Array;
  readonly #expiryForward: Float64Array;
  readonly #expiryBasis: Float64Array;
  readonly #expiryUs: Float64Array;

  readonly #anchorForward: Float64Array;
  readonly #anchorPrice: Float64Array;
  readonly #anchorDelta: Float64Array;
  readonly #anchorReach: Float64Array;
  readonly #anchoredUntilUs: Float64Array;
  readonly #value = new OptionValue();

  /** @param surfaces null: options rest on the venue's volatilities */
  constructor(capacity: number, surfaces: Surfaces | null = null) {
    this.#surfaces = surfaces;
    this.#surfaceUnderlying = new Int32Array(capacity).fill(-1);
    this.#surfaceSlot = new Int32Array(capacity).fill(-1);
    const column = (initial: number): Float64Array => new Float64Array(capacity).fill(initial);
    this.fair = column(Number.NaN);
    this.delta = column(Number.NaN);
    this.gamma = column(0);
    this.vega = column(0);
    this.forward = column(Number.NaN);
    this.impliedVolatility = column(Number.NaN);
    this.venueVolatility = column(Number.NaN);
    this.sourceUs = column(Number.NEGATIVE_INFINITY);
    this.#expirySlot = new Int32Array(capacity).fill(-1);
    this.#expiryUnderlying = new Int32Array(capacity).fill(-1);
    this.#expiryForward = column(Number.NaN);
    this.#expiryBasis = column(Number.NaN);
    this.#expiryUs = column(Number.NEGATIVE_INFINITY);
    this.#anchorForward = column(Number.NaN);
    this.#anchorPrice = column(Number.NaN);
    this.#anchorDelta = column(Number.NaN);
    this.#anchorReach = column(-1);
    this.#anchoredUntilUs = column(Number.NEGATIVE_INFINITY);
  }

  add(instrument: Instrument, underlying: number): void {
    invariant(
      instrument.id < this.fair.length,
      `instrument ${instrument.id} is beyond the quoter's capacity`,
    );
    if (instrument.kind !== "option") {
      this.delta[instrument.id] = 1;
      return;
    }
    const key = `${underlying}:${instrument.expiryMs}:${instrument.venue}`;
    let slot = this.#slotByExpiry.get(key);
    if (slot === undefined) {
      slot = this.#slotByExpiry.size;
      this.#slotByExpiry.set(key, slot);
      this.#expiryUnderlying[slot] = underlying;
    }
    this.#expirySlot[instrument.id] = slot;
    if (this.#surfaces === null) return;
    this.#surfaceUnderlying[slot] = underlying;
    this.#surfaceSlot[slot] = this.#surfaces.add(instrument, underlying);
  }

  /** Gives the surface of an underlying the forwards of its expiries. @param referencePrice NaN when there is none */
  tellForwards(underlying: number, referencePrice: number): void {
    const surface = this.#surfaces?.of(underlying) ?? null;
    if (surface === null) return;
    for (let slot = 0; slot < this.#slotByExpiry.size; slot += 1) {
      if (this.#surfaceUnderlying[slot] !== underlying || this.#surfaceSlot[slot] < 0) continue;
      surface.setForward(this.#surfaceSlot[slot], this.#forwardOf(slot, referencePrice));
    }
  }

  /** The price of the reference market is going to be another one's, at which the basis of every expiry is `factor` times as large. */
  rebase(underlying: number, factor: number): void {
    for (let slot = 0; slot < this.#slotByExpiry.size; slot += 1) {
      if (this.#expiryUnderlying[slot] === underlying) this.#expiryBasis[slot] *= factor;
    }
  }

  /** The volatility that an option is valued at may have changed. */
  revalue(instrument: number): void {
    this.#anchorReach[instrument] = -1;
  }

  /** Sets the value of a perpetual or future to its book's microprice. */
  onMicroprice(instrument: number, microprice: number, timeUs: number): void {
    this.fair[instrument] = microprice;
    this.forward[instrument] = microprice;
    this.sourceUs[instrument] = timeUs;
  }

  /**
   * Takes over an option's implied volatility and its expiry's forward.
   *
   * @param referencePrice price of the reference market now; NaN when there is none
   * @returns the relative change of the expiry's forward against what was assumed until now; 0 for the first one
   */
  onTicker(
    instrument: number,
    batch: EventBatch,
    row: number,
    referencePrice: number,
    timeUs: number,
  ): number {
    const at = row * TICKER_FIELDS;
    const values = batch.values;
    const slot = this.#expirySlot[instrument];
    if (slot < 0) return 0;
    const bidIv = values[at + TICKER.bidIv];
    const askIv = values[at + TICKER.askIv];
    const markIv = values[at + TICKER.markIv];
    const volatility = markIv > 0 ? markIv : bidIv > 0 && askIv > 0 ? 0.5 * (bidIv + askIv) : Number.NaN;
    if (volatility > 0) {
      if (volatility !== this.venueVolatility[instrument] && !this.#onSurface(instrument)) {
        this.#anchorReach[instrument] = -1;
        this.impliedVolatility[instrument] = volatility;
      }
      this.venueVolatility[instrument] = volatility;
      this.sourceUs[instrument] = timeUs;
    }
    const underlyingPrice = values[at + TICKER.underlyingPrice];
    const forward = underlyingPrice > 0 ? underlyingPrice : values[at + TICKER.indexPrice];
    if (!(forward > 0)) return 0;
    const assumed = this.#forwardOf(slot, referencePrice);
    this.#expiryForward[slot] = forward;
    if (referencePrice > 0) this.#averageBasis(slot, forward / referencePrice, timeUs);
    return assumed > 0 ? this.#forwardOf(slot, referencePrice) / assumed - 1 : 0;
  }

  /**
   * Brings an option's value up to date.
   *
   * @param referencePrice price of the reference market now; NaN when there is none
   * @returns false when it has no value: no volatility, no forward, or expired
   */
  evaluate(instrument: Instrument, referencePrice: number, exchangeTimeUs: number, timeUs: number): boolean {
    const id = instrument.id;
    const slot = this.#expirySlot[id];
    if (slot < 0) return this.fair[id] > 0;
    const forward = this.#forwardOf(slot, referencePrice);
    if (!(forward > 0)) return false;
    const move = forward - this.#anchorForward[id];
    let price: number;
    if (Math.abs(move) <= this.#anchorReach[id] && timeUs < this.#anchoredUntilUs[id]) {
      const gamma = this.gamma[id];
      const delta = this.#anchorDelta[id];
      price = Math.max(this.#anchorPrice[id] + move * (delta + 0.5 * gamma * move), 0);
      this.delta[id] = delta + gamma * move;
    } else {
      const years = yearsToExpiry(instrument.expiryMs, exchangeTimeUs);
      const volatility = this.#volatility(instrument, forward, timeUs);
      if (!(years > 0 && volatility > 0)) return false;
      this.impliedVolatility[id] = volatility;
      const value = this.#value;
      black76(value, instrument.optionType === "call", forward, instrument.strike, years, volatility);
      price = value.price;
      this.delta[id] = value.delta;
      this.gamma[id] = value.gamma;
      this.vega[id] = value.vega;
      this.#anchorForward[id] = forward;
      this.#anchorPrice[id] = price;
      this.#anchorDelta[id] = value.delta;
      this.#anchorReach[id] =
        forward *
        Math.min(EXPANSION_MOVE, EXPANSION_DEVIATIONS * volatility * Math.sqrt(years)) *
        (1 - ((1 - LEAST_REACH) * (id % STAGGERS)) / STAGGERS);
      this.#anchoredUntilUs[id] = timeUs + EXPANSION_AGE_US + EXPANSION_STAGGER_US * (id % STAGGERS);
    }
    this.forward[id] = forward;
    this.fair[id] = instrument.inverse ? price / forward : price;
    return true;
  }

  #volatility(option: Instrument, forward: number, timeUs: number): number {
    const surfaces = this.#surfaces;
    const venue = this.venueVolatility[option.id];
    if (surfaces === null) return venue;
    const volatility = surfaces.volatility(option.id, option.strike, forward, timeUs);
    return volatility > 0 ? volatility : venue;
  }

  /** The option was last valued at the surface's volatility, which a ticker does not change. */
  #onSurface(instrument: number): boolean {
    return (
      this.#surfaces !== null &&
      this.impliedVolatility[instrument] > 0 &&
      this.impliedVolatility[instrument] !== this.venueVolatility[instrument]
    );
  }

  #averageBasis(slot: number, basis: number, timeUs: number): void {
    const before = this.#expiryBasis[slot];
    const weight = 1 - Math.exp(-Math.max(timeUs - this.#expiryUs[slot], 0) / BASIS_TIME_US);
    const near = Math.abs(basis / before - 1) <= BASIS_JUMP;
    this.#expiryBasis[slot] = near ? before + weight * (basis - before) : basis;
    this.#expiryUs[slot] = timeUs;
  }

  /** A reference market that comes up after the last ticker starts the basis with what that ticker said. */
  #forwardOf(slot: number, referencePrice: number): number {
    const forward = this.#expiryForward[slot];
    if (!(referencePrice > 0)) return forward;
    const basis = this.#expiryBasis[slot];
    if (basis > 0) return referencePrice * basis;
    this.#expiryBasis[slot] = forward / referencePrice;
    return forward;
  }
}
