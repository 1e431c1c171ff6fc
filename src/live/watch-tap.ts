import { FEATURE_COUNT } from "../feature/schema.ts";
import type { SeenBook } from "../gateway/seen-book.ts";
import type { DeskTap } from "../gateway/tap.ts";
import type { Scaling } from "../inference/calibration.ts";
import type { ModelCard } from "../inference/card.ts";
import { type WatchedCard, watchedOf } from "../learn/drift/monitor.ts";
import {
  OBSERVED,
  OBSERVED_VALUES_MAX,
  type ObservationSink,
  writePrediction,
} from "../learn/outcomes/observation.ts";

/**
 * Tells those who watch over a desk's model what they rest on: every prediction with the book that it was made from, now and then a
 * row of features, which model is in force, which calibration.
 */
export class WatchTap implements DeskTap {
  readonly #sink: ObservationSink;
  readonly #values = new Float64Array(Math.max(OBSERVED_VALUES_MAX, FEATURE_COUNT));
  /** By underlying: time between two rows of features, µs, and when the last one was told. */
  readonly #sampleUs: Float64Array;
  readonly #sampledUs: Float64Array;
  /** By underlying: the card of the model in force; null for the first one. */
  readonly #cards: (ModelCard | null)[];
  /** What was told of a card. */
  readonly #texts = new WeakMap<ModelCard, string>();
  #timeUs = 0;

  constructor(sink: ObservationSink, card: WatchedCard, underlyings: number) {
    this.#sink = sink;
    this.#cards = new Array<ModelCard | null>(underlyings).fill(null);
    this.#sampleUs = new Float64Array(underlyings).fill(sampleUsOf(card));
    this.#sampledUs = new Float64Array(underlyings).fill(Number.NEGATIVE_INFINITY);
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
    const count = writePrediction(this.#values, probabilities, offset, heads, status, book);
    this.#sink.observe(OBSERVED.prediction, underlying, timeUs, this.#values, count);
  }

  onFeatures(underlying: number, features: Float32Array, offset: number, timeUs: number): void {
    if (Math.abs(timeUs - this.#sampledUs[underlying]) < this.#sampleUs[underlying]) return;
    this.#sampledUs[underlying] = timeUs;
    for (let at = 0; at < FEATURE_COUNT; at += 1) this.#values[at] = features[offset + at];
    this.#sink.observe(OBSERVED.features, underlying, timeUs, this.#values, FEATURE_COUNT);
  }

  onModel(underlying: number, card: ModelCard): void {
    if (card === this.#cards[underlying]) return;
    this.#cards[underlying] = card;
    this.#sampleUs[underlying] = sampleUsOf(card);
    this.#sampledUs[underlying] = Number.NEGATIVE_INFINITY;
    const text = this.#texts.get(card) ?? JSON.stringify(watchedOf(card));
    this.#texts.set(card, text);
    this.#sink.describe(OBSERVED.model, underlying, this.#timeUs, text);
  }

  /** A calibration has come into force. */
  onCalibration(slot: number, head: number, scaling: Scaling): void {
    const text = JSON.stringify({ head, ...scaling });
    this.#sink.describe(OBSERVED.calibration, slot, this.#timeUs, text);
  }

  onTimer(timeUs: number): void {
    this.#timeUs = timeUs;
    this.#sink.observe(OBSERVED.timer, -1, timeUs, this.#values, 0);
  }

  onQuotes(): void {}
  onCancelAll(): void {}
  close(): void {}
}

/** Without a profile there is nothing that features could be compared with. */
function sampleUsOf({ profile }: Pick<ModelCard, "profile">): number {
  return profile === undefined ? Number.POSITIVE_INFINITY : profile.sampleMs * 1_000;
}
