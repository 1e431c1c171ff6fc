import type { ModelCard } from "../inference/card.ts";
import type { EventBatch } from "../market/event-batch.ts";
import type { Instrument } from "../market/instrument.ts";
import type { SurfaceParameters } from "../option/surface/parameters.ts";
import { CounterpartyAnswers } from "./counterparty-answers.ts";
import { Decider } from "./decider.ts";
import { FairValues } from "./fair-value.ts";
import { Inventory } from "./inventory.ts";
import { MarketState, micropriceTicks } from "./market-state.ts";
import { MessageBudget } from "./message-budget.ts";
import type { QuoteParameters } from "./parameters.ts";
import { Predictions } from "./prediction.ts";
import { QuoteQuality } from "./quality.ts";
import { type QuoteBatch, REASON } from "./quote-batch.ts";
import { Stability, type StabilityCounters } from "./stability.ts";
import { type StandingQuote, StandingQuotes } from "./standing-quotes.ts";
import { Surfaces } from "./surfaces.ts";
import { Universe } from "./universe.ts";

/** How much of an underlying must be looked at again. */
const LOOK = { none: 0, price: 1, all: 2 } as const;
/** Even without events everything is recomputed this often: time passes for options, and data grows old. */
const SWEEP_US = 100_000;

export interface QuoterOptions {
  /** Instruments are numbered below this. */
  readonly capacity: number;
  /** Underlyings are numbered below this. */
  readonly underlyings: number;
  readonly parameters: QuoteParameters;
  /** Fitted surfaces give the options' volatilities; null or left out: the venue's own do. */
  readonly surface?: SurfaceParameters | null;
}

/**
 * Decides two-sided quotes for a set of instruments, by underlying. Deterministic: every input carries its time, nothing is
 * read from a clock and nothing is allocated once the instruments are added.
 *
 * Use per turn: any number of `on…` inputs, {@link answers} among them; then {@link requote} for an underlying or {@link requoteAll}; then the batch goes
 * through the risk gate to the gateway; then {@link onSent} with what came of it. Until then the batch's instruments are not
 * decided again. Times are local receive times in epoch µs unless named otherwise.
 */
export class Quoter {
  readonly parameters: QuoteParameters;
  readonly values: FairValues;
  /** Null when options rest on the venue's volatilities. */
  readonly surfaces: Surfaces | null;
  readonly inventory: Inventory;
  readonly stability: Stability;
  readonly predictions: Predictions;
  readonly budget: MessageBudget;
  readonly quality: QuoteQuality;
  /** Takes what the counterparty says of quotes that were sent. */
  readonly answers: CounterpartyAnswers;
  /** {@link REASON} bits of each slot's last decision, sent or not; a slot is `level × capacity + instrument`. */
  readonly reasons: Int32Array;

  readonly #capacity: number;
  readonly #decider: Decider;
  readonly #markets: MarketState;
  readonly #universe: Universe;
  readonly #standing: StandingQuotes;
  readonly #dirty: Uint8Array;
  readonly #decidedPrice: Float64Array;
  readonly #look: Uint8Array;
  readonly #sweptUs: Float64Array;

  #sessionUp = false;
  #sampledUs = Number.NEGATIVE_INFINITY;

