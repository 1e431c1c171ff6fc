import { type InstrumentSpec, InstrumentTable } from "../market/instrument.ts";

/** A call on Bitcoin as Deribit lists them: priced and settled in coin, a lot is a tenth of one. Symbol, expiry and strike are for each user to say. */
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

/** Options of one expiry, calls and puts in turn. */
export function optionTable(count: number): InstrumentTable {
  const table = new InstrumentTable(count);
  for (let i = 0; i < count; i += 1) {
    const isCall = i % 2 === 0;
    const strike = 40_000 + i * 500;
    table.add({
      ...INVERSE_OPTION,
      symbol: `BTC-27DEC24-${strike}-${isCall ? "C" : "P"}`,
      expiryMs: 1_735_286_400_000,
      strike,
      optionType: isCall ? "call" : "put",
    });
  }
  return table;
}
