import { symbolOf } from "./binance-text.ts";
import { type Decimals, NO_DECIMALS } from "./dialect.ts";
import type { CaptureScan } from "./scan.ts";
import { stepText } from "./text-book.ts";

/** One entry of `symbols` in Binance's `exchangeInfo`. */
export type SymbolInfo = Readonly<Record<string, unknown>>;

const QUOTE_ASSETS = ["USDT", "USDC", "FDUSD", "TUSD", "BUSD", "USD", "EUR", "TRY", "BTC", "ETH", "BNB"];
/** Delivery date of a perpetual as Binance states it: 2100-12-25. */
const PERPETUAL_DELIVERY_MS = 4_133_404_800_000;
/** COIN-M contracts: 100 USD for BTC, 10 USD for everything else. Source: Binance COIN-M contract specifications. */
const COINM_BTC_USD = 100;
const COINM_OTHER_USD = 10;

/**
 * `exchangeInfo` of the symbols that a capture has data of: as recorded where the capture holds the venue's answer, otherwise
 * with tick and lot inferred from the finest decimals that occur.
 */
export function describeSymbols(scan: CaptureScan): Map<string, SymbolInfo> {
  const recorded = new Map<string, SymbolInfo>();
  for (const body of scan.descriptions)
    for (const info of symbolsIn(body)) recorded.set(String(info.symbol), info);
  const described = new Map<string, SymbolInfo>();
  for (const stream of scan.channels) {
    const symbol = symbolOf(stream);
    if (described.has(symbol)) continue;
    const decimals = scan.decimals.get(symbol) ?? { ...NO_DECIMALS, price: 2, size: 3 };
    described.set(symbol, recorded.get(symbol) ?? inferred(scan, symbol, decimals));
  }
  return described;
}

function inferred(scan: CaptureScan, symbol: string, decimals: Decimals): SymbolInfo {
  const tickSize = stepText(decimals.price);
  const stepSize = stepText(decimals.size);
  const filters = [
    { filterType: "PRICE_FILTER", minPrice: tickSize, maxPrice: "10000000", tickSize },
    { filterType: "LOT_SIZE", minQty: stepSize, maxQty: "1000000000", stepSize },
  ];
  if (scan.venue === "binance-spot") {
    const [baseAsset, quoteAsset] = split(symbol);
    return {
      symbol,
      status: "TRADING",
      baseAsset,
      baseAssetPrecision: 8,
      quoteAsset,
      quotePrecision: 8,
      isSpotTradingAllowed: true,
      filters,
    };
  }
  const [pair = symbol, delivery] = symbol.split("_");
  const [baseAsset, quoteAsset] = split(pair);
  const perpetual = delivery === undefined || delivery === "PERP";
  const common = {
    symbol,
    pair,
    contractType: perpetual ? "PERPETUAL" : "CURRENT_QUARTER",
    deliveryDate: perpetual ? PERPETUAL_DELIVERY_MS : deliveryMs(delivery),
    baseAsset,
    quoteAsset,
    pricePrecision: decimals.price,
    quantityPrecision: decimals.size,
    underlyingType: "COIN",
    filters,
  };
  if (scan.venue === "binance-usdm") return { ...common, status: "TRADING", marginAsset: quoteAsset };
  const contractSize = baseAsset === "BTC" ? COINM_BTC_USD : COINM_OTHER_USD;
  return { ...common, contractStatus: "TRADING", contractSize, marginAsset: baseAsset };
}

function symbolsIn(body: string): SymbolInfo[] {
  try {
    const answer: unknown = JSON.parse(body);
    if (typeof answer !== "object" || answer === null || !("symbols" in answer)) return [];
    return Array.isArray(answer.symbols)
      ? answer.symbols.filter((info) => typeof info === "object" && info !== null)
      : [];
  } catch {
    return [];
  }
}

function split(pair: string): [string, string] {
  const quote = QUOTE_ASSETS.find((asset) => pair.endsWith(asset) && pair.length > asset.length) ?? "";
  return [pair.slice(0, pair.length - quote.length), quote];
}

/** `240927` → 2024-09-27 08:00 UTC, when quarterly contracts are delivered. */
function deliveryMs(yymmdd: string): number {
  const [, year, month, day] = /^(\d\d)(\d\d)(\d\d)$/.exec(yymmdd) ?? [];
  return year === undefined
    ? PERPETUAL_DELIVERY_MS
    : Date.UTC(2000 + Number(year), Number(month) - 1, Number(day), 8);
}
