import type { Instrument } from "../market/instrument.ts";
import type { FairValues } from "./fair-value.ts";
import type { Inventory } from "./inventory.ts";
import type { MarketState } from "./market-state.ts";
import type { QuoteParameters } from "./parameters.ts";
import type { Adjustment } from "./policy.ts";
import type { Predictions } from "./prediction.ts";
import { type QuoteBatch, REASON } from "./quote-batch.ts";
import type { Stability } from "./stability.ts";
import { QuoteTarget } from "./target.ts";
import type { Universe } from "./universe.ts";

/** A tightening for which the message budget had nothing left is tried again after this time. */
const BUDGET_RETRY_US = 10_000;

/** What decisions are made from. */
export interface DecisionState {
  readonly parameters: QuoteParameters;
  readonly universe: Universe;
  readonly markets: MarketState;
  readonly values: FairValues;
  readonly inventory: Inventory;
  readonly predictions: Predictions;
  readonly stability: Stability;
}

/** Decides the quote of one instrument: whether it may be quoted, where it should stand, and whether that is worth sending. */
export class Decider {
  /** {@link REASON} bits of each instrument's last decision, sent or not. */
  readonly reasons: Int32Array;
  /** When an improvement that waits may be sent; `Infinity` while none does. */
  readonly releaseUs: Float64Array;
  /** An instrument is left alone until then, after a rejection. */
  readonly suspendedUntilUs: Float64Array;
  /** {@link REASON} bits for which nothing at all is quoted. */
  haltReasons = 0;
  /** The quoteId that the next row gets. */
  nextQuoteId = 1;

  readonly #state: DecisionState;
  readonly #target: QuoteTarget;
  /** Fair values within which the last decision holds as long as nothing but prices changes; NaN when it never does. */
  readonly #holdsFrom: Float64Array;
  readonly #holdsTo: Float64Array;
  readonly #decidedInTurn: Float64Array;
  #turn = 0;

  constructor(capacity: number, state: DecisionState) {
    this.#state = state;
    this.#target = new QuoteTarget(capacity, state.parameters);
    this.reasons = new Int32Array(capacity);
    this.releaseUs = new Float64Array(capacity).fill(Number.POSITIVE_INFINITY);
    this.suspendedUntilUs = new Float64Array(capacity).fill(Number.NEGATIVE_INFINITY);
    this.#holdsFrom = new Float64Array(capacity).fill(Number.NaN);
    this.#holdsTo = new Float64Array(capacity).fill(Number.NaN);
    this.#decidedInTurn = new Float64Array(capacity).fill(-1);
  }

  /** What was decided so far is settled: sent, not sent or void. */
  endTurn(): void {
    this.#turn += 1;
  }

  /** @param fraction net delta of the underlying whose instruments are decided next, over the full amount */
  setNetDelta(fraction: number): void {
    this.#target.terms.netDelta = fraction;
  }

