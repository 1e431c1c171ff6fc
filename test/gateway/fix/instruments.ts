import type { DecimalStep } from "../../../src/core/decimal.ts";
import { InstrumentTable } from "../../../src/market/instrument.ts";
import { QuoteBatch } from "../../../src/quote/quote-batch.ts";

export interface Listed {
  readonly symbol: string;
  readonly base: string;
  readonly tick: DecimalStep;
  readonly lot: DecimalStep;
}

export const LISTED: readonly Listed[] = [
  { symbol: "BTC-PERPETUAL", base: "BTC", tick: { mantissa: 5, scale: 1 }, lot: { mantissa: 10, scale: 0 } },
  {
    symbol: "BTC-27DEC24-60000-C",
    base: "BTC",
    tick: { mantissa: 5, scale: 4 },
    lot: { mantissa: 1, scale: 1 },
  },
  { symbol: "ETH-PERPETUAL", base: "ETH", tick: { mantissa: 25, scale: 2 }, lot: { mantissa: 1, scale: 0 } },
  {
    symbol: "ETH-27DEC24-3000-P",
    base: "ETH",
    tick: { mantissa: 1, scale: 4 },
    lot: { mantissa: 1, scale: 0 },
  },
  { symbol: "SHIB", base: "SHIB", tick: { mantissa: 1, scale: 11 }, lot: { mantissa: 1, scale: 8 } },
];

export function instrumentTable(listed: readonly Listed[] = LISTED): InstrumentTable {
  const table = new InstrumentTable(listed.length);
  for (const { symbol, base, tick, lot } of listed) {
    table.add({
      venue: "deribit",
      symbol,
      kind: "perpetual",
      base,
      quote: base,
      settle: base,
      tick,
      tickSteps: [],
      lot,
      minSizeLots: 1,
      inverse: true,
      contractSize: 1,
      expiryMs: Number.POSITIVE_INFINITY,
      strike: Number.NaN,
      optionType: null,
    });
  }
  return table;
}

export interface QuoteRow {
  readonly instrument: number;
  readonly level?: number;
  readonly quoteId: number;
  readonly bidTicks: number;
  readonly bidLots: number;
  readonly askTicks: number;
  readonly askLots: number;
}

export function quoteBatch(rows: readonly QuoteRow[]): QuoteBatch {
  const batch = new QuoteBatch(Math.max(rows.length, 1));
  batch.count = rows.length;
  for (const [row, quote] of rows.entries()) {
    batch.instrument[row] = quote.instrument;
    batch.level[row] = quote.level ?? 0;
    batch.quoteId[row] = quote.quoteId;
    batch.bidTicks[row] = quote.bidLots > 0 ? quote.bidTicks : -1;
    batch.bidLots[row] = quote.bidLots;
    batch.askTicks[row] = quote.askLots > 0 ? quote.askTicks : -1;
    batch.askLots[row] = quote.askLots;
  }
  return batch;
}
