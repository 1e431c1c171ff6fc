import { workerUrl } from "../../core/executable.ts";
import { RING_NONE, RingProducer, ringMemory } from "../../core/ring.ts";
import { OBSERVATION_HEAD_BYTES, type OutcomeReport, type OutcomeStart } from "../control.ts";
import type { OutcomeFileOptions } from "./file.ts";
import type { ObservationSink, ObservedKind } from "./observation.ts";

const RING_BYTES = 16 * 1024 * 1024;
/** Worst case of UTF-8 bytes for one UTF-16 unit. */
const UTF8_BYTES_MAX = 3;

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
  /** Observations that did not fit the ring. */
  dropped = 0;
  /** As the thread told last, at most a second ago; null before. */
  report: OutcomeReport | null = null;
  /** Why the thread died or records no more; null while it does. */
  failure: string | null = null;
  readonly #ring: RingProducer;
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  #lastUs = 0;
  #closed = false;

  constructor(options: OutcomeRecorderOptions) {
    const ring = ringMemory(options.ringBytes ?? RING_BYTES);
    this.#ring = new RingProducer(ring);
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

  observe(kind: ObservedKind, subject: number, timeUs: number, values: Float64Array, count: number): void {
    const bytes = OBSERVATION_HEAD_BYTES + count * 8;
    const at = this.#begin(kind, subject, 0, timeUs, bytes);
    if (at === RING_NONE) return;
    const from = (at + OBSERVATION_HEAD_BYTES) >> 3;
    for (let value = 0; value < count; value += 1) this.#ring.f64[from + value] = values[value];
    this.#ring.commit(bytes);
  }

  describe(kind: ObservedKind, subject: number, timeUs: number, text: string): void {
    const most = text.length * UTF8_BYTES_MAX;
    const at = this.#begin(kind, subject, 1, timeUs, OBSERVATION_HEAD_BYTES + most);
    if (at === RING_NONE) return;
    const written = this.#ring.bytes.write(text, at + OBSERVATION_HEAD_BYTES, most, "utf8");
    this.#ring.commit(OBSERVATION_HEAD_BYTES + written);
  }

  /** The desk has stopped: what is in the ring is followed to its end. See {@link ended}. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#worker.ref();
    this.#worker.postMessage({ stop: this.#lastUs });
  }

  /** Resolves when everything is in the files, after {@link close}. */
  async ended(): Promise<void> {
    await this.#ended;
    this.#worker.terminate();
  }

  #begin(kind: number, subject: number, text: number, timeUs: number, bytes: number): number {
    const at = this.#closed ? RING_NONE : this.#ring.reserve(bytes);
    if (at === RING_NONE) {
      this.dropped += 1;
      return at;
    }
    this.#lastUs = timeUs;
    const { u32, f64 } = this.#ring;
    const word = at >> 2;
    u32[word] = kind;
    u32[word + 1] = subject;
    u32[word + 2] = text;
    u32[word + 3] = 0;
    f64[(at >> 3) + 2] = timeUs;
    return at;
  }
}
