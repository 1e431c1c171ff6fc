import type { Instrument } from "../market/instrument.ts";
import type { FairValues } from "./fair-value.ts";
import type { Inventory } from "./inventory.ts";
import type { MarketState } from "./market-state.ts";
import type { MessageBudget } from "./message-budget.ts";
import type { QuoteParameters } from "./parameters.ts";
import type { Adjustment } from "./policy.ts";
import type { Predictions } from "./prediction.ts";
import { type QuoteBatch, REASON } from "./quote-batch.ts";
import type { Stability } from "./stability.ts";
import { QuoteTarget, SIDES } from "./target.ts";
import { TERMS } from "./term.ts";
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
  readonly budget: MessageBudget;
}

/** Decides the quotes of one instrument: whether it may be quoted, where they should stand, and whether that is worth sending. */
export class Decider {
  /** {@link REASON} bits of each slot's last decision, sent or not; a slot is `level × capacity + instrument`. */
  readonly reasons: Int32Array;
  /** When an improvement that waits may be sent, by instrument; `Infinity` while none does. */
  readonly releaseUs: Float64Array;
  /** An instrument is left alone until then, after a rejection. */
  readonly suspendedUntilUs: Float64Array;
  /** One of `SIDES` by instrument. */
  readonly sides: Uint8Array;
  /** Whatever {@link sides} says, only what reduces a position is quoted. */
  reducing = false;
  /** {@link REASON} bits for which nothing at all is quoted. */
  haltReasons = 0;
  /** The same because the desk is beyond its capacity. */
  overloadReasons = 0;
  /** The quoteId that the next row gets. */
  nextQuoteId = 1;

  readonly #state: DecisionState;
  readonly #capacity: number;
  readonly #levels: number;
  readonly #target: QuoteTarget;
  /** Fair values within which the last decision holds as long as nothing but prices changes; NaN when it never does. */
  readonly #holdsFrom: Float64Array;
  readonly #holdsTo: Float64Array;
  readonly #decidedInTurn: Float64Array;
  readonly #ties = new Int32Array(1);
  #turn = 0;
  /** Where the level decided last is to stand, −1 for nowhere. */
  #bidTicks = -1;
  #askTicks = -1;

