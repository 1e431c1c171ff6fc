/**
 * The assembly: the one place that knows the whole line from frame to quote.
 *
 * `Desk` is a deterministic state machine. Its inputs are the `on…` calls, each with its time; its outputs are calls of
 * {@link DeskPort}. It reads no clock, opens no socket and draws no randomness but from its seed, so the same inputs give the
 * same outputs bit for bit: live trading, replay and backtest run this class.
 *
 * @module
 */
import { Histogram } from "../core/histogram.ts";
import { invariant } from "../core/invariant.ts";
import type { Feed, FeedPort } from "../feed/feed.ts";
import { LineArbiter } from "../feed/lines.ts";
import { createFeed } from "../feed/registry.ts";
import { SignalFeed } from "../feed/signal.ts";
import { VenueClock } from "../feed/venue-clock.ts";
import { type ExecutionDetail, type GatewayEvents, QUOTE_STATUS } from "../gateway/gateway.ts";
import { Hedger } from "../hedge/hedger.ts";
import { DEFAULT_HEDGE_PARAMETERS, type HedgeSettings } from "../hedge/parameters.ts";
import { EngineLostError, type StepEngine } from "../inference/engine.ts";
import { EventBatch } from "../market/event-batch.ts";
import { type Instrument, InstrumentTable, type VenueName } from "../market/instrument.ts";
import type { SurfaceParameters } from "../option/surface/parameters.ts";
import { Book } from "../position/book.ts";
import { DEFAULT_FEE_RATES, type FeeRates } from "../position/fees.ts";
import type { BookSnapshot } from "../position/snapshot.ts";
import type { QuoteParameters } from "../quote/parameters.ts";
import { QuoteBatch, REASON } from "../quote/quote-batch.ts";
import { Quoter } from "../quote/quoter.ts";
import type { RfqAction, RfqInput } from "../rfq/message.ts";
import type { RfqParameters } from "../rfq/parameters.ts";
import type { RfqDesk } from "../rfq/rfq-desk.ts";
import { type ApprovedOrder, type ApprovedQuotes, RiskGate } from "../risk/gate.ts";
import type { KillState } from "../risk/kill-switch.ts";
import type { RiskLimits } from "../risk/limits.ts";
import { ORDER_STATE, type OrderState } from "../risk/order.ts";
import type { MismatchRule, ReconciliationReport, ReconciliationResult } from "../risk/reconciliation.ts";
import type { ReducingState } from "../risk/trading-state.ts";
import { newDeskCounters } from "./counters.ts";
import { DecisionEncoder } from "./decision.ts";
import { DeskFeatures } from "./desk-features.ts";
import { STAGE, type StageTimer } from "./latency.ts";
import { MarketState, TOUCHED_QUOTE } from "./market-state.ts";
import { OrderWatch } from "./order-watch.ts";
import { Predictor } from "./predictor.ts";
import { Reconciler } from "./reconciler.ts";
import { deskRfq } from "./rfq-market.ts";
import type { RiskDecision } from "./risk-decision.ts";

