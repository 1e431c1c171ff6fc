import { workerUrl } from "../../core/executable.ts";
import { ringMemory } from "../../core/ring.ts";
import type { ObservationSink } from "../outcomes/observation.ts";
import { ObservationWriter } from "../outcomes/observation-ring.ts";
import type { WatchMessage, WatchOptions, WatchReply, WatchReport } from "./control.ts";
import type { WatchFindings } from "./watch.ts";

const RING_BYTES = 4 * 1024 * 1024;

export interface WatchLineOptions {
  readonly watch: WatchOptions;
  /** Called on the desk's thread, some 10 ms after what they rest on was observed. */
  readonly findings: WatchFindings;
  /** The thread has died: nothing is watched any more. */
  readonly onFailure: (failure: string) => void;
  /** Power of two. */
  readonly ringBytes?: number;
}

/** The desk's end of the watch over its model: observations are copied into a bounded ring and a thread of its own does the rest. */
export class WatchLine {
  /** Takes the desk's observations; never waits and never throws. */
  readonly sink: ObservationSink;
  /** Why nothing is watched any more; null while it is. */
  failure: string | null = null;
  readonly #writer: ObservationWriter;
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  #closed = false;
  #text: string | null = null;
  #report: WatchReport | null = null;

  constructor({ watch, findings, onFailure, ringBytes = RING_BYTES }: WatchLineOptions) {
    const ring = ringMemory(ringBytes);
    this.#writer = new ObservationWriter(ring);
    this.sink = this.#writer;
    this.#worker = new Worker(workerUrl("learn/watch"));
    this.#ended = new Promise((resolve) => {
      this.#worker.onmessage = ({ data }: MessageEvent<WatchReply>) => {
        if (data.is === "report") {
          this.#text = data.text;
          this.#report = null;
          if (data.ended) resolve();
        } else if (!this.#closed) tell(data, findings, this.#writer.lastUs);
      };
      this.#worker.onerror = ({ message }) => {
        this.#writer.close();
        if (this.failure === null) onFailure(message);
        this.failure ??= message;
        resolve();
      };
    });
    this.#worker.postMessage({ do: "start", ring, options: watch } satisfies WatchMessage);
    this.#worker.unref();
  }

  /** As the thread told last, at most a second ago; null before. */
  get report(): WatchReport | null {
    if (this.#report === null && this.#text !== null) this.#report = JSON.parse(this.#text) as WatchReport;
    return this.#report;
  }

  /** Observations that did not fit the ring. */
  get dropped(): number {
    return this.#writer.dropped;
  }

  /** Nothing is observed any more, and nothing found. See {@link ended}. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#writer.close();
    this.#worker.ref();
    this.#worker.postMessage({ do: "stop" } satisfies WatchMessage);
  }

  /** Resolves when the thread has taken everything and told its last report, after {@link close}. */
  async ended(): Promise<void> {
    await this.#ended;
    this.#worker.terminate();
  }
}

function tell(reply: Exclude<WatchReply, { is: "report" }>, findings: WatchFindings, timeUs: number): void {
  if (reply.is === "drift") findings.drift(reply.change, timeUs);
  else if (reply.is === "retrain") findings.retrain(reply.underlying, reply.causes, reply.timeUs);
  else findings.calibration(reply.slot, reply.head, reply.scaling);
}
