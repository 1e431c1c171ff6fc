import type { RpcAnswer } from "../protocol/json-rpc.ts";
import type { SimAccount } from "./account.ts";
import { type Exchange, groupKey, INDEX } from "./exchange.ts";
import { orderJson, readAmount, readPrice, type SimOrder } from "./orders.ts";
import { checkPrice } from "./quoting.ts";
import { type Params, refuse } from "./rpc.ts";
import { type Side, TRADING_ERROR } from "./trading-error.ts";
import type { Connection } from "./trading-login.ts";

/** `private/buy` and `private/sell`. */
export function enter(
  exchange: Exchange,
  account: SimAccount,
  owner: Connection,
  side: Side,
  params: Params,
): RpcAnswer {
  const instrument = exchange.instruments.get(String(params.instrument_name));
  if (instrument === undefined)
    return refuse(TRADING_ERROR.unknownInstrument, "invalid_or_unsupported_instrument");
  if (exchange.timeMs >= instrument.expiryMs) return refuse(TRADING_ERROR.bookClosed, "book_closed");
  const ticks = readPrice(instrument, params.price);
  if (typeof ticks !== "number") return { error: ticks };
  const lots = readAmount(instrument, params.amount);
  if (typeof lots !== "number") return { error: lots };
  const refusal = checkPrice(exchange, instrument, side, ticks);
  if (refusal !== null) return { error: refusal };
  const mmp = params.mmp === true;
  const group = account.groups.get(groupKey(INDEX, null));
  if (mmp && group !== undefined && exchange.timeUs < group.frozenUntilUs) {
    return refuse(TRADING_ERROR.mmpTrigger, "mmp_trigger");
  }
  const nowMs = exchange.timeMs;
  const order: SimOrder = {
    id: exchange.nextOrderId(),
    ...{ instrument, side, ticks, lots, filled: 0, traded: 0, state: "open", cancelReason: "" },
    label: typeof params.label === "string" ? params.label.slice(0, 64) : "",
    timeInForce: typeof params.time_in_force === "string" ? params.time_in_force : "good_til_cancelled",
    ...{
      mmp,
      mmpGroup: null,
      quoteId: "",
      quoteSetId: "",
      createdMs: nowMs,
      updatedMs: nowMs,
      replaced: false,
    },
    ahead: 0,
    owner,
  };
  const trades = exchange.place(account, order, false);
  return { result: { order: orderJson(order), trades } };
}

/** `private/edit`. */
export function edit(exchange: Exchange, account: SimAccount, params: Params): RpcAnswer {
  const order = account.orders.get(String(params.order_id));
  if (order === undefined) return refuse(TRADING_ERROR.orderNotFound, "order_not_found");
  if (order.state !== "open") return refuse(TRADING_ERROR.notOpen, "not_open_order");
  if (order.mmpGroup !== null) return refuse(TRADING_ERROR.invalidArguments, "invalid_arguments");
  const ticks = params.price === undefined ? order.ticks : readPrice(order.instrument, params.price);
  if (typeof ticks !== "number") return { error: ticks };
  const lots = params.amount === undefined ? order.lots : readAmount(order.instrument, params.amount);
  if (typeof lots !== "number") return { error: lots };
  if (lots <= order.filled) return refuse(TRADING_ERROR.invalidAmount, "invalid_amount");
  const refusal = checkPrice(exchange, order.instrument, order.side, ticks);
  if (refusal !== null) return { error: refusal };
  const keeps = ticks === order.ticks && lots <= order.lots;
  order.ticks = ticks;
  order.lots = lots;
  order.replaced = true;
  order.updatedMs = exchange.timeMs;
  const trades = exchange.place(account, order, keeps);
  return { result: { order: orderJson(order), trades } };
}

/** Cancels those of an account's open orders that match; quotes among them. */
export function cancelWhere(
  exchange: Exchange,
  account: SimAccount,
  params: Params,
  matches: (order: SimOrder) => boolean,
): RpcAnswer {
  const orders = account.openOrders().filter(matches);
  for (const order of orders) exchange.cancel(account, order, "user_request");
  if (params.freeze_quotes === true) account.quotesFrozenUntilUs = exchange.timeUs + 1_000_000;
  return { result: params.detailed === true ? orders.map(orderJson) : orders.length };
}

/** The quotes that `private/cancel_quotes` means. */
export function quoteFilter(params: Params): (order: SimOrder) => boolean {
  const { cancel_type: type, instrument_name: symbol, quote_set_id: set, kind, currency } = params;
  return (order) => {
    if (order.mmpGroup === null) return false;
    if (type === "instrument") return order.instrument.symbol === symbol;
    if (type === "quote_set_id") return order.quoteSetId === set;
    if (type === "instrument_kind") return kind === "any" || order.instrument.kind === kind;
    return type === "all" || (type === "currency" && currency === "BTC");
  };
}
