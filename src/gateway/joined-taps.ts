import type { ModelCard } from "../inference/card.ts";
import type { EventBatch } from "../market/event-batch.ts";
import type { QuoteBatch } from "../quote/quote-batch.ts";
import type { RfqAction } from "../rfq/message.ts";
import type { ExecutionDetail } from "./gateway.ts";
import type { SeenBook } from "./seen-book.ts";
import type { DeskTap } from "./tap.ts";

/** Several who follow a desk as one. Each argument is handed on by itself: rest parameters would leave an array a call. */
export class JoinedTaps implements DeskTap {
  /** Somebody wants them. */
  readonly takesEvents: boolean;
  readonly takesFeatures: boolean;
  readonly #all: readonly DeskTap[];

  constructor(all: readonly DeskTap[]) {
    this.#all = all;
    this.takesEvents = all.some(({ onEvents }) => onEvents !== undefined);
    this.takesFeatures = all.some(({ onFeatures }) => onFeatures !== undefined);
  }

  onPrediction(
    underlying: number,
    probabilities: Float32Array,
    offset: number,
    heads: number,
    status: number,
    timeUs: number,
    book: SeenBook,
  ): void {
    for (const one of this.#all) {
      one.onPrediction?.(underlying, probabilities, offset, heads, status, timeUs, book);
    }
  }

  onQuotes(quotes: QuoteBatch, timeUs: number): void {
    for (const one of this.#all) one.onQuotes(quotes, timeUs);
  }

  onFill(
    executionId: string,
    instrument: number,
    side: number,
    priceTicks: number,
    sizeLots: number,
    detail: ExecutionDetail,
    timeUs: number,
  ): void {
    for (const one of this.#all) {
      one.onFill?.(executionId, instrument, side, priceTicks, sizeLots, detail, timeUs);
    }
  }

  onOrder(orderId: number, instrument: number, timeUs: number): void {
    for (const one of this.#all) one.onOrder?.(orderId, instrument, timeUs);
  }

  onAnswer(action: RfqAction, timeUs: number): void {
    for (const one of this.#all) one.onAnswer?.(action, timeUs);
  }

  onEvents(events: EventBatch, rows: Int32Array, count: number, timeUs: number): void {
    for (const one of this.#all) one.onEvents?.(events, rows, count, timeUs);
  }

  onFeatures(underlying: number, features: Float32Array, offset: number, timeUs: number): void {
    for (const one of this.#all) one.onFeatures?.(underlying, features, offset, timeUs);
  }

  onModel(underlying: number, card: ModelCard): void {
    for (const one of this.#all) one.onModel?.(underlying, card);
  }

  onCancelAll(timeUs: number): void {
    for (const one of this.#all) one.onCancelAll(timeUs);
  }

  onTimer(timeUs: number): void {
    for (const one of this.#all) one.onTimer(timeUs);
  }

  close(): void {
    for (const one of this.#all) one.close();
  }
}
