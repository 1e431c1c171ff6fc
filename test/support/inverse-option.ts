import type { InstrumentSpec } from "../../src/market/instrument.ts";

/** A call on Bitcoin as Deribit lists them: priced and settled in coin, a lot is a tenth of one. Expiry and strike are for each test to say. */
export const INVERSE_OPTION: InstrumentSpec = {
  venue: "deribit",
  symbol: "OPTION",
  kind: "option",
  base: "BTC",
  quote: "BTC",
  settle: "BTC",
  tick: { mantissa: 1, scale: 4 },
  tickSteps: [],
  lot: { mantissa: 1, scale: 1 },
  minSizeLots: 1,
  inverse: true,
  contractSize: 1,
  expiryMs: 2e12,
  strike: 50_000,
  optionType: "call",
};
