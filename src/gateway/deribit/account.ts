import { z } from "zod";
import { stepsToDecimal } from "../../core/decimal.ts";
import { BadInputError } from "../../core/errors.ts";
import { nearestSteps } from "../../feed/decoder.ts";
import type { InstrumentTable } from "../../market/instrument.ts";
import type { VenueOrder, VenuePosition, VenueQuote } from "../../risk/reconciliation.ts";
import type { RequestBudget } from "./credits.ts";
import { POOL } from "./credits.ts";
import { isRecord, numberOf } from "./json.ts";

const position = z.object({
  instrument_name: z.string(),
  size: z.number(),
  average_price: z.number().optional(),
});

const order = z.object({
  order_id: z.string(),
  instrument_name: z.string(),
  direction: z.enum(["buy", "sell"]),
  amount: z.number(),
  filled_amount: z.number().optional(),
  label: z.string().optional(),
  quote: z.boolean().optional(),
  order_state: z.string(),
});
export type OpenOrderRow = z.infer<typeof order>;

/** Reads the result of `private/get_positions`. @throws BadInputError naming what is wrong */
export function readPositions(result: unknown, instruments: InstrumentTable): VenuePosition[] {
  return read(z.array(position), result, "private/get_positions")
    .filter(({ size }) => size !== 0)
    .map(({ instrument_name: symbol, size, average_price: price }) => ({
      venue: "deribit",
      symbol,
      size: `${size < 0 ? "-" : ""}${sizeText(Math.abs(size), symbol, instruments)}`,
      averagePrice: price ?? null,
    }));
}

/** Reads the result of `private/get_open_orders`. @throws BadInputError naming what is wrong */
export function readOpenOrders(result: unknown): OpenOrderRow[] {
  return read(z.array(order), result, "private/get_open_orders");
}

/** Open orders of the account that are no quotes. @param orderIdOf our id in an order's label, 0 when it is none of ours */
export function ordersOf(
  rows: readonly OpenOrderRow[],
  orderIdOf: (label: unknown) => number,
  instruments: InstrumentTable,
): VenueOrder[] {
  return rows
    .filter(({ quote }) => quote !== true)
    .map((row) => ({
      venue: "deribit",
      symbol: row.instrument_name,
      orderId: orderIdOf(row.label) || null,
      side: row.direction === "buy" ? 0 : 1,
      leavesSize: sizeText(row.amount - (row.filled_amount ?? 0), row.instrument_name, instruments),
    }));
}

/** What stands of quotes, by instrument. */
export function quotesOf(rows: readonly OpenOrderRow[], instruments: InstrumentTable): VenueQuote[] {
  const bySymbol = new Map<string, [bid: number, ask: number]>();
  for (const row of rows) {
    if (row.quote !== true) continue;
    const sizes = bySymbol.get(row.instrument_name) ?? [0, 0];
    sizes[row.direction === "buy" ? 0 : 1] += row.amount - (row.filled_amount ?? 0);
    bySymbol.set(row.instrument_name, sizes);
  }
  return [...bySymbol].map(([symbol, [bid, ask]]) => ({
    venue: "deribit",
    symbol,
    bidSize: sizeText(bid, symbol, instruments),
    askSize: sizeText(ask, symbol, instruments),
  }));
}

/** What of the account is shown. In the currency of the account. */
export interface Portfolio {
  readonly currency: string;
  readonly equity: number;
  readonly availableFunds: number;
  readonly initialMargin: number;
  readonly maintenanceMargin: number;
  readonly deltaTotal: number;
}

/** Reads an account summary or a `user.portfolio` notification; null when it names no currency. */
export function readPortfolio(value: unknown): Portfolio | null {
  if (!isRecord(value) || typeof value.currency !== "string") return null;
  return {
    currency: value.currency.toUpperCase(),
    equity: numberOf(value.equity),
    availableFunds: numberOf(value.available_funds),
    initialMargin: numberOf(value.initial_margin),
    maintenanceMargin: numberOf(value.maintenance_margin),
    deltaTotal: numberOf(value.delta_total),
  };
}

/** Narrows the budget to the `limits` of an account summary, where it has them. Source: Deribit, "Rate Limits". */
export function applyLimits(summary: unknown, budget: RequestBudget): void {
  const limits = isRecord(summary) ? summary.limits : undefined;
  if (!isRecord(limits)) return;
  const matching = isRecord(limits.matching_engine) ? limits.matching_engine : {};
  const trading = isRecord(matching.trading) ? matching.trading.total : undefined;
  for (const [pool, rate] of [
    [budget.pool(POOL.trading), trading],
    [budget.pool(POOL.massQuotes), matching.maximum_mass_quotes],
    [budget.pool(POOL.cancelAll), matching.cancel_all],
    [budget.quotes, matching.maximum_quotes],
  ] as const) {
    if (!isRecord(rate) || !(numberOf(rate.burst) >= 1) || !(numberOf(rate.rate) > 0)) continue;
    pool.narrow(numberOf(rate.burst), numberOf(rate.rate));
  }
}

function read<T>(schema: z.ZodType<T>, result: unknown, method: string): T {
  const parsed = schema.safeParse(result);
  if (parsed.success) return parsed.data;
  throw new BadInputError(`deribit ${method}`, z.prettifyError(parsed.error), "the documented result");
}

/** A size as a plain decimal, on the instrument's grid where the instrument is known. */
function sizeText(size: number, symbol: string, instruments: InstrumentTable): string {
  const lot = instruments.find("deribit", symbol)?.lot;
  if (lot !== undefined) return stepsToDecimal(nearestSteps(size, lot), lot);
  return size.toFixed(8).replace(/\.?0+$/, "");
}
