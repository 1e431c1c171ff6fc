import type { InstrumentTable } from "../market/instrument.ts";
import type { FairValues } from "../quote/fair-value.ts";
import type { QuoteParameters } from "../quote/parameters.ts";
import type { Adjustment } from "../quote/policy.ts";
import type { StructureQuote } from "../risk/order.ts";
import type { LimitName } from "../risk/refusal.ts";
import type { RfqAction } from "./message.ts";

/** What answers to requests are made from; the desk's own state. */
export interface RfqMarket {
  readonly instruments: InstrumentTable;
  readonly parameters: QuoteParameters;
  readonly values: FairValues;
  underlyingOf(instrument: number): number;
  /** Brings an instrument's value up to the time. @returns why it may not be quoted now, as `REASON` bits; 0 when it may */
  appraise(instrument: number, timeUs: number): number;
  /** What the prediction does to quotes, as of the last event or timer. */
  adjustment(underlying: number): Adjustment;
  /** Net delta in quote currency, and net vega in quote currency per vol point, of all positions. */
  netDelta(underlying: number): number;
  netVega(underlying: number): number;
}

/** A leg that was traded, seen from us. */
export interface RfqFill {
  readonly tradeId: string;
  readonly structureId: number;
  /** The quote that was taken; an order that trades at once has one that nobody was told of. */
  readonly rfqQuoteId: string;
  readonly counterparty: string;
  readonly instrument: number;
  /** 0 = we bought. */
  readonly side: 0 | 1;
  readonly priceTicks: number;
  readonly lots: number;
}

/** Where the RFQ desk's answers and trades go. */
export interface RfqPort {
  /** The risk gate's word on an answer, or at the last look on the side that was taken. */
  check(
    quote: StructureQuote,
    timeUs: number,
  ): LimitName | { readonly bid: number | null; readonly ask: number | null };
  /** The limit that a quote breaks which stands at a venue; null when it may stand. Nothing is counted. */
  standing(quote: StructureQuote, timeUs: number): LimitName | null;
  /** Books one leg of a trade. */
  fill(fill: RfqFill, timeUs: number): void;
  act(action: RfqAction, timeUs: number): void;
}
