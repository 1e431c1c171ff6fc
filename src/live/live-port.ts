import type { Clock } from "../core/clock.ts";
import type { DeskPort } from "../desk/desk.ts";
import type { RiskDecision } from "../desk/risk-decision.ts";
import type { ExpiredPosition } from "../desk/settlement.ts";
import type { LiveFeedPort } from "../feed/live-port.ts";
import type { ExecutionDetail, QuoteGateway } from "../gateway/gateway.ts";
import { JoinedTaps } from "../gateway/joined-taps.ts";
import type { SeenBook } from "../gateway/seen-book.ts";
import type { DeskTap } from "../gateway/tap.ts";
import type { EngineLostError } from "../inference/engine.ts";
import { type JournalSink, RECORD } from "../journal/record.ts";
import type { QuoteBatch } from "../quote/quote-batch.ts";
import type { RfqAction } from "../rfq/message.ts";
import type { ApprovedOrder, ApprovedQuotes } from "../risk/gate.ts";
import type { KillState } from "../risk/kill-switch.ts";
import type { ReducingState } from "../risk/trading-state.ts";

const NOTHING = new Uint8Array(0);

/** What the live desk does to the outside: sockets, the gateway, the engine, the journal. */
export class LivePort implements DeskPort {
  readonly #feeds: LiveFeedPort;
  #gateway: QuoteGateway | null = null;
  #taps = new JoinedTaps([]);
  readonly #journal: JournalSink;
  readonly #onSubmit: (rows: number) => void;
  readonly #onEngineLost: (step: number, error: EngineLostError, timeUs: number) => void;
  readonly #onKill: (state: KillState, reducing: ReducingState | null) => void;
  readonly #onOrderNotSent: (orderId: number) => void;
  readonly #onExpired: (position: ExpiredPosition) => void;
  readonly #clock: Clock;
  /** Monotonic time at which the first quotes were handed over, ns; NaN before. */
  firstQuoteNs = Number.NaN;
  observed: DeskPort["observed"];
  stepped: DeskPort["stepped"];
  named: DeskPort["named"];

  constructor(options: {
    readonly feeds: LiveFeedPort;
    readonly journal: JournalSink;
    readonly clock: Clock;
    readonly onSubmit: (rows: number) => void;
    readonly onEngineLost: (step: number, error: EngineLostError, timeUs: number) => void;
    readonly onKill: (state: KillState, reducing: ReducingState | null) => void;
    /** An order that the desk counts as sent has not left. Called after the turn. */
    readonly onOrderNotSent: (orderId: number) => void;
    /** A position's instrument has expired. */
    readonly onExpired: (position: ExpiredPosition) => void;
  }) {
    this.#feeds = options.feeds;
    this.#journal = options.journal;
    this.#clock = options.clock;
    this.#onSubmit = options.onSubmit;
    this.#onEngineLost = options.onEngineLost;
    this.#onKill = options.onKill;
    this.#onOrderNotSent = options.onOrderNotSent;
    this.#onExpired = options.onExpired;
  }

  /** The gateway and the taps are made after the desk, whose instruments they need. */
  attach(gateway: QuoteGateway, all: readonly DeskTap[]): void {
    const taps = new JoinedTaps(all);
    this.#gateway = gateway;
    this.#taps = taps;
    if (taps.takesEvents) {
      this.observed = (events, rows, count, timeUs) => taps.onEvents(events, rows, count, timeUs);
    }
    if (taps.takesFeatures) {
      this.stepped = (underlying, features, offset, timeUs) =>
        taps.onFeatures(underlying, features, offset, timeUs);
    }
    this.named = (underlying, card) => taps.onModel(underlying, card);
  }

  connect(feed: number): void {
    this.#feeds.connect(feed);
  }

  send(feed: number, text: string): void {
    this.#feeds.send(feed, text);
  }

  disconnect(feed: number, reason: string): void {
    this.#feeds.disconnect(feed, reason);
  }

  request(feed: number, request: number, path: string): void {
    this.#feeds.request(feed, request, path);
  }

  submit(rows: number): void {
    this.#onSubmit(rows);
  }

  engineLost(step: number, error: EngineLostError, timeUs: number): void {
    this.#onEngineLost(step, error, timeUs);
  }

  publish(quotes: ApprovedQuotes, timeUs: number): void {
    this.#gateway?.publish(quotes, timeUs);
    if (Number.isNaN(this.firstQuoteNs)) this.firstQuoteNs = this.#clock.monotonicNs();
  }

  flush(): void {
    this.#gateway?.flush?.();
  }

  cancelAll(timeUs: number): void {
    this.#gateway?.cancelAll(timeUs);
    this.#journal.bytes(RECORD.cancelAll, 0, timeUs, NOTHING);
    this.#taps.onCancelAll(timeUs);
  }

  predicted(
    underlying: number,
    probabilities: Float32Array,
    offset: number,
    heads: number,
    status: number,
    timeUs: number,
    book: SeenBook,
  ): void {
    this.#taps.onPrediction(underlying, probabilities, offset, heads, status, timeUs, book);
  }

  decided(underlying: number, timeUs: number, payload: Uint8Array, quotes: QuoteBatch): void {
    this.#journal.bytes(RECORD.quote, underlying, timeUs, payload);
    this.#taps.onQuotes(quotes, timeUs);
  }

  killChanged(state: KillState, reducing: ReducingState | null): void {
    this.#onKill(state, reducing);
  }

  filled(
    executionId: string,
    instrument: number,
    side: number,
    priceTicks: number,
    sizeLots: number,
    detail: ExecutionDetail,
    timeUs: number,
  ): void {
    this.#taps.onFill(executionId, instrument, side, priceTicks, sizeLots, detail, timeUs);
  }

  sendOrder(order: ApprovedOrder, timeUs: number): void {
    const { orderId, instrument } = order.intent;
    this.#taps.onOrder(orderId, instrument, timeUs);
    if (this.#gateway?.sendOrder?.(order, timeUs) === true) return;
    queueMicrotask(() => this.#onOrderNotSent(order.intent.orderId));
  }

  cancelOrder(orderId: number, timeUs: number): void {
    this.#gateway?.cancelOrder?.(orderId, timeUs);
  }

  askOrder(orderId: number, timeUs: number): void {
    this.#gateway?.askOrder?.(orderId, timeUs);
  }

  answered(action: RfqAction, timeUs: number): void {
    this.#journal.text(RECORD.rfqAction, 0, timeUs, JSON.stringify(action));
    this.#taps.onAnswer(action, timeUs);
  }

  decidedRisk(decision: RiskDecision, timeUs: number): void {
    if (decision.decided === "settled" || decision.decided === "unsettled") this.#onExpired(decision);
    this.#journal.text(RECORD.risk, 0, timeUs, JSON.stringify(decision));
  }
}