  constructor(options: QuoterOptions) {
    const { capacity, underlyings, parameters } = options;
    this.#capacity = capacity;
    this.parameters = parameters;
    this.surfaces = options.surface == null ? null : new Surfaces(capacity, underlyings, options.surface);
    this.values = new FairValues(capacity, this.surfaces);
    this.inventory = new Inventory(capacity);
    this.budget = new MessageBudget(parameters);
    this.quality = new QuoteQuality(underlyings);
    this.stability = new Stability(capacity, parameters, this.budget);
    this.predictions = new Predictions(underlyings, parameters);
    this.#markets = new MarketState(capacity, underlyings, parameters);
    this.#universe = new Universe(capacity, underlyings);
    this.#decider = new Decider(capacity, {
      parameters,
      universe: this.#universe,
      markets: this.#markets,
      values: this.values,
      inventory: this.inventory,
      predictions: this.predictions,
      stability: this.stability,
      budget: this.budget,
    });
    this.reasons = this.#decider.reasons;
    this.#dirty = new Uint8Array(capacity);
    const { stability, values } = this;
    this.#standing = new StandingQuotes({ capacity, stability, values, decider: this.#decider });
    this.answers = new CounterpartyAnswers({
      ...{ capacity, parameters, universe: this.#universe, stability },
      ...{ decider: this.#decider, dirty: this.#dirty },
    });
    this.#decidedPrice = new Float64Array(underlyings).fill(Number.NaN);
    this.#look = new Uint8Array(underlyings);
    this.#sweptUs = new Float64Array(underlyings).fill(Number.NEGATIVE_INFINITY);
  }

  /**
   * Registers an instrument to quote. Not on the line: may allocate. Adding it again does nothing.
   *
   * @param underlying dense number of its base coin, below `underlyings`
   * @throws InvariantError for a spot instrument (there is no inventory to quote it from) or a number beyond the capacity
   */
  add(instrument: Instrument, underlying: number): void {
    if (!this.#universe.add(instrument, underlying)) return;
    this.values.add(instrument, underlying);
    this.inventory.add(instrument);
    this.#dirty[instrument.id] = 1;
  }

  /** The model's heads, from its card; without a call the heads of the built-in models in their order. */
  setHeads(heads: ModelCard["heads"]): void {
    this.predictions.setHeads(heads);
  }

  /**
   * Names the instrument whose book leads an underlying; while its feed is not live no option of the underlying is quoted,
   * also when it is not quoted itself. Without one, options rest on their tickers alone.
   *
   * @param price of the new reference where it takes over from another one: the options' forwards go on from where they are
   */
  setReference(underlying: number, instrument: number, price = Number.NaN): void {
    const before = this.#markets.referencePrice[underlying];
    if (price > 0 && before > 0) this.values.rebase(underlying, before / price);
    this.#markets.setReference(underlying, instrument);
    this.#look[underlying] = LOOK.all;
  }

  /** An instrument is quoted. */
  quotes(instrument: number): boolean {
    return this.#universe.get(instrument) !== undefined;
  }

  /** Dense number of the underlying of a quoted instrument; −1 when it is not quoted. */
  underlyingOf(instrument: number): number {
    return this.#universe.underlyingOf(instrument);
  }

  /**
   * Brings an instrument's value up to the time, for those who price it outside the chain's quotes.
   *
   * @returns why it may not be quoted now, as {@link REASON} bits; 0 when it may
   */
  appraise(instrument: number, timeUs: number): number {
    return this.#decider.appraise(instrument, this.#universe.underlyingOf(instrument), timeUs);
  }

  get counters(): StabilityCounters {
    return this.stability.counters;
  }

  /** The highest quoteId given so far; 0 before the first. */
  get lastQuoteId(): number {
    return this.#decider.nextQuoteId - 1;
  }

  /** What stands for a level of an instrument, for display. Allocates. */
  standing(instrument: number, level = 0): StandingQuote {
    return this.#standing.get(instrument, level);
  }

  /** Fair value behind the last row sent for a level of an instrument; NaN before the first. */
  fairAtQuote(instrument: number, level: number): number {
    return this.stability.fair[level * this.#capacity + instrument];
  }

  /**
   * An event of the reference book. Call it for every one, also when the price is unchanged: it is what keeps the price fresh.
   *
   * @param microprice in quote currency; NaN when the book has no two sides
   * @param exchangeTimeUs NaN when the event has none
   */
  onUnderlying(underlying: number, microprice: number, exchangeTimeUs: number, timeUs: number): void {
    this.#markets.onExchangeTime(underlying, exchangeTimeUs, timeUs);
    this.#markets.onReference(underlying, microprice, timeUs);
    this.predictions.onEvent(underlying, timeUs);
    const move = Math.abs(microprice / this.#decidedPrice[underlying] - 1);
    if (!(move <= this.parameters.repriceBp * 1e-4)) this.#lookAt(underlying, LOOK.price);
  }

  /** The best prices of a quoted instrument's own book; ticks −1 for an empty side. */
  onBook(
    instrument: number,
    bestBidTicks: number,
    bestBidLots: number,
    bestAskTicks: number,
    bestAskLots: number,
    timeUs: number,
  ): void {
    const known = this.#universe.get(instrument);
    if (known === undefined) return;
    this.#markets.onBook(instrument, bestBidTicks, bestAskTicks);
    this.#dirty[instrument] = 1;
    if (known.kind === "option") {
      const tick = this.#universe.tick[instrument];
      this.surfaces?.setQuote(instrument, bestBidTicks * tick, bestAskTicks * tick, timeUs);
      return;
    }
    const micro = micropriceTicks(bestBidTicks, bestBidLots, bestAskTicks, bestAskLots);
    this.values.onMicroprice(instrument, micro * this.#universe.tick[instrument], timeUs);
  }

  /** A ticker of an option: its implied volatility and its expiry's forward. Other tickers are ignored. */
  onTicker(instrument: number, batch: EventBatch, row: number, timeUs: number): void {
    const known = this.#universe.get(instrument);
    if (known === undefined || known.kind !== "option") return;
    const underlying = this.#universe.underlyingOf(instrument);
    const markets = this.#markets;
    if (!markets.hasReference(underlying)) {
      markets.onExchangeTime(underlying, batch.exchangeTimeUs[row], timeUs);
    }
    this.surfaces?.touch(instrument, timeUs);
    const price = markets.referencePrice[underlying];
    const change = Math.abs(this.values.onTicker(instrument, batch, row, price, timeUs));
    if (change > this.parameters.repriceBp * 1e-4) this.#lookAt(underlying, LOOK.price);
    this.#dirty[instrument] = 1;
  }

  /**
   * A prediction for an underlying.
   *
   * @param probabilities one per head of the model, from `offset` on
   * @param eventTimeUs time of the market event that it answers, not the time at which the engine was done
   */
  onPrediction(
    underlying: number,
    probabilities: ArrayLike<number>,
    offset: number,
    eventTimeUs: number,
  ): void {
    this.predictions.onPrediction(underlying, probabilities, offset, eventTimeUs);
  }

  /** Why the model cannot be trusted, as {@link REASON} bits; 0 when it can. Starts as `modelMissing`. */
  onModelStatus(underlying: number, reasonMask: number): void {
    this.predictions.onStatus(underlying, reasonMask);
  }

  /**
   * How far the model is distrusted because its world has changed.
   *
   * @param share in [0, 1] of the defensive adjustment, added to the model's; at 1 the model is not listened to
   */
  onDrift(underlying: number, share: number): void {
    this.predictions.onDrift(underlying, share);
  }

  /**
   * State of the feed of an instrument, quoted or reference; not live until told so.
   *
   * @param reasonMask why it is not live; 0 reads as `bookUnsound`
   */
  onFeedState(instrument: number, live: boolean, reasonMask: number): void {
    this.#dirty[instrument] = 1;
    if (!live) this.surfaces?.setQuote(instrument, 0, 0, Number.NEGATIVE_INFINITY);
    const underlying = this.#markets.onFeedState(instrument, live, reasonMask);
    if (underlying >= 0) this.#look[underlying] = LOOK.all;
  }

  /** Our position changed, by a fill or by reconciliation. @param lots signed */
  onPosition(instrument: number, lots: number): void {
    if (this.#universe.get(instrument) === undefined) return;
    this.inventory.setPosition(instrument, lots);
    this.#look[this.#universe.underlyingOf(instrument)] = LOOK.all;
  }

  /**
   * A standing side was hit.
   *
   * @param side side of our quote, 0 = bid
   * @param priceTicks says which level was; left out, the one nearest to the market
   */
  onFill(instrument: number, side: number, lots: number, timeUs: number, priceTicks = -1): void {
    if (this.#universe.get(instrument) === undefined) return;
    this.stability.fill(instrument, side, priceTicks, lots, timeUs);
    this.#dirty[instrument] = 1;
  }

  /**
   * The desk is beyond its capacity, or within it again.
   *
   * @param share in [0, 1] of the defensive adjustment that is added for every underlying
   * @param pulled nothing is quoted
   */
  onLoad(share: number, pulled: boolean): void {
    this.predictions.onLoad(share);
    this.#decider.overloadReasons = pulled ? REASON.overload : 0;
    this.#look.fill(LOOK.all);
  }

  /** Stops quoting for the given {@link REASON} bits (killed, shutdown, riskLimit); 0 starts it again. */
  onHalt(reasonMask: number): void {
    if (reasonMask === this.#decider.haltReasons) return;
    this.#decider.haltReasons = reasonMask;
    this.#look.fill(LOOK.all);
  }

  /** Which sides of an instrument are quoted, one of `SIDES`; what no longer may stand is pulled with the next requote. */
  setSides(instrument: number, sides: number): void {
    const underlying = this.#universe.underlyingOf(instrument);
    if (underlying < 0 || this.#decider.sides[instrument] === sides) return;
    this.#decider.sides[instrument] = sides;
    this.#dirty[instrument] = 1;
  }

  /** Only what reduces a position is quoted from now on, or everything again. */
  setReducing(reducing: boolean): void {
    if (this.#decider.reducing === reducing) return;
    this.#decider.reducing = reducing;
    this.#look.fill(LOOK.all);
  }

  onSessionUp(): void {
    this.#sessionUp = true;
    this.#look.fill(LOOK.all);
  }

  /** The counterparty dropped our quotes with the session. */
  onSessionDown(timeUs: number): void {
    this.#sessionUp = false;
    this.answers.onSessionDown(timeUs);
  }

  /**
   * What became of the batch.
   *
   * @param batch as it left the risk gate
   * @param sent number of its rows, from the first, that were handed to the counterparty
   */
  onSent(batch: QuoteBatch, sent: number, timeUs: number): void {
    this.#decider.endTurn();
    this.quality.onSent(sent, timeUs);
    for (let row = 0; row < batch.count; row += 1) {
      const id = batch.instrument[row];
      if (row < sent) {
        this.stability.commit(batch, row, timeUs);
        this.reasons[batch.level[row] * this.#capacity + id] |= batch.reasons[row];
        continue;
      }
      this.stability.counters.notSent += 1;
      this.stability.renew(id);
      this.#dirty[id] = 1;
    }
  }

  /**
   * Appends what stands, as it stands, with ids of its own, so that it can be held against other limits.
   *
   * @param from number of slots that earlier calls went through
   * @returns that number after this call; at {@link slots} everything has been appended
   */
  restate(from: number, out: QuoteBatch): number {
    return this.#standing.restate(from, this.slots, out);
  }

  /** Slots for quotes: one for each instrument and level. */
  get slots(): number {
    return this.#capacity * this.parameters.levels;
  }

  /** Every instrument is decided anew by the next {@link requoteAll}. */
  lookAtAll(): void {
    this.#look.fill(LOOK.all);
  }

  /**
   * Decides the quotes of an underlying and appends those that must be sent. Without a session nothing is appended.
   *
   * @returns the number of rows appended. When the batch was full the rest follows with the next call.
   */
  requote(underlying: number, timeUs: number, out: QuoteBatch): number {
    const before = out.count;
    this.#decide(underlying, timeUs, out);
    this.#decider.finish(before, timeUs, out);
    return out.count - before;
  }

  /** {@link requote} for every underlying, for events that touch several. */
  requoteAll(timeUs: number, out: QuoteBatch): number {
    const before = out.count;
    for (let underlying = 0; underlying < this.#universe.underlyings; underlying += 1) {
      this.#decide(underlying, timeUs, out);
    }
    this.#decider.finish(before, timeUs, out);
    return out.count - before;
  }

  /**
   * Lets time act: refits surfaces by a bounded share, releases tightenings that have waited, notices late models and old data,
   * stops at expiry.
   */
  onTimer(timeUs: number, out: QuoteBatch): number {
    for (let underlying = 0; underlying < this.#universe.underlyings; underlying += 1) {
      this.#refit(underlying, timeUs);
      if (timeUs - this.#sampledUs >= SWEEP_US) this.#sample(underlying, timeUs);
      if (timeUs - this.#sweptUs[underlying] >= SWEEP_US) {
        this.#look[underlying] = LOOK.all;
        continue;
      }
      const members = this.#universe.members(underlying);
      for (let i = 0; i < this.#universe.count(underlying); i += 1) {
        if (this.#decider.releaseUs[members[i]] <= timeUs) this.#dirty[members[i]] = 1;
      }
    }
    if (timeUs - this.#sampledUs >= SWEEP_US) this.#sampledUs = timeUs;
    return this.requoteAll(timeUs, out);
  }

  #sample(underlying: number, timeUs: number): void {
    const { fair, forward } = this.values;
    this.quality.sample(underlying, this.#universe, this.#markets, this.stability, fair, forward, timeUs);
  }

  #decide(underlying: number, timeUs: number, out: QuoteBatch): void {
    const predicted = this.predictions.refresh(underlying, timeUs);
    if (!this.#sessionUp) return;
    const count = this.#universe.count(underlying);
    if (count === 0) return;
    const members = this.#universe.members(underlying);
    const look = predicted ? LOOK.all : this.#look[underlying];
    this.budget.refill(timeUs);
    this.#look[underlying] = LOOK.none;
    if (look === LOOK.all) this.#sweptUs[underlying] = timeUs;
    if (look !== LOOK.none) this.#decidedPrice[underlying] = this.#markets.referencePrice[underlying];
    this.inventory.sumGreeks(members, count, this.values);
    this.#decider.setNetGreeks();
    for (let i = 0; i < count; i += 1) {
      const id = members[i];
      if (look !== LOOK.all && this.#dirty[id] === 0) {
        if (look === LOOK.none || this.#decider.holds(id, underlying, timeUs)) continue;
      }
      this.#dirty[id] = this.#decider.decide(id, underlying, timeUs, out) ? 0 : 1;
    }
  }

  #refit(underlying: number, timeUs: number): void {
    const { surfaces, values } = this;
    if (surfaces === null || surfaces.of(underlying) === null) return;
    values.tellForwards(underlying, this.#markets.referencePrice[underlying]);
    if (!surfaces.step(underlying, timeUs + this.#markets.exchangeOffsetUs[underlying], timeUs)) return;
    const members = this.#universe.members(underlying);
    for (let i = 0; i < this.#universe.count(underlying); i += 1) values.revalue(members[i]);
    this.#lookAt(underlying, LOOK.price);
  }

  #lookAt(underlying: number, look: number): void {
    if (look > this.#look[underlying]) this.#look[underlying] = look;
  }
}