  /** The last decision stands although the price has moved. */
  holds(id: number, underlying: number, timeUs: number): boolean {
    const instrument = this.#state.universe.get(id);
    if (instrument === undefined || this.releaseUs[id] <= timeUs) return false;
    const price = this.#state.markets.referencePrice[underlying];
    const exchangeTimeUs = timeUs + this.#state.markets.exchangeOffsetUs[underlying];
    if (!this.#state.values.evaluate(instrument, price, exchangeTimeUs, timeUs)) return false;
    const fair = this.#state.values.fair[id];
    return fair >= this.#holdsFrom[id] && fair <= this.#holdsTo[id];
  }

  /**
   * Decides an instrument and appends a row when something is to be sent.
   *
   * @returns false when the decision could not be taken now and must be taken again: the batch is full, or the instrument's
   * last row is not settled yet
   */
  decide(id: number, underlying: number, timeUs: number, out: QuoteBatch): boolean {
    const instrument = this.#state.universe.get(id);
    if (instrument === undefined) return true;
    if (this.#decidedInTurn[id] === this.#turn || out.count === out.capacity) return false;
    const stability = this.#state.stability;
    const target = this.#target;
    const pulled = this.#pullReasons(instrument, underlying, timeUs);
    const adjustment = this.#state.predictions.adjustments[underlying];
    const bid = 2 * id;
    const ask = bid + 1;
    let reasons = REASON.pulled | pulled;
    let urgent = false;
    let optional = false;
    let held = false;
    let releaseUs = Number.POSITIVE_INFINITY;
    let bidTicks = -1;
    let bidLots = 0;
    let askTicks = -1;
    let askLots = 0;
    if (pulled !== 0) {
      urgent = stability.standing(id);
      this.#holdsFrom[id] = Number.NaN;
    } else {
      this.#aim(instrument, adjustment);
      reasons = REASON.base | adjustment.reasons;
      if (target.terms.shift !== 0 || target.terms.position !== 0) reasons |= REASON.inventory;

      const { rawBid, bidLimit, halfBid, bidStep, rawAsk, askLimit, halfAsk, askStep } = target;
      stability.weigh(bid, target.bidTicks, target.bidLots, rawBid, bidLimit, halfBid, bidStep, timeUs);
      bidTicks = stability.nextTicks;
      bidLots = stability.nextLots;
      urgent = stability.urgent;
      optional = stability.optional;
      held = stability.held;
      releaseUs = stability.releaseUs;
      stability.weigh(ask, target.askTicks, target.askLots, rawAsk, askLimit, halfAsk, askStep, timeUs);
      askTicks = stability.nextTicks;
      askLots = stability.nextLots;
      urgent ||= stability.urgent;
      optional ||= stability.optional;
      held ||= stability.held;
      releaseUs = Math.min(releaseUs, stability.releaseUs);

      if (bidTicks >= 0 && askTicks >= 0 && bidTicks >= askTicks) {
        bidTicks = target.bidTicks;
        askTicks = target.askTicks;
        urgent = true;
      }
      this.#hold(id, bidTicks, askTicks, releaseUs < Number.POSITIVE_INFINITY);
      if (optional && !urgent && !stability.spend()) {
        optional = false;
        held = true;
        releaseUs = timeUs + BUDGET_RETRY_US;
        stability.counters.heldForBudget += 1;
      }
      if (held) reasons |= REASON.held;
    }
    if (held && (this.reasons[id] & REASON.held) === 0) stability.counters.held += 1;
    this.releaseUs[id] = releaseUs;
    this.reasons[id] = reasons;
    if (!urgent && !optional) return true;

    const row = out.count;
    out.count = row + 1;
    out.instrument[row] = id;
    out.quoteId[row] = this.nextQuoteId;
    out.bidTicks[row] = bidTicks;
    out.bidLots[row] = bidLots;
    out.askTicks[row] = askTicks;
    out.askLots[row] = askLots;
    out.reasons[row] = reasons;
    out.fair[row] = this.#state.values.fair[id];
    out.widenBp[row] = pulled === 0 ? adjustment.widenBp : 0;
    out.sizeFactor[row] = pulled === 0 ? adjustment.sizeFactor : 0;
    out.delta[row] = this.#state.values.delta[id];
    out.vega[row] = this.#state.values.vega[id];
    out.standing[row] = stability.standing(id) ? 1 : 0;
    this.nextQuoteId += 1;
    this.#decidedInTurn[id] = this.#turn;
    stability.attempt(bid, bidTicks, bidLots, timeUs);
    stability.attempt(ask, askTicks, askLots, timeUs);
    return true;
  }

  /** Why an instrument is not to be quoted at all, as {@link REASON} bits; 0 when it is, and then its value is up to date. */
  #pullReasons(instrument: Instrument, underlying: number, timeUs: number): number {
    const id = instrument.id;
    const markets = this.#state.markets;
    const suspended = this.suspendedUntilUs[id] > timeUs ? REASON.rejected : 0;
    const reasons =
      this.haltReasons |
      suspended |
      markets.obstacles(instrument, underlying, this.#state.values.sourceUs[id], timeUs);
    if (reasons !== 0) return reasons;
    const exchangeTimeUs = timeUs + markets.exchangeOffsetUs[underlying];
    const price = markets.referencePrice[underlying];
    return this.#state.values.evaluate(instrument, price, exchangeTimeUs, timeUs) ? 0 : REASON.noFair;
  }

  /** Sets the target to what the instrument's quote should be. */
  #aim(instrument: Instrument, adjustment: Adjustment): void {
    const id = instrument.id;
    const { fair, forward, delta, vega } = this.#state.values;
    const { lotFixed, lotPerPrice } = this.#state.inventory;
    const markets = this.#state.markets;
    this.#target.price(
      instrument,
      adjustment,
      this.#state.universe.tick[id],
      fair[id],
      forward[id],
      delta[id],
      vega[id],
      this.#state.inventory.positionNotional(id, forward[id]),
      markets.bestBidTicks[id],
      markets.bestAskTicks[id],
    );
    this.#target.size(instrument, adjustment, lotFixed[id], lotPerPrice[id]);
  }

  /**
   * Notes between which fair values a decision holds: no side is eaten beyond the tolerance and none could improve by enough.
   *
   * @param waits an improvement waits for its time; it is looked at again then, not before
   */
  #hold(id: number, bidTicks: number, askTicks: number, waits: boolean): void {
    const { halfBid, halfAsk, bidStep, askStep, terms } = this.#target;
    const stability = this.#state.stability;
    const tolerated = 1 - this.#state.parameters.retreatTolerance;
    let from = Number.NEGATIVE_INFINITY;
    let to = Number.POSITIVE_INFINITY;
    if (bidTicks >= 0) {
      from = bidTicks + tolerated * halfBid;
      if (!waits) to = bidTicks + halfBid + stability.leastGain(halfBid, bidStep);
    } else if (!waits) {
      to = halfBid + 1;
    }
    if (askTicks >= 0) {
      to = Math.min(to, askTicks - tolerated * halfAsk);
      if (!waits) from = Math.max(from, askTicks - halfAsk - stability.leastGain(halfAsk, askStep));
    }
    this.#holdsFrom[id] = from * terms.tick - terms.shift;
    this.#holdsTo[id] = to * terms.tick - terms.shift;
  }
}
