import { stepToNumber } from "../core/decimal.ts";
import { ceilToGrid, floorToGrid } from "../quote/grid.ts";
import type { RfqMarket } from "./market.ts";
import type { RfqTerms } from "./message.ts";
import type { RfqParameters } from "./parameters.ts";
import type { Structure } from "./structure.ts";

/** However much of the depth is predicted to go, the impact grows no further. */
const LEAST_DEPTH = 0.1;

/** A structure's price for one counterparty. */
export interface StructurePrice {
  readonly terms: RfqTerms;
  /** Whole steps of the structure's grid; NaN where the side has no price. */
  readonly bidSteps: number;
  readonly askSteps: number;
  /** Half-spreads, the tier's factor included, in the price unit. */
  readonly halfBid: number;
  readonly halfAsk: number;
  /** Sums of the legs' |size| as notional of the underlying, quote currency. */
  readonly notional: number;
}

/** What a counterparty's tier does to the half-spread. */
export interface TierTerms {
  readonly tier: number;
  readonly factor: number;
}

/**
 * Prices a structure:
 * bid = fair + skew − half, offer = fair + skew + half, where
 *
 * half = tier × (base + |Δ|·E[adverse move] + ν·E[volatility jump] + |Δ|·impact).
 *
 * Δ and ν are the structure's net Greeks; of what legs offset in each other `legShare` is charged all the same. The base is the
 * quoter's, from the same parameters; the adverse move and volatility jump are those of the prediction in force. The impact of
 * hedging Δ follows the square-root law (Almgren and others, "Direct estimation of equity market impact", 2005), over the depth
 * that is predicted to stay. The skew counts positions with half of the RFQ's own Greeks added, the average over the trade.
 *
 * @param tiedSteps price of the tied leg in its ticks; NaN where there is none
 * @returns null where a leg has no value
 */
export function priceStructure(
  structure: Structure,
  tiedSteps: number,
  market: RfqMarket,
  parameters: RfqParameters,
  tier: TierTerms,
): StructurePrice | null {
  const { values, parameters: quote } = market;
  const { priced, tied, underlying, units } = structure;
  const lead = priced[0].instrument;
  const forward = values.forward[lead.id];
  const option = lead.kind === "option";
  const priceUnit = option && lead.inverse ? forward : 1;
  const coins = lead.inverse && !option ? lead.contractSize / forward : lead.contractSize;
  let fair = 0;
  let delta = 0;
  let vega = 0;
  let grossDelta = 0;
  let grossVega = 0;
  let notional = 0;
  for (const { instrument, ratio } of priced) {
    const { id } = instrument;
    fair += ratio * values.fair[id];
    delta += ratio * values.delta[id];
    vega += ratio * values.vega[id];
    grossDelta += Math.abs(ratio * values.delta[id]);
    grossVega += Math.abs(ratio * values.vega[id]);
    notional += Math.abs(ratio) * units * coins * forward;
  }
  if (tied !== null) {
    const { instrument, ratio } = tied;
    const now = values.fair[instrument.id];
    const tiedCoins = (ratio * instrument.contractSize) / (instrument.inverse ? now : 1);
    const bought = tiedSteps * stepToNumber(instrument.tick);
    fair += (tiedCoins * (now - bought)) / (coins * priceUnit);
    delta += tiedCoins / coins;
    grossDelta += Math.abs(tiedCoins / coins);
    notional += Math.abs(tiedCoins) * units * now;
  }
  if (!Number.isFinite(fair + delta + vega + forward) || !(forward > 0)) return null;

  const adjustment = market.adjustment(underlying);
  const bp = (1e-4 * forward) / priceUnit;
  const point = 0.01 / priceUnit;
  const netDelta = Math.abs(delta);
  const chargedDelta = netDelta + parameters.legShare * (grossDelta - netDelta);
  const chargedVega = Math.abs(vega) + parameters.legShare * (grossVega - Math.abs(vega));
  const spread = option
    ? chargedDelta * bp * quote.optionHalfSpreadBp + chargedVega * point * quote.optionHalfSpreadVol
    : chargedDelta * bp * quote.deltaOneHalfSpreadBp;
  const base = Math.max(spread, quote.minHalfSpreadTicks * stepToNumber(structure.grid));
  const volatility = chargedVega * point * adjustment.volatilityPoints;
  const longBid = delta >= 0;
  const moveLong = netDelta * bp * adjustment.widenLongBp;
  const moveShort = netDelta * bp * adjustment.widenShortBp;
  const hedge = netDelta * forward * coins * units;
  const impact = (depth: number): number =>
    netDelta *
    bp *
    parameters.impactBp *
    Math.sqrt(hedge / (parameters.impactNotional * Math.max(depth, LEAST_DEPTH)));
  const impactLong = impact(adjustment.sizeLong);
  const impactShort = impact(adjustment.sizeShort);
  const moveBid = longBid ? moveLong : moveShort;
  const moveAsk = longBid ? moveShort : moveLong;
  const impactBid = longBid ? impactLong : impactShort;
  const impactAsk = longBid ? impactShort : impactLong;

  const ownDelta = 0.5 * delta * forward * coins * units;
  const ownVega = 0.5 * vega * 0.01 * coins * units;
  const heldDelta = market.netDelta(underlying);
  const heldVega = market.netVega(underlying);
  const skew = (sign: number): number =>
    -bp *
      delta *
      parameters.inventorySkewBp *
      unit((heldDelta + sign * ownDelta) / parameters.inventoryNotional) -
    point * vega * parameters.inventorySkewVol * unit((heldVega + sign * ownVega) / parameters.inventoryVega);
  const inventoryBid = skew(1);
  const inventoryAsk = skew(-1);
  const halfBid = tier.factor * (base + moveBid + volatility + impactBid);
  const halfAsk = tier.factor * (base + moveAsk + volatility + impactAsk);
  return {
    terms: {
      fair,
      delta,
      vega,
      base,
      moveBid,
      moveAsk,
      volatility,
      impactBid,
      impactAsk,
      inventoryBid,
      inventoryAsk,
      tier: tier.tier,
      tierFactor: tier.factor,
      reasons: adjustment.reasons,
    },
    bidSteps: steps(structure, fair + inventoryBid - halfBid, "bid"),
    askSteps: steps(structure, fair + inventoryAsk + halfAsk, "ask"),
    halfBid,
    halfAsk,
    notional,
  };
}

/** Rounds away from the market. A price that no leg could have, at or below nothing for what is bought only, is none. */
export function steps({ priced, grid, multiple }: Structure, price: number, side: "bid" | "ask"): number {
  const inSteps = price / stepToNumber(grid);
  const [first] = priced;
  if (priced.length === 1 && first.ratio === 1) {
    const ticks =
      side === "bid" ? floorToGrid(first.instrument, inSteps) : ceilToGrid(first.instrument, inSteps);
    return ticks > 0 ? ticks : Number.NaN;
  }
  const inMultiples = inSteps / multiple;
  const rounded =
    multiple * (side === "bid" ? Math.floor(inMultiples + 1e-9) : Math.ceil(inMultiples - 1e-9));
  const bought = priced.every(({ ratio }) => ratio > 0);
  const sold = priced.every(({ ratio }) => ratio < 0);
  if ((bought && rounded <= 0) || (sold && rounded >= 0)) return Number.NaN;
  // Not −0, which would be written with its sign.
  return rounded + 0;
}

function unit(value: number): number {
  return Math.max(-1, Math.min(value, 1));
}
