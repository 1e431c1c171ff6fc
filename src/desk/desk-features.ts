import { type FeatureRows, PublishedFeatures } from "../feature/published.ts";
import { SIGNALS } from "../feature/schema.ts";
import type { FeatureSource } from "../feature/source.ts";
import { FeatureState } from "../feature/tick.ts";
import type { StepEngine } from "../inference/engine.ts";

/**
 * Where the desk's features are made: on the host, by the threads that keep the feeds, or by an engine on its GPU. With an engine that was started
 * anew they begin anew there too; signals, which come only when they change, are told to it.
 */
export class DeskFeatures {
  source: FeatureSource;
  readonly #slotCount: number;
  readonly #published: PublishedFeatures | null;
  readonly #signals = new Float64Array(SIGNALS.length).fill(Number.NaN);

  /** @param published the features are made by the threads that keep the feeds */
  constructor(engine: StepEngine | null, slotCount: number, published = false) {
    this.#slotCount = slotCount;
    this.#published = published ? new PublishedFeatures(slotCount) : null;
    this.source = this.#published ?? engine?.featureSource ?? new FeatureState(slotCount);
  }

  /** The row of an underlying as of the turn whose events are about to be told. */
  publish(underlying: number, rows: FeatureRows, row: number, timeUs: number): void {
    this.#published?.publish(underlying, rows, row, timeUs);
  }

  /** Values that are not finite and numbers beyond the schema's signals are ignored. */
  onSignal(signal: number, value: number): void {
    if (signal < this.#signals.length && Math.abs(value) < Infinity) this.#signals[signal] = value;
    this.source.onSignal(signal, value);
  }

  follow(engine: StepEngine): void {
    if (this.#published !== null) return;
    const before = this.source;
    if (engine.featureSource !== undefined) this.source = engine.featureSource;
    else if (!(before instanceof FeatureState)) this.source = new FeatureState(this.#slotCount);
    if (this.source === before) return;
    for (const [signal, value] of this.#signals.entries()) this.source.onSignal(signal, value);
  }
}
