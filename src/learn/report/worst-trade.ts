import { HEADS, type HeadName } from "../../inference/card.ts";
import { reasonNames } from "../../quote/quote-batch.ts";
import { priceTerms, type ReportedTerm } from "../../quote/quote-report.ts";
import { TERM_NAMES, type TermName } from "../../quote/term.ts";
import { fillMeasures } from "../outcomes/measures.ts";
import type { FillOutcome } from "../outcomes/table.ts";

/** What a group is called whose name is not known. */
export const NOT_TOLD = "not told";

/** What the model said at a time, by head; null where none was in force or it is not known. `ageMs` of the features that it was made from. */
export interface SaidProbabilities {
  readonly ageMs: number;
  readonly probabilities: Readonly<Partial<Record<HeadName, number>>>;
}

/** One of the trades that lost most, with the quote that was hit. */
export interface WorstTrade {
  readonly timeUs: number;
  readonly instrument: string;
  readonly source: string;
  readonly counterparty: string;
  readonly model: string;
  readonly side: "bought" | "sold";
  readonly price: number;
  readonly size: number;
  readonly markout: readonly (number | null)[];
  readonly captured: number | null;
  readonly slippage: number | null;
  /** When the quote that was hit, the answer that was taken, or the order was sent; and at the fill. */
  readonly said: { readonly sent: SaidProbabilities | null; readonly filled: SaidProbabilities | null };
  /** The answer to a request that was taken; null when it was none. */
  readonly answer: { readonly rfqQuoteId: string; readonly ageMs: number | null } | null;
  /** Null when it was no quote's, or not known which. */
  readonly quote: {
    readonly quoteId: number;
    readonly level: number;
    readonly ageMs: number;
    readonly fair: number;
    readonly staticPrice: number;
    readonly widenBp: number;
    readonly sizeFactor: number;
    readonly reasons: readonly string[];
    readonly terms: readonly ReportedTerm[];
    /** What the predicted withdrawal and the room within position and Greek limits left of each side's full size. */
    readonly sizes: Readonly<Record<"bid" | "ask", number>>;
    readonly greeks: Readonly<Record<"forward" | "impliedVolatility" | "delta" | "gamma" | "vega", number>>;
  } | null;
}

/** A fill with what is known of the quote that was hit. */
export function worstTrade(fill: FillOutcome): WorstTrade {
  const { markout, captured, slippage } = fillMeasures(fill);
  const terms = Object.fromEntries(TERM_NAMES.map((name) => [name, fill[`term_${name}`]])) as Record<
    TermName,
    number
  >;
  const { forward, impliedVolatility, delta, gamma, vega } = terms;
  return {
    timeUs: fill.time_us,
    instrument: fill.instrument,
    source: fill.source,
    counterparty: fill.counterparty,
    model: fill.model === "" ? NOT_TOLD : fill.model,
    side: fill.side === 1 ? "bought" : "sold",
    price: fill.price,
    size: fill.size,
    markout: markout.map(known),
    captured: known(captured),
    slippage: known(slippage),
    said: {
      sent: said(fill, "p_", fill.predicted_us, fill.quote_time_us),
      filled: said(fill, "fill_p_", fill.fill_predicted_us, fill.time_us),
    },
    answer:
      fill.rfq_quote_id === ""
        ? null
        : { rfqQuoteId: fill.rfq_quote_id, ageMs: known((fill.time_us - fill.quote_time_us) / 1_000) },
    quote: Number.isNaN(fill.quote_id)
      ? null
      : {
          quoteId: fill.quote_id,
          level: fill.level,
          ageMs: (fill.time_us - fill.quote_time_us) / 1_000,
          fair: fill.fair,
          staticPrice: fill.static_price,
          widenBp: fill.widen_bp,
          sizeFactor: fill.size_factor,
          reasons: reasonNames(fill.reasons),
          terms: priceTerms(terms),
          sizes: { bid: terms.predictedBid * terms.roomBid, ask: terms.predictedAsk * terms.roomAsk },
          greeks: { forward, impliedVolatility, delta, gamma, vega },
        },
  };
}

function said(
  fill: FillOutcome,
  prefix: "p_" | "fill_p_",
  predictedUs: number,
  timeUs: number,
): SaidProbabilities | null {
  if (!Number.isFinite(predictedUs)) return null;
  const heads = HEADS.filter((head) => Number.isFinite(fill[`${prefix}${head}`]));
  return {
    ageMs: (timeUs - predictedUs) / 1_000,
    probabilities: Object.fromEntries(heads.map((head) => [head, fill[`${prefix}${head}`]])),
  };
}

function known(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
