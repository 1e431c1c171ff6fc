import type { InstrumentSpec } from "../../src/market/instrument.ts";

/** Deribit's inverse perpetual on Bitcoin: sizes in US dollars, settled in coin. */
export const PERPETUAL: InstrumentSpec = {
  venue: "deribit",
  symbol: "BTC-PERPETUAL",
  kind: "perpetual",
  base: "BTC",
  quote: "USD",
  settle: "BTC",
  tick: { mantissa: 5, scale: 1 },
  tickSteps: [],
  lot: { mantissa: 10, scale: 0 },
  minSizeLots: 1,
  inverse: true,
  contractSize: 1,
  expiryMs: Number.POSITIVE_INFINITY,
  strike: Number.NaN,
  optionType: null,
};

/** Binance USDⓈ-M's perpetual on Bitcoin: sizes in coin, settled in tether. */
export const LINEAR_PERPETUAL: InstrumentSpec = {
  ...PERPETUAL,
  venue: "binance-usdm",
  symbol: "BTCUSDT",
  quote: "USDT",
  settle: "USDT",
  tick: { mantissa: 1, scale: 1 },
  lot: { mantissa: 1, scale: 3 },
  inverse: false,
};
