import type { Instrument } from "../market/instrument.ts";
import { type GateState, PASSED } from "./gate-state.ts";
import type { OrderIntent, StructureLeg, StructureQuote } from "./order.ts";
import { LIMIT } from "./refusal.ts";
import { GREEK, GREEKS } from "./valuation.ts";

/**
 * @returns the number of the limit that an order breaks, or {@link PASSED}. Nothing is cut: an order passes as it is or not at all.
 */
export function orderLimit(state: GateState, order: OrderIntent, timeUs: number): number {
  const id = order.instrument;
  const instrument = state.instruments[id];
  if (instrument === undefined) return LIMIT.unknownInstrument;
  if (!(order.orderId > state.orders.lastOrderId)) return LIMIT.duplicate;
  const closed = state.closed(id, timeUs);
  // A hedge of what a burst of fills left is what protection calls for.
  if (closed !== PASSED && !(closed === LIMIT.protection && order.hedge)) return closed;
  if (state.orders.unknownIn(id)) return LIMIT.unknownOutcome;
  if (!wellFormed(order)) return LIMIT.malformed;
  const { limits, positions, standing } = state;
  const { side, priceTicks, sizeLots, fair, delta } = order;
  const sign = side === 0 ? 1 : -1;
  const collar = state.collar(instrument, side, priceTicks, fair, delta, 0, timeUs);
  if (collar !== PASSED) return collar;
  const ownTicks = side === 0 ? standing.askTicks[id] : standing.bidTicks[id];
  if (ownTicks >= 0 && sign * (priceTicks - ownTicks) >= 0) return LIMIT.selfCross;
  if (sign * (priceTicks - state.orders.bestTicks(id, 1 - side)) >= 0) return LIMIT.selfCross;
  const price = state.price[state.underlyingOf[id]];
  const perLot = positions.notionalPerLot(id, price);
  if (!(sizeLots * perLot <= limits.maxOrderNotional)) return LIMIT.orderNotional;
  if (!(sizeLots * perLot <= limits.maxQuoteSize * price)) return LIMIT.quoteSize;
  state.ensureValued(instrument, timeUs);
  const broken = tradeLimit(state, instrument, sign * sizeLots, delta, order.hedge);
  if (broken !== PASSED) return broken;
  if (state.orders.count >= limits.maxOpenOrders) return LIMIT.openOrders;
  return state.orderRate.take(timeUs) ? PASSED : LIMIT.orderRate;
}

/** @returns the limit that one side of an answer to a request breaks, or {@link PASSED}. @param side 0 = our bid */
export function structureLimit(
  state: GateState,
  quote: StructureQuote,
  side: 0 | 1,
  price: number,
  timeUs: number,
): number {
  const sign = side === 0 ? 1 : -1;
  let fair = 0;
  let reach = 0;
  let notional = 0;
  for (const leg of quote.legs) {
    const instrument = state.instruments[leg.instrument];
    if (instrument === undefined) return LIMIT.unknownInstrument;
    const closed = state.closed(leg.instrument, timeUs);
    if (closed !== PASSED) return closed;
    if (!soundLeg(leg)) return LIMIT.malformed;
    const size = Math.abs(leg.ratio);
    fair += leg.ratio * leg.fair;
    reach += size * state.reach(instrument, leg.delta, leg.vega);
    reach += size * state.limits.collarFairTicks * state.tick[leg.instrument];
    const underlyingPrice = state.price[state.underlyingOf[leg.instrument]];
    notional += size * quote.lots * state.positions.notionalPerLot(leg.instrument, underlyingPrice);
  }
  if (!Number.isFinite(price) || !(quote.lots > 0) || !Number.isSafeInteger(quote.lots))
    return LIMIT.malformed;
  if (!(sign * (price - fair) <= reach)) return LIMIT.collarFair;
  if (!(notional <= state.limits.maxStructureNotional)) return LIMIT.structureNotional;
  return structureExposure(state, quote, sign, timeUs);
}

