import { z } from "zod";
import { type DecimalStep, parseStep } from "../../core/decimal.ts";
import { BadInputError } from "../../core/errors.ts";
import type { InstrumentKind, InstrumentSpec } from "../../market/instrument.ts";
import { parseJson } from "../decoder.ts";
import type { BinanceVenueName } from "./venue.ts";

const exchangeInfo = z.union([
  z.object({ symbols: z.array(z.unknown()) }),
  z.object({ optionSymbols: z.array(z.unknown()) }).transform((info) => ({ symbols: info.optionSymbols })),
]);

const filter = z.object({
  filterType: z.string(),
  tickSize: z.string().optional(),
  stepSize: z.string().optional(),
  minQty: z.string().optional(),
});

const symbolInfo = z.object({
  symbol: z.string().min(1),
  baseAsset: z.string().min(1),
  quoteAsset: z.string().min(1),
  marginAsset: z.string().optional(),
  contractType: z.string().optional(),
  contractSize: z.number().positive().optional(),
  deliveryDate: z.number().optional(),
  filters: z.array(filter),
});
type SymbolInfo = z.infer<typeof symbolInfo>;

/** A symbol of the options exchange. Source: Binance Options, "Exchange Information". */
const optionInfo = z.object({
  symbol: z.string().regex(/^[A-Z0-9]+-/),
  side: z.enum(["CALL", "PUT"]),
  strikePrice: z.string(),
  expiryDate: z.number().positive(),
  unit: z.number().positive(),
  quoteAsset: z.string().min(1),
  filters: z.array(filter),
});

/** The symbols of an `exchangeInfo` answer by name, not yet read. @throws BadInputError when the body is no such answer. */
export function listSymbols(venue: BinanceVenueName, body: string): ReadonlyMap<string, unknown> {
  const info = exchangeInfo.safeParse(parseJson(body));
  if (!info.success) {
    throw new BadInputError(
      `${venue} exchangeInfo`,
      JSON.stringify(body.slice(0, 80)),
      "an object with symbols",
    );
  }
  const symbols = new Map<string, unknown>();
  for (const entry of info.data.symbols) {
    const named = z.object({ symbol: z.string() }).safeParse(entry);
    if (named.success) symbols.set(named.data.symbol, entry);
  }
  return symbols;
}

/** Reads one symbol of an `exchangeInfo` answer. @throws BadInputError naming the field that is missing or wrong. */
export function readSymbol(venue: BinanceVenueName, entry: unknown): InstrumentSpec {
  if (venue === "binance-option") return readOption(venue, entry);
  const parsed = symbolInfo.safeParse(entry);
  if (!parsed.success) {
    throw new BadInputError(
      `${venue} exchangeInfo`,
      z.prettifyError(parsed.error),
      "a symbol as Binance documents it",
    );
  }
  const info = parsed.data;
  const lot = parseStep(filterValue(info, "LOT_SIZE", "stepSize"));
  const kind = kindOf(venue, info);
  const settle = info.marginAsset ?? info.quoteAsset;
  return {
    venue,
    symbol: info.symbol,
    kind,
    base: info.baseAsset,
    quote: info.quoteAsset,
    settle,
    tick: parseStep(filterValue(info, "PRICE_FILTER", "tickSize")),
    tickSteps: [],
    lot,
    minSizeLots: minSizeLots(info, lot),
    inverse: kind !== "spot" && settle === info.baseAsset,
    contractSize: info.contractSize ?? 1,
    expiryMs: kind === "future" ? (info.deliveryDate ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY,
    strike: Number.NaN,
    optionType: null,
  };
}

function readOption(venue: BinanceVenueName, entry: unknown): InstrumentSpec {
  const parsed = optionInfo.safeParse(entry);
  if (!parsed.success) {
    throw new BadInputError(
      `${venue} exchangeInfo`,
      z.prettifyError(parsed.error),
      "an option as Binance documents it",
    );
  }
  const info = parsed.data;
  const lot = parseStep(filterValue(info, "LOT_SIZE", "stepSize"));
  const strike = Number(info.strikePrice);
  if (!(strike > 0)) throw new BadInputError(info.symbol, `strike ${info.strikePrice}`, "a positive strike");
  return {
    venue,
    symbol: info.symbol,
    kind: "option",
    base: info.symbol.slice(0, info.symbol.indexOf("-")),
    quote: info.quoteAsset,
    settle: info.quoteAsset,
    tick: parseStep(filterValue(info, "PRICE_FILTER", "tickSize")),
    tickSteps: [],
    lot,
    minSizeLots: minSizeLots(info, lot),
    inverse: false,
    contractSize: info.unit,
    expiryMs: info.expiryDate,
    strike,
    optionType: info.side === "CALL" ? "call" : "put",
  };
}

function minSizeLots(info: Pick<SymbolInfo, "symbol" | "filters">, lot: DecimalStep): number {
  const size = Number(filterValue(info, "LOT_SIZE", "minQty"));
  return Math.max(1, Math.ceil((size * 10 ** lot.scale) / lot.mantissa));
}

function kindOf(venue: BinanceVenueName, info: SymbolInfo): InstrumentKind {
  if (venue === "binance-spot") return "spot";
  return info.contractType === undefined || info.contractType.includes("PERPETUAL") ? "perpetual" : "future";
}

function filterValue(
  info: Pick<SymbolInfo, "symbol" | "filters">,
  type: string,
  field: "tickSize" | "stepSize" | "minQty",
): string {
  const value = info.filters.find(({ filterType }) => filterType === type)?.[field];
  if (value === undefined)
    throw new BadInputError(`filters of ${info.symbol}`, `no ${type}`, `${type} with ${field}`);
  return value;
}
