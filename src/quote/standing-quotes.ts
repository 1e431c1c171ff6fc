import type { Decider } from "./decider.ts";
import type { FairValues } from "./fair-value.ts";
import type { QuoteBatch } from "./quote-batch.ts";
import type { Stability } from "./stability.ts";
import { namedTerms, TERMS, type TermName } from "./term.ts";

/** What stands at the counterparty for one level of an instrument, and why. */
export interface StandingQuote {
  readonly instrument: number;
  readonly level: number;
  readonly quoteId: number;
  /** −1 and 0 where the side is not quoted. */
  readonly bidTicks: number;
  readonly bidLots: number;
  readonly askTicks: number;
  readonly askLots: number;
  readonly fair: number;
  readonly delta: number;
  readonly vega: number;
  readonly impliedVolatility: number;
  readonly widenBp: number;
  readonly sizeFactor: number;
  /** `REASON` bits of the last decision, sent or not. */
  readonly reasons: number;
  /** What the last quote sent was made of. */
  readonly terms: Readonly<Record<TermName, number>>;
}

export interface StandingQuotesOptions {
  readonly capacity: number;
  readonly stability: Stability;
  readonly values: FairValues;
  readonly decider: Decider;
}

/** What stands at the counterparty, told as quotes: for display, and to be held against other limits. */
export class StandingQuotes {
  readonly #options: StandingQuotesOptions;

  constructor(options: StandingQuotesOptions) {
    this.#options = options;
  }

  /** What stands for a level of an instrument. Allocates. */
  get(instrument: number, level: number): StandingQuote {
    const { capacity, stability, values, decider } = this.#options;
    const { ticks, lots, quoteId, widenBp, sizeFactor, terms } = stability;
    const slot = level * capacity + instrument;
    return {
      instrument,
      level,
      quoteId: quoteId[slot],
      bidTicks: ticks[2 * slot],
      bidLots: lots[2 * slot],
      askTicks: ticks[2 * slot + 1],
      askLots: lots[2 * slot + 1],
      fair: values.fair[instrument],
      delta: values.delta[instrument],
      vega: values.vega[instrument],
      impliedVolatility: values.impliedVolatility[instrument],
      widenBp: widenBp[slot],
      sizeFactor: sizeFactor[slot],
      reasons: decider.reasons[slot],
      terms: namedTerms(terms, slot * TERMS),
    };
  }

  /**
   * Appends what stands, as it stands, with ids of its own.
   *
   * @param from number of slots that earlier calls went through
   * @param slots their number
   * @returns the number of slots gone through after this call; at `slots` everything has been appended
   */
  restate(from: number, slots: number, out: QuoteBatch): number {
    const { capacity, stability, values, decider } = this.#options;
    let slot = from;
    for (; slot < slots && out.count < out.capacity; slot += 1) {
      if (!stability.standing(slot)) continue;
      const id = slot % capacity;
      const row = out.count;
      out.instrument[row] = id;
      out.level[row] = Math.floor(slot / capacity);
      out.quoteId[row] = decider.nextQuoteId;
      decider.nextQuoteId += 1;
      out.bidTicks[row] = stability.ticks[2 * slot];
      out.bidLots[row] = stability.lots[2 * slot];
      out.askTicks[row] = stability.ticks[2 * slot + 1];
      out.askLots[row] = stability.lots[2 * slot + 1];
      out.reasons[row] = decider.reasons[slot];
      out.fair[row] = values.fair[id];
      out.widenBp[row] = stability.widenBp[slot];
      out.sizeFactor[row] = stability.sizeFactor[slot];
      out.delta[row] = values.delta[id];
      out.vega[row] = values.vega[id];
      out.standing[row] = 1;
      out.value[row] = Number.POSITIVE_INFINITY;
      out.terms.set(stability.terms.subarray(slot * TERMS, (slot + 1) * TERMS), row * TERMS);
      out.count += 1;
    }
    return slot;
  }
}
