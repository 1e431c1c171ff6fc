import { InstrumentTable } from "../market/instrument.ts";

/** Options of one expiry, calls and puts in turn. */
export function optionTable(count: number): InstrumentTable {
  const table = new InstrumentTable(count);
  for (let i = 0; i < count; i += 1) {
    const call = i % 2 === 0;
    const strike = 40_000 + i * 500;
    table.add({
      venue: "deribit",
      symbol: `BTC-27DEC24-${strike}-${call ? "C" : "P"}`,
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
      expiryMs: 1_735_286_400_000,
      strike,
      optionType: call ? "call" : "put",
    });
  }
  return table;
}
