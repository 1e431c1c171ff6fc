import type { QuoteParameters } from "./parameters.ts";
import type { Adjustment } from "./policy.ts";

/**
 * The terms of one quote. The fields of the first group are set by the caller; {@link QuoteTerms.compute} writes the others, in
 * the instrument's price unit. One object is reused for every quote.
 *
 * bid = fair + shift − halfBid, ask = fair + shift + halfAsk, where each half-spread is
 * base + |delta|·E[adverse move] + vega·E[volatility jump] + counterparty, and the shift is the inventory's.
 */
export class QuoteTerms {
  option = false;
  /** ∂ premium in quote currency / ∂ forward. */
  delta = 0;
  /** Quote currency for 1.00 of volatility. */
  vega = 0;
  /** Price of the underlying in quote currency: what bp are taken of. */
  underlyingPrice = 0;
  /** Quote currency in one price unit: 1, or the forward where premiums are in coin. */
  priceUnit = 1;
  /** One tick in the price unit. */
  tick = 0;
  /** Net delta of the underlying and position in the instrument over their full amounts, cut to [−1, 1] when used. */
  netDelta = 0;
  position = 0;

  base = 0;
  counterparty = 0;
  volatility = 0;
  moveBid = 0;
  moveAsk = 0;
  shift = 0;
  halfBid = 0;
  halfAsk = 0;

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
    this.shift =
      -bp *
      (this.delta * parameters.inventorySkewBp * clampUnit(this.netDelta) +
        absDelta * parameters.positionSkewBp * clampUnit(this.position));
    const common = this.base + this.counterparty + this.volatility;
    this.halfBid = common + this.moveBid;
    this.halfAsk = common + this.moveAsk;
  }
}

function clampUnit(value: number): number {
  return Math.max(-1, Math.min(value, 1));
}
