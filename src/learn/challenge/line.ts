import { workerUrl } from "../../core/executable.ts";
import { ringMemory } from "../../core/ring.ts";
import { OBSERVED, type ObservationSink } from "../outcomes/observation.ts";
import { ObservationWriter } from "../outcomes/observation-ring.ts";
import type { ChallengeReport } from "./challenge.ts";
import type { ChallengeMessage, ChallengeReply, SentModel } from "./control.ts";

const RING_BYTES = 16 * 1024 * 1024;

export interface ChallengeLineOptions
  extends Pick<Extract<ChallengeMessage, { do: "start" }>, "quote" | "policy" | "files"> {
  readonly onRefused: (version: string, why: string) => void;
  readonly onProblem: (problem: string) => void;
  /** Power of two. */
  readonly ringBytes?: number;
}

/** The desk's end of challengers: events are copied into a bounded ring and a thread of its own does the rest. */
export class ChallengeLine {
  /** Takes the desk's observations; never waits and never throws. */
  readonly sink: ObservationSink;
  /** Why nothing is compared any more; null while it is. */
  failure: string | null = null;
  readonly #writer: ObservationWriter;
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  #report: ChallengeReport | null = null;
  #told = 0;
  #taken = 0;
  #closed = false;

  constructor(options: ChallengeLineOptions) {
    const ring = ringMemory(options.ringBytes ?? RING_BYTES);
    this.#writer = new ObservationWriter(ring);
    this.sink = this.#writer;
    this.#worker = new Worker(workerUrl("learn/challenge"));
    this.#ended = new Promise((resolve) => {
      this.#worker.onmessage = ({ data }: MessageEvent<ChallengeReply>) => {
        if (data.is === "report") {
          this.#report = data.report;
          this.#taken = data.taken;
          if (data.ended) resolve();
        } else if (data.is === "refused") options.onRefused(data.version, data.why);
        else options.onProblem(`outcomes of a challenger are not recorded any more: ${data.why}`);
      };
      this.#worker.onerror = (event) => {
        if (this.failure === null) options.onProblem(`challengers run no more: ${event.message}`);
        this.failure ??= event.message;
        this.#writer.close();
        resolve();
      };
    });
    const { quote, policy, files } = options;
    this.#worker.postMessage({ do: "start", ring, quote, policy, files } satisfies ChallengeMessage);
    this.#worker.unref();
  }

  /** Observations that did not fit the ring. */
  get dropped(): number {
    return this.#writer.dropped;
  }

  /** The features of a step; as the sink, it never waits and never throws. */
  features(underlying: number, timeUs: number, features: Float32Array, offset: number, count: number): void {
    this.#writer.observeSingles(OBSERVED.features, underlying, timeUs, features, offset, count);
  }

  /** As the thread told last, at most a second ago; null before, and while something that was asked for has not been done. */
  get report(): ChallengeReport | null {
    return this.#told === this.#taken ? this.#report : null;
  }

  /** Takes a model in beside the others. */
  add(model: SentModel): void {
    this.#tell({ do: "add", model });
  }

  remove(version: string): void {
    this.#tell({ do: "remove", version });
  }

  /** Which model the others are compared with; all comparisons begin anew. */
  compareWith(version: string): void {
    this.#tell({ do: "compareWith", version });
  }

  beginAnew(version: string): void {
    this.#tell({ do: "beginAnew", version });
  }

  /** What is in the ring is followed to its end. See {@link ended}. */
  close(): void {
    if (this.#closed) return;
    this.#writer.close();
    this.#worker.ref();
    this.#tell({ do: "stop", timeUs: this.#writer.lastUs });
    this.#closed = true;
  }

  async ended(): Promise<void> {
    await this.#ended;
    this.#worker.terminate();
  }

  #tell(message: ChallengeMessage): void {
    if (this.#closed) return;
    this.#told += 1;
    this.#worker.postMessage(message);
  }
}
