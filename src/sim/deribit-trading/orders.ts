import { numberToSteps, parseStep, stepsToDecimal } from "../../core/decimal.ts";
import type { RpcError } from "../protocol/json-rpc.ts";
import { rpcError } from "../protocol/json-rpc.ts";
import { type Side, TRADING_ERROR } from "./trading-error.ts";

/** What trading has to know of an instrument. */
export interface TradedInstrument {
  /** Dense number in the simulated market. */
  readonly number: number;
  readonly symbol: string;
  readonly kind: "option" | "future";
  readonly expiryMs: number;
  /** Finest tick and lot, of which the market's prices and sizes are counts. */
  readonly tick: string;
  readonly lot: string;
  /** From this many ticks on prices are multiples of {@link coarse} ticks; Infinity = never. */
  readonly coarseFrom: number;
  readonly coarse: number;
}

export type OrderState = "open" | "filled" | "cancelled" | "rejected";

export interface SimOrder {
  readonly id: string;
  readonly instrument: TradedInstrument;
  readonly side: Side;
  ticks: number;
  /** Whole size and what of it has traded. */
  lots: number;
  filled: number;
  /** Σ lots × ticks of its trades. */
  traded: number;
  state: OrderState;
  cancelReason: string;
  readonly label: string;
  readonly timeInForce: string;
  /** Counts for market-maker protection. */
  mmp: boolean;
  /** Null unless it is a quote. */
  readonly mmpGroup: string | null;
  quoteId: string;
  quoteSetId: string;
  readonly createdMs: number;
  updatedMs: number;
  replaced: boolean;
  /** Lots of others that were there before it at its price. */
  ahead: number;
  /** The connection that entered it. */
  readonly owner: object;
}

/** An order as the venue writes it. */
export function orderJson(order: SimOrder): Record<string, unknown> {
  const { instrument } = order;
  return {
    is_liquidation: false,
    reduce_only: false,
    risk_reducing: false,
    last_update_timestamp: order.updatedMs,
    creation_timestamp: order.createdMs,
    filled_amount: amountOf(instrument, order.filled),
    average_price: order.filled === 0 ? 0 : priceOf(instrument, order.traded / order.filled),
    order_type: "limit",
    order_state: order.state,
    ...(order.mmpGroup === null
      ? {}
      : { quote: true, quote_set_id: order.quoteSetId, quote_id: order.quoteId, mmp_group: order.mmpGroup }),
    ...(order.cancelReason === "" ? {} : { cancel_reason: order.cancelReason }),
    ...(order.cancelReason === "mmp_trigger" ? { mmp_cancelled: true } : {}),
    post_only: false,
    replaced: order.replaced,
    web: false,
    mmp: order.mmp,
    api: true,
    instrument_name: instrument.symbol,
    order_id: order.id,
    max_show: amountOf(instrument, order.lots),
    time_in_force: order.timeInForce,
    price: priceOf(instrument, order.ticks),
    direction: order.side === 0 ? "buy" : "sell",
    amount: amountOf(instrument, order.lots),
    label: order.label,
  };
}

export function priceOf(instrument: TradedInstrument, ticks: number): number {
  const { tick } = instrument;
  return Number.isInteger(ticks) ? Number(stepsToDecimal(ticks, parseStep(tick))) : ticks * Number(tick);
}

export function amountOf(instrument: TradedInstrument, lots: number): number {
  return Number(stepsToDecimal(lots, parseStep(instrument.lot)));
}

/** @returns ticks, or what the venue says of a price that it does not take */
export function readPrice(instrument: TradedInstrument, price: unknown): number | RpcError {
  if (typeof price !== "number" || !(price > 0) || !Number.isFinite(price)) {
    return rpcError(TRADING_ERROR.invalidPrice, "invalid_price");
  }
  const ticks = numberToSteps(price, parseStep(instrument.tick));
  const onGrid = ticks >= 1 && (ticks < instrument.coarseFrom || ticks % instrument.coarse === 0);
  return onGrid ? ticks : rpcError(TRADING_ERROR.wrongTick, "price_wrong_tick");
}

/** @returns lots, or what the venue says of an amount that it does not take */
export function readAmount(instrument: TradedInstrument, amount: unknown): number | RpcError {
  if (typeof amount !== "number" || !(amount >= 0) || !Number.isFinite(amount)) {
    return rpcError(TRADING_ERROR.invalidAmount, "invalid_amount");
  }
  const lots = numberToSteps(amount, parseStep(instrument.lot));
  return lots >= 1 ? lots : rpcError(TRADING_ERROR.invalidAmount, "invalid_amount");
}
