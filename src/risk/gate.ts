import type { Instrument, InstrumentTable } from "../market/instrument.ts";
import type { QuoteBatch } from "../quote/quote-batch.ts";
import { GateState, PASSED } from "./gate-state.ts";
import type { KillState, KillSwitch } from "./kill-switch.ts";
import type { RiskLimits } from "./limits.ts";
import type { OrderIntent, OrderState, StructureQuote } from "./order.ts";
import { orderLimit } from "./order-check.ts";
import type { OrderLedger } from "./order-ledger.ts";
import type { Positions } from "./positions.ts";
import { QuoteCheck } from "./quote-check.ts";
import { WindowSum } from "./rate.ts";
import { LIMIT, LIMITS, type LimitName } from "./refusal.ts";
import { Revaluation } from "./revaluation.ts";
import { StructureCheck } from "./structure-check.ts";
import type { ReducingState, TradingState } from "./trading-state.ts";

export { LIMITS, type LimitName };

/**
 * Quotes that a {@link RiskGate} has passed: the only thing that a gateway accepts. The class is not exported, so nothing but a
 * gate can make one.
 */
class ApprovedQuotes {
  readonly #batch: QuoteBatch;

  constructor(batch: QuoteBatch) {
    this.#batch = batch;
  }

  get batch(): QuoteBatch {
    return this.#batch;
  }
}

/** An order that a gate has passed; made by nothing else. */
class ApprovedOrder {
  readonly #intent: OrderIntent;

  constructor(intent: OrderIntent) {
    this.#intent = intent;
  }

  get intent(): OrderIntent {
    return this.#intent;
  }
}

/** An answer to a request for quotes that a gate has passed, with what it refused of it taken out; made by nothing else. */
class ApprovedStructure {
  readonly #quote: StructureQuote;

  constructor(quote: StructureQuote) {
    this.#quote = quote;
  }

  get quote(): StructureQuote {
    return this.#quote;
  }
}

export type { ApprovedOrder, ApprovedQuotes, ApprovedStructure };

export interface RiskGateOptions {
  /** Its capacity bounds the gate's memory. */
  readonly instruments: InstrumentTable;
  readonly limits: RiskLimits;
  /** As it was left by the last run. */
  readonly kill: KillState;
  /** As it was left by the last run; null or left out = everything that keeps the limits passes. */
  readonly reducing?: ReducingState | null;
}

/**
 * The last check before the wire, for quotes, orders and answers to requests for quotes. It keeps its own positions, prices,
 * valuations and feed states, fed beside the quoter's, and what it was not told it does not trust: an instrument without a live
 * feed or a fresh price is pulled. Refusals are counted under their limit's name.
 *
 * Quotes are edited, what must not leave is taken out; orders and answers pass as they are or are refused. Pulling and
 * cancelling always pass, whatever the limits say; sides that reduce a position pass the limits on positions, stress and loss.
 *
 * Feed it: {@link add} for every quoted instrument; {@link onReference} with the price of each underlying (the reference book's,
 * or where there is none the option tickers' underlying price); {@link onBook}, {@link onTrade}, {@link onTicker} and
 * {@link onFeedState} for quoted instruments; {@link onExecution} for fills; {@link onRejected} for what the counterparty
 * refuses; {@link onTimer} about every 10 ms.
 */
export class RiskGate {
  readonly #state: GateState;
  readonly #quotes: QuoteCheck;
  readonly #structures: StructureCheck;
  readonly #revaluation: Revaluation;
  readonly #rejects: WindowSum;
  readonly #approved = new WeakMap<QuoteBatch, ApprovedQuotes>();

  constructor(options: RiskGateOptions) {
    const { instruments, limits, kill } = options;
    this.#state = new GateState(instruments.capacity, limits, kill);
    this.#state.reducing = options.reducing ?? null;
    this.#quotes = new QuoteCheck(this.#state, instruments.capacity);
    this.#structures = new StructureCheck(this.#state);
    this.#revaluation = new Revaluation(this.#state, instruments);
    this.#rejects = new WindowSum(60_000);
  }

  get kill(): KillSwitch {
    return this.#state.kill;
  }

  get positions(): Positions {
    return this.#state.positions;
  }

  get orders(): OrderLedger {
    return this.#state.orders;
  }

  /** Refusals since start, by limit in the order of {@link LIMITS}. */
  get refusals(): Float64Array {
    return this.#state.refusals;
  }

