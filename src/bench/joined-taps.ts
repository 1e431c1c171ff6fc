import type { SeenBook } from "../gateway/seen-book.ts";
import type { DeskTap } from "../gateway/tap.ts";
import type { ModelCard } from "../inference/card.ts";
import type { EventBatch } from "../market/event-batch.ts";
import type { QuoteBatch } from "../quote/quote-batch.ts";

/** Several who follow a desk as one. Each argument is handed on by itself: rest parameters would leave an array a call. */
export class JoinedTaps implements DeskTap {
  readonly #all: readonly DeskTap[];

  constructor(all: readonly DeskTap[]) {
    this.#all = all;
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
      one.onPrediction(underlying, probabilities, offset, heads, status, timeUs, book);
    }
  }

  onQuotes(quotes: QuoteBatch, timeUs: number): void {
    for (const one of this.#all) one.onQuotes(quotes, timeUs);
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
