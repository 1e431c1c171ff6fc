import { Consumer, type MessagesStream, stringDeserializers } from "@platformatic/kafka";
import type { Counters, PlainSecrets } from "./control.ts";
import { clientOptions, letGo, reasonOf } from "./kafka-client.ts";
import type { KafkaOptions } from "./options.ts";

/** Signals that wait for the desk's thread; beyond that the oldest are lost and counted. */
const WAITING_MAX = 1_024;
/** Longer values are no signal. */
const SIGNAL_BYTES_MAX = 4_096;
const PAUSE_MS = 250;
const PAUSE_MS_MAX = 2_000;

/**
 * Takes external signals from Kafka topics. Every desk takes all of them: each process is a consumer group of its own and commits
 * nothing. A consumer that fails is made anew, for ever.
 */
export class KafkaSignals {
  readonly #options: PlainSecrets<KafkaOptions>;
  readonly #counters: Counters;
  readonly #onProblem: (problem: string) => void;
  readonly #running: Promise<void>;
  #waiting: string[] = [];
  #stream: MessagesStream<string, string, string, string> | null = null;
  #closed = false;

  constructor(options: PlainSecrets<KafkaOptions>, counters: Counters, onProblem: (problem: string) => void) {
    this.#options = options;
    this.#counters = counters;
    this.#onProblem = onProblem;
    this.#running = this.#run();
  }

  /** The values that came since the last call. */
  take(): string[] {
    const taken = this.#waiting;
    if (taken.length > 0) this.#waiting = [];
    return taken;
  }

  async close(untilMs: number): Promise<void> {
    this.#closed = true;
    void this.#stream?.close().catch(() => {});
    await Promise.race([this.#running, Bun.sleep(Math.max(100, untilMs - performance.now()))]);
  }

  async #run(): Promise<void> {
    let pauseMs = PAUSE_MS;
    while (!this.#closed) {
      const startMs = performance.now();
      try {
        await this.#consume();
      } catch (error) {
        if (!this.#closed) this.#onProblem(`no signals from Kafka: ${reasonOf(error)}`);
      }
      this.#counters.set("signalsUp", 0);
      pauseMs =
        performance.now() - startMs > PAUSE_MS_MAX * 10 ? PAUSE_MS : Math.min(PAUSE_MS_MAX, pauseMs * 2);
      if (!this.#closed) await Bun.sleep(pauseMs);
    }
  }

  async #consume(): Promise<void> {
    const { clientId, signalTopics, signalStart } = this.#options;
    const consumer = new Consumer({
      ...clientOptions(this.#options),
      groupId: `${clientId}-${crypto.randomUUID()}`,
      deserializers: stringDeserializers,
      maxWaitTime: 100,
    });
    try {
      const stream = await consumer.consume({
        topics: [...signalTopics],
        mode: signalStart,
        autocommit: false,
      });
      this.#stream = stream;
      this.#counters.set("signalsUp", 1);
      for await (const { value } of stream) this.#receive(value);
    } finally {
      this.#stream = null;
      await letGo(consumer);
    }
  }

  #receive(value: string): void {
    if (typeof value !== "string" || value.length > SIGNAL_BYTES_MAX) {
      this.#counters.add("signalsDropped");
      return;
    }
    if (this.#waiting.length === WAITING_MAX) {
      this.#waiting.shift();
      this.#counters.add("signalsDropped");
    }
    this.#waiting.push(value);
    this.#counters.add("signalsReceived");
  }
}
