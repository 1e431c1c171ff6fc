import { Histogram } from "../core/histogram.ts";
import type { MessageBudget } from "./message-budget.ts";
import type { QuoteParameters } from "./parameters.ts";
import type { QuoteBatch } from "./quote-batch.ts";
import { TERMS } from "./term.ts";

const NEVER = Number.NEGATIVE_INFINITY;
/** A side that reverses its direction within this time flickers. */
const FLICKER_US = 100_000;
const SIDE_MOVE = { none: 0, inward: 1, outward: 2, pulled: 3 } as const;

/** Counters of quoting since start. */
export interface StabilityCounters {
  /** Rows handed to the counterparty. */
  sent: number;
  /** Rows in which the model's or the defensive widening grew. */
  widened: number;
  /** Rows in which some side went away from the market, towards it, or off it. */
  retreated: number;
  tightened: number;
  pulled: number;
  /** Tightenings that began to wait: for the side's minimum life, for a larger improvement, for the message budget. */
  held: number;
  /** Tightenings that the message budget left nothing for. */
  heldForBudget: number;
  /** Sides that reversed their direction within 100 ms. */
  flickers: number;
  /** Rows decided that could not be handed over. */
  notSent: number;
  /** Time for which ended prices had stood: sum in µs and their number. */
  lifeSumUs: number;
  lives: number;
}

/**
 * The quotes that stand at the counterparty, and when one may change.
 *
 * Away from the market, smaller and off go at once. Towards the market or larger goes only when the improvement is worth a
 * message (hysteresis), the side has rested for its minimum life, and the message budget lasts; as the budget runs low the
 * improvement must be larger, so that what is left of it goes to the changes of most value.
 *
 * Each level of an instrument is a slot of its own: `level × capacity + instrument`.
 */
export class Stability {
  /** Standing prices and sizes, two per slot: `2 × slot + side`; ticks −1 and lots 0 where nothing stands. */
  readonly ticks: Int32Array;
  readonly lots: Float64Array;
  /** Per slot, as of the last row sent. */
  readonly quoteId: Float64Array;
  readonly fair: Float64Array;
  readonly widenBp: Float64Array;
  readonly sizeFactor: Float64Array;
  readonly sentUs: Float64Array;
  /** What the last row sent was made of, by slot and column of `TERM`. */
  readonly terms: Float32Array;
  /** For how long prices stood, µs; longer than 71 minutes counts as that. */
  readonly lifeUs = new Histogram();
  readonly counters: StabilityCounters = {
    sent: 0,
    widened: 0,
    retreated: 0,
    tightened: 0,
    pulled: 0,
    held: 0,
    heldForBudget: 0,
    flickers: 0,
    notSent: 0,
    lifeSumUs: 0,
    lives: 0,
  };

  /** Written by {@link weigh}: what the side should be. */
  nextTicks = -1;
  nextLots = 0;
  /** Written by {@link weigh}: it must change now; it may change if the budget lasts; an improvement waits. */
  urgent = false;
  optional = false;
  held = false;
  /** Written by {@link weigh}: when the waiting improvement has rested long enough; `Infinity` when only a larger one would do. */
  releaseUs = Number.POSITIVE_INFINITY;

  readonly #parameters: QuoteParameters;
  readonly #priceChangedUs: Float64Array;
  readonly #sizeChangedUs: Float64Array;
  /** When a standing side took its price, and the direction it came from: 1 = towards the market, −1 = away, 0 = new. */
  readonly #movedUs: Float64Array;
  readonly #direction: Int8Array;
  readonly #budget: MessageBudget;
  readonly #capacity: number;
  readonly #slots: number;

  constructor(capacity: number, parameters: QuoteParameters, budget: MessageBudget) {
    const slots = capacity * parameters.levels;
    this.#parameters = parameters;
    this.#budget = budget;
    this.#capacity = capacity;
    this.#slots = slots;
    this.ticks = new Int32Array(2 * slots).fill(-1);
    this.lots = new Float64Array(2 * slots);
    this.quoteId = new Float64Array(slots);
    this.fair = new Float64Array(slots).fill(Number.NaN);
    this.widenBp = new Float64Array(slots);
    this.sizeFactor = new Float64Array(slots).fill(1);
    this.sentUs = new Float64Array(slots).fill(NEVER);
    this.terms = new Float32Array(slots * TERMS);
    this.#priceChangedUs = new Float64Array(2 * slots).fill(NEVER);
    this.#sizeChangedUs = new Float64Array(2 * slots).fill(NEVER);
    this.#movedUs = new Float64Array(2 * slots).fill(NEVER);
    this.#direction = new Int8Array(2 * slots);
  }

