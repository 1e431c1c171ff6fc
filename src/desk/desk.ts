/**
 * The assembly: the one place that knows the whole line from frame to quote.
 *
 * `Desk` is a deterministic state machine. Its inputs are the `on…` calls, each with its time; its outputs are calls of
 * {@link DeskPort}. It reads no clock, opens no socket and draws no randomness but from its seed, so the same inputs give the
 * same outputs bit for bit: live trading, replay and backtest run this class.
 *
 * @module
 */
import { invariant } from "../core/invariant.ts";
import { SCHEMA_HASH } from "../feature/schema.ts";
import { FeatureState } from "../feature/tick.ts";
import type { Feed, FeedPort } from "../feed/feed.ts";
import { createFeed } from "../feed/registry.ts";
import { SignalFeed } from "../feed/signal.ts";
import { type GatewayEvents, QUOTE_STATUS } from "../gateway/gateway.ts";
import type { StepEngine } from "../inference/engine.ts";
import { EventBatch } from "../market/event-batch.ts";
import { InstrumentTable, type VenueName } from "../market/instrument.ts";
import type { QuoteParameters } from "../quote/parameters.ts";
import { QuoteBatch, REASON } from "../quote/quote-batch.ts";
import { Quoter } from "../quote/quoter.ts";
import { type ApprovedQuotes, RiskGate } from "../risk/gate.ts";
import type { KillState } from "../risk/kill-switch.ts";
import type { RiskLimits } from "../risk/limits.ts";
import { newDeskCounters } from "./counters.ts";
import { DecisionEncoder } from "./decision.ts";
import { STAGE, type StageTimer } from "./latency.ts";
import { MarketState, TOUCHED_QUOTE, TOUCHED_STEP } from "./market-state.ts";

/** What the desk does to the outside. */
export interface DeskPort extends FeedPort {
  /** Begin the asynchronous engine's submit; when it has ended the runtime calls `onInference` or `onEngineLost`. */
  submit(rows: number): void;
  publish(quotes: ApprovedQuotes, timeUs: number): void;
  /** Cancel everything at the counterparty, by one message. */
  cancelAll(timeUs: number): void;
  /** The kill switch has tripped or was reset: keep it across a restart. */
  killChanged(state: KillState): void;
  /**
   * The quotes just published, as `decodeDecision` reads them; the payload is valid during the call only.
   *
   * @param underlying −1 when the quotes are of several
   */
  decided(underlying: number, timeUs: number, payload: Uint8Array): void;
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
  readonly instrumentCapacity: number;
  readonly silenceMs: number;
  readonly seed: number;
  /** Null: no model; the desk quotes defensively. */
  readonly engine: StepEngine | null;
  readonly quote: QuoteParameters;
  readonly risk: RiskLimits;
  readonly kill: KillState;
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
  /** External signals; they come in as the feed after the last of {@link feeds}. Null when none are configured. */
  readonly signals: SignalFeed | null;
  readonly market: MarketState;
  readonly quoter: Quoter;
  readonly gate: RiskGate;
  readonly counters = newDeskCounters();
  /** How many sent quotes gave each reason, by bit of {@link REASON}. */
  readonly reasonCounts = new Float64Array(32);
  /** Latest prediction of each underlying, `[underlying][head]`; NaN while there is none. */
  readonly probabilities: Float32Array;

