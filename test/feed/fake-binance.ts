import type { VenueName } from "../../src/market/instrument.ts";

/** A symbol as `exchangeInfo` describes it. */
export interface SymbolGrid {
  readonly symbol: string;
  readonly base: string;
  readonly tick: string;
  readonly lot: string;
}

/** An `exchangeInfo` answer in the venue's own form. */
export function exchangeInfo(venue: VenueName, grids: readonly SymbolGrid[]): string {
  const futures = {
    contractType: "PERPETUAL",
    deliveryDate: 4_133_404_800_000,
    ...(venue === "binance-coinm" ? { contractSize: 100 } : {}),
  };
  return JSON.stringify({
    timezone: "UTC",
    serverTime: 1,
    symbols: grids.map(({ symbol, base, tick, lot }) => ({
      symbol,
      pair: symbol.replace("_PERP", ""),
      baseAsset: base,
      quoteAsset: venue === "binance-coinm" ? "USD" : "USDT",
      ...(venue === "binance-spot"
        ? {}
        : { marginAsset: venue === "binance-coinm" ? base : "USDT", ...futures }),
      filters: [
        { filterType: "PRICE_FILTER", minPrice: tick, maxPrice: "1000000", tickSize: tick },
        { filterType: "LOT_SIZE", minQty: lot, maxQty: "1000", stepSize: lot },
      ],
    })),
  });
}