  /** Some side of the slot stands at the counterparty. */
  standing(slot: number): boolean {
    return this.ticks[2 * slot] >= 0 || this.ticks[2 * slot + 1] >= 0;
  }

  /**
   * Compares what stands on a side with what should.
   *
   * @param at `2 × slot + side`, side 0 = bid
   * @param targetTicks price on the grid, −1 for none
   * @param rawTicks the price before it was rounded to the grid, in ticks
   * @param limitTicks the last price that does not cross the venue's best opposite; ±Infinity when there is none
   * @param halfTicks the side's half-spread in ticks
   * @param multiple step of the grid at the price, in ticks
   */
  weigh(
    at: number,
    targetTicks: number,
    targetLots: number,
    rawTicks: number,
    limitTicks: number,
    halfTicks: number,
    multiple: number,
    timeUs: number,
  ): void {
    const parameters = this.#parameters;
    const ticks = this.ticks[at];
    const lots = this.lots[at];
    const lifeUs = parameters.minQuoteLifeMs * 1_000;
    this.nextTicks = ticks;
    this.nextLots = lots;
    this.urgent = false;
    this.optional = false;
    this.held = false;
    this.releaseUs = Number.POSITIVE_INFINITY;
    if (targetTicks < 0 || targetLots <= 0) {
      if (ticks < 0) return;
      this.nextTicks = -1;
      this.nextLots = 0;
      this.urgent = true;
      return;
    }
    if (ticks < 0) {
      this.#offer(
        targetTicks,
        targetLots,
        Math.max(this.#priceChangedUs[at], this.#sizeChangedUs[at]) + lifeUs,
        timeUs,
      );
      return;
    }
    const inward = (at & 1) === 0 ? 1 : -1;
    const improvement = inward * (targetTicks - ticks);
    if (improvement < 0) {
      const eaten = inward * (ticks - rawTicks);
      if (eaten > parameters.retreatTolerance * halfTicks || inward * (ticks - limitTicks) > 0) {
        this.nextTicks = targetTicks;
        this.nextLots = Math.min(lots, targetLots);
        this.urgent = true;
      }
    } else if (improvement > 0) {
      if (improvement >= this.leastGain(halfTicks, multiple) * this.#budget.pressure()) {
        this.#offer(targetTicks, Math.min(lots, targetLots), this.#priceChangedUs[at] + lifeUs, timeUs);
      } else {
        this.held = true;
      }
    }
    if (targetLots < lots * (1 - parameters.sizeTolerance)) {
      this.nextLots = targetLots;
      this.urgent = true;
    } else if (targetLots > lots * (1 + parameters.sizeTolerance)) {
      this.#offer(this.nextTicks, targetLots, this.#sizeChangedUs[at] + lifeUs, timeUs);
    }
  }

  /** Improvement in ticks that a tightening must bring while the message budget is full. */
  leastGain(halfTicks: number, multiple: number): number {
    const { minChangeTicks, tightenHysteresis } = this.#parameters;
    return Math.max(minChangeTicks * multiple, tightenHysteresis * halfTicks);
  }

  /**
   * What a change of a side would offer anew: the improvement of the price, and the half-spread on what is added to the size.
   *
   * @returns ticks × lots
   */
  edgeGained(at: number, ticks: number, lots: number, halfTicks: number): number {
    if (ticks < 0) return 0;
    const before = this.ticks[at];
    if (before < 0) return halfTicks * lots;
    const closer = (at & 1) === 0 ? ticks - before : before - ticks;
    return Math.max(closer, 0) * lots + halfTicks * Math.max(lots - this.lots[at], 0);
  }

  /** Starts the minimum life of a side that is about to be sent, so that what is refused downstream is not tried again at once. */
  attempt(at: number, ticks: number, lots: number, timeUs: number): void {
    if (ticks !== this.ticks[at]) this.#priceChangedUs[at] = timeUs;
    if (lots !== this.lots[at]) this.#sizeChangedUs[at] = timeUs;
  }

  /** Takes over a row that was handed to the counterparty. */
  commit(batch: QuoteBatch, row: number, timeUs: number): void {
    const slot = batch.level[row] * this.#capacity + batch.instrument[row];
    const counters = this.counters;
    const widened = batch.widenBp[row] > this.widenBp[slot];
    const bid = this.#commitSide(2 * slot, batch.bidTicks[row], batch.bidLots[row], timeUs);
    const ask = this.#commitSide(2 * slot + 1, batch.askTicks[row], batch.askLots[row], timeUs);
    counters.sent += 1;
    if (widened && this.standing(slot)) counters.widened += 1;
    if (bid === SIDE_MOVE.pulled || ask === SIDE_MOVE.pulled) counters.pulled += 1;
    else if (bid === SIDE_MOVE.outward || ask === SIDE_MOVE.outward) counters.retreated += 1;
    else counters.tightened += 1;
    this.quoteId[slot] = batch.quoteId[row];
    this.fair[slot] = batch.fair[row];
    this.widenBp[slot] = batch.widenBp[row];
    this.sizeFactor[slot] = batch.sizeFactor[row];
    this.sentUs[slot] = timeUs;
    for (let from = row * TERMS, to = slot * TERMS; from < (row + 1) * TERMS; from += 1, to += 1) {
      this.terms[to] = batch.terms[from];
    }
  }

