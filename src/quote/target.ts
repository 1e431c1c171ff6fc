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
export type SidesName = keyof typeof SIDES;

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
  #sides: number = SIDES.both;
  /** What is left of a full net delta, gamma and vega in the direction in which less is left. */
  readonly #leastLeft = { delta: 0, gamma: 0, vega: 0 };
  /** Lots of each side on the levels before this one. */
  #bidAhead = 0;
  #askAhead = 0;

  constructor(capacity: number, parameters: QuoteParameters) {
    this.#parameters = parameters;
    this.#sizingPrice = new Float64Array(capacity).fill(Number.NaN);
  }

  /** Takes over the net Greeks of the underlying whose instruments are priced next. */
  setNetGreeks({ netDelta, netGamma, netVega }: Inventory): void {
    const { deltaNotional, gammaNotional, vegaPoint } = this.#parameters;
    this.terms.netDelta = netDelta / deltaNotional;
    this.terms.netGamma = netGamma / gammaNotional;
    this.terms.netVega = netVega / vegaPoint;
    this.#leastLeft.delta = deltaNotional - Math.abs(netDelta);
    this.#leastLeft.gamma = gammaNotional - Math.abs(netGamma);
    this.#leastLeft.vega = vegaPoint - Math.abs(netVega);
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
    const { lotFixed, lotPerPrice } = inventory;
    const full = this.#fullLots(instrument, terms.underlyingPrice, lotFixed[id], lotPerPrice[id]);
    const longBid = terms.delta >= 0;
    const room = 1 - Math.min(Math.abs(terms.position), 1);
    this.#predictedBid = longBid ? adjustment.sizeLong : adjustment.sizeShort;
    this.#predictedAsk = longBid ? adjustment.sizeShort : adjustment.sizeLong;
    this.#bidFactor = this.#predictedBid * (terms.position > 0 ? room : 1);
    this.#askFactor = this.#predictedAsk * (terms.position < 0 ? room : 1);
    this.#bidFull = full;
    this.#askFull = full;
    this.#bidAhead = 0;
    this.#askAhead = 0;
    this.#sides = sides;
    this.behindBid = 0;
    this.behindAsk = 0;
    this.confined = false;
    this.#sizeLevel(instrument, inventory);
  }

  /**
   * Goes on to the next level, behind what is to stand on this one.
   *
   * @param bidTicks @param askTicks −1 where nothing is to stand; then nothing stands behind it either
   */
  nextLevel(instrument: Instrument, inventory: Inventory, bidTicks: number, askTicks: number): void {
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
    this.#bidAhead += this.bidLots;
    this.#askAhead += this.askLots;
    this.#bidFull *= levelSize;
    this.#askFull *= levelSize;
    this.#sizeLevel(instrument, inventory);
  }

  /** Writes the columns of `TERM` of this level. */
  write(out: Float32Array, at: number, instrument: Instrument, impliedVolatility: number): void {
    const { terms } = this;
    terms.write(out, at);
    out[at + TERM.impliedVolatility] = terms.option ? impliedVolatility : 0;
    out[at + TERM.levelBid] = this.behindBid * terms.tick;
    out[at + TERM.levelAsk] = this.behindAsk * terms.tick;
    out[at + TERM.predictedBid] = this.#predictedBid;
    out[at + TERM.predictedAsk] = this.#predictedAsk;
    const bidFree = scaledLots(instrument, this.#bidFull, this.#predictedBid);
    const askFree = scaledLots(instrument, this.#askFull, this.#predictedAsk);
    out[at + TERM.roomBid] = bidFree > 0 ? this.bidLots / bidFree : 0;
    out[at + TERM.roomAsk] = askFree > 0 ? this.askLots / askFree : 0;
  }

  #sizeLevel(instrument: Instrument, inventory: Inventory): void {
    const bid = this.bidTicks >= 0 ? scaledLots(instrument, this.#bidFull, this.#bidFactor) : 0;
    const ask = this.askTicks >= 0 ? scaledLots(instrument, this.#askFull, this.#askFactor) : 0;
    const most = Math.max(bid + this.#bidAhead, ask + this.#askAhead);
    if (this.#sides === SIDES.both && this.#fits(instrument.id, inventory, most)) {
      this.bidLots = bid;
      this.askLots = ask;
      return;
    }
    this.bidLots = this.#confine(instrument, inventory, 1, bid, this.#bidAhead);
    this.askLots = this.#confine(instrument, inventory, -1, ask, this.#askAhead);
  }

  /** So many lots more, on either side, surely leave position and net Greeks within their share. */
  #fits(id: number, inventory: Inventory, lots: number): boolean {
    const { terms } = this;
    const { greekRoomShare, positionNotional } = this.#parameters;
    const notional = lots * inventory.notionalPerLot(id, terms.underlyingPrice);
    if (!(notional <= positionNotional * (1 - Math.abs(terms.position)))) return false;
    if (!(notional * Math.abs(terms.delta) <= greekRoomShare * this.#leastLeft.delta)) return false;
    if (!terms.option) return true;
    const units = 0.01 * lots * inventory.lotPerPrice[id];
    const price = terms.underlyingPrice;
    return (
      units * price * price * terms.gamma <= greekRoomShare * this.#leastLeft.gamma &&
      units * terms.vega <= greekRoomShare * this.#leastLeft.vega
    );
  }

  /**
   * Cuts the size of a side to what is left to a full position, and to the share of what is left to full net Greeks, that one
   * instrument may take; also to the position where only that may be reduced.
   *
   * @param ahead lots of the side on the levels before this one
   * @returns 0 when what is left is below the venue's least size
   */
  #confine(instrument: Instrument, inventory: Inventory, sign: number, lots: number, ahead: number): number {
    const { terms } = this;
    const parameters = this.#parameters;
    const id = instrument.id;
    const forward = terms.underlyingPrice;
    const share = parameters.greekRoomShare;
    const notional = inventory.notionalPerLot(id, forward);
    const delta = sign * notional * terms.delta;
    const deltaLeft = share * leftTo(delta, inventory.netDelta, parameters.deltaNotional);
    const positionLeft = parameters.positionNotional * (1 - sign * terms.position);
    let gamma = 0;
    let gammaLeft = 0;
    let vega = 0;
    let vegaLeft = 0;
    if (terms.option) {
      gamma = sign * inventory.gammaPerLot(id, terms.gamma, forward);
      vega = sign * inventory.vegaPerLot(id, terms.vega);
      gammaLeft = share * leftTo(gamma, inventory.netGamma, parameters.gammaNotional);
      vegaLeft = share * leftTo(vega, inventory.netVega, parameters.vegaPoint);
    }
    if (lots === 0) return 0;
    const most = Math.min(
      positionLeft / notional,
      roomFor(delta, deltaLeft),
      roomFor(gamma, gammaLeft),
      roomFor(vega, vegaLeft),
      this.#allowed(sign, inventory.positionLots[id]),
    );
    const left = Math.floor(most - ahead + 1e-9);
    if (left >= lots) return lots;
    this.confined = true;
    return left >= Math.max(instrument.minSizeLots, 1) ? left : 0;
  }

  /** Lots of a side that the instrument's {@link SIDES} allow. */
  #allowed(sign: number, positionLots: number): number {
    switch (this.#sides) {
      case SIDES.both:
        return Number.POSITIVE_INFINITY;
      case SIDES.reducing:
        return Math.max(-sign * positionLots, 0);
      default:
        return (this.#sides === SIDES.bid) === sign > 0 ? Number.POSITIVE_INFINITY : 0;
    }
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

/** What is left to a full net amount for a side that moves it in the direction of its sign; 0 beyond it. */
function leftTo(perLot: number, net: number, full: number): number {
  return Math.max(perLot >= 0 ? full - net : full + net, 0);
}

function roomFor(perLot: number, left: number): number {
  return perLot === 0 ? Number.POSITIVE_INFINITY : left / Math.abs(perLot);
}
