import { KeelError } from "../../core/errors.ts";
import { isRecord, type JsonRecord, numberOf, recordsOf } from "./json.ts";
import type { MmpLimits } from "./venue.ts";

/** A request of a logon, which rejects when the connection is not the logon's any more. */
export type LogonCall = (method: string, params: JsonRecord) => Promise<unknown>;

/** The venue's clock and ours may be apart by what a message takes; trades are asked for from so much earlier. */
export const TRADE_OVERLAP_MS = 2_000;
const TRADES_PER_CALL = 1_000;
const BEYOND_NOW_MS = 60_000;

/** The currency in which instruments of an index settle: `btc_usd` → BTC, `sol_usdc` → USDC. */
export function settlementOf(index: string): string {
  const [base = "", against = ""] = index.toUpperCase().split("_");
  return against === "USD" ? base : against;
}

export function mmpParams(index: string, mmp: MmpLimits): JsonRecord {
  return {
    index_name: index,
    interval: mmp.intervalSeconds,
    frozen_time: mmp.frozenSeconds,
    quantity_limit: mmp.quantityLimit,
    delta_limit: mmp.deltaLimit,
    ...(mmp.vegaLimit > 0 ? { vega_limit: mmp.vegaLimit } : {}),
    ...(mmp.maxQuoteQuantity > 0 ? { max_quote_quantity: mmp.maxQuoteQuantity } : {}),
  };
}

/** What happens to the account. */
export function accountChannels(indexes: readonly string[]): string[] {
  return [
    "user.orders.any.any.raw",
    "user.trades.any.any.raw",
    ...new Set(indexes.map((index) => `user.portfolio.${settlementOf(index).toLowerCase()}`)),
    ...indexes.map((index) => `user.mmp_trigger.${index}`),
  ];
}

/** @throws KeelError when a channel is not granted */
export async function subscribe(call: LogonCall, channels: readonly string[]): Promise<void> {
  const granted = await call("private/subscribe", { channels });
  const missing = channels.filter((channel) => !Array.isArray(granted) || !granted.includes(channel));
  if (missing.length > 0) {
    throw new KeelError("deribit-channels", `deribit: ${missing.join(", ")} were not granted`);
  }
}

/**
 * Asks for the trades of the account since `sinceMs` by the venue's clock: those that happened while nobody listened, and some
 * that are known already. @throws KeelError when they come in another form than documented
 */
export async function fetchTrades(
  call: LogonCall,
  currencies: Iterable<string>,
  sinceMs: number,
  venueMs: number,
  onTrade: (trade: JsonRecord) => void,
): Promise<void> {
  for (const currency of currencies) {
    let startMs = sinceMs - TRADE_OVERLAP_MS;
    for (;;) {
      const result = await call("private/get_user_trades_by_currency_and_time", {
        currency,
        start_timestamp: startMs,
        end_timestamp: Math.max(venueMs, startMs) + BEYOND_NOW_MS,
        count: TRADES_PER_CALL,
        sorting: "asc",
      });
      if (!isRecord(result) || !Array.isArray(result.trades)) {
        const what = "the trades of this account came in another form than documented";
        throw new KeelError("deribit-trades", `deribit: ${what}`);
      }
      const trades = recordsOf(result.trades);
      for (const trade of trades) onTrade(trade);
      const lastMs = numberOf(trades.at(-1)?.timestamp);
      if (result.has_more !== true || !(lastMs > startMs)) break;
      startMs = lastMs;
    }
  }
}