/** The legs one by one on top of the positions, and their Greeks together: a leg that another one hedges is not held against it. */
function structureExposure(state: GateState, quote: StructureQuote, sign: number, timeUs: number): number {
  const { positions, limits } = state;
  let stress = 0;
  const sums = new Float64Array(GREEKS);
  let underlying = -1;
  for (const leg of quote.legs) {
    const instrument = state.instruments[leg.instrument];
    if (instrument === undefined) return LIMIT.unknownInstrument;
    if (underlying >= 0 && state.underlyingOf[leg.instrument] !== underlying) return LIMIT.malformed;
    underlying = state.underlyingOf[leg.instrument];
    state.ensureValued(instrument, timeUs);
    const lots = sign * leg.ratio * quote.lots;
    const broken = positionLimit(state, instrument, lots);
    if (broken !== PASSED) return broken;
    const { valuation } = positions;
    const id = leg.instrument;
    const coins = lots * valuation.coins[id];
    sums[GREEK.delta] += lots * positions.notionalPerLot(id, state.price[underlying]) * leg.delta;
    sums[GREEK.gamma] += coins * valuation.gamma[id];
    sums[GREEK.vega] += coins * valuation.vega[id];
    sums[GREEK.theta] += coins * valuation.theta[id];
    stress += Math.abs(lots) * (lots > 0 ? valuation.worstLong[id] : valuation.worstShort[id]);
  }
  const greeks = state.greekLimit(underlying, sums);
  if (greeks !== PASSED) return greeks;
  if (!(positions.worstLoss[underlying] + stress <= limits.maxStressLoss)) return LIMIT.stress;
  return positions.totalWorstLoss + stress <= limits.maxTotalStressLoss ? PASSED : LIMIT.stressTotal;
}

/** Position, expiry, gross, Greeks and stress for lots in one instrument. */
function tradeLimit(
  state: GateState,
  instrument: Instrument,
  lots: number,
  delta: number,
  hedge: boolean,
): number {
  const id = instrument.id;
  const side = lots > 0 ? 0 : 1;
  const position = state.positions.lots(id) + Math.sign(lots) * state.orders.workingLots(id, side);
  const broken = positionLimit(state, instrument, lots, hedge && bringsDeltaNearer(state, id, lots, delta));
  if (broken !== PASSED) return broken;
  return state.exposure(id, lots, position, delta, Math.abs(position + lots) < Math.abs(position));
}

/** @param hedges it brings the net delta nearer to zero, which counts as a reduction while only those pass */
function positionLimit(state: GateState, instrument: Instrument, lots: number, hedges = false): number {
  const { positions, limits, reducing, price, underlyingOf } = state;
  const id = instrument.id;
  const side = lots > 0 ? 0 : 1;
  const position = positions.lots(id) + Math.sign(lots) * state.orders.workingLots(id, side);
  const after = Math.abs(position + lots);
  const reduces = after <= Math.abs(position) && position * lots < 0 && Math.abs(lots) <= Math.abs(position);
  if (reduces) return PASSED;
  if (reducing !== null && !hedges) return LIMIT[reducing.by];
  const perLot = positions.notionalPerLot(id, price[underlyingOf[id]]);
  const added = (after - Math.abs(position)) * perLot;
  if (!(after * perLot <= limits.maxPositionNotional)) return LIMIT.position;
  if (!(positions.expiryNotional(id) + added <= limits.maxExpiryNotional)) return LIMIT.expiry;
  return positions.grossNotional() + added <= limits.maxGrossNotional ? PASSED : LIMIT.gross;
}

function bringsDeltaNearer(state: GateState, id: number, lots: number, delta: number): boolean {
  const underlying = state.underlyingOf[id];
  const net = state.positions.netDeltaNotional(underlying);
  const added = lots * delta * state.positions.notionalPerLot(id, state.price[underlying]);
  return net * added < 0 && Math.abs(added) <= Math.abs(net);
}

function wellFormed({ priceTicks, sizeLots, fair, delta }: OrderIntent): boolean {
  const price = Number.isSafeInteger(priceTicks) && priceTicks > 0 && fair > 0 && fair < Infinity;
  return price && Number.isSafeInteger(sizeLots) && sizeLots > 0 && Math.abs(delta) <= 1;
}

function soundLeg({ ratio, fair, delta, vega }: StructureLeg): boolean {
  const whole = Number.isSafeInteger(ratio) && ratio !== 0;
  return whole && fair >= 0 && fair < Infinity && Math.abs(delta) <= 1 && vega >= 0;
}
