/**
 * The desk: the one place that knows the whole line from frame to quote. Its parts are made and wired in `assembly.ts`.
 *
 * `Desk` is a deterministic state machine. Its inputs are the `on…` calls, each with its time; its outputs are calls of
 * {@link DeskPort}. It reads no clock, opens no socket and draws no randomness but from its seed, so the same inputs give the
 * same outputs bit for bit: live trading, replay and backtest run this class.
 *
 * @module
 */
import type { Histogram } from "../core/histogram.ts";
import { invariant } from "../core/invariant.ts";
import type { FeatureRows } from "../feature/published.ts";
import type { FeedReport } from "../feed/feed.ts";
import type { LineReport } from "../feed/lines.ts";
import type { SignalFeed } from "../feed/signal.ts";
import type { VenueClock } from "../feed/venue-clock.ts";
import type { ExecutionDetail, GatewayEvents } from "../gateway/gateway.ts";
import type { Hedger } from "../hedge/hedger.ts";
import { type ModelCard, modelLabel } from "../inference/card.ts";
import type { StepEngine } from "../inference/engine.ts";
import type { EventBatch } from "../market/event-batch.ts";
import type { Book } from "../position/book.ts";
import type { Quoter } from "../quote/quoter.ts";
import type { RfqInput } from "../rfq/message.ts";
import type { RfqDesk } from "../rfq/rfq-desk.ts";
import type { RiskGate } from "../risk/gate.ts";
import type { RiskLimits } from "../risk/limits.ts";
import { LOAD_STAGE } from "../risk/load-shedder.ts";
import type { OrderState } from "../risk/order.ts";
import type {
  MismatchRule,
  PositionDifference,
  ReconciliationReport,
  ReconciliationResult,
  VenuePosition,
} from "../risk/reconciliation.ts";
import { assemble } from "./assembly.ts";
import type { CounterpartySession } from "./counterparty-session.ts";
import { newDeskCounters } from "./counters.ts";
import type { DeskFeeds } from "./desk-feeds.ts";
import { type DecodedTurn, type DeskOptions, type RemoteFeeds, UNDERLYING_CAPACITY } from "./desk-options.ts";
import type { DeskOrders } from "./desk-orders.ts";
import type { DeskPort } from "./desk-port.ts";
import type { FeedThreads } from "./feed-threads.ts";
import { STAGE, type StageTimer } from "./latency.ts";
import type { MarketState } from "./market-state.ts";
import type { Predictor } from "./predictor.ts";
import type { Publisher } from "./publisher.ts";
import type { QuotedSides } from "./quoted-sides.ts";
import type { Reconciler } from "./reconciler.ts";
import type { Settlement } from "./settlement.ts";
import type { TradingSwitch } from "./trading-switch.ts";
import type { Turn } from "./turn.ts";

export { type DeskFeed, type DeskOptions, QUOTE_CAPACITY, UNDERLYING_CAPACITY } from "./desk-options.ts";
export type { DeskPort } from "./desk-port.ts";

export class Desk implements GatewayEvents {
  /** How each feed's venue's clock stands to this host's. */
  readonly clocks: readonly VenueClock[];
  /** External signals; they come in as the feed after the last of {@link feeds}. Null when none are configured. */
  readonly signals: SignalFeed | null;
  readonly market: MarketState;
  readonly quoter: Quoter;
  readonly gate: RiskGate;
  readonly book: Book;
  readonly hedger: Hedger;
  /** What becomes of positions in instruments that expire. */
  readonly settlement: Settlement;
  /** Null when requests for quotes are not answered. */
  readonly rfq: RfqDesk | null;
  readonly counters = newDeskCounters();
  readonly #sides: QuotedSides;
  readonly #port: DeskPort;
  readonly #conflate: boolean;
  readonly #timer: StageTimer;
  readonly #line: DeskFeeds;
  readonly #remote: RemoteFeeds | null;
  /** The feeds are told the time by the desk's own timer. */
  readonly #ticksFeeds: boolean;
  readonly #predictor: Predictor;
  readonly #orders: DeskOrders;
  readonly #publisher: Publisher;
  readonly #trading: TradingSwitch;
  readonly #reconciler: Reconciler;
  readonly #session: CounterpartySession;
  readonly #turn: Turn;
  readonly #threads: FeedThreads;

