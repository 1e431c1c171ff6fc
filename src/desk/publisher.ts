import { Histogram } from "../core/histogram.ts";
import { QuoteBatch, REASON } from "../quote/quote-batch.ts";
import type { Quoter } from "../quote/quoter.ts";
import type { ApprovedQuotes, RiskGate } from "../risk/gate.ts";
import type { DeskCounters } from "./counters.ts";
import { DecisionEncoder } from "./decision.ts";
import { QUOTE_CAPACITY } from "./desk-options.ts";
import type { DeskPort } from "./desk-port.ts";
import { STAGE, type StageTimer } from "./latency.ts";
import { type MarketState, TOUCHED_QUOTE } from "./market-state.ts";
import type { Predictor } from "./predictor.ts";

const MODEL_REASONS = REASON.modelMove | REASON.modelWithdraw | REASON.modelVolatility;

export interface PublisherOptions {
  readonly quoter: Quoter;
  readonly gate: RiskGate;
  readonly predictor: Predictor;
  readonly counters: DeskCounters;
  readonly port: Pick<DeskPort, "publish" | "flush" | "decided">;
  readonly timer: StageTimer;
  /** The gate has judged quotes: a limit may have tripped the kill switch. */
  readonly onChecked: (timeUs: number) => void;
}

/** The end of the line: what the quoter decides goes through the risk gate to the counterparty, and is told and counted. */
export class Publisher {
  /** Quotes were handed over since this was last set to false. */
  published = false;
  sessionUp = false;
  /** Nothing is sent any more. */
  stopping = false;
  /** Since when sent quotes wait for the counterparty's answer, µs; NaN when none does. */
  unansweredSinceUs = Number.NaN;
  /** How many sent quotes gave each reason, by bit of {@link REASON}. */
  readonly reasonCounts = new Float64Array(32);
  /** See `Desk.freshness`. */
  readonly freshness = new Histogram();
  readonly #options: PublisherOptions;
  readonly #quotes = new QuoteBatch(QUOTE_CAPACITY);
  readonly #decisions: DecisionEncoder;
  /** The highest quoteId that the counterparty has answered. */
  #answeredId = 0;
  /** Quotes were handed over since {@link requote} began and have not been asked to leave. */
  #gathered = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#decisions = new DecisionEncoder(QUOTE_CAPACITY, options.predictor.heads);
  }

  /** The counterparty takes quotes. */
  get open(): boolean {
    return this.sessionUp && !this.stopping;
  }

  onSessionDown(): void {
    this.sessionUp = false;
    this.unansweredSinceUs = Number.NaN;
  }

  /**
   * The counterparty has answered everything up to a quote. Ids that the gate took out of a batch were never sent, so the span
   * of ids may exceed what is outstanding.
   *
   * @returns how many sent quotes that answers
   */
  onAnswer(quoteId: number, timeUs: number): number {
    const { quotesSent, quotesAcked, quotesRejected } = this.#options.counters;
    const outstanding = quotesSent - quotesAcked - quotesRejected;
    const span = Math.max(quoteId - this.#answeredId, 0);
    const answered = Math.min(span, outstanding);
    this.#answeredId += span;
    if (span > 0) this.unansweredSinceUs = answered < outstanding ? timeUs : Number.NaN;
    return answered;
  }

  /**
   * Decides anew for every underlying that was touched.
   *
   * @param isBatchEnd what was gathered leaves, with the last underlying's quotes and before anybody is told of those
   */
  requote({ touched, underlyings }: MarketState, timeUs: number, isBatchEnd = false): void {
    const { quoter, timer, port } = this.#options;
    let last = isBatchEnd ? underlyings.size - 1 : -1;
    while (last >= 0 && (touched[last] & TOUCHED_QUOTE) === 0) last -= 1;
    this.#gathered = false;
    for (let underlying = 0; underlying < underlyings.size; underlying += 1) {
      if ((touched[underlying] & TOUCHED_QUOTE) === 0) continue;
      touched[underlying] &= ~TOUCHED_QUOTE;
      this.#quotes.clear();
      quoter.requote(underlying, timeUs, this.#quotes);
      timer.mark(STAGE.quote);
      this.#publish(underlying, timeUs, underlying === last);
    }
    if (isBatchEnd && this.#gathered) port.flush?.();
  }

  requoteAll(timeUs: number): void {
    this.#quotes.clear();
    this.#options.quoter.requoteAll(timeUs, this.#quotes);
    this.#publish(-1, timeUs);
  }

  /** Pulls and cuts what stands and breaks a limit by now; the rest stands on. */
  recheck(timeUs: number): void {
    const { quoter, gate } = this.#options;
    if (!this.open) return;
    const quotes = this.#quotes;
    for (let slot = 0; slot < quoter.slots; ) {
      quotes.clear();
      slot = quoter.restate(slot, quotes);
      if (quotes.count === 0) continue;
      this.#send(gate.recheck(quotes, timeUs), -1, timeUs, false);
    }
  }

  /** Sends what the quoter's timers release. */
  onTimer(timeUs: number): void {
    this.#quotes.clear();
    this.#options.quoter.onTimer(timeUs, this.#quotes);
    this.#publish(-1, timeUs);
  }

  /** @param underlying −1 when the quotes are of several */
  #publish(underlying: number, timeUs: number, isLast = false): void {
    const quotes = this.#quotes;
    if (quotes.count === 0) return;
    const { gate, timer } = this.#options;
    const approved = gate.check(quotes, timeUs);
    timer.mark(STAGE.risk);
    this.#send(approved, underlying, timeUs, isLast);
  }

  #send(approved: ApprovedQuotes, underlying: number, timeUs: number, isLast: boolean): void {
    const quotes = approved.batch;
    const { port, predictor, quoter, timer } = this.#options;
    const sent = this.open ? quotes.count : 0;
    if (sent > 0) {
      port.publish(approved, timeUs);
      timer.mark(STAGE.encode);
      this.#gathered = !isLast;
      if (isLast) port.flush?.();
      this.published = true;
      this.#count(quotes, timeUs);
      const { heads, probabilities, stateUs } = predictor;
      const ageUs = underlying < 0 ? Number.NaN : timeUs - stateUs[underlying];
      if (ageUs >= 0 && predictor.status(underlying) === 0) this.freshness.record(ageUs * 1_000);
      const from = Math.max(underlying, 0) * heads;
      const shown = underlying < 0 ? 0 : heads;
      const payload = this.#decisions.encode(quotes, underlying, probabilities, from, shown);
      port.decided(underlying, timeUs, payload, quotes);
    }
    quoter.onSent(quotes, sent, timeUs);
    this.#options.onChecked(timeUs);
  }

  #count(quotes: QuoteBatch, timeUs: number): void {
    const { counters } = this.#options;
    counters.quotesSent += quotes.count;
    if (Number.isNaN(this.unansweredSinceUs)) this.unansweredSinceUs = timeUs;
    for (let row = 0; row < quotes.count; row += 1) {
      const reasons = quotes.reasons[row];
      if ((reasons & MODEL_REASONS) !== 0) counters.widened += 1;
      for (let rest = reasons; rest !== 0; rest &= rest - 1) {
        this.reasonCounts[31 - Math.clz32(rest & -rest)] += 1;
      }
    }
  }
}
