import type { Instrument } from "../market/instrument.ts";
import { ceilToGrid, floorToGrid, gridMultiple } from "./grid.ts";
import type { Inventory } from "./inventory.ts";
import type { QuoteParameters } from "./parameters.ts";
import type { Adjustment } from "./policy.ts";
import { QuoteTerms } from "./spread.ts";
import { TERM } from "./term.ts";

/** The full size in lots is recomputed when the price has moved by this much, so that it does not flicker with it. */
const SIZING_MOVE = 0.02;

/** Which sides of an instrument are quoted: the values of `KEEL_QUOTE_SIDES`. */
export const SIDES = { both: 0, bid: 1, ask: 2, reducing: 3 } as const;

/**
 * What the quote of one level should be, before it is asked whether a change is worth sending. Prices are in ticks, rounded away
 * from the market onto the grid and never at or beyond the venue's best opposite price; sizes are in lots, rounded down, and not
 * below the venue's least size while any is to be quoted. One object is reused for every quote.
 */
export class QuoteTarget {
  /** Its net Greeks are set by the caller, once per underlying. */
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
  /** Distance of the level behind the first, in ticks. */
  behindBid = 0;
  behindAsk = 0;
  /** The position or the room for Greeks has cut a side. */
  confined = false;

  readonly #parameters: QuoteParameters;
  readonly #sizingPrice: Float64Array;
  #bidFull = 0;
  #askFull = 0;
  #predictedBid = 1;
  #predictedAsk = 1;
  #bidFactor = 1;
  #askFactor = 1;
  /** Lots that may still be offered on this level and those behind it. */
  #bidRoom = 0;
  #askRoom = 0;
  /** Lots of this level without the bounds of position and Greeks. */
  #bidFree = 0;
  #askFree = 0;

  constructor(capacity: number, parameters: QuoteParameters) {
    this.#parameters = parameters;
    this.#sizingPrice = new Float64Array(capacity).fill(Number.NaN);
  }

  /**
   * @param tick one tick in the price unit
   * @param fair in the price unit
   * @param forward price of the underlying, in quote currency
   * @param delta ∂ premium in quote currency / ∂ forward
   * @param gamma ∂ delta / ∂ forward
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
    gamma: number,
    vega: number,
    positionNotional: number,
    bestBidTicks: number,
    bestAskTicks: number,
  ): void {
    const terms = this.terms;
    terms.option = instrument.kind === "option";
    terms.delta = delta;
    terms.gamma = gamma;
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
   * Sizes both sides of the first level; after {@link price}.
   *
   * @param inventory with the Greeks of the underlying summed
   * @param sides one of {@link SIDES}
   */
  size(instrument: Instrument, adjustment: Adjustment, inventory: Inventory, sides: number): void {
    const { terms } = this;
    const id = instrument.id;
    const { lotFixed, lotPerPrice, positionLots } = inventory;
    const full = this.#fullLots(instrument, terms.underlyingPrice, lotFixed[id], lotPerPrice[id]);
    const longBid = terms.delta >= 0;
    const room = 1 - Math.min(Math.abs(terms.position), 1);
    this.#predictedBid = longBid ? adjustment.sizeLong : adjustment.sizeShort;
    this.#predictedAsk = longBid ? adjustment.sizeShort : adjustment.sizeLong;
    this.#bidFactor = this.#predictedBid * (terms.position > 0 ? room : 1);
    this.#askFactor = this.#predictedAsk * (terms.position < 0 ? room : 1);
    this.#bidFull = full;
    this.#askFull = full;
    this.#bidRoom = sides === SIDES.ask ? 0 : this.#roomLots(instrument, inventory, 1);
    this.#askRoom = sides === SIDES.bid ? 0 : this.#roomLots(instrument, inventory, -1);
    if (sides === SIDES.reducing) {
      this.#bidRoom = Math.min(this.#bidRoom, Math.max(-positionLots[id], 0));
      this.#askRoom = Math.min(this.#askRoom, Math.max(positionLots[id], 0));
    }
    this.behindBid = 0;
    this.behindAsk = 0;
    this.confined = false;
    this.#sizeLevel(instrument);
  }