/** What the desk does to the outside. */
export interface DeskPort extends FeedPort {
  /** Begin the asynchronous engine's submit; when it has ended the runtime calls `onInference` or `onEngineLost`. */
  submit(rows: number): void;
  /**
   * A synchronous engine's device went away within this turn, in the run's step number `step`, counted from 1. The quotes go
   * defensive right after this call; the runtime starts the engine again and then calls `onEngineRestored`.
   */
  engineLost(step: number, error: EngineLostError, timeUs: number): void;
  publish(quotes: ApprovedQuotes, timeUs: number): void;
  /** Cancel everything at the counterparty, by one message. */
  cancelAll(timeUs: number): void;
  /** The kill switch has tripped or was reset, or the desk begins or ends to reduce only: keep it across a restart. */
  killChanged(state: KillState, reducing: ReducingState | null): void;
  sendOrder(order: ApprovedOrder, timeUs: number): void;
  cancelOrder(orderId: number, timeUs: number): void;
  /** An order's outcome is unknown: ask the counterparty for it. */
  askOrder(orderId: number, timeUs: number): void;
  /** What the desk decided besides quotes, for the journal. */
  decidedRisk(decision: RiskDecision, timeUs: number): void;
  /** An answer to a client that asked for a quote; left out where no requests are taken. */
  answered?(action: RfqAction, timeUs: number): void;
  /**
   * The quotes just published, as `decodeDecision` reads them; the payload is valid during the call only.
   *
   * @param underlying −1 when the quotes are of several
   */
  decided(underlying: number, timeUs: number, payload: Uint8Array): void;
  /**
   * The prediction of an underlying is new, or whether it is in force has changed.
   *
   * @param probabilities one per head from `offset` on, NaN while there is none; valid during the call only
   * @param status why it is not in force, as bits of `REASON`; 0 when it is
   */
  predicted(
    underlying: number,
    probabilities: Float32Array,
    offset: number,
    heads: number,
    status: number,
    timeUs: number,
  ): void;
  /** The events that were applied in this turn, after what they caused has left; see `DeskTap`. Absent = nobody looks. */
  observed?: ((events: EventBatch, rows: Int32Array, count: number, timeUs: number) => void) | undefined;
  /** The features that a step was made on; see `DeskTap`. Absent = nobody looks. */
  stepped?:
    | ((underlying: number, features: Float32Array, offset: number, timeUs: number) => void)
    | undefined;
}

export interface DeskFeed {
  readonly venue: VenueName;
  /** As written in `KEEL_FEEDS` after the venue. */
  readonly subscriptions: readonly string[];
}

export interface DeskOptions {
  readonly feeds: readonly DeskFeed[];
  /** Names of external signals in the order of the schema's signals; empty = no signal feed. */
  readonly signals: readonly string[];
  /** The gateway's venue, whose instruments alone are quoted; null or left out: all that are no spot. */
  readonly quotedVenue?: VenueName | null | undefined;
  /** What leads an underlying when its first book is lost: nothing, or the next live book by rank. Default `first`. */
  readonly reference?: "first" | "next" | undefined;
  readonly instrumentCapacity: number;
  readonly silenceMs: number;
  readonly seed: number;
  /** Null: no model; the desk quotes defensively. */
  readonly engine: StepEngine | null;
  readonly quote: QuoteParameters;
  /** Fitted surfaces give the options' fair values; null or left out: the venue's volatilities do. */
  readonly surface?: SurfaceParameters | null;
  readonly risk: RiskLimits;
  readonly kill: KillState;
  /** As it was left by the last run; null or left out = free. */
  readonly reducing?: ReducingState | null;
  /** Null or left out: nothing is hedged. */
  readonly hedge?: HedgeSettings | null;
  readonly fees?: FeeRates;
  /** Null or left out: requests for quotes are not answered. */
  readonly rfq?: RfqParameters | null | undefined;
  /** The books as the last run left them; null or left out: empty. */
  readonly opening?: BookSnapshot | null;
  /** Nothing is quoted before {@link Desk.onReconciliation}, in every session; null or left out: the counterparty cannot be asked. */
  readonly reconcile?: MismatchRule | null;
  readonly port: DeskPort;
  readonly timer: StageTimer;
}

/** Underlyings a desk can lead; each has a slot of model state. */
export const UNDERLYING_CAPACITY = 16;
/** Quotes that leave in one turn; what does not fit leaves in the next. */
export const QUOTE_CAPACITY = 4_096;

const MODEL_REASONS = REASON.modelMove | REASON.modelWithdraw | REASON.modelVolatility;

