import type { Instrument } from "../market/instrument.ts";
import { ceilToGrid, floorToGrid, gridMultiple } from "./grid.ts";
import type { QuoteParameters } from "./parameters.ts";
import type { Adjustment } from "./policy.ts";
import { QuoteTerms } from "./spread.ts";

/** The full size in lots is recomputed when the price has moved by this much, so that it does not flicker with it. */
const SIZING_MOVE = 0.02;

/**
 * What one quote should be, before it is asked whether a change is worth sending. Prices are in ticks, rounded away from the
 * market onto the grid and never at or beyond the venue's best opposite price; sizes are in lots, rounded down, and not below the
 * venue's least size while any is to be quoted. One object is reused for every quote.
 */
export class QuoteTarget {
  /** Its `netDelta` is set by the caller, once per underlying. */
  readonly terms = new QuoteTerms();

  /** −1 and 0 where a side is not to be quoted. */
  bidTicks = -1;
  bidLots = 0;
  askTicks = -1;
  askLots = 0;
  /** The prices before they were rounded, the last prices that do not cross the market, the half-spreads, and the grid's steps. */
  rawBid = 0;
  rawAsk = 0;
  bidLimit = Number.POSITIVE_INFINITY;
  askLimit = Number.NEGATIVE_INFINITY;
  halfBid = 0;
  halfAsk = 0;
  bidStep = 1;
  askStep = 1;

  readonly #parameters: QuoteParameters;
  readonly #sizingPrice: Float64Array;

  constructor(capacity: number, parameters: QuoteParameters) {
    this.#parameters = parameters;
    this.#sizingPrice = new Float64Array(capacity).fill(Number.NaN);
  }

  /**
   * @param tick one tick in the price unit
   * @param fair in the price unit
   * @param forward price of the underlying, in quote currency
   * @param delta ∂ premium in quote currency / ∂ forward
   * @param vega quote currency for 1.00 of volatility
   * @param positionNotional position in the instrument in quote currency, signed
   */
  price(
    instrument: Instrument,
    adjustment: Adjustment,
    tick: number,
    fair: number,
    forward: number,
    delta: number,
    vega: number,
    positionNotional: number,
    bestBidTicks: number,
    bestAskTicks: number,
  ): void {
    const terms = this.terms;
    terms.option = instrument.kind === "option";
    terms.delta = delta;
    terms.vega = vega;
    terms.underlyingPrice = forward;
    terms.priceUnit = terms.option && instrument.inverse ? forward : 1;
    terms.tick = tick;
    terms.position = positionNotional / this.#parameters.positionNotional;
    terms.compute(adjustment, this.#parameters);

    const centre = (fair + terms.shift) / tick;
    this.halfBid = terms.halfBid / tick;
    this.halfAsk = terms.halfAsk / tick;
    this.bidLimit = bestAskTicks >= 0 ? floorToGrid(instrument, bestAskTicks - 1) : Number.POSITIVE_INFINITY;
    this.askLimit = bestBidTicks >= 0 ? ceilToGrid(instrument, bestBidTicks + 1) : Number.NEGATIVE_INFINITY;
    this.rawBid = Math.min(centre - this.halfBid, this.bidLimit);
    this.rawAsk = Math.max(centre + this.halfAsk, this.askLimit);
    this.bidTicks = floorToGrid(instrument, this.rawBid);
    this.askTicks = ceilToGrid(instrument, this.rawAsk);
    if (this.askTicks >= 0 && this.askTicks <= this.bidTicks) {
      this.askTicks = ceilToGrid(instrument, this.bidTicks + 1);
    }
    this.bidStep = this.bidTicks >= 0 ? gridMultiple(instrument, this.bidTicks) : 1;
    this.askStep = this.askTicks >= 0 ? gridMultiple(instrument, this.askTicks) : 1;
  }

  /**
   * Sizes both sides; after {@link price}.
   *
   * @param lotFixed @param lotPerPrice see `LotNotional`
   */
  size(instrument: Instrument, adjustment: Adjustment, lotFixed: number, lotPerPrice: number): void {
    const terms = this.terms;
    const full = this.#fullLots(instrument, terms.underlyingPrice, lotFixed, lotPerPrice);
    const longBid = terms.delta >= 0;
    const room = 1 - Math.min(Math.abs(terms.position), 1);
    const bidFactor =
      (longBid ? adjustment.sizeLong : adjustment.sizeShort) * (terms.position > 0 ? room : 1);
    const askFactor =
      (longBid ? adjustment.sizeShort : adjustment.sizeLong) * (terms.position < 0 ? room : 1);
    this.bidLots = this.bidTicks >= 0 ? scaledLots(instrument, full, bidFactor) : 0;
    this.askLots = this.askTicks >= 0 ? scaledLots(instrument, full, askFactor) : 0;
  }

  #fullLots(instrument: Instrument, price: number, lotFixed: number, lotPerPrice: number): number {
    const id = instrument.id;
    if (!(Math.abs(price / this.#sizingPrice[id] - 1) <= SIZING_MOVE)) this.#sizingPrice[id] = price;
    const parameters = this.#parameters;
    const notional = instrument.kind === "option" ? parameters.optionNotional : parameters.deltaOneNotional;
    const perLot = lotFixed + lotPerPrice * this.#sizingPrice[id];
    return Math.max(Math.floor(notional / perLot), instrument.minSizeLots);
  }
}

function scaledLots(instrument: Instrument, full: number, factor: number): number {
  if (factor <= 0) return 0;
  return Math.max(Math.floor(full * factor + 1e-9), instrument.minSizeLots);
}
