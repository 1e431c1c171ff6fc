import type { QuoteParameters } from "./parameters.ts";
import type { Adjustment } from "./policy.ts";
import { TERM } from "./term.ts";

/**
 * The terms of one quote. The fields of the first group are set by the caller; {@link QuoteTerms.compute} writes the others, in
 * the instrument's price unit. One object is reused for every quote.
 *
 * bid = fair + shift − halfBid, ask = fair + shift + halfAsk, where each half-spread is
 * base + |delta|·E[adverse move] + vega·E[volatility jump] + counterparty, and the shift is the inventory's: against the net
 * delta, gamma and vega of the underlying and the position in the instrument itself.
 */
export class QuoteTerms {
  option = false;
  /** ∂ premium in quote currency / ∂ forward. */
  delta = 0;
  /** ∂ delta / ∂ forward. */
  gamma = 0;
  /** Quote currency for 1.00 of volatility. */
  vega = 0;
  /** Price of the underlying in quote currency: what bp are taken of. */
  underlyingPrice = 0;
  /** Quote currency in one price unit: 1, or the forward where premiums are in coin. */
  priceUnit = 1;
  /** One tick in the price unit. */
  tick = 0;
  /** Net Greeks of the underlying and position in the instrument over their full amounts, cut to [−1, 1] when used. */
  netDelta = 0;
  netGamma = 0;
  netVega = 0;
  position = 0;

  base = 0;
  counterparty = 0;
  volatility = 0;
  moveBid = 0;
  moveAsk = 0;
  skewGamma = 0;
  skewVega = 0;
  shift = 0;
  halfBid = 0;
  halfAsk = 0;
  #bp = 0;
  #skewBp = 0;

  compute(adjustment: Adjustment, parameters: QuoteParameters): void {
    const absDelta = Math.abs(this.delta);
    const vegaPoint = (0.01 * this.vega) / this.priceUnit;
    const bp = (1e-4 * this.underlyingPrice) / this.priceUnit;
    const deltaBp = absDelta * bp;
    const base = this.option
      ? deltaBp * parameters.optionHalfSpreadBp + vegaPoint * parameters.optionHalfSpreadVol
      : deltaBp * parameters.deltaOneHalfSpreadBp;
    const longBid = this.delta >= 0;
    this.base = Math.max(base, parameters.minHalfSpreadTicks * this.tick);
    this.counterparty = deltaBp * parameters.counterpartyBp;
    this.volatility = vegaPoint * adjustment.volatilityPoints;
    this.moveBid = deltaBp * (longBid ? adjustment.widenLongBp : adjustment.widenShortBp);
    this.moveAsk = deltaBp * (longBid ? adjustment.widenShortBp : adjustment.widenLongBp);
    const move = parameters.gammaSkewMove * this.underlyingPrice;
    this.skewGamma = -((0.5 * this.gamma * move * move) / this.priceUnit) * clampUnit(this.netGamma);
    this.skewVega = -vegaPoint * parameters.vegaSkewVol * clampUnit(this.netVega);
    this.#bp = bp;
    this.#skewBp = this.delta * parameters.inventorySkewBp * clampUnit(this.netDelta);
    this.shift =
      -bp * (this.#skewBp + absDelta * parameters.positionSkewBp * clampUnit(this.position)) +
      (this.skewGamma + this.skewVega);
    const common = this.base + this.counterparty + this.volatility;
    this.halfBid = common + this.moveBid;
    this.halfAsk = common + this.moveAsk;
  }

  /** The part of the shift that stands against the underlying's net delta. */
  get skewDelta(): number {
    return -this.#bp * this.#skewBp;
  }

  /** The part of the shift that stands against the position in the instrument. */
  get skewPosition(): number {
    return this.shift - this.skewDelta - (this.skewGamma + this.skewVega);
  }

  /** Writes the columns of {@link TERM} that are known here; sizes and levels are the target's. */
  write(out: Float32Array, at: number): void {
    out[at + TERM.forward] = this.underlyingPrice;
    out[at + TERM.delta] = this.delta;
    out[at + TERM.gamma] = this.gamma;
    out[at + TERM.vega] = this.vega;
    out[at + TERM.base] = this.base;
    out[at + TERM.counterparty] = this.counterparty;
    out[at + TERM.volatilityJump] = this.volatility;
    out[at + TERM.moveBid] = this.moveBid;
    out[at + TERM.moveAsk] = this.moveAsk;
    out[at + TERM.skewDelta] = this.skewDelta;
    out[at + TERM.skewGamma] = this.skewGamma;
    out[at + TERM.skewVega] = this.skewVega;
    out[at + TERM.skewPosition] = this.skewPosition;
  }
}

function clampUnit(value: number): number {
  return Math.max(-1, Math.min(value, 1));
}