  constructor(capacity: number, state: DecisionState) {
    this.#state = state;
    this.#capacity = capacity;
    this.#levels = state.parameters.levels;
    this.#target = new QuoteTarget(capacity, state.parameters);
    this.reasons = new Int32Array(capacity * this.#levels);
    this.releaseUs = new Float64Array(capacity).fill(Number.POSITIVE_INFINITY);
    this.suspendedUntilUs = new Float64Array(capacity).fill(Number.NEGATIVE_INFINITY);
    this.sides = new Uint8Array(capacity).fill(state.parameters.sides);
    this.#holdsFrom = new Float64Array(capacity).fill(Number.NaN);
    this.#holdsTo = new Float64Array(capacity).fill(Number.NaN);
    this.#decidedInTurn = new Float64Array(capacity).fill(-1);
  }

  /** What was decided so far is settled: sent, not sent or void. */
  endTurn(): void {
    this.#turn += 1;
  }

  /** Takes over the net Greeks of the underlying whose instruments are decided next. */
  setNetGreeks(): void {
    this.#target.setNetGreeks(this.#state.inventory);
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
   * Decides an instrument and appends a row for each level of which something is to be sent. {@link finish} must follow.
   *
   * @returns false when the decision could not be taken now and must be taken again: the batch is full, or the instrument's
   * last rows are not settled yet
   */
  decide(id: number, underlying: number, timeUs: number, out: QuoteBatch): boolean {
    const instrument = this.#state.universe.get(id);
    if (instrument === undefined) return true;
    if (this.#decidedInTurn[id] === this.#turn || out.count + this.#levels > out.capacity) return false;
    const pulled = this.#pullReasons(instrument, underlying, timeUs);
    this.releaseUs[id] = Number.POSITIVE_INFINITY;
    if (pulled !== 0) {
      this.#holdsFrom[id] = Number.NaN;
      this.#pull(id, pulled, out);
      return true;
    }
    const adjustment = this.#state.predictions.adjustments[underlying];
    const target = this.#target;
    this.#holdsFrom[id] = Number.NEGATIVE_INFINITY;
    this.#holdsTo[id] = Number.POSITIVE_INFINITY;
    this.#aim(instrument, adjustment);
    for (let level = 0; ; ) {
      const slot = level * this.#capacity + id;
      this.#decideLevel(instrument, slot, level, adjustment, timeUs, out);
      level += 1;
      if (level === this.#levels) break;
      target.nextLevel(instrument, this.#state.inventory, this.#bidTicks, this.#askTicks);
    }
    return true;
  }

  /** What is aimed at for a level, held against what stands of it. */
  #decideLevel(
    instrument: Instrument,
    slot: number,
    level: number,
    adjustment: Adjustment,
    timeUs: number,
    out: QuoteBatch,
  ): void {
    const id = instrument.id;
    const { stability } = this.#state;
    const target = this.#target;
    const { terms } = target;
    const bid = 2 * slot;
    const ask = bid + 1;
    let reasons = REASON.base | adjustment.reasons;
    if (terms.shift !== 0 || terms.position !== 0 || target.confined) reasons |= REASON.inventory;
    if (this.reducing || this.sides[id] !== SIDES.both) reasons |= REASON.sides;

    const { rawBid, bidLimit, halfBid, bidStep, rawAsk, askLimit, halfAsk, askStep } = target;
    stability.weigh(bid, target.bidTicks, target.bidLots, rawBid, bidLimit, halfBid, bidStep, timeUs);
    let bidTicks = stability.nextTicks;
    const bidLots = stability.nextLots;
    let urgent = stability.urgent;
    let optional = stability.optional;
    let held = stability.held;
    let releaseUs = stability.releaseUs;
    stability.weigh(ask, target.askTicks, target.askLots, rawAsk, askLimit, halfAsk, askStep, timeUs);
    let askTicks = stability.nextTicks;
    const askLots = stability.nextLots;
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
    let value = Number.POSITIVE_INFINITY;
    if (optional && !urgent) {
      const price = terms.underlyingPrice;
      const units = this.#state.inventory.notionalPerLot(id, price) / price;
      const unit = terms.tick * terms.priceUnit * units;
      value =
        unit *
        (stability.edgeGained(bid, bidTicks, bidLots, halfBid) +
          stability.edgeGained(ask, askTicks, askLots, halfAsk));
      if (value < this.#state.parameters.minUpdateValue) {
        optional = false;
        held = true;
      }
    }
    if (held) reasons |= REASON.held;
    if (held && (this.reasons[slot] & REASON.held) === 0) stability.counters.held += 1;
    this.releaseUs[id] = Math.min(this.releaseUs[id], releaseUs);
    this.reasons[slot] = reasons;
    const sends = urgent || optional;
    const standingBid = sends ? bidTicks : stability.ticks[bid];
    const standingAsk = sends ? askTicks : stability.ticks[ask];
    this.#bidTicks = standingBid >= 0 ? standingBid : target.bidTicks;
    this.#askTicks = standingAsk >= 0 ? standingAsk : target.askTicks;
    if (!sends) return;

    const row = this.#append(id, slot, level, out);
    out.bidTicks[row] = bidTicks;
    out.bidLots[row] = bidLots;
    out.askTicks[row] = askTicks;
    out.askLots[row] = askLots;
    out.widenBp[row] = adjustment.widenBp;
    out.sizeFactor[row] = adjustment.sizeFactor;
    // A level is never worth more than the one before it, so that the budget never pays for it alone.
    const before = row > 0 && out.instrument[row - 1] === id ? out.value[row - 1] : Number.POSITIVE_INFINITY;
    out.value[row] = urgent ? Number.POSITIVE_INFINITY : Math.min(value, before);
    target.write(out.terms, row * TERMS, instrument, this.#state.values.impliedVolatility[id]);
  }

  /** Takes every level of an instrument off. */
  #pull(id: number, pulled: number, out: QuoteBatch): void {
    for (let level = 0; level < this.#levels; level += 1) {
      const slot = level * this.#capacity + id;
      this.reasons[slot] = REASON.pulled | pulled;
      if (!this.#state.stability.standing(slot)) continue;
      const row = this.#append(id, slot, level, out);
      out.bidTicks[row] = -1;
      out.bidLots[row] = 0;
      out.askTicks[row] = -1;
      out.askLots[row] = 0;
      out.widenBp[row] = 0;
      out.sizeFactor[row] = 0;
      out.value[row] = Number.POSITIVE_INFINITY;
      out.terms.fill(0, row * TERMS, (row + 1) * TERMS);
    }
  }

  #append(id: number, slot: number, level: number, out: QuoteBatch): number {
    const { values, stability } = this.#state;
    const row = out.count;
    out.count = row + 1;
    out.instrument[row] = id;
    out.level[row] = level;
    out.reasons[row] = this.reasons[slot];
    out.fair[row] = values.fair[id];
    out.delta[row] = values.delta[id];
    out.vega[row] = values.vega[id];
    out.standing[row] = stability.standing(slot) ? 1 : 0;
    this.#decidedInTurn[id] = this.#turn;
    return row;
  }

  /**
   * Shares the message budget over the rows decided from `fromRow` on: what must leave stays, of the rest the most valuable that
   * it pays for; the others are taken out and tried again a little later. The rows that stay get their ids.
   */
  finish(fromRow: number, timeUs: number, out: QuoteBatch): void {
    if (out.count === fromRow) return;
    const { stability, budget } = this.#state;
    const worthFrom = budget.worthFrom(out, fromRow, this.#ties);
    let ties = this.#ties[0];
    let kept = fromRow;
    for (let row = fromRow; row < out.count; row += 1) {
      const id = out.instrument[row];
      const level = out.level[row];
      const value = out.value[row];
      const paid = value > worthFrom || (value === worthFrom && ties > 0);
      if (value === worthFrom) ties -= 1;
      if (!paid && value !== Number.POSITIVE_INFINITY) {
        const slot = level * this.#capacity + id;
        if ((this.reasons[slot] & REASON.held) === 0) stability.counters.held += 1;
        stability.counters.heldForBudget += 1;
        this.reasons[slot] |= REASON.held;
        this.releaseUs[id] = Math.min(this.releaseUs[id], timeUs + BUDGET_RETRY_US);
        continue;
      }
      out.move(row, kept);
      out.quoteId[kept] = this.nextQuoteId;
      this.nextQuoteId += 1;
      const at = 2 * (level * this.#capacity + id);
      stability.attempt(at, out.bidTicks[kept], out.bidLots[kept], timeUs);
      stability.attempt(at + 1, out.askTicks[kept], out.askLots[kept], timeUs);
      kept += 1;
    }
    if (kept < out.count) this.#reopen(kept, out);
    out.count = kept;
    budget.spend(kept - fromRow);
  }

  /** Lets the instruments of which no row has stayed be decided again in this turn. */
  #reopen(kept: number, out: QuoteBatch): void {
    this.#turn += 1;
    for (let row = 0; row < kept; row += 1) this.#decidedInTurn[out.instrument[row]] = this.#turn;
  }

  /** Brings an instrument's value up to the time. @returns why it may not be quoted now, as {@link REASON} bits; 0 when it may */
  appraise(id: number, underlying: number, timeUs: number): number {
    const instrument = this.#state.universe.get(id);
    return instrument === undefined ? REASON.noFair : this.#pullReasons(instrument, underlying, timeUs);
  }

  /** Why an instrument is not to be quoted at all, as {@link REASON} bits; 0 when it is, and then its value is up to date. */
  #pullReasons(instrument: Instrument, underlying: number, timeUs: number): number {
    const id = instrument.id;
    const markets = this.#state.markets;
    const suspended = this.suspendedUntilUs[id] > timeUs ? REASON.rejected : 0;
    const reasons =
      this.haltReasons |
      this.overloadReasons |
      suspended |
      this.#lostEngine(underlying) |
      markets.obstacles(instrument, underlying, this.#state.values.sourceUs[id], timeUs);
    if (reasons !== 0) return reasons;
    const exchangeTimeUs = timeUs + markets.exchangeOffsetUs[underlying];
    const price = markets.referencePrice[underlying];
    return this.#state.values.evaluate(instrument, price, exchangeTimeUs, timeUs) ? 0 : REASON.noFair;
  }

  /** Whether a lost engine pulls the quotes, as the parameters have it. */
  #lostEngine(underlying: number): number {
    const { parameters, predictions } = this.#state;
    return parameters.engineLostPull === 1
      ? predictions.adjustments[underlying].reasons & REASON.engineLost
      : 0;
  }

  /** Sets the target to what the instrument's first level should be. */
  #aim(instrument: Instrument, adjustment: Adjustment): void {
    const id = instrument.id;
    const { fair, forward, delta, gamma, vega } = this.#state.values;
    const { inventory, markets } = this.#state;
    this.#target.price(
      instrument,
      adjustment,
      this.#state.universe.tick[id],
      fair[id],
      forward[id],
      delta[id],
      gamma[id],
      vega[id],
      inventory.positionNotional(id, forward[id]),
      markets.bestBidTicks[id],
      markets.bestAskTicks[id],
    );
    this.#target.size(instrument, adjustment, inventory, this.reducing ? SIDES.reducing : this.sides[id]);
  }

  /**
   * Narrows the fair values between which a decision holds: no side is eaten beyond the tolerance and none could improve by
   * enough.
   *
   * @param waits an improvement waits for its time; it is looked at again then, not before
   */
  #hold(id: number, bidTicks: number, askTicks: number, waits: boolean): void {
    const { halfBid, halfAsk, behindBid, behindAsk, bidStep, askStep, terms } = this.#target;
    const stability = this.#state.stability;
    const tolerated = 1 - this.#state.parameters.retreatTolerance;
    const bidAway = halfBid + behindBid;
    const askAway = halfAsk + behindAsk;
    let from = Number.NEGATIVE_INFINITY;
    let to = Number.POSITIVE_INFINITY;
    if (bidTicks >= 0) {
      from = bidTicks + tolerated * halfBid + behindBid;
      if (!waits) to = bidTicks + bidAway + stability.leastGain(halfBid, bidStep);
    } else if (!waits) {
      to = bidAway + 1;
    }
    if (askTicks >= 0) {
      to = Math.min(to, askTicks - tolerated * halfAsk - behindAsk);
      if (!waits) from = Math.max(from, askTicks - askAway - stability.leastGain(halfAsk, askStep));
    }
    this.#holdsFrom[id] = Math.max(this.#holdsFrom[id], from * terms.tick - terms.shift);
    this.#holdsTo[id] = Math.min(this.#holdsTo[id], to * terms.tick - terms.shift);
  }
}
