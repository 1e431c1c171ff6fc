import { workerUrl } from "../../core/executable.ts";
import { ringMemory } from "../../core/ring.ts";
import type { OutcomeReport, OutcomeStart } from "../control.ts";
import type { OutcomeFileOptions } from "./file.ts";
import type { ObservationSink, ObservedKind } from "./observation.ts";
import { ObservationWriter } from "./observation-ring.ts";

const RING_BYTES = 16 * 1024 * 1024;

export interface OutcomeRecorderOptions {
  /** The model's outputs in order. */
  readonly heads: readonly string[];
  readonly files: OutcomeFileOptions;
  readonly onProblem: (problem: string) => void;
  /** Power of two. */
  readonly ringBytes?: number;
}

/**
 * The desk's end of outcomes: observations are copied into a bounded ring, a thread of its own does the rest. A call never waits and
 * never throws; what does not fit is counted in {@link dropped}, and outcomes that rested on it are wrong or missing from then on.
 */
export class OutcomeRecorder implements ObservationSink {
  /** As the thread told last, at most a second ago; null before. */
  report: OutcomeReport | null = null;
  /** Why the thread died or records no more; null while it does. */
  failure: string | null = null;
  readonly #ring: ObservationWriter;
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  #closed = false;

  constructor(options: OutcomeRecorderOptions) {
    const ring = ringMemory(options.ringBytes ?? RING_BYTES);
    this.#ring = new ObservationWriter(ring);
    this.#worker = new Worker(workerUrl("learn"));
    const fail = (failure: string): void => {
      if (this.failure === null) options.onProblem(`outcomes are not recorded any more: ${failure}`);
      this.failure ??= failure;
    };
    this.#ended = new Promise((resolve) => {
      this.#worker.onmessage = ({ data }: MessageEvent<OutcomeReport>) => {
        this.report = data;
        if (data.failure !== null) fail(data.failure);
        if (data.ended) resolve();
      };
      this.#worker.onerror = (event) => {
        fail(event.message);
        resolve();
      };
    });
    const start: OutcomeStart = { ring, heads: options.heads, files: options.files };
    this.#worker.postMessage({ start });
    this.#worker.unref();
  }

  /** Observations that did not fit the ring. */
  get dropped(): number {
    return this.#ring.dropped;
  }

  observe(kind: ObservedKind, subject: number, timeUs: number, values: Float64Array, count: number): void {
    this.#ring.observe(kind, subject, timeUs, values, count);
  }

  describe(kind: ObservedKind, subject: number, timeUs: number, text: string): void {
    this.#ring.describe(kind, subject, timeUs, text);
  }

  /** The desk has stopped: what is in the ring is followed to its end. See {@link ended}. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ring.close();
    this.#worker.ref();
    this.#worker.postMessage({ stop: this.#ring.lastUs });
  }

  /** Resolves when everything is in the files, after {@link close}. */
  async ended(): Promise<void> {
    await this.#ended;
    this.#worker.terminate();
  }
}