  /**
   * A part of a standing side was filled.
   *
   * @param priceTicks says which level; one at which nothing stands, −1 for one, counts for the level nearest to the market
   */
  fill(instrument: number, side: number, priceTicks: number, lots: number, timeUs: number): void {
    let at = -1;
    for (let slot = instrument; slot < this.#slots; slot += this.#capacity) {
      const here = 2 * slot + side;
      if (this.ticks[here] < 0) continue;
      if (at < 0 || this.ticks[here] === priceTicks) at = here;
      if (this.ticks[here] === priceTicks) break;
    }
    if (at < 0) at = 2 * instrument + side;
    const left = this.lots[at] - lots;
    this.#sizeChangedUs[at] = timeUs;
    if (left > 0) this.lots[at] = left;
    else this.#end(at, timeUs);
  }

  /** Id of the quote that stands at a price; undefined when none does. */
  quoteAt(instrument: number, side: number, priceTicks: number): number | undefined {
    for (let slot = instrument; slot < this.#slots; slot += this.#capacity) {
      if (this.ticks[2 * slot + side] === priceTicks) return this.quoteId[slot];
    }
    return undefined;
  }

  /** The instrument's quotes up to an id no longer stand at the counterparty. */
  forget(instrument: number, timeUs: number, upToQuoteId = Number.POSITIVE_INFINITY): void {
    for (let slot = instrument; slot < this.#slots; slot += this.#capacity) {
      if (this.quoteId[slot] > upToQuoteId) continue;
      this.#end(2 * slot, timeUs);
      this.#end(2 * slot + 1, timeUs);
    }
  }

  /** Lets an instrument be quoted again without waiting for its minimum life. */
  renew(instrument: number): void {
    for (let slot = instrument; slot < this.#slots; slot += this.#capacity) {
      for (let at = 2 * slot; at < 2 * slot + 2; at += 1) {
        this.#priceChangedUs[at] = NEVER;
        this.#sizeChangedUs[at] = NEVER;
        this.#direction[at] = 0;
      }
    }
  }

  #offer(ticks: number, lots: number, dueUs: number, timeUs: number): void {
    if (timeUs >= dueUs) {
      this.nextTicks = ticks;
      this.nextLots = lots;
      this.optional = true;
      return;
    }
    this.held = true;
    this.releaseUs = Math.min(this.releaseUs, dueUs);
  }

  #commitSide(at: number, ticks: number, lots: number, timeUs: number): number {
    const before = this.ticks[at];
    const none = lots <= 0;
    if (none) {
      if (before < 0) return SIDE_MOVE.none;
      this.#end(at, timeUs);
      this.#priceChangedUs[at] = timeUs;
      this.#sizeChangedUs[at] = timeUs;
      return SIDE_MOVE.pulled;
    }
    if (ticks === before) {
      const smaller = lots < this.lots[at];
      this.lots[at] = lots;
      return smaller ? SIDE_MOVE.outward : SIDE_MOVE.none;
    }
    const inward = before < 0 || ((at & 1) === 0 ? ticks > before : ticks < before);
    if (before >= 0) this.#endLife(at, inward ? 1 : -1, timeUs);
    else this.#direction[at] = 0;
    this.#movedUs[at] = timeUs;
    this.ticks[at] = ticks;
    this.lots[at] = lots;
    return inward ? SIDE_MOVE.inward : SIDE_MOVE.outward;
  }

  #end(at: number, timeUs: number): void {
    if (this.ticks[at] < 0) return;
    this.#endLife(at, -1, timeUs);
    this.ticks[at] = -1;
    this.lots[at] = 0;
  }

  #endLife(at: number, direction: number, timeUs: number): void {
    const counters = this.counters;
    const restedUs = timeUs - this.#movedUs[at];
    counters.lifeSumUs += restedUs;
    counters.lives += 1;
    this.lifeUs.record(restedUs);
    if (restedUs < FLICKER_US && this.#direction[at] === -direction) counters.flickers += 1;
    this.#direction[at] = direction;
  }
}