  constructor(options: DeskOptions) {
    const parts = assemble(options, this.counters);
    this.#port = options.port;
    this.#timer = options.timer;
    this.#conflate = options.conflate ?? false;
    this.#ticksFeeds = (options.shards ?? 1) === 1;
    this.#remote = options.remote ?? null;
    this.clocks = parts.clocks;
    this.signals = parts.signals;
    this.market = parts.market;
    this.quoter = parts.quoter;
    this.gate = parts.gate;
    this.book = parts.book;
    this.hedger = parts.hedger;
    this.settlement = parts.settlement;
    this.rfq = parts.rfq;
    this.#sides = parts.sides;
    this.#line = parts.line;
    this.#predictor = parts.predictor;
    this.#orders = parts.orders;
    this.#publisher = parts.publisher;
    this.#trading = parts.trading;
    this.#reconciler = parts.reconciler;
    this.#session = parts.session;
    this.#turn = parts.turn;
    this.#threads = parts.threads;
  }

  get feeds(): readonly FeedReport[] {
    return this.#remote?.feeds ?? this.#line.feeds;
  }

  /** Makes one of several feeds of the same venue. */
  get lines(): LineReport {
    return this.#remote?.lines ?? this.#line.lines;
  }

  /** How many sent quotes gave each reason, by bit of `REASON`. */
  get reasonCounts(): Float64Array {
    return this.#publisher.reasonCounts;
  }

  /**
   * Age of the state that quotes are based on, ns, by message: from the time of the features behind the prediction in force to
   * the time of the event that the quotes answer. Quotes without a prediction, and those that a timer released, are left out.
   */
  get freshness(): Histogram {
    return this.#publisher.freshness;
  }

