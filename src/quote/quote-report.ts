import { stepToNumber } from "../core/decimal.ts";
import type { Instrument } from "../market/instrument.ts";
import type { TermName } from "./term.ts";

/** A quote as it was sent, with what it was made of. */
export interface ReportedQuote {
  /** 0 for the quote nearest to the market, then outwards. */
  readonly level: number;
  readonly quoteId: number;
  readonly bidTicks: number;
  readonly bidLots: number;
  readonly askTicks: number;
  readonly askLots: number;
  readonly fair: number;
  readonly widenBp: number;
  readonly sizeFactor: number;
  /** Null in journals from before this was recorded. */
  readonly terms: Readonly<Record<TermName, number>> | null;
}

/** One term of a quote: what it moves each side's price by, in the instrument's price unit, and where it comes from. */
export interface ReportedTerm {
  readonly term: string;
  readonly bid: number;
  readonly ask: number;
  readonly why: string;
}

/** A quote for people: prices in the price unit, sizes in the size unit, null where a side is not quoted. */
export interface QuoteReport {
  readonly instrument: string;
  readonly venue: string;
  readonly level: number;
  readonly quoteId: number;
  readonly bid: number | null;
  readonly bidSize: number;
  readonly ask: number | null;
  readonly askSize: number;
  readonly fair: number;
  readonly widenBp: number;
  readonly sizeFactor: number;
  readonly reasons: readonly string[];
  /** Price terms: fair and all of them give the price; the last one is what rounding and an earlier price that was held make of the sum. */
  readonly terms: readonly ReportedTerm[];
  /** Factors of the full size: what the predicted withdrawal and what position and Greek limits leave. */
  readonly sizes: { readonly bid: readonly number[]; readonly ask: readonly number[] };
  readonly greeks: Readonly<
    Record<"forward" | "impliedVolatility" | "delta" | "gamma" | "vega", number>
  > | null;
}

export function quoteReport(
  instrument: Instrument,
  quote: ReportedQuote,
  reasons: readonly string[],
): QuoteReport {
  const tick = stepToNumber(instrument.tick);
  const lot = stepToNumber(instrument.lot);
  const { terms } = quote;
  const bid = quote.bidTicks < 0 ? null : rounded(quote.bidTicks * tick);
  const ask = quote.askTicks < 0 ? null : rounded(quote.askTicks * tick);
  return {
    instrument: instrument.symbol,
    venue: instrument.venue,
    level: quote.level,
    quoteId: quote.quoteId,
    bid,
    bidSize: rounded(quote.bidLots * lot),
    ask,
    askSize: rounded(quote.askLots * lot),
    fair: quote.fair,
    widenBp: quote.widenBp,
    sizeFactor: quote.sizeFactor,
    reasons,
    terms: terms === null ? [] : withRest(priceTerms(terms), quote.fair, bid, ask, reasons),
    sizes:
      terms === null
        ? { bid: [], ask: [] }
        : { bid: [terms.predictedBid, terms.roomBid], ask: [terms.predictedAsk, terms.roomAsk] },
    greeks:
      terms === null
        ? null
        : {
            forward: terms.forward,
            impliedVolatility: terms.impliedVolatility,
            delta: terms.delta,
            gamma: terms.gamma,
            vega: terms.vega,
          },
  };
}

/** A report as lines of text. */
export function quoteReportLines(report: QuoteReport): string[] {
  const price = (value: number | null): string => (value === null ? "–" : String(value));
  const amount = (value: number): string => `${value > 0 ? "+" : ""}${value.toPrecision(6)}`;
  const size = (factors: readonly number[]): string => factors.map((factor) => factor.toFixed(3)).join(" × ");
  const { greeks, sizes } = report;
  return [
    `${report.venue} ${report.instrument}, level ${report.level + 1}, quote ${report.quoteId}`,
    `bid ${report.bidSize} @ ${price(report.bid)}   ask ${report.askSize} @ ${price(report.ask)}   fair ${report.fair.toPrecision(8)}`,
    ...(greeks === null
      ? ["what it was made of was not recorded"]
      : [
          `forward ${greeks.forward.toPrecision(8)}, iv ${greeks.impliedVolatility.toFixed(4)}, delta ${greeks.delta.toFixed(4)}, gamma ${greeks.gamma.toPrecision(4)}, vega ${(greeks.vega / 100).toFixed(2)} a point`,
          `${"  term".padEnd(20)}${"bid".padStart(14)}${"ask".padStart(14)}   why`,
          ...report.terms.map(
            ({ term, bid, ask, why }) =>
              `  ${term.padEnd(18)}${amount(bid).padStart(14)}${amount(ask).padStart(14)}   ${why}`,
          ),
          `  size: predicted × room = bid ${size(sizes.bid)}, ask ${size(sizes.ask)} of the full size`,
        ]),
    `widened by ${report.widenBp} bp, size × ${report.sizeFactor}; reasons: ${report.reasons.join(", ")}`,
  ];
}

/** What each term of a quote moves its sides by. */
export function priceTerms(terms: Readonly<Record<TermName, number>>): ReportedTerm[] {
  const spread = (term: string, bid: number, ask: number, why: string): ReportedTerm => ({
    term,
    bid: -bid,
    ask,
    why,
  });
  const skew = (term: string, shift: number, why: string): ReportedTerm => ({
    term,
    bid: shift,
    ask: shift,
    why,
  });
  const all = [
    spread("base", terms.base, terms.base, "base half-spread"),
    spread("adverse move", terms.moveBid, terms.moveAsk, "|delta| × the move that the model expects"),
    spread("volatility jump", terms.volatilityJump, terms.volatilityJump, "vega × the jump that it expects"),
    spread("counterparty", terms.counterparty, terms.counterparty, "who sees the quote"),
    spread("level", terms.levelBid, terms.levelAsk, "distance behind the first level"),
    skew("skew delta", terms.skewDelta, "against the net delta of the underlying"),
    skew("skew gamma", terms.skewGamma, "against its net gamma"),
    skew("skew vega", terms.skewVega, "against its net vega"),
    skew("skew position", terms.skewPosition, "against the position in the instrument"),
  ];
  return all.filter(({ term, bid, ask }) => term === "base" || bid !== 0 || ask !== 0);
}

/** What is left between the sum and the price that was sent is a term as well. */
function withRest(
  terms: readonly ReportedTerm[],
  fair: number,
  bid: number | null,
  ask: number | null,
  reasons: readonly string[],
): ReportedTerm[] {
  const rest = (side: "bid" | "ask", price: number | null): number =>
    price === null ? 0 : rounded(price - terms.reduce((sum, term) => sum + term[side], fair));
  const held = reasons.includes("held") ? ", and the price before, which may not be tightened yet" : "";
  const why = `rounding away from the market${held}`;
  return [
    ...terms,
    { term: held === "" ? "rounding" : "rounding, hold", bid: rest("bid", bid), ask: rest("ask", ask), why },
  ];
}

function rounded(value: number): number {
  return Math.round(value * 1e10) / 1e10;
}
