import type { SimMarket } from "./market/market.ts";
import type { SimOption } from "./market/option-chain.ts";

const PERPETUAL_CREATED_MS = 1_534_167_754_000;
const NEVER_EXPIRES_MS = 32_503_708_800_000;
const DAY_MS = 86_400_000;
const SETTLEMENT_PERIODS = ["day", "week", "month", "month"] as const;

export const PERPETUAL = "BTC-PERPETUAL";

/** What the simulated Deribit lists, in the form of `public/get_instruments`. @returns null for a currency it does not list. */
export function deribitInstruments(
  market: SimMarket,
  currency: string,
  kind: string | undefined,
): readonly unknown[] | null {
  if (currency !== "BTC" && currency !== "any") return null;
  const listed: unknown[] = [];
  if (kind === undefined || kind === "any" || kind === "future") listed.push(perpetual());
  if (kind === undefined || kind === "any" || kind === "option") {
    for (const option of market.options.chain) listed.push(describe(option));
  }
  return listed;
}

function perpetual(): object {
  return {
    price_index: "btc_usd",
    kind: "future",
    instrument_name: PERPETUAL,
    max_leverage: 50,
    maker_commission: 0.0,
    taker_commission: 0.0005,
    instrument_type: "reversed",
    expiration_timestamp: NEVER_EXPIRES_MS,
    creation_timestamp: PERPETUAL_CREATED_MS,
    is_active: true,
    tick_size: 0.5,
    contract_size: 10.0,
    instrument_id: 124_972,
    min_trade_amount: 10.0,
    future_type: "reversed",
    max_liquidation_commission: 0.0075,
    block_trade_commission: 0.00025,
    block_trade_min_trade_amount: 200_000,
    block_trade_tick_size: 0.01,
    settlement_currency: "BTC",
    settlement_period: "perpetual",
    base_currency: "BTC",
    counter_currency: "USD",
    quote_currency: "USD",
    tick_size_steps: [],
  };
}

function describe(option: SimOption): object {
  return {
    price_index: "btc_usd",
    kind: "option",
    instrument_name: option.symbol,
    option_type: option.call ? "call" : "put",
    strike: option.strike,
    maker_commission: 0.0003,
    taker_commission: 0.0003,
    instrument_type: "reversed",
    expiration_timestamp: option.expiryMs,
    creation_timestamp: option.expiryMs - 30 * DAY_MS,
    is_active: true,
    tick_size: 0.0001,
    contract_size: 1.0,
    instrument_id: 345_000 + option.instrument,
    min_trade_amount: 0.1,
    max_liquidation_commission: 0.0075,
    block_trade_commission: 0.0003,
    block_trade_min_trade_amount: 25,
    block_trade_tick_size: 0.0001,
    settlement_currency: "BTC",
    settlement_period: SETTLEMENT_PERIODS[option.expiry] ?? "month",
    base_currency: "BTC",
    counter_currency: "USD",
    quote_currency: "BTC",
    tick_size_steps: [{ above_price: 0.005, tick_size: 0.0005 }],
  };
}