  start(timeUs: number): void {
    this.rfq?.start(timeUs);
    for (const feed of this.#line.feeds) feed.start(timeUs);
    this.signals?.start(timeUs);
  }

  onFeedOpen(feed: number, timeUs: number): void {
    if (feed === this.signals?.id) {
      this.signals.onOpen(timeUs);
      return;
    }
    this.#line.get(feed).onOpen(timeUs, this.#turn.begin());
    this.#turn.after(feed, timeUs);
  }

  onFrame(feed: number, frame: string, timeUs: number): void {
    this.counters.frames += 1;
    const batch = this.#turn.begin();
    if (feed === this.signals?.id) {
      this.signals.onFrame(frame, batch);
      this.#timer.mark(STAGE.decode);
      this.#turn.take(batch, timeUs);
      return;
    }
    this.#line.get(feed).onFrame(frame, timeUs, batch);
    if (batch.count > 0) this.clocks[feed].observe(batch.exchangeTimeUs[0], timeUs);
    this.#timer.mark(STAGE.decode);
    if (!this.#line.apply(feed, timeUs)) this.#timer.end(false);
    else this.#turn.answer(timeUs, this.#conflate || this.#turn.sheds);
  }

  /**
   * The frames that came in together have all been handed in: what they call for is decided and leaves. Does nothing unless
   * `DeskOptions.conflate` is set or the desk is beyond its capacity. Every other input answers what is open as well.
   */
  onBatchEnd(timeUs: number): void {
    if (!this.#conflate && !this.#turn.sheds) return;
    this.#publisher.published = false;
    this.#timer.gather();
    if (this.#turn.sheds) {
      this.#turn.infer(timeUs, false);
      if (this.#publisher.published) this.#port.flush?.();
    } else {
      this.#publisher.requote(this.market, timeUs, true);
      this.#timer.end(this.#publisher.published);
    }
    this.#turn.tell();
  }

  onFeedClose(feed: number, code: number, reason: string, timeUs: number): void {
    if (feed === this.signals?.id) {
      this.signals.onClose(code, reason, timeUs);
      return;
    }
    this.#line.get(feed).onClose(code, reason, timeUs, this.#turn.begin());
    this.#turn.after(feed, timeUs);
  }

  onFeedResponse(
    feed: number,
    request: number,
    status: number,
    body: string,
    retryAfterMs: number,
    timeUs: number,
  ): void {
    this.#line.get(feed).onResponse(request, status, body, retryAfterMs, timeUs, this.#turn.begin());
    this.#turn.after(feed, timeUs);
  }

  /** To be called about every 10 ms: heartbeats, silence, reconnects, held tightenings, late predictions, expiry. */
  onTimer(timeUs: number): void {
    if (this.#ticksFeeds) {
      for (let feed = 0; feed < this.#line.feeds.length; feed += 1) this.onFeedTimer(feed, timeUs);
    }
    this.signals?.onTimer(timeUs);
    this.market.onTimer(timeUs);
    this.#onRiskTimer(timeUs);
    this.#publisher.onTimer(timeUs);
    this.rfq?.onTimer(timeUs);
    this.#trading.afterGate(timeUs);
  }

  /** The timer of one feed, where feeds have their own. */
  onFeedTimer(feed: number, timeUs: number): void {
    this.#line.get(feed).onTimer(timeUs, this.#turn.begin());
    this.#turn.after(feed, timeUs);
  }

  /**
   * An input of a feed that is kept on another thread, as it was decoded and judged there.
   *
   * @param batch all of its rows are taken as they are; instruments that it names are in the table
   * @param rows features of the books that it moves, where they are made there
   */
  onDecoded(turn: DecodedTurn, batch: EventBatch, rows: FeatureRows): void {
    const { timeUs } = turn;
    if (!this.#threads.take(turn, batch, rows)) this.#timer.end(false);
    else this.#turn.answer(timeUs, turn.isFrame && (this.#conflate || this.#turn.sheds), batch);
  }

  /**
   * A thread that kept feeds is gone: none of their books is trusted any more, and the feeds begin anew with
   * {@link onFeedsStarted}.
   *
   * @param feeds all lines of each of their venues
   */
  onFeedsLost(feeds: readonly number[], timeUs: number): void {
    this.#threads.lose(feeds, timeUs);
  }

  onFeedsStarted(feeds: readonly number[], timeUs: number): void {
    this.#threads.restart(feeds, timeUs);
  }

  /** A client asks for a quote, answers one, sends an order or withdraws. */
  onRfq(input: RfqInput, timeUs: number): void {
    this.rfq?.onInput(input, timeUs);
    this.#trading.afterGate(timeUs);
  }

  /** The submit has ended: `engine.probabilities` holds its rows. */
  onInference(timeUs: number): void {
    this.#timer.resume();
    this.#timer.mark(STAGE.inference);
    this.#publisher.published = false;
    this.#turn.tell();
    this.#predictor.resolve(this.market, timeUs);
    this.#publisher.requote(this.market, timeUs);
    this.#timer.end(this.#publisher.published);
    this.#predictor.tell(this.market);
    this.#turn.infer(timeUs, false);
  }

  /** An asynchronous engine's device is gone: defensive quotes at once, until `onEngineRestored`. */
  onEngineLost(timeUs: number): void {
    this.#turn.loseEngine(timeUs);
  }

  /** The model runs again, with all states reset. */
  onEngineRestored(engine: StepEngine, timeUs: number): void {
    this.#predictor.restore(engine, this.market, timeUs);
  }

  /** Another model's heads decide what its predictions call for, from the next prediction on. */
  setHeads(heads: ModelCard["heads"]): void {
    this.quoter.setHeads(heads);
  }

  /** Latest predictions and whether they are in force, for those who look on. */
  get predictions(): Pick<Predictor, "heads" | "probabilities" | "stateUs" | "status"> {
    return this.#predictor;
  }

  /** Which model's predictions are in force for an underlying, as fills of it are kept. */
  nameModel(underlying: number, card: ModelCard): void {
    // What was said before is the model's that said it.
    this.#turn.tell();
    this.book.nameModel(underlying, modelLabel(card), this.quoter.lastQuoteId);
    this.#port.named?.(underlying, card);
  }

  onSessionUp(timeUs: number): void {
    this.#session.onSessionUp(timeUs);
  }

  onSessionDown(_reason: string, timeUs: number): void {
    this.#session.onSessionDown(timeUs);
  }

  onQuoteAck(quoteId: number, status: number, _text: string, timeUs: number): void {
    this.#session.onQuoteAck(quoteId, status, timeUs);
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
    this.#session.onExecution(executionId, instrument, side, priceTicks, sizeLots, timeUs, detail);
  }

  onOrderState(orderId: number, state: OrderState, leavesLots: number, _text: string, timeUs: number): void {
    this.#session.onOrderState(orderId, state, leavesLots, timeUs);
  }

  /** The venue has cancelled the quotes on a coin: they are pulled until then, and decided anew when it is over. */
  onFrozen(base: string, untilUs: number, _text: string, timeUs: number): void {
    this.#session.onFrozen(base, untilUs, timeUs);
  }

  /** What the counterparty holds; see {@link CounterpartySession.onReconciliation}. */
  onReconciliation(report: ReconciliationReport, adopt: boolean, timeUs: number): ReconciliationResult {
    return this.#session.onReconciliation(report, adopt, timeUs);
  }

  /** Where positions at the counterparty are others than the desk's; changes nothing, see {@link Reconciler.compare}. */
  comparePositions(positions: readonly VenuePosition[], timeUs: number): PositionDifference[] {
    return this.#reconciler.compare(positions, timeUs);
  }

  /** The counterparty holds other positions than the books; see {@link CounterpartySession.doubt}. */
  doubtPositions(timeUs: number): void {
    this.#session.doubt(timeUs);
  }

  /** From now on nothing is quoted in a session before {@link onReconciliation}. To be called before anything else. */
  requireReconciliation(rule: MismatchRule): void {
    this.#reconciler.require(rule);
  }

  /** Positions that were told in instruments that no feed has described yet. */
  get waitingPositions(): readonly VenuePosition[] {
    return this.#reconciler.waiting;
  }

  /** The last reconciliation; null before the first. */
  get reconciliation(): ReconciliationResult | null {
    return this.#reconciler.last;
  }

  /** Other limits are in force from now on; quotes that break them are pulled in this turn. */
  setLimits(limits: RiskLimits, timeUs: number): void {
    this.#trading.setLimits(limits, timeUs);
  }

  /** Only what reduces a position passes, until {@link resetKill}; standing quotes that would not are pulled. */
  reduce(reason: string, timeUs: number): void {
    this.#trading.reduce(reason, timeUs);
  }

  /**
   * Which sides of an instrument, or with −1 of every one, also those that are listed later, are quoted from now on; what may not
   * stand is pulled in this turn.
   *
   * @param sides one of `SIDES`
   * @returns how many instruments it concerns
   */
  setSides(instrument: number, sides: number, timeUs: number): number {
    const concerned = this.#sides.set(instrument, sides, this.market.instruments);
    if (concerned > 0) this.#publisher.requoteAll(timeUs);
    return concerned;
  }

  /**
   * The model's world has changed, or is as it was: from now on its predictions are trusted less, not at all, or again.
   *
   * @param share in [0, 1] of the defensive adjustment that is added to the model's; at 1 the model is not listened to
   */
  onDrift(underlying: number, share: number, timeUs: number): void {
    invariant(underlying >= 0 && underlying < UNDERLYING_CAPACITY, "an underlying of this desk");
    invariant(share >= 0 && share <= 1, `a share in [0, 1], not ${share}`);
    this.quoter.onDrift(underlying, share);
    this.#publisher.requoteAll(timeUs);
  }

  /**
   * More comes in than the desk can take, or no longer. From `conflate` on frames are applied and answered together by
   * {@link onBatchEnd}, with one step of the model; from `widen` on quotes are wider and smaller; with `pull` there are none.
   *
   * @param stage one of `LOAD_STAGE`
   * @param share in [0, 1] of the defensive adjustment that is added to every quote
   */
  onLoad(stage: number, share: number, timeUs: number): void {
    invariant(stage >= LOAD_STAGE.normal && stage <= LOAD_STAGE.pull, `a stage of load, not ${stage}`);
    invariant(share >= 0 && share <= 1, `a share in [0, 1], not ${share}`);
    this.#turn.sheds = stage >= LOAD_STAGE.conflate;
    this.quoter.onLoad(share, stage === LOAD_STAGE.pull);
    this.#publisher.published = false;
    this.#timer.gather();
    this.#turn.infer(timeUs, false);
    this.#publisher.requoteAll(timeUs);
    if (this.#publisher.published) this.#port.flush?.();
  }

  /** Cancels everything and quotes no more until {@link resetKill}. The first reason stays. */
  kill(reason: string, timeUs: number): void {
    this.#trading.kill(reason, timeUs);
  }

  /** Back to `active`. @returns false when it was that already. */
  resetKill(timeUs: number): boolean {
    return this.#trading.reset(timeUs);
  }

  /** Of a pair, this process does not lead: clients that ask for quotes are answered nothing. */
  standBy(reason: string, timeUs: number): void {
    this.#trading.standBy(reason, timeUs);
  }

  /** Of a pair, this process leads from now on. Quotes begin with the counterparty's session. */
  lead(): void {
    this.#trading.lead();
  }

  /** Orderly end: everything is cancelled and nothing is sent any more. */
  shutdown(timeUs: number): void {
    this.#trading.shutdown(timeUs);
    this.#turn.tell();
  }

  /** No input follows: whoever looks on is told what the last one came to. */
  end(): void {
    this.#turn.tell();
  }

  /**
   * Since when sent quotes wait for the counterparty's answer, µs; NaN when none does. An answer to some of them begins the
   * wait of the rest anew.
   */
  get unansweredSinceUs(): number {
    return this.#publisher.unansweredSinceUs;
  }

  /** Latest prediction of each underlying, `[underlying][head]`; NaN while there is none. */
  get probabilities(): Float32Array {
    return this.#predictor.probabilities;
  }

  /** Why the model of an underlying is not in force, as `REASON` bits; 0 when it is. */
  modelStatus(underlying: number): number {
    return this.#predictor.status(underlying);
  }

  #onRiskTimer(timeUs: number): void {
    this.settlement.onTimer(timeUs);
    this.gate.onTimer(timeUs);
    this.book.onTimer(timeUs);
    this.#trading.onProfit(this.book.dayProfit, this.book.dayPeak, timeUs);
    if (!this.#publisher.open) return;
    this.#orders.onTimer(timeUs);
    this.hedger.onTimer(timeUs);
  }
}