  get limits(): RiskLimits {
    return this.#state.limits;
  }

  /** Times that market-maker protection was set off. */
  get protectionTriggered(): number {
    return this.#state.protection.triggered;
  }

  get tradingState(): TradingState {
    if (this.#state.kill.tripped) return "halted";
    return this.#state.reducing === null ? "active" : "reducing";
  }

  /** Why only reductions pass; null when more does. */
  get reducing(): ReducingState | null {
    return this.#state.reducing;
  }

  /** Only what reduces a position passes from now on, until {@link resume}. The first reason stays. @returns false if so already */
  reduce(by: ReducingState["by"], reason: string, timeUs: number): boolean {
    if (this.#state.reducing !== null) return false;
    this.#state.reducing = { by, reason, timeUs };
    return true;
  }

  /** @returns false when nothing was held back. */
  resume(): boolean {
    if (this.#state.reducing === null) return false;
    this.#state.reducing = null;
    return true;
  }

  /** Positions, orders and quotes are known to be the counterparty's; while they are not, nothing passes. */
  get reconciled(): boolean {
    return this.#state.reconciled;
  }

  set reconciled(reconciled: boolean) {
    this.#state.reconciled = reconciled;
  }

  /** What a position in the instrument is worth can be told: its underlying has had a price. */
  canValue(instrument: number): boolean {
    const { price, underlyingOf, instruments } = this.#state;
    if (instruments[instrument] === undefined) return false;
    return Number.isFinite(this.positions.notionalPerLot(instrument, price[underlyingOf[instrument]]));
  }

  /** Other limits from now on, without a gap: nothing that was counted or switched is forgotten. */
  setLimits(limits: RiskLimits, timeUs: number): void {
    const { stressSpotPct, stressVolPct } = this.limits;
    this.#state.setLimits(limits);
    if (stressSpotPct === limits.stressSpotPct && stressVolPct === limits.stressVolPct) return;
    this.positions.valuation.worstLong.fill(Number.NaN);
    for (let place = 0; place < this.positions.heldCount; place += 1) {
      const instrument = this.#state.instruments[this.positions.heldAt(place)];
      if (instrument !== undefined) this.#state.revalue(instrument, timeUs);
    }
  }

  /** Refusals under a limit since start. */
  refused(limit: LimitName): number {
    return this.#state.refusals[LIMIT[limit]];
  }

  /** Price of an underlying as last heard; NaN before. */
  price(underlying: number): number {
    return this.#state.price[underlying];
  }

  /**
   * What a position is marked at, in the instrument's price unit: an option at the venue's own volatility as last valued, a
   * perpetual or future at the middle of its book, without one at the underlying's price; what has expired at what it was settled
   * at, or at its last mark. NaN while it cannot be marked.
   */
  mark(instrument: number): number {
    const { instruments, bestBidTicks, bestAskTicks, tick, price, underlyingOf, positions } = this.#state;
    const known = instruments[instrument];
    if (known === undefined) return Number.NaN;
    const { valuation } = positions;
    if (valuation.expired[instrument] === 1) return valuation.finalMark[instrument];
    if (known.kind === "option") {
      return valuation.price[instrument] / (known.inverse ? valuation.forward[instrument] : 1);
    }
    const bid = bestBidTicks[instrument];
    const ask = bestAskTicks[instrument];
    if (bid >= 0 && ask >= 0) return 0.5 * (bid + ask) * tick[instrument];
    return price[underlyingOf[instrument]];
  }

  /** Price of an underlying that is fresh enough to trade on; NaN without one. */
  freshPrice(underlying: number, timeUs: number): number {
    const { price, priceUs, limits } = this.#state;
    return timeUs - priceUs[underlying] <= limits.maxDataAgeMs * 1_000 ? price[underlying] : Number.NaN;
  }

  /** The instrument has expired: from now on nothing in it passes, and it has no Greeks. See {@link Valuation.expire}. */
  expire(instrument: number, mark: number, price: number): void {
    this.positions.valuation.expire(instrument, mark, price);
    this.positions.onValued(instrument);
  }

  /** Values an instrument at the present price of its underlying. */
  revalue(instrument: number, timeUs: number): void {
    const known = this.#state.instruments[instrument];
    if (known !== undefined) this.#state.revalue(known, timeUs);
  }

  /** The best price of an instrument's own book in ticks; −1 for an empty side. @param side 0 = bid */
  bestTicks(instrument: number, side: number): number {
    return (side === 0 ? this.#state.bestBidTicks : this.#state.bestAskTicks)[instrument];
  }

  /** Our own quote that may stand, in ticks; −1 where the side is not quoted. @param side 0 = bid */
  standingTicks(instrument: number, side: number): number {
    const { standing } = this.#state;
    return (side === 0 ? standing.bidTicks : standing.askTicks)[instrument];
  }

  /** Registers an instrument; what was not registered never passes. @param underlying dense number of its base coin */
  add(instrument: Instrument, underlying: number): void {
    this.#state.add(instrument, underlying);
  }

  /** Price of an underlying in quote currency; one that is not positive makes it stale at once. */
  onReference(underlying: number, price: number, timeUs: number): void {
    const state = this.#state;
    if (!(price > 0)) {
      state.priceUs[underlying] = Number.NEGATIVE_INFINITY;
      return;
    }
    state.price[underlying] = price;
    state.priceUs[underlying] = timeUs;
    state.positions.onPrice(underlying, price);
  }

  /** Best prices of an instrument's own book; −1 for an empty side. */
  onBook(instrument: number, bestBidTicks: number, bestAskTicks: number): void {
    this.#state.bestBidTicks[instrument] = bestBidTicks;
    this.#state.bestAskTicks[instrument] = bestAskTicks;
  }

  /** A trade at the venue. */
  onTrade(instrument: number, priceTicks: number, timeUs: number): void {
    this.#state.lastTicks[instrument] = priceTicks;
    this.#state.lastUs[instrument] = timeUs;
  }

  /** The venue's volatility of an option, and the forward of its expiry; NaN = not told. */
  onTicker(
    instrument: number,
    volatility: number,
    forward: number,
    exchangeTimeUs: number,
    timeUs: number,
  ): void {
    this.#state.positions.valuation.onTicker(instrument, volatility, forward, exchangeTimeUs, timeUs);
  }

  onFeedState(instrument: number, live: boolean): void {
    const state = this.#state;
    state.live[instrument] = live ? 1 : 0;
    if (live) return;
    state.bestBidTicks[instrument] = -1;
    state.bestAskTicks[instrument] = -1;
  }

  /** About every 10 ms: values a bounded number of instruments anew, and notices orders that were not answered. */
  onTimer(timeUs: number): void {
    const state = this.#state;
    this.#revaluation.onTimer(timeUs);
    if (state.orders.count > 0) state.orders.onTimer(timeUs, state.limits.orderTimeoutMs * 1_000);
  }

  positionLots(instrument: number): number {
    return this.positions.lots(instrument);
  }

  /**
   * A fill. Trips the kill switch when a position or an underlying's delta is beyond its hard limit, or when the instrument is
   * not one that was ever quoted.
   *
   * @param side side of our quote or order: 0 = our bid was hit, we bought
   * @param orderId of the order that was filled; 0 for a quote. An order that is not at work trips the kill switch too
   */
  onExecution(
    instrument: number,
    side: number,
    priceTicks: number,
    sizeLots: number,
    timeUs: number,
    orderId = 0,
  ): void {
    const state = this.#state;
    const known = state.instruments[instrument];
    if (known === undefined || !(sizeLots > 0)) {
      state.kill.trip("limit:unknownExecution", timeUs);
      return;
    }
    const { positions, limits } = state;
    positions.onFill(instrument, side, sizeLots);
    const underlying = state.underlyingOf[instrument];
    state.revalue(known, timeUs);
    const price = state.price[underlying];
    const perLot = positions.notionalPerLot(instrument, price);
    const knownDelta = positions.delta(instrument);
    const delta = Number.isNaN(knownDelta) ? 1 : knownDelta;
    const bought = side === 0 ? sizeLots : -sizeLots;
    if (orderId > 0) state.orders.onFill(orderId, sizeLots);
    else {
      state.standing.onFill(instrument, side, priceTicks, sizeLots);
      const { coins, vega } = positions.valuation;
      const bookVega = known.kind === "option" ? bought * coins[instrument] * vega[instrument] : 0;
      state.protection.onFill(underlying, bought * perLot * delta, bookVega, timeUs);
    }
    const hard = limits.hardLimitMultiple;
    if (!(Math.abs(positions.lots(instrument) * perLot) <= limits.maxPositionNotional * hard)) {
      state.kill.trip("limit:position", timeUs);
    }
    if (!(Math.abs(positions.netDeltaNotional(underlying)) <= limits.maxDeltaNotional * hard)) {
      state.kill.trip("limit:delta", timeUs);
    }
  }

  /** Quotes that the counterparty rejected; too many within a minute trip the kill switch. */
  onRejected(quotes: number, timeUs: number): void {
    if (this.#rejects.add(quotes, timeUs) >= this.#state.limits.maxRejectsPerMinute) {
      this.#state.kill.trip("limit:rejects", timeUs);
    }
  }

  /**
   * Profit and loss of the UTC day. Beyond a limit only reductions pass; beyond its hard multiple the kill switch trips.
   *
   * @param profit since midnight, fees included, in quote currency
   * @param peak its highest since midnight
   * @returns true when the desk has just begun to reduce only
   */
  onProfit(profit: number, peak: number, timeUs: number): boolean {
    const { maxLoss, maxDrawdown, hardLimitMultiple } = this.#state.limits;
    const loss = -profit;
    const drawdown = peak - profit;
    if (loss > maxLoss * hardLimitMultiple) this.#state.kill.trip("limit:loss", timeUs);
    else if (drawdown > maxDrawdown * hardLimitMultiple) this.#state.kill.trip("limit:drawdown", timeUs);
    if (loss > maxLoss) return this.reduce("loss", "limit:loss", timeUs);
    return drawdown > maxDrawdown && this.reduce("drawdown", "limit:drawdown", timeUs);
  }

  /** What the counterparty says of an order; the state as in `ORDER_STATE`. @returns false for an order that is not open */
  onOrderState(orderId: number, state: OrderState, leavesLots: number): boolean {
    return this.#state.orders.onState(orderId, state, leavesLots);
  }

  /** Our quotes were cancelled: none stands that an order could cross. */
  onAllCancelled(): void {
    this.#state.standing.clear();
  }

  /** The session is gone, and with it the quotes; what became of orders is unknown. */
  onSessionDown(): void {
    this.#state.standing.clear();
    this.#state.orders.onSessionDown();
  }

  /**
   * Checks a batch in place. Afterwards it holds only what may leave. A row of an instrument of which nothing stands and from
   * which nothing is left is taken out.
   *
   * @returns the batch, approved; the same object for the same batch every time
   */
  check(batch: QuoteBatch, timeUs: number): ApprovedQuotes {
    this.#quotes.check(batch, timeUs);
    return this.#approve(batch);
  }

  /**
   * Holds quotes that stand, as they stand, against the limits in force. Afterwards the batch holds those of which something has
   * to be pulled or cut; the others may stand on.
   */
  recheck(batch: QuoteBatch, timeUs: number): ApprovedQuotes {
    this.#quotes.recheck(batch, timeUs);
    return this.#approve(batch);
  }

  #approve(batch: QuoteBatch): ApprovedQuotes {
    const known = this.#approved.get(batch);
    if (known !== undefined) return known;
    const approved = new ApprovedQuotes(batch);
    this.#approved.set(batch, approved);
    return approved;
  }

  /** Checks an order; one that passes counts as at work from now on. @returns the order, approved, or the limit it broke */
  checkOrder(order: OrderIntent, timeUs: number): ApprovedOrder | LimitName {
    const limit = orderLimit(this.#state, order, timeUs);
    if (limit !== PASSED) return this.#state.refuse(limit, timeUs);
    this.#state.orders.onSent(order, timeUs);
    return new ApprovedOrder(order);
  }

  /**
   * Checks an answer to a request for quotes, or, at the last look, the one side that was taken.
   *
   * @returns the answer with the sides that may leave, approved, or the limit that the last of them broke
   */
  checkStructure(quote: StructureQuote, timeUs: number): ApprovedStructure | LimitName {
    const passed = this.#structures.check(quote, timeUs);
    return typeof passed === "string" ? passed : new ApprovedStructure(passed);
  }

  /**
   * Looks at an answer that stands at a venue which trades without asking again. Nothing is counted.
   *
   * @returns the first limit that a side breaks now; null when both may stand
   */
  standingStructure(quote: StructureQuote, timeUs: number): LimitName | null {
    return this.#structures.standing(quote, timeUs);
  }
}
