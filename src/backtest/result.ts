import type { DeskCounters } from "../desk/counters.ts";
import type { QuoteStability } from "../monitor/quote-stability.ts";
import type { Source } from "../position/attribution.ts";
import type { FlowCounters } from "./flow.ts";
import type { MatchingCounters } from "./matching.ts";
import type { BacktestSpec } from "./spec.ts";

/** After a fill the middle is looked at again at these times, ms. */
export const MARKOUT_MS = [10, 100, 1_000, 10_000, 60_000] as const;

/** One fill. Amounts in quote currency unless named otherwise; null where there was no price to compare with. */
export interface FillRecord {
  /** When it happened at the venue, µs on the desk's clock. */
  readonly timeUs: number;
  readonly venue: string;
  readonly symbol: string;
  readonly side: "buy" | "sell";
  /** In the instrument's price unit. */
  readonly price: number;
  readonly lots: number;
  readonly notional: number;
  readonly maker: boolean;
  readonly counterparty: string;
  /** The desk's order; null for a quote. */
  readonly orderId: number | null;
  readonly quoteId: number | null;
  readonly level: number;
  /** Time that ours had rested at its price, µs. */
  readonly restedUs: number;
  /** In the settlement currency; negative = a rebate. */
  readonly fee: number;
  readonly feeQuote: number;
  /** Middle of the book at the moment of the fill; in the price unit. */
  readonly mid: number | null;
  /** Worth at that middle less price paid. */
  readonly spread: number | null;
  /** Worth at the middle after each of {@link MARKOUT_MS} less price paid; null where the recording ended before. */
  readonly markout: readonly (number | null)[];
  /** Probabilities in force for the underlying when it happened, by head; empty without a model. */
  readonly probabilities: readonly (number | null)[];
}

/** What the run had come to at the end of an interval. Amounts in quote currency, from the beginning on. */
export interface IntervalRecord {
  readonly timeUs: number;
  readonly profit: number;
  readonly fees: number;
  readonly volume: number;
  readonly fills: number;
  /** Net delta of all underlyings together, as notional. */
  readonly delta: number;
  /** Largest position in any one instrument, as notional, without sign. */
  readonly exposure: number;
  readonly quotes: number;
  readonly predictions: number;
  /** Latest probabilities of the first underlying, by head; NaN is null. */
  readonly probabilities: readonly (number | null)[];
  /** The price of the first underlying; null before there is one. */
  readonly price: number | null;
}

export interface MarkoutSummary {
  readonly horizonMs: number;
  /** Fills whose horizon ended within the recording. */
  readonly fills: number;
  readonly notional: number;
  /** Σ worth at the later middle less price paid, and Σ of what the market took back of the spread (negative: adverse). */
  readonly markout: number;
  readonly adverse: number;
  /** The same in bp of the notional; null without fills. */
  readonly markoutBp: number | null;
  readonly adverseBp: number | null;
}

/** What a run came to. Amounts in quote currency. */
export interface BacktestSummary {
  readonly fromUs: number;
  readonly toUs: number;
  readonly seconds: number;
  /** Fees taken off. */
  readonly profit: number;
  readonly sources: Readonly<Record<Source, number>>;
  readonly fees: number;
  readonly fills: number;
  readonly makerFills: number;
  readonly takerFills: number;
  readonly volume: number;
  /** Σ worth at the middle of the moment less price paid, of fills of quotes and resting orders. */
  readonly spreadCaptured: number;
  readonly spreadCapturedBp: number | null;
  readonly markouts: readonly MarkoutSummary[];
  /** Largest fall of the profit from a peak before it. */
  readonly drawdown: number;
  readonly deltaMax: number;
  readonly exposureMax: number;
  /** Positions at the end, lots by `venue:symbol`. */
  readonly positions: Readonly<Record<string, number>>;
  readonly messages: number;
  /** Fills for each quote sent. */
  readonly fillRatio: number;
  readonly stability: QuoteStability;
  /** Why trading was stopped, null when it was not. */
  readonly killed: string | null;
  readonly refusals: Readonly<Record<string, number>>;
  readonly desk: DeskCounters;
  readonly matching: MatchingCounters;
  readonly flow: FlowCounters | null;
  readonly hedges: number;
  /** Measured feed latencies that were cut at the bound, and the offset between the clocks that was taken out, by feed, µs. */
  readonly latencyCut: number;
  readonly clockOffsetUs: readonly (number | null)[];
  readonly problems: readonly string[];
}

export interface BacktestResult {
  /** SHA-256, hex, over the spec, the inputs' contents and keel's version: the run's name. */
  readonly digest: string;
  readonly keel: string;
  readonly spec: BacktestSpec;
  readonly summary: BacktestSummary;
  readonly fills: readonly FillRecord[];
  readonly intervals: readonly IntervalRecord[];
  /** Over fills and intervals: two runs that agree here agree bit for bit. */
  readonly checksum: string;
}

/** How long a run took; no part of its result, which is the same each time. */
export interface BacktestTiming {
  readonly wallMs: number;
  readonly events: number;
  readonly usPerEvent: number;
}
