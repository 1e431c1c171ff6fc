import { KafkaFeedSource } from "../../src/distribution/feed/source.ts";
import type { KafkaOptions } from "../../src/distribution/options.ts";
import type { FloodStart } from "./flooding-thread.ts";

const THREAD = new URL("./flooding-thread.ts", import.meta.url).href;

const KAFKA: KafkaOptions = {
  brokers: [],
  clientId: "keel-test",
  topicPrefix: "keel.",
  publish: [],
  snapshotMs: 1_000,
  lingerMs: 5,
  feedTopic: "keel.feed",
  acks: "leader",
  compression: "none",
  backlogMessages: 1_000,
  signalTopics: [],
  signalStart: "latest",
  tls: undefined,
  sasl: undefined,
};

/** A relayed feed whose thread hands over numbers instead of a topic's messages, see `flooding-thread.ts`. */
export class Flood {
  readonly source: KafkaFeedSource;
  readonly #posted = new Int32Array(new SharedArrayBuffer(4));
  #delivered = 0;
  #thread: Worker | null = null;

  constructor(plan: Pick<FloodStart, "messages" | "everyMs">) {
    const Original = globalThis.Worker;
    const { buffer: posted } = this.#posted;
    const onDelivered = (): void => {
      this.#delivered += 1;
    };
    const onThread = (thread: Worker): void => {
      this.#thread = thread;
    };
    globalThis.Worker = class extends Original {
      constructor() {
        super(THREAD);
        onThread(this);
        this.addEventListener("message", ({ data }: MessageEvent<object>) => {
          if ("values" in data) onDelivered();
        });
      }

      override postMessage(start: object): void {
        super.postMessage({ ...start, ...plan, posted });
      }
    };
    try {
      this.source = new KafkaFeedSource(KAFKA, new Map([[0, "deribit"]]));
    } finally {
      globalThis.Worker = Original;
    }
  }

  /** Batches that have been posted so far. */
  get posted(): number {
    return Atomics.load(this.#posted, 0);
  }

  /** Of these, those that have not been delivered to this thread. */
  get waiting(): number {
    return this.posted - this.#delivered;
  }

  /** The thread ends where it stands. */
  end(): void {
    this.#thread?.terminate();
  }

  close(): void {
    this.source.close();
  }
}