export class Desk implements GatewayEvents {
  readonly feeds: readonly Feed[];
  /** Makes one of several feeds of the same venue. */
  readonly lines: LineArbiter;
  /** How each feed's venue's clock stands to this host's. */
  readonly clocks: readonly VenueClock[];
  /** External signals; they come in as the feed after the last of {@link feeds}. Null when none are configured. */
  readonly signals: SignalFeed | null;
  readonly market: MarketState;
  readonly quoter: Quoter;
  readonly gate: RiskGate;
  readonly book: Book;
  readonly hedger: Hedger;
  /** Null when requests for quotes are not answered. */
  readonly rfq: RfqDesk | null;
  readonly counters = newDeskCounters();
  /** How many sent quotes gave each reason, by bit of {@link REASON}. */
  readonly reasonCounts = new Float64Array(32);
  /**
   * Age of the state that quotes are based on, ns, by message: from the time of the features behind the prediction in force to
   * the time of the event that the quotes answer. Quotes without a prediction, and those that a timer released, are left out.
   */
  readonly freshness = new Histogram();
  readonly #port: DeskPort;
  readonly #timer: StageTimer;
  readonly #batch = new EventBatch();
  /** Rows of the batch that were applied in this turn. */
  readonly #applied = new Int32Array(this.#batch.maxEvents);
  readonly #quotes = new QuoteBatch(QUOTE_CAPACITY);
  readonly #decisions: DecisionEncoder;
  readonly #predictor: Predictor;
  readonly #orderWatch: OrderWatch;
  readonly #reconciler: Reconciler;
  #sessionUp = false;
  #stopping = false;
  #killHandled: boolean;
  /** The highest quoteId that the counterparty has answered. */
  #answeredId = 0;
  #unansweredSinceUs = Number.NaN;
  #published = false;

