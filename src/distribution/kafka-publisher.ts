import { type ProduceOptions, Producer, stringSerializers } from "@platformatic/kafka";
import type { Counters, PlainSecrets } from "./control.ts";
import { clientOptions, reasonOf } from "./kafka-client.ts";
import type { KafkaOptions } from "./options.ts";
import { Outbox } from "./outbox.ts";
import type { Published } from "./text.ts";

/** Messages in one request. */
const BATCH = 1_000;
/** Pause after a failure, doubled up to the longest with each further one. */
const PAUSE_MS = 100;
const PAUSE_MS_MAX = 2_000;
const ACKS = { none: 0, leader: 1, all: -1 } as const;

type Send = ProduceOptions<string, string, string, string>;

/**
 * Sends messages to Kafka, one request at a time. What waits meanwhile is bounded by the outbox; what a request that failed held is
 * lost and counted, because a market that has moved on is worth more than one that was.
 */
export class KafkaPublisher {
  readonly #outbox: Outbox;
  readonly #counters: Counters;
  readonly #onProblem: (problem: string) => void;
  readonly #send: Send;
  readonly #options: PlainSecrets<KafkaOptions>;
  /** Null after a failure: the next request is made by a new one, which knows nothing of brokers that are gone. */
  #producer: Producer<string, string, string, string> | null = null;
  #sending: Promise<void> | null = null;
  #pauseMs = 0;
  #resumeMs = 0;
  /** When something was seen to wait; NaN while nothing does. */
  #waitsMs = Number.NaN;

  constructor(options: PlainSecrets<KafkaOptions>, counters: Counters, onProblem: (problem: string) => void) {
    this.#outbox = new Outbox(options.backlogMessages, Math.min(BATCH, options.backlogMessages));
    this.#counters = counters;
    this.#onProblem = onProblem;
    this.#send = {
      acks: ACKS[options.acks],
      ...(options.compression === "none" ? {} : { compression: options.compression }),
    };
    this.#options = options;
  }

  add({ message, latest, fences }: Published): void {
    if (fences !== null) this.#outbox.fence(fences);
    this.#outbox.add(message, latest);
  }

  /**
   * Begins a request when none is under way and something has waited long enough, or there is enough of it. To be called every few
   * milliseconds.
   *
   * @param lingerMs how long is enough
   */
  pump(nowMs: number, lingerMs = this.#options.lingerMs): void {
    const { dropped, conflated, size } = this.#outbox;
    this.#counters.set("kafkaDropped", dropped);
    this.#counters.set("kafkaConflated", conflated);
    this.#counters.set("kafkaBacklog", size);
    if (size === 0) return;
    if (Number.isNaN(this.#waitsMs)) this.#waitsMs = nowMs;
    if (this.#sending !== null || nowMs < this.#resumeMs) return;
    if (size < BATCH && nowMs - this.#waitsMs < lingerMs) return;
    this.#waitsMs = Number.NaN;
    this.#sending = this.#request(nowMs).finally(() => {
      this.#sending = null;
    });
  }

  /** Sends what waits as long as that goes well and time is left, and disconnects. */
  async close(untilMs: number): Promise<void> {
    while (
      this.#pauseMs === 0 &&
      performance.now() < untilMs &&
      (this.#outbox.size > 0 || this.#sending !== null)
    ) {
      this.pump(performance.now(), 0);
      await Promise.race([this.#sending, Bun.sleep(Math.max(0, untilMs - performance.now()))]);
    }
    this.pump(Number.NEGATIVE_INFINITY);
    await Promise.race([this.#producer?.close(true), Bun.sleep(Math.max(100, untilMs - performance.now()))]);
  }

  async #request(nowMs: number): Promise<void> {
    const messages = this.#outbox.take(BATCH);
    try {
      this.#producer ??= new Producer({ ...clientOptions(this.#options), serializers: stringSerializers });
      await this.#producer.send({ ...this.#send, messages });
      this.#counters.add("kafkaSent", messages.length);
      this.#counters.set("kafkaUp", 1);
      this.#pauseMs = 0;
    } catch (error) {
      this.#counters.add("kafkaFailed", messages.length);
      this.#counters.set("kafkaUp", 0);
      void this.#producer?.close(true).catch(() => {});
      this.#producer = null;
      if (this.#pauseMs === 0) this.#onProblem(`Kafka takes no messages: ${reasonOf(error)}`);
      this.#pauseMs = Math.min(PAUSE_MS_MAX, Math.max(PAUSE_MS, this.#pauseMs * 2));
      this.#resumeMs = Math.max(nowMs, performance.now()) + this.#pauseMs;
    }
  }
}
