import { TERM, TERMS } from "../../quote/term.ts";
import type { Basis } from "./basis.ts";
import { type ObservedInstrument, QUOTED } from "./observation.ts";
import type { QUOTE_END, QuoteOutcome } from "./table.ts";

/** Quotes of a level that a fill can still be of: a hit may be under way while a quote is replaced. */
const KEPT = 8;

/** A quote as it was sent, with where it would have stood without the model's terms. Index 0 = bid, 1 = ask. */
export interface SentQuote {
  readonly timeUs: number;
  /** In force when it was sent. */
  readonly model: string;
  /** What it rests on; undefined where that was not told. */
  readonly basis: Basis | undefined;
  readonly quoteId: number;
  readonly level: number;
  /** −1 where the side is not quoted. */
  readonly ticks: readonly [number, number];
  readonly lots: readonly [number, number];
  /** As `ticks`; equal where the model moved nothing. */
  readonly staticTicks: readonly [number, number];
  /** Size without the model's cut over the size as sent, ≥ 1. */
  readonly staticRatio: readonly [number, number];
  readonly mark: number;
  readonly fair: number;
  readonly widenBp: number;
  readonly sizeFactor: number;
  readonly reasons: number;
  readonly terms: Float32Array;
}

/**
 * Where a side would have stood without what the model added: its price moved back by the adverse move and the volatility jump, and
 * to the grid away from the market, as prices are. A side that the model cut to nothing has no price, and stays without one.
 */
export function sentQuote(
  values: Float64Array,
  { tick }: ObservedInstrument,
  { mark, model, basis }: Pick<SentQuote, "mark" | "model" | "basis">,
  timeUs: number,
): SentQuote {
  const terms = new Float32Array(TERMS);
  for (let term = 0; term < TERMS; term += 1) terms[term] = values[QUOTED.terms + term];
  const bidTicks = values[QUOTED.bidLots] > 0 ? values[QUOTED.bidTicks] : -1;
  const askTicks = values[QUOTED.askLots] > 0 ? values[QUOTED.askTicks] : -1;
  const jump = terms[TERM.volatilityJump];
  const addedBid = Math.max(0, terms[TERM.moveBid] + jump) / tick;
  const addedAsk = Math.max(0, terms[TERM.moveAsk] + jump) / tick;
  return {
    timeUs,
    model,
    basis,
    quoteId: values[QUOTED.quoteId],
    level: values[QUOTED.level],
    ticks: [bidTicks, askTicks],
    lots: [values[QUOTED.bidLots], values[QUOTED.askLots]],
    staticTicks: [
      bidTicks < 0 ? -1 : bidTicks + Math.floor(addedBid + 1e-6),
      askTicks < 0 ? -1 : askTicks - Math.floor(addedAsk + 1e-6),
    ],
    staticRatio: [ratio(terms[TERM.predictedBid]), ratio(terms[TERM.predictedAsk])],
    mark,
    fair: values[QUOTED.fair],
    widenBp: values[QUOTED.widenBp],
    sizeFactor: values[QUOTED.sizeFactor],
    reasons: values[QUOTED.reasons],
    terms,
  };
}

/** So many steps, without the last bits that a product of doubles has too many. */
export function onGrid(steps: number, step: number): number {
  return Math.round(steps * step * 1e10) / 1e10;
}

function ratio(kept: number): number {
  return kept > 0 && kept < 1 ? 1 / kept : 1;
}

/** What stands, and stood last, on one level of an instrument. */
export class StandingLevel {
  current: SentQuote | null = null;
  /** A pass through the static level counts once: not again before a quote is sent with the market on its right side. */
  readonly armed: [boolean, boolean] = [false, false];
  readonly #recent: SentQuote[] = [];
  readonly #bestUs: [number, number] = [0, 0];
  readonly #isBest: [boolean, boolean] = [false, false];
  #lookedUs = 0;

  /** Another quote stands from now on. */
  stand(quote: SentQuote, bidTicks: number, askTicks: number): void {
    const isOut = quote.ticks[0] < 0 && quote.ticks[1] < 0;
    this.current = isOut ? null : quote;
    if (!isOut) {
      this.#recent.push(quote);
      if (this.#recent.length > KEPT) this.#recent.shift();
    }
    this.#bestUs.fill(0);
    this.#lookedUs = quote.timeUs;
    this.#judge(bidTicks, askTicks);
    const [staticBid, staticAsk] = quote.staticTicks;
    this.armed[0] = staticBid > quote.ticks[0] && !(askTicks >= 0 && askTicks < staticBid);
    this.armed[1] = staticAsk >= 0 && staticAsk < quote.ticks[1] && !(bidTicks > staticAsk);
  }

  /** The book is another one from now on. */
  look(bidTicks: number, askTicks: number, timeUs: number): void {
    this.#pass(timeUs);
    this.#judge(bidTicks, askTicks);
  }

  /**
   * The newest quote that had this price and stood before a time: what answers a fill leaves before the fill is told. One of that
   * very time where there is no other; undefined when none of the last ones had the price.
   */
  hit(side: 0 | 1, priceTicks: number, beforeUs: number): SentQuote | undefined {
    const had = this.#recent.filter(({ ticks }) => ticks[side] === priceTicks);
    return had.findLast(({ timeUs }) => timeUs < beforeUs) ?? had.at(-1);
  }

  /** What came of the quote that stood until now; null when none did. */
  end(
    why: (typeof QUOTE_END)[number],
    { symbol, tick, lot }: ObservedInstrument,
    timeUs: number,
  ): QuoteOutcome | null {
    const quote = this.current;
    if (quote === null) return null;
    this.#pass(timeUs);
    this.current = null;
    const price = (ticks: number): number => (ticks < 0 ? Number.NaN : onGrid(ticks, tick));
    const size = (side: 0 | 1, lots: number): number => (quote.ticks[side] < 0 ? 0 : onGrid(lots, lot));
    return {
      time_us: quote.timeUs,
      until_us: timeUs,
      end: why,
      instrument: symbol,
      model: quote.model,
      quote_id: quote.quoteId,
      level: quote.level,
      bid: price(quote.ticks[0]),
      bid_size: size(0, quote.lots[0]),
      ask: price(quote.ticks[1]),
      ask_size: size(1, quote.lots[1]),
      static_bid: price(quote.staticTicks[0]),
      static_bid_size: size(0, quote.lots[0] * quote.staticRatio[0]),
      static_ask: price(quote.staticTicks[1]),
      static_ask_size: size(1, quote.lots[1] * quote.staticRatio[1]),
      mark: quote.mark,
      fair: quote.fair,
      widen_bp: quote.widenBp,
      size_factor: quote.sizeFactor,
      reasons: quote.reasons,
      bid_best_us: this.#bestUs[0],
      ask_best_us: this.#bestUs[1],
    };
  }

  #pass(timeUs: number): void {
    for (const side of [0, 1] as const) if (this.#isBest[side]) this.#bestUs[side] += timeUs - this.#lookedUs;
    this.#lookedUs = timeUs;
  }

  #judge(bidTicks: number, askTicks: number): void {
    const [bid, ask] = this.current?.ticks ?? [-1, -1];
    this.#isBest[0] = bid >= 0 && bidTicks >= 0 && bid >= bidTicks;
    this.#isBest[1] = ask >= 0 && askTicks >= 0 && ask <= askTicks;
  }
}
