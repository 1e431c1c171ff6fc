import type { Desk } from "../desk/desk.ts";
import type { Instrument } from "../market/instrument.ts";
import { reasonNames } from "../quote/quote-batch.ts";
import { type QuoteReport, quoteReport } from "../quote/quote-report.ts";

/** What was sent last for every level of the instruments of that name; empty when nothing was. Reasons are of the last decision. */
export function standingReports(desk: Desk, symbol: string): QuoteReport[] {
  const { quoter, market } = desk;
  return market.instruments
    .all()
    .filter((instrument) => instrument.symbol === symbol && quoter.quotes(instrument.id))
    .flatMap((instrument) => reportsOf(desk, instrument));
}

/** The same of one quoted instrument. */
export function reportsOf({ quoter }: Desk, instrument: Instrument): QuoteReport[] {
  return Array.from({ length: quoter.parameters.levels }, (_, level) => {
    const standing = quoter.standing(instrument.id, level);
    const fair = quoter.fairAtQuote(instrument.id, level);
    return quoteReport(instrument, { ...standing, fair }, reasonNames(standing.reasons));
  }).filter(({ quoteId }) => quoteId > 0);
}