  constructor(options: DeskOptions) {
    const { engine, port, timer } = options;
    this.#port = port;
    this.#timer = timer;
    this.quoter = new Quoter({
      capacity: options.instrumentCapacity,
      underlyings: UNDERLYING_CAPACITY,
      parameters: options.quote,
      surface: options.surface ?? null,
    });
    if (engine !== null) this.quoter.setHeads(engine.card.heads);
    const features = new DeskFeatures(engine, UNDERLYING_CAPACITY);
    this.#predictor = new Predictor({
      engine,
      underlyingCapacity: UNDERLYING_CAPACITY,
      features,
      quoter: this.quoter,
      timer,
      counters: this.counters,
      port,
    });
    this.#decisions = new DecisionEncoder(QUOTE_CAPACITY, this.#predictor.heads);
    const instruments = new InstrumentTable(options.instrumentCapacity);
    const { risk: limits, kill, reducing = null } = options;
    this.gate = new RiskGate({ instruments, limits, kill, reducing });
    this.book = new Book({
      capacity: options.instrumentCapacity,
      gate: this.gate,
      rates: options.fees ?? DEFAULT_FEE_RATES,
      model: engine === null ? "none" : `${engine.card.name}@${engine.card.onnxSha256.slice(0, 8)}`,
      opening: options.opening ?? null,
    });
    this.hedger = new Hedger({
      parameters: options.hedge?.parameters ?? DEFAULT_HEDGE_PARAMETERS,
      instruments: options.hedge?.instruments ?? [],
      gate: this.gate,
      adjustments: this.quoter.predictions.adjustments,
      send: (order, timeUs) => this.#sendOrder(order, timeUs),
      cancel: (orderId, timeUs) => this.#cancelOrder(orderId, timeUs),
    });
    this.#orderWatch = new OrderWatch(this.gate.orders, (orderId, timeUs) => {
      this.#port.decidedRisk({ decided: "askOrder", orderId }, timeUs);
      this.#port.askOrder(orderId, timeUs);
    });
    this.#reconciler = new Reconciler({
      instruments,
      gate: this.gate,
      book: this.book,
      rule: options.reconcile ?? null,
    });
    this.market = new MarketState({
      standIns: options.reference === "next",
      quotedVenue: options.quotedVenue ?? null,
      instruments,
      underlyingCapacity: UNDERLYING_CAPACITY,
      features,
      quoter: this.quoter,
      gate: this.gate,
      timer,
      counters: this.counters,
      onInstrument: (instrument, underlying, timeUs) => this.#admit(instrument, underlying, timeUs),
      onReferenceBroken: (underlying) => this.#predictor.forget(underlying),
      onReferenceState: (underlying, timeUs) => this.#predictor.updateStatus(underlying, this.market, timeUs),
    });
    this.rfq =
      options.rfq == null
        ? null
        : deskRfq({
            ...{ parameters: options.rfq, market: this.market, quoter: this.quoter, gate: this.gate },
            execute: (...fill) => this.onExecution(...fill),
            answer: (action, timeUs) => this.#port.answered?.(action, timeUs),
          });
    this.#killHandled = options.kill.tripped;
    if (options.kill.tripped) this.quoter.onHalt(REASON.killed);
    this.quoter.setReducing(reducing !== null);
    this.feeds = options.feeds.map(({ venue, subscriptions }, id) =>
      createFeed({
        id,
        venue,
        subscriptions,
        instruments,
        port,
        seed: options.seed + id,
        silenceMs: options.silenceMs,
      }),
    );
    this.lines = new LineArbiter(this.feeds, instruments, this.#batch.maxEvents);
    this.clocks = this.feeds.map(() => new VenueClock());
    const id = this.feeds.length;
    this.signals =
      options.signals.length === 0
        ? null
        : new SignalFeed({ id, names: options.signals, port, seed: options.seed + id });
  }

  start(timeUs: number): void {
    this.rfq?.start(timeUs);
    for (const feed of this.feeds) feed.start(timeUs);
    this.signals?.start(timeUs);
  }

  onFeedOpen(feed: number, timeUs: number): void {
    if (feed === this.signals?.id) {
      this.signals.onOpen(timeUs);
      return;
    }
    this.#feed(feed).onOpen(timeUs, this.#begin());
    this.#turn(feed, timeUs);
  }

  onFrame(feed: number, frame: string, timeUs: number): void {
    this.counters.frames += 1;
    const batch = this.#begin();
    if (feed === this.signals?.id) this.signals.onFrame(frame, batch);
    else {
      this.#feed(feed).onFrame(frame, timeUs, batch);
      if (batch.count > 0) this.clocks[feed].observe(batch.exchangeTimeUs[0], timeUs);
    }
    this.#timer.mark(STAGE.decode);
    this.#turn(feed, timeUs);
  }

  onFeedClose(feed: number, code: number, reason: string, timeUs: number): void {
    if (feed === this.signals?.id) {
      this.signals.onClose(code, reason, timeUs);
      return;
    }
    this.#feed(feed).onClose(code, reason, timeUs, this.#begin());
    this.#turn(feed, timeUs);
  }

  onFeedResponse(
    feed: number,
    request: number,
    status: number,
    body: string,
    retryAfterMs: number,
    timeUs: number,
  ): void {
    this.#feed(feed).onResponse(request, status, body, retryAfterMs, timeUs, this.#begin());
    this.#turn(feed, timeUs);
  }

  /** To be called about every 10 ms: heartbeats, silence, reconnects, held tightenings, late predictions, expiry. */
  onTimer(timeUs: number): void {
    for (const feed of this.feeds) {
      feed.onTimer(timeUs, this.#begin());
      this.#turn(feed.id, timeUs);
    }
    this.signals?.onTimer(timeUs);
    this.market.onTimer(timeUs);
    this.#onRiskTimer(timeUs);
    this.#quotes.clear();
    this.quoter.onTimer(timeUs, this.#quotes);
    this.#publish(-1, timeUs);
    this.rfq?.onTimer(timeUs);
    this.#afterGate(timeUs);
  }

  /** A client asks for a quote, answers one, sends an order or withdraws. */
  onRfq(input: RfqInput, timeUs: number): void {
    this.rfq?.onInput(input, timeUs);
    this.#afterGate(timeUs);
  }

  /** The submit has ended: `engine.probabilities` holds its rows. */
  onInference(timeUs: number): void {
    this.#timer.resume();
    this.#timer.mark(STAGE.inference);
    this.#published = false;
    this.#predictor.resolve(this.market, timeUs);
    this.#requote(timeUs);
    this.#timer.end(this.#published);
    this.#infer(timeUs);
  }

  /** An asynchronous engine's device is gone: defensive quotes at once, until `onEngineRestored`. */
  onEngineLost(timeUs: number): void {
    this.#predictor.lose(this.market, timeUs);
    this.#requoteAll(timeUs);
  }

  /** The model runs again, with all states reset. */
  onEngineRestored(engine: StepEngine, timeUs: number): void {
    this.#predictor.restore(engine, this.market, timeUs);
  }

  onSessionUp(timeUs: number): void {
    this.#sessionUp = true;
    this.quoter.onSessionUp();
    this.#orderWatch.onSessionUp(timeUs);
    this.#requoteAll(timeUs);
  }

  onSessionDown(_reason: string, timeUs: number): void {
    this.#sessionUp = false;
    this.#unansweredSinceUs = Number.NaN;
    this.quoter.onSessionDown(timeUs);
    this.gate.onSessionDown();
    this.#reconciler.onSessionDown();
  }

  onQuoteAck(quoteId: number, status: number, _text: string, timeUs: number): void {
    // Ids that the gate took out of a batch were never sent, so the span of ids may exceed what is outstanding.
    const { quotesSent, quotesAcked, quotesRejected } = this.counters;
    const span = Math.max(quoteId - this.#answeredId, 0);
    const answered = Math.min(span, quotesSent - quotesAcked - quotesRejected);
    this.#answeredId += span;
    if (span > 0)
      this.#unansweredSinceUs = answered < quotesSent - quotesAcked - quotesRejected ? timeUs : Number.NaN;
    if (status === QUOTE_STATUS.rejected) {
      this.counters.quotesRejected += answered;
      this.quoter.onRejected(quoteId, timeUs);
      this.gate.onRejected(answered, timeUs);
      this.#afterGate(timeUs);
    } else if (status === QUOTE_STATUS.cancelled) {
      this.quoter.onCancelled(quoteId, timeUs);
    } else {
      this.counters.quotesAcked += answered;
      this.quoter.onAccepted(quoteId);
    }
  }

  onExecution(
    executionId: string,
    instrument: number,
    side: number,
    priceTicks: number,
    sizeLots: number,
    timeUs: number,
    detail: ExecutionDetail = {},
  ): void {
    if (!(instrument >= 0 && instrument < this.market.books.length)) {
      this.counters.unknownExecutions += 1;
      this.kill("limit:unknown-execution", timeUs);
      return;
    }
    // An ExecID is unique within a day only.
    if (!this.book.isNew(`${Math.floor(timeUs / 86_400e6)} ${executionId}`)) return;
    this.counters.executions += 1;
    const { orderId = 0 } = detail;
    this.gate.onExecution(instrument, side, priceTicks, sizeLots, timeUs, orderId);
    const traded = this.market.instruments.get(instrument);
    if (traded.kind !== "spot") {
      const taker = orderId > 0 && detail.liquidity === undefined ? { liquidity: "taker" as const } : {};
      this.book.onFill(traded, side, priceTicks, sizeLots, { ...detail, ...taker }, timeUs);
    }
    if (orderId === 0 && detail.structureId === undefined)
      this.quoter.onFill(instrument, side, sizeLots, timeUs, priceTicks);
    this.quoter.onPosition(instrument, this.gate.positionLots(instrument));
    this.#afterGate(timeUs);
    this.#begin();
    const underlying = this.market.underlyingOf(instrument);
    if (underlying >= 0) this.market.touched[underlying] |= TOUCHED_QUOTE;
    this.#requote(timeUs);
    if (this.#sessionUp && !this.#stopping) this.hedger.onTimer(timeUs);
  }

  onOrderState(orderId: number, state: OrderState, leavesLots: number, _text: string, timeUs: number): void {
    this.gate.onOrderState(orderId, state, leavesLots);
    this.#afterGate(timeUs);
  }

  /** The venue has cancelled the quotes on a coin: they are pulled until then, and decided anew when it is over. */
  onFrozen(base: string, untilUs: number, _text: string, timeUs: number): void {
    for (const instrument of this.market.instruments.all()) {
      if (instrument.base === base) this.quoter.onFrozen(instrument.id, untilUs, timeUs);
    }
    this.#requoteAll(timeUs);
  }

  /**
   * What the counterparty holds: positions are compared and taken over by the rule, orders of unknown outcome are settled, and
   * what stands there that the desk does not know is cancelled. From then on the session may be quoted in.
   *
   * @param adopt an operator has the counterparty's positions taken over, whatever the rule
   */
  onReconciliation(report: ReconciliationReport, adopt: boolean, timeUs: number): ReconciliationResult {
    const result = this.#reconciler.apply(report, adopt, timeUs);
    this.#port.decidedRisk({ decided: "reconciled", result }, timeUs);
    for (const { instrument } of result.differences) {
      this.quoter.onPosition(instrument, this.gate.positionLots(instrument));
    }
    if (result.strangers) this.#cancelAll(timeUs);
    this.#requoteAll(timeUs);
    return result;
  }

  /** From now on nothing is quoted in a session before {@link onReconciliation}. To be called before anything else. */
  requireReconciliation(rule: MismatchRule): void {
    this.#reconciler.require(rule);
  }

  /** The last reconciliation; null before the first. */
  get reconciliation(): ReconciliationResult | null {
    return this.#reconciler.last;
  }

  /** Other limits are in force from now on; quotes that break them are pulled in this turn. */
  setLimits(limits: RiskLimits, timeUs: number): void {
    this.gate.setLimits(limits, timeUs);
    this.#pullRefused(timeUs);
  }

  /** Only what reduces a position passes, until {@link resetKill}; standing quotes that would not are pulled. */
  reduce(reason: string, timeUs: number): void {
    if (!this.gate.reduce("reduceOnly", reason, timeUs)) return;
    this.#stateChanged(timeUs);
    this.#pullRefused(timeUs);
  }

  /** Cancels everything and quotes no more until {@link resetKill}. The first reason stays. */
  kill(reason: string, timeUs: number): void {
    if (this.gate.kill.trip(reason, timeUs)) this.#killed(timeUs);
  }

  /** Back to `active`. @returns false when it was that already. */
  resetKill(timeUs: number): boolean {
    const killed = this.gate.kill.reset();
    const reduced = this.gate.resume();
    if (!killed && !reduced) return false;
    this.#killHandled = false;
    this.#stateChanged(timeUs);
    this.quoter.onHalt(0);
    this.rfq?.resume();
    this.#requoteAll(timeUs);
    return true;
  }

  /** Orderly end: everything is cancelled and nothing is sent any more. */
  shutdown(timeUs: number): void {
    this.quoter.onHalt(REASON.shutdown);
    this.rfq?.halt("shutdown", timeUs);
    this.#cancelAll(timeUs);
    this.#stopping = true;
  }

  /**
   * Since when sent quotes wait for the counterparty's answer, µs; NaN when none does. An answer to some of them begins the
   * wait of the rest anew.
   */
  get unansweredSinceUs(): number {
    return this.#unansweredSinceUs;
  }

  /** Latest prediction of each underlying, `[underlying][head]`; NaN while there is none. */
  get probabilities(): Float32Array {
    return this.#predictor.probabilities;
  }

  /** Why the model of an underlying is not in force, as {@link REASON} bits; 0 when it is. */
  modelStatus(underlying: number): number {
    return this.#predictor.status(underlying);
  }

  #feed(id: number): Feed {
    const feed = this.feeds[id];
    invariant(feed !== undefined, `feed ${id} is one of ${this.feeds.length}`);
    return feed;
  }

  #begin(): EventBatch {
    this.#batch.clear();
    this.#published = false;
    return this.#batch;
  }

  /** What follows every input that may have put events into the batch. */
  #turn(feed: number, timeUs: number): void {
    const market = this.market;
    if (market.books.length < market.instruments.size) market.admit(this.lines.primary(feed), timeUs);
    const batch = this.#batch;
    if (batch.count === 0) {
      this.#timer.end(false);
      return;
    }
    const { lines } = this;
    const applied = this.#applied;
    let count = 0;
    for (let row = 0; row < batch.count; row += 1) {
      if (!lines.admits(feed, batch, row, timeUs)) continue;
      market.apply(batch, row, lines, timeUs);
      applied[count] = row;
      count += 1;
    }
    lines.endTurn();
    this.#infer(timeUs);
    if (count > 0) this.#port.observed?.(batch, applied, count, timeUs);
  }

  /** Steps the model for every underlying that moved, then requotes; or begins a submit, and the turn ends there. */
  #infer(timeUs: number): void {
    let rows = 0;
    try {
      rows = this.#predictor.step(this.market, timeUs);
    } catch (error) {
      if (!(error instanceof EngineLostError)) throw error;
      this.#port.engineLost(this.#predictor.steps, error, timeUs);
      this.onEngineLost(timeUs);
    }
    // With a submit under way, what needs no new prediction leaves now; what does follows with the result.
    this.#requote(timeUs);
    if (rows === 0) {
      this.#timer.end(this.#published);
      return;
    }
    this.#timer.suspend();
    this.#port.submit(rows);
  }

  #requote(timeUs: number): void {
    const { touched, underlyings } = this.market;
    for (let underlying = 0; underlying < underlyings.size; underlying += 1) {
      if ((touched[underlying] & TOUCHED_QUOTE) === 0) continue;
      touched[underlying] &= ~TOUCHED_QUOTE;
      this.#quotes.clear();
      this.quoter.requote(underlying, timeUs, this.#quotes);
      this.#timer.mark(STAGE.quote);
      this.#publish(underlying, timeUs);
    }
  }

  #requoteAll(timeUs: number): void {
    this.#quotes.clear();
    this.quoter.requoteAll(timeUs, this.#quotes);
    this.#publish(-1, timeUs);
  }

  /** @param underlying −1 when the quotes are of several */
  #publish(underlying: number, timeUs: number): void {
    const quotes = this.#quotes;
    if (quotes.count === 0) return;
    const approved = this.gate.check(quotes, timeUs);
    this.#timer.mark(STAGE.risk);
    const sent = this.#sessionUp && !this.#stopping ? quotes.count : 0;
    if (sent > 0) {
      this.#port.publish(approved, timeUs);
      this.#timer.mark(STAGE.encode);
      this.#published = true;
      this.#count(quotes, timeUs);
      const { heads, probabilities, stateUs } = this.#predictor;
      const ageUs = underlying < 0 ? Number.NaN : timeUs - stateUs[underlying];
      if (ageUs >= 0 && this.#predictor.status(underlying) === 0) this.freshness.record(ageUs * 1_000);
      const from = Math.max(underlying, 0) * heads;
      const shown = underlying < 0 ? 0 : heads;
      const payload = this.#decisions.encode(quotes, underlying, probabilities, from, shown);
      this.#port.decided(underlying, timeUs, payload);
    }
    this.quoter.onSent(quotes, sent, timeUs);
    this.#afterGate(timeUs);
  }

  #count(quotes: QuoteBatch, timeUs: number): void {
    this.counters.quotesSent += quotes.count;
    if (Number.isNaN(this.#unansweredSinceUs)) this.#unansweredSinceUs = timeUs;
    for (let row = 0; row < quotes.count; row += 1) {
      const reasons = quotes.reasons[row];
      if ((reasons & MODEL_REASONS) !== 0) this.counters.widened += 1;
      for (let rest = reasons; rest !== 0; rest &= rest - 1) {
        this.reasonCounts[31 - Math.clz32(rest & -rest)] += 1;
      }
    }
  }

  /** A check may have tripped the kill switch by a limit. */
  #afterGate(timeUs: number): void {
    if (this.gate.kill.tripped && !this.#killHandled) this.#killed(timeUs);
  }

  #killed(timeUs: number): void {
    this.#killHandled = true;
    this.quoter.onHalt(REASON.killed);
    this.#cancelAll(timeUs);
    this.rfq?.halt("killed", timeUs);
    this.#stateChanged(timeUs);
  }

  #cancelAll(timeUs: number): void {
    this.#port.cancelAll(timeUs);
    this.gate.onAllCancelled();
    this.quoter.onAllCancelled(timeUs);
    for (const { intent } of [...this.gate.orders.all()]) this.#cancelOrder(intent.orderId, timeUs);
  }

  #stateChanged(timeUs: number): void {
    const { kill, reducing } = this.gate;
    this.quoter.setReducing(reducing !== null);
    this.#port.decidedRisk({ decided: "state", kill: kill.state, reducing }, timeUs);
    this.#port.killChanged(kill.state, reducing);
  }

  /** What stands was let through under other limits: everything is cancelled by one message and decided anew. */
  #pullRefused(timeUs: number): void {
    if (this.#sessionUp && !this.gate.kill.tripped) this.#cancelAll(timeUs);
    this.#requoteAll(timeUs);
  }

  #admit(instrument: Instrument, underlying: number, timeUs: number): void {
    const lots = this.book.add(instrument, underlying);
    this.hedger.add(instrument, underlying);
    this.#reconciler.onInstrument(instrument, timeUs);
    if (lots === 0) return;
    this.gate.positions.set(instrument.id, lots);
    this.quoter.onPosition(instrument.id, lots);
  }

  #onRiskTimer(timeUs: number): void {
    this.gate.onTimer(timeUs);
    this.book.onTimer(timeUs);
    if (this.gate.onProfit(this.book.dayProfit, this.book.dayPeak, timeUs)) {
      this.#stateChanged(timeUs);
      this.#pullRefused(timeUs);
    }
    this.#afterGate(timeUs);
    if (!this.#sessionUp || this.#stopping) return;
    this.#orderWatch.onTimer(timeUs);
    if (this.gate.kill.tripped) this.#cancelAgain(timeUs);
    this.hedger.onTimer(timeUs);
  }

  /** A halted desk has no order at work: one whose cancellation was lost or refused is cancelled until it is gone. */
  #cancelAgain(timeUs: number): void {
    const { orders, limits } = this.gate;
    if (orders.count === 0) return;
    for (const { intent, state, commandUs } of [...orders.all()]) {
      const waited = timeUs - commandUs > limits.orderTimeoutMs * 1_000;
      if (state === ORDER_STATE.working && waited) this.#cancelOrder(intent.orderId, timeUs);
    }
  }

  #sendOrder(order: ApprovedOrder, timeUs: number): void {
    this.#port.decidedRisk({ decided: "order", order: order.intent }, timeUs);
    this.#port.sendOrder(order, timeUs);
  }

  #cancelOrder(orderId: number, timeUs: number): void {
    this.gate.orders.onCancelSent(orderId, timeUs);
    this.#port.decidedRisk({ decided: "cancelOrder", orderId }, timeUs);
    this.#port.cancelOrder(orderId, timeUs);
  }
}
