import type { RpcAnswer } from "../protocol/json-rpc.ts";
import type { SimAccount, SimPosition } from "./account.ts";
import type { Exchange } from "./exchange.ts";
import { amountOf, orderJson, priceOf } from "./orders.ts";
import { type Params, refuse } from "./rpc.ts";
import { TRADING_ERROR } from "./trading-error.ts";

const START_EQUITY_COINS = 100;

/** Methods that change nothing. */
export function ask(exchange: Exchange, account: SimAccount, method: string, params: Params): RpcAnswer {
  switch (method.slice("private/".length)) {
    case "get_open_orders":
      return { result: account.openOrders().map(orderJson) };
    case "get_order_state": {
      const order = account.orders.get(String(params.order_id));
      return order === undefined
        ? refuse(TRADING_ERROR.orderNotFound, "order_not_found")
        : { result: orderJson(order) };
    }
    case "get_order_state_by_label":
      return {
        result: [...account.orders.values()].filter(({ label }) => label === params.label).map(orderJson),
      };
    case "get_positions":
      return { result: [...account.positions.values()].map((position) => positionJson(exchange, position)) };
    case "get_account_summary":
      return { result: accountSummary(account) };
    case "get_user_trades_by_currency_and_time": {
      const from = Number(params.start_timestamp);
      const to = Number(params.end_timestamp);
      const count = Number(params.count ?? 10);
      const trades = account.trades.filter(({ timestampMs: at }) => at >= from && at <= to);
      if (params.sorting !== "asc") trades.reverse();
      return {
        result: { trades: trades.slice(0, count).map(({ json }) => json), has_more: trades.length > count },
      };
    }
    default:
      return refuse(-32_601, "Method not found");
  }
}

function positionJson(exchange: Exchange, { instrument, lots, averageTicks }: SimPosition): object {
  return {
    instrument_name: instrument.symbol,
    kind: instrument.kind,
    size: (lots < 0 ? -1 : 1) * amountOf(instrument, Math.abs(lots)),
    direction: lots === 0 ? "zero" : lots > 0 ? "buy" : "sell",
    average_price: priceOf(instrument, averageTicks),
    mark_price: priceOf(instrument, exchange.markTicks(instrument)),
  };
}

/** As `private/get_account_summary` and the portfolio channel tell it. */
export function accountSummary({ limits }: SimAccount): object {
  const rate = ({ burst, rate: perSecond }: { burst: number; rate: number }) => ({
    burst,
    rate: perSecond,
  });
  return {
    currency: "BTC",
    ...{ equity: START_EQUITY_COINS, balance: START_EQUITY_COINS, available_funds: START_EQUITY_COINS },
    ...{ initial_margin: 0, maintenance_margin: 0, delta_total: 0 },
    limits: {
      non_matching_engine: rate(limits.nonMatching),
      limits_per_currency: false,
      matching_engine: {
        trading: { total: rate(limits.trading) },
        cancel_all: rate(limits.cancelAll),
        maximum_quotes: rate(limits.quotes),
        maximum_mass_quotes: rate(limits.massQuotes),
      },
    },
  };
}
