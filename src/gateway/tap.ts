import type { ModelCard } from "../inference/card.ts";
import type { EventBatch } from "../market/event-batch.ts";
import type { QuoteBatch } from "../quote/quote-batch.ts";
import type { RfqAction } from "../rfq/message.ts";
import type { ExecutionDetail } from "./gateway.ts";
import type { SeenBook } from "./seen-book.ts";

/**
 * Someone who follows what the desk decides without being part of it: shared memory, the JSON gateway, a publisher. A tap is
 * called on the line, after the quotes have left; it must not throw, must not block, and bounds what it keeps. Of frames that are
 * decided together only the last one's predictions, features and events come after the quotes: those of the others are valid no longer.
 */
export interface DeskTap {
  /**
   * The prediction of an underlying is new, or whether it is in force has changed.
   *
   * @param underlying dense number
   * @param probabilities one per head from `offset` on, NaN while there is none; valid during the call only
   * @param status why the prediction is not in force, as bits of `REASON`; 0 when it is
   * @param book that leads the underlying, as it was when the prediction was made; valid during the call only
   */
  onPrediction?(
    underlying: number,
    probabilities: Float32Array,
    offset: number,
    heads: number,
    status: number,
    timeUs: number,
    book: SeenBook,
  ): void;
  /** Another model's predictions are in force for an underlying; told again where it is the same one. */
  onModel?(underlying: number, card: ModelCard): void;
  /** Quotes were handed to the gateway; valid during the call only. */
  onQuotes(quotes: QuoteBatch, timeUs: number): void;
  /** A fill, after the quotes that answer it have left. `side` is ours: 0 = we bought. */
  onFill?(
    executionId: string,
    instrument: number,
    side: number,
    priceTicks: number,
    sizeLots: number,
    detail: ExecutionDetail,
    timeUs: number,
  ): void;
  /** An order was sent. */
  onOrder?(orderId: number, instrument: number, timeUs: number): void;
  /** No quote stands any more: everything was cancelled by one message, or the counterparty's session is down. */
  onCancelAll(timeUs: number): void;
  /** An answer to a client that asked for a quote. */
  onAnswer?(action: RfqAction, timeUs: number): void;
  /**
   * The market events that the desk applied in a turn: the first `count` of `rows` name them. After what they caused has left;
   * valid during the call only.
   */
  onEvents?(events: EventBatch, rows: Int32Array, count: number, timeUs: number): void;
  /** The features that a step of the model was made on, where they are made on the host; valid during the call only. */
  onFeatures?(underlying: number, features: Float32Array, offset: number, timeUs: number): void;
  /** About every 10 ms. */
  onTimer(timeUs: number): void;
  /** The desk has stopped; nothing follows. */
  close(): void;
}
