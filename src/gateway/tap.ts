import type { QuoteBatch } from "../quote/quote-batch.ts";

/**
 * Someone who follows what the desk decides without being part of it: shared memory, the JSON gateway, a publisher. A tap is
 * called on the line, after the quotes have left; it must not throw, must not block, and bounds what it keeps.
 */
export interface DeskTap {
  /**
   * The prediction of an underlying is new, or whether it is in force has changed.
   *
   * @param underlying dense number
   * @param probabilities one per head from `offset` on, NaN while there is none; valid during the call only
   * @param status why the prediction is not in force, as bits of `REASON`; 0 when it is
   */
  onPrediction(
    underlying: number,
    probabilities: Float32Array,
    offset: number,
    heads: number,
    status: number,
    timeUs: number,
  ): void;
  /** Quotes were handed to the gateway; valid during the call only. */
  onQuotes(quotes: QuoteBatch, timeUs: number): void;
  /** No quote stands any more: everything was cancelled by one message, or the counterparty's session is down. */
  onCancelAll(timeUs: number): void;
  /** About every 10 ms. */
  onTimer(timeUs: number): void;
  /** The desk has stopped; nothing follows. */
  close(): void;
}
