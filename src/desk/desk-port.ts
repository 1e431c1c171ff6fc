import type { FeedPort } from "../feed/feed.ts";
import type { ExecutionDetail } from "../gateway/gateway.ts";
import type { SeenBook } from "../gateway/seen-book.ts";
import type { ModelCard } from "../inference/card.ts";
import type { EngineLostError } from "../inference/engine.ts";
import type { EventBatch } from "../market/event-batch.ts";
import type { QuoteBatch } from "../quote/quote-batch.ts";
import type { RfqAction } from "../rfq/message.ts";
import type { ApprovedOrder, ApprovedQuotes } from "../risk/gate.ts";
import type { KillState } from "../risk/kill-switch.ts";
import type { ReducingState } from "../risk/trading-state.ts";
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
  /** The quotes of a batch have been handed over: what was gathered of them leaves now. Left out where nothing is gathered. */
  flush?(): void;
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
   * The quotes just published, for the journal and for whoever looks on; of a batch's last ones after they have left.
   *
   * @param underlying −1 when the quotes are of several
   * @param payload as `decodeDecision` reads it; valid during the call only
   * @param quotes valid during the call only
   */
  decided(underlying: number, timeUs: number, payload: Uint8Array, quotes: QuoteBatch): void;
  /**
   * The prediction of an underlying is new, or whether it is in force has changed. A new one is told after the quotes that it called
   * for have left.
   *
   * @param probabilities one per head from `offset` on, NaN while there is none; valid during the call only
   * @param status why it is not in force, as bits of `REASON`; 0 when it is
   * @param book that leads the underlying, as it was when the prediction was made; valid during the call only
   */
  predicted(
    underlying: number,
    probabilities: Float32Array,
    offset: number,
    heads: number,
    status: number,
    timeUs: number,
    book: SeenBook,
  ): void;
  /** Another model's predictions are in force for an underlying from now on. Absent = nobody looks. */
  named?: ((underlying: number, card: ModelCard) => void) | undefined;
  /** A fill that was not told before, after what it caused has left; as it came from the gateway. Absent = nobody looks. */
  filled?(
    executionId: string,
    instrument: number,
    side: number,
    priceTicks: number,
    sizeLots: number,
    detail: ExecutionDetail,
    timeUs: number,
  ): void;
  /** The events that were applied in this turn, after what they caused has left; see `DeskTap`. Absent = nobody looks. */
  observed?: ((events: EventBatch, rows: Int32Array, count: number, timeUs: number) => void) | undefined;
  /** The features that a step was made on; see `DeskTap`. Absent = nobody looks. */
  stepped?:
    | ((underlying: number, features: Float32Array, offset: number, timeUs: number) => void)
    | undefined;
}