  readonly #port: DeskPort;
  readonly #timer: StageTimer;
  readonly #features = new FeatureState(UNDERLYING_CAPACITY);
  readonly #batch = new EventBatch();
  readonly #quotes = new QuoteBatch(QUOTE_CAPACITY);
  readonly #decisions: DecisionEncoder;
  readonly #heads: number;
  readonly #modelStatus = new Int32Array(UNDERLYING_CAPACITY).fill(REASON.modelMissing);
  /** The underlying moved while a submit was in flight. */
  readonly #waiting = new Uint8Array(UNDERLYING_CAPACITY);
  /** The underlying's state was reset while a submit was in flight: its row of the result is void. */
  readonly #voided = new Uint8Array(UNDERLYING_CAPACITY);
  readonly #submitted = new Int32Array(UNDERLYING_CAPACITY);
  #submittedUs = 0;
  #inFlight = 0;
  #engine: StepEngine | null;
  #engineLost = false;
  #sessionUp = false;
  #stopping = false;
  #killHandled: boolean;
  /** The highest quoteId that the counterparty has answered. */
  #answeredId = 0;
  #published = false;

  constructor(options: DeskOptions) {
    const { engine, port, timer } = options;
    if (engine !== null) {
      invariant(engine.card.schemaHash === SCHEMA_HASH, `the model's features are those of ${SCHEMA_HASH}`);
      invariant(engine.slotCount >= UNDERLYING_CAPACITY, "the engine has a slot for every underlying");
    }
    this.#port = port;
    this.#timer = timer;
    this.#engine = engine;
    this.#heads = engine?.card.heads.length ?? 0;
    this.#decisions = new DecisionEncoder(QUOTE_CAPACITY, this.#heads);
    this.probabilities = new Float32Array(UNDERLYING_CAPACITY * this.#heads).fill(Number.NaN);
    this.quoter = new Quoter({
      capacity: options.instrumentCapacity,
      underlyings: UNDERLYING_CAPACITY,
      parameters: options.quote,
    });
    if (engine !== null) this.quoter.setHeads(engine.card.heads);
    const instruments = new InstrumentTable(options.instrumentCapacity);
    this.gate = new RiskGate({ instruments, limits: options.risk, kill: options.kill });
    this.market = new MarketState({
      instruments,
      underlyingCapacity: UNDERLYING_CAPACITY,
      features: this.#features,
      quoter: this.quoter,
      gate: this.gate,
      timer,
      counters: this.counters,
      onReferenceBroken: (underlying) => this.#forget(underlying),
      onReferenceState: (underlying, timeUs) => this.#updateModelStatus(underlying, timeUs),
    });
    this.#killHandled = options.kill.tripped;
    if (options.kill.tripped) this.quoter.onHalt(REASON.killed);
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
    const id = this.feeds.length;
    this.signals =
      options.signals.length === 0
        ? null
        : new SignalFeed({ id, names: options.signals, port, seed: options.seed + id });
  }

  start(timeUs: number): void {
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
    if (feed === this.signals?.id) this.signals.onFrame(frame, this.#begin());
    else this.#feed(feed).onFrame(frame, timeUs, this.#begin());
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
    this.#quotes.clear();
    this.quoter.onTimer(timeUs, this.#quotes);
    this.#publish(-1, timeUs);
  }

  /** The submit has ended: `engine.probabilities` holds its rows. */
  onInference(timeUs: number): void {
    invariant(this.#inFlight > 0, "a result follows a submit");
    this.#timer.resume();
    this.#timer.mark(STAGE.inference);
    const rows = this.#inFlight;
    this.#inFlight = 0;
    this.#published = false;
    for (let row = 0; row < rows; row += 1) {
      const underlying = this.#submitted[row];
      if (this.#voided[underlying] === 0) {
        this.#predicted(row, timeUs);
        continue;
      }
      this.#voided[underlying] = 0;
      this.#engine?.resetSlot(underlying);
    }
    this.#requote(timeUs);
    this.#timer.end(this.#published);
    for (let underlying = 0; underlying < this.market.underlyings.size; underlying += 1) {
      if (this.#waiting[underlying] === 0) continue;
      this.#waiting[underlying] = 0;
      this.market.touched[underlying] |= TOUCHED_STEP;
    }
    this.#infer(timeUs);
  }

  /** The device is gone: defensive quotes at once, until `onEngineRestored`. */
  onEngineLost(timeUs: number): void {
    this.#engineLost = true;
    this.#inFlight = 0;
    this.#voided.fill(0);
    this.#begin();
    for (let underlying = 0; underlying < this.market.underlyings.size; underlying += 1) {
      this.#forget(underlying);
      this.#updateModelStatus(underlying, timeUs);
    }
    this.#requoteAll(timeUs);
  }

  /** The model runs again, with all states reset. */
  onEngineRestored(engine: StepEngine, timeUs: number): void {
    this.#engine = engine;
    this.#engineLost = false;
    for (let underlying = 0; underlying < this.market.underlyings.size; underlying += 1) {
      this.#updateModelStatus(underlying, timeUs);
    }
  }

  onSessionUp(timeUs: number): void {
    this.#sessionUp = true;
    this.quoter.onSessionUp();
    this.#requoteAll(timeUs);
  }

  onSessionDown(_reason: string, timeUs: number): void {
    this.#sessionUp = false;
    this.quoter.onSessionDown(timeUs);
  }

  onQuoteAck(quoteId: number, status: number, _text: string, timeUs: number): void {
    // Ids that the gate took out of a batch were never sent, so the span of ids may exceed what is outstanding.
    const { quotesSent, quotesAcked, quotesRejected } = this.counters;
    const span = Math.max(quoteId - this.#answeredId, 0);
    const answered = Math.min(span, quotesSent - quotesAcked - quotesRejected);
    this.#answeredId += span;
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
    _executionId: string,
    instrument: number,
    side: number,
    priceTicks: number,
    sizeLots: number,
    timeUs: number,
  ): void {
    if (!(instrument >= 0 && instrument < this.market.books.length)) {
      this.counters.unknownExecutions += 1;
      this.kill("limit:unknown-execution", timeUs);
      return;
    }
    this.counters.executions += 1;
    this.gate.onExecution(instrument, side, priceTicks, sizeLots, timeUs);
    this.quoter.onFill(instrument, side, sizeLots, timeUs);
    this.quoter.onPosition(instrument, this.gate.positionLots(instrument));
    this.#afterGate(timeUs);
    this.#begin();
    const underlying = this.market.underlyingOf(instrument);
    if (underlying >= 0) this.market.touched[underlying] |= TOUCHED_QUOTE;
    this.#requote(timeUs);
  }

  /** Cancels everything and quotes no more until {@link resetKill}. The first reason stays. */
  kill(reason: string, timeUs: number): void {
    if (this.gate.kill.trip(reason, timeUs)) this.#killed(timeUs);
  }

  /** @returns false when the switch was not tripped. */
  resetKill(timeUs: number): boolean {
    if (!this.gate.kill.reset()) return false;
    this.#killHandled = false;
    this.#port.killChanged(this.gate.kill.state);
    this.quoter.onHalt(0);
    this.#requoteAll(timeUs);
    return true;
  }

  /** Orderly end: everything is cancelled and nothing is sent any more. */
  shutdown(timeUs: number): void {
    this.quoter.onHalt(REASON.shutdown);
    this.#cancelAll(timeUs);
    this.#stopping = true;
  }

  /** Why the model of an underlying is not in force, as {@link REASON} bits; 0 when it is. */
  modelStatus(underlying: number): number {
    return this.#modelStatus[underlying];
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
    if (market.books.length < market.instruments.size) market.admit(feed, timeUs);
    const batch = this.#batch;
    if (batch.count === 0) {
      this.#timer.end(false);
      return;
    }
    for (let row = 0; row < batch.count; row += 1) market.apply(batch, row, this.feeds, timeUs);
    this.#infer(timeUs);
  }

  /** Steps the model for every underlying that moved, then requotes; or begins a submit, and the turn ends there. */
  #infer(timeUs: number): void {
    const { touched, underlyings } = this.market;
    const engine = this.#engineLost ? null : this.#engine;
    let rows = 0;
    for (let underlying = 0; underlying < underlyings.size; underlying += 1) {
      if ((touched[underlying] & TOUCHED_STEP) === 0) continue;
      touched[underlying] &= ~TOUCHED_STEP;
      if (engine === null) {
        touched[underlying] |= TOUCHED_QUOTE;
      } else if (this.#inFlight > 0 || rows === engine.maxBatch) {
        this.#waiting[underlying] = 1;
        this.counters.conflated += 1;
      } else {
        this.#features.write(underlying, timeUs, engine.features, rows * engine.card.featureCount);
        engine.slots[rows] = underlying;
        this.#submitted[rows] = underlying;
        rows += 1;
      }
    }
    if (engine === null || rows === 0) {
      this.#requote(timeUs);
      this.#timer.end(this.#published);
      return;
    }
    this.#timer.mark(STAGE.feature);
    this.#submittedUs = timeUs;
    if (engine.synchronous) {
      engine.step(rows);
      this.#timer.mark(STAGE.inference);
      for (let row = 0; row < rows; row += 1) this.#predicted(row, timeUs);
      this.#requote(timeUs);
      this.#timer.end(this.#published);
      return;
    }
    // What needs no new prediction leaves now; what does follows with the result.
    this.#requote(timeUs);
    this.#inFlight = rows;
    this.#timer.suspend();
    this.#port.submit(rows);
  }

  #predicted(row: number, timeUs: number): void {
    const engine = this.#engine;
    invariant(engine !== null, "a prediction comes from an engine");
    const underlying = this.#submitted[row];
    const heads = this.#heads;
    const to = underlying * heads;
    for (let head = 0; head < heads; head += 1) {
      this.probabilities[to + head] = engine.probabilities[row * heads + head];
    }
    this.counters.predictions += 1;
    this.#updateModelStatus(underlying, timeUs);
    if (this.#modelStatus[underlying] === 0) {
      this.quoter.onPrediction(underlying, this.probabilities, to, this.#submittedUs);
    }
    this.market.touched[underlying] |= TOUCHED_QUOTE;
  }

  /** What the model remembers of an underlying is void: its features and its state begin anew. */
  #forget(underlying: number): void {
    this.#features.reset(underlying);
    this.#waiting[underlying] = 0;
    this.probabilities.fill(Number.NaN, underlying * this.#heads, (underlying + 1) * this.#heads);
    if (this.#engine === null || this.#engineLost) return;
    if (this.#submitted.subarray(0, this.#inFlight).includes(underlying)) this.#voided[underlying] = 1;
    else this.#engine.resetSlot(underlying);
  }

  #updateModelStatus(underlying: number, timeUs: number): void {
    let status = 0;
    if (this.#engine === null) status = REASON.modelMissing;
    else if (this.#engineLost) status = REASON.engineLost;
    else if (!this.market.referenceLive(underlying)) status = REASON.inputUnsound;
    else if (!this.#features.ready(underlying, timeUs)) status = REASON.modelWarming;
    if (status === this.#modelStatus[underlying]) return;
    this.#modelStatus[underlying] = status;
    this.quoter.onModelStatus(underlying, status);
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
      this.#count(quotes);
      const heads = underlying < 0 ? 0 : this.#heads;
      const from = Math.max(underlying, 0) * this.#heads;
      const payload = this.#decisions.encode(quotes, underlying, this.probabilities, from, heads);
      this.#port.decided(underlying, timeUs, payload);
    }
    this.quoter.onSent(quotes, sent, timeUs);
    this.#afterGate(timeUs);
  }

  #count(quotes: QuoteBatch): void {
    this.counters.quotesSent += quotes.count;
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
    this.#port.killChanged(this.gate.kill.state);
  }

  #cancelAll(timeUs: number): void {
    this.#port.cancelAll(timeUs);
    this.quoter.onAllCancelled(timeUs);
  }
}