  /**
   * Goes on to the next level, behind what is to stand on this one.
   *
   * @param bidTicks @param askTicks −1 where nothing is to stand; then nothing stands behind it either
   */
  nextLevel(instrument: Instrument, bidTicks: number, askTicks: number): void {
    const { levelStep, levelSize } = this.#parameters;
    const bidGap = levelStep * this.halfBid;
    const askGap = levelStep * this.halfAsk;
    this.behindBid += bidGap;
    this.behindAsk += askGap;
    this.bidLimit = bidTicks > 1 ? floorToGrid(instrument, bidTicks - 1) : -1;
    this.askLimit = askTicks >= 0 ? ceilToGrid(instrument, askTicks + 1) : -1;
    this.rawBid = Math.min(this.rawBid - bidGap, this.bidLimit);
    this.rawAsk = Math.max(this.rawAsk + askGap, this.askLimit);
    this.bidTicks = this.bidLimit < 0 ? -1 : floorToGrid(instrument, this.rawBid);
    this.askTicks = this.askLimit < 0 ? -1 : ceilToGrid(instrument, this.rawAsk);
    this.bidStep = this.bidTicks >= 0 ? gridMultiple(instrument, this.bidTicks) : 1;
    this.askStep = this.askTicks >= 0 ? gridMultiple(instrument, this.askTicks) : 1;
    this.#bidRoom -= this.bidLots;
    this.#askRoom -= this.askLots;
    this.#bidFull *= levelSize;
    this.#askFull *= levelSize;
    this.#sizeLevel(instrument);
  }

  /** Writes the columns of `TERM` of this level. */
  write(out: Float32Array, at: number, impliedVolatility: number): void {
    const { terms } = this;
    terms.write(out, at);
    out[at + TERM.impliedVolatility] = terms.option ? impliedVolatility : 0;
    out[at + TERM.levelBid] = this.behindBid * terms.tick;
    out[at + TERM.levelAsk] = this.behindAsk * terms.tick;
    out[at + TERM.predictedBid] = this.#predictedBid;
    out[at + TERM.predictedAsk] = this.#predictedAsk;
    out[at + TERM.roomBid] = this.bidTicks >= 0 && this.#bidFree > 0 ? this.bidLots / this.#bidFree : 0;
    out[at + TERM.roomAsk] = this.askTicks >= 0 && this.#askFree > 0 ? this.askLots / this.#askFree : 0;
  }

  #sizeLevel(instrument: Instrument): void {
    this.#bidFree = scaledLots(instrument, this.#bidFull, this.#predictedBid);
    this.#askFree = scaledLots(instrument, this.#askFull, this.#predictedAsk);
    const bid = scaledLots(instrument, this.#bidFull, this.#bidFactor);
    const ask = scaledLots(instrument, this.#askFull, this.#askFactor);
    this.bidLots = this.bidTicks >= 0 ? confine(instrument, bid, this.#bidRoom) : 0;
    this.askLots = this.askTicks >= 0 ? confine(instrument, ask, this.#askRoom) : 0;
    if (this.bidLots < bid || this.askLots < ask) this.confined = true;
  }

  /** Lots that a side may take in all: what is left to a full position, and the share of what is left to full net Greeks. */
  #roomLots(instrument: Instrument, inventory: Inventory, sign: number): number {
    const { terms } = this;
    const parameters = this.#parameters;
    const id = instrument.id;
    const price = terms.underlyingPrice;
    const perLot = inventory.notionalPerLot(id, price);
    const delta = roomFor(
      sign * inventory.deltaPerLot(id, terms.delta, price),
      inventory.netDelta,
      parameters.deltaNotional,
    );
    let greeks = delta;
    if (terms.option) {
      const gamma = sign * inventory.gammaPerLot(id, terms.gamma, price);
      const vega = sign * inventory.vegaPerLot(id, terms.vega);
      greeks = Math.min(
        delta,
        roomFor(gamma, inventory.netGamma, parameters.gammaNotional),
        roomFor(vega, inventory.netVega, parameters.vegaPoint),
      );
    }
    const position = (parameters.positionNotional * (1 - sign * terms.position)) / perLot;
    return Math.min(position, parameters.greekRoomShare * greeks);
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

/** @returns what room leaves of a size, 0 when that is below the venue's least size */
function confine(instrument: Instrument, lots: number, room: number): number {
  if (lots <= room) return lots;
  const left = Math.floor(room + 1e-9);
  return left >= Math.max(instrument.minSizeLots, 1) ? left : 0;
}

/** Lots until the net amount is full. @param perLot signed, what a lot adds to the net amount */
function roomFor(perLot: number, net: number, full: number): number {
  if (perLot === 0) return Number.POSITIVE_INFINITY;
  const left = perLot > 0 ? full - net : full + net;
  return left > 0 ? left / Math.abs(perLot) : 0;
}
