/**
 * The distribution's own thread: takes the desk's records out of the ring and sends them to Kafka and Redis; hands signals from
 * Kafka to the desk's thread. It polls, so that the desk's thread never has to wake it.
 *
 * @module
 */
import { Collector, yieldToLine } from "../core/background.ts";
import { RING_NONE, RingConsumer } from "../core/ring.ts";
import {
  Counters,
  type DistributionReply,
  type DistributionStart,
  type DistributionStop,
} from "./control.ts";
import { FeedText } from "./feed-text.ts";
import { KafkaPublisher } from "./kafka-publisher.ts";
import { KafkaSignals } from "./kafka-signals.ts";
import { keepBeat } from "./kept-thread.ts";
import { HEAD_BYTES, RECORD, type RecordKind } from "./record.ts";
import { RedisMirror } from "./redis-mirror.ts";
import { RecordText } from "./text.ts";

declare const self: Worker;

/** Sleep between looks at the ring. */
const POLL_MS = 2;
/** Records after which what they left is collected. */
const COLLECT_RECORDS = 16_384;

yieldToLine();
/** Records taken before the sockets have their turn. */
const BURST = 4_096;

const reply = (message: DistributionReply): void => self.postMessage(message);
const onProblem = (problem: string): void => reply({ problem });

class Distribution {
  readonly #ring: RingConsumer;
  readonly #text: RecordText;
  readonly #publisher: KafkaPublisher | null;
  readonly #feed: FeedText | null;
  readonly #signals: KafkaSignals | null;
  readonly #mirror: RedisMirror | null;
  readonly #collector = new Collector(COLLECT_RECORDS);
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor({ ring, counters, kafka, redis, heads, model, schema }: DistributionStart["start"]) {
    const shared = new Counters(counters);
    this.#ring = new RingConsumer(ring);
    this.#text = new RecordText({ topicPrefix: kafka?.topicPrefix ?? "", heads, model, schema });
    this.#publisher =
      kafka === undefined || kafka.publish.length === 0 ? null : new KafkaPublisher(kafka, shared, onProblem);
    this.#feed =
      kafka === undefined || !kafka.publish.includes("feed")
        ? null
        : new FeedText({
            topic: `${kafka.topicPrefix}feed`,
            session: Date.now() * 1_000,
            snapshotMs: kafka.snapshotMs,
            publish: (message) => this.#publisher?.add({ message, latest: null, fences: null }),
          });
    this.#signals =
      kafka === undefined || kafka.signalTopics.length === 0
        ? null
        : new KafkaSignals(kafka, shared, onProblem);
    this.#mirror = redis === undefined ? null : new RedisMirror(redis, schema, shared, onProblem);
    this.#poll();
  }

  async stop(withinMs: number): Promise<void> {
    clearTimeout(this.#timer);
    while (this.#drain() === BURST);
    const untilMs = performance.now() + withinMs;
    await Promise.allSettled([
      this.#publisher?.close(untilMs),
      this.#signals?.close(untilMs),
      this.#mirror?.close(untilMs),
    ]);
    reply({ ended: true });
  }

  #poll(): void {
    const taken = this.#drain();
    const nowMs = performance.now();
    this.#feed?.snapshots(nowMs);
    this.#publisher?.pump(nowMs);
    this.#mirror?.pump(nowMs);
    const signals = this.#signals?.take() ?? [];
    if (signals.length > 0) reply({ signals });
    if (taken < BURST) this.#collector.worked(taken);
    this.#timer = setTimeout(() => this.#poll(), taken === BURST ? 0 : POLL_MS);
  }

  #drain(): number {
    const ring = this.#ring;
    let taken = 0;
    for (; taken < BURST; taken += 1) {
      const at = ring.peek();
      if (at === RING_NONE) break;
      const kind = ring.u32[at >> 2] as RecordKind;
      this.#record(kind, ring.u32[(at >> 2) + 1], ring.f64[(at >> 3) + 1], at + HEAD_BYTES, at + ring.length);
      ring.release();
    }
    return taken;
  }

  #record(kind: RecordKind, subject: number, timeUs: number, from: number, to: number): void {
    if (kind === RECORD.instrument || kind === RECORD.underlying) {
      const json = this.#ring.bytes.toString("utf8", from, to);
      this.#text.name(kind, subject, json);
      if (kind === RECORD.instrument) this.#feed?.describe(subject, json);
      return;
    }
    const values = this.#ring.f64.subarray(from >> 3, to >> 3);
    if (kind === RECORD.features) {
      const base = this.#text.underlying(subject);
      if (base !== undefined) this.#mirror?.set(base, timeUs, values);
      return;
    }
    if (kind === RECORD.feedEvent) {
      this.#feed?.take(subject, timeUs, values);
      return;
    }
    const published = this.#text.message(kind, subject, timeUs, values);
    if (published !== null) this.#publisher?.add(published);
  }
}

let distribution: Distribution | null = null;

self.onmessage = ({ data }: MessageEvent<DistributionStart | DistributionStop>) => {
  if ("start" in data) {
    keepBeat(data.start.beat);
    distribution = new Distribution(data.start);
  } else void distribution?.stop(data.stopWithinMs);
};

// The Kafka client rejects promises that nobody holds when a broker goes away; the thread goes on and connects again.
process.on("unhandledRejection", (error) =>
  onProblem(error instanceof Error ? error.message : String(error)),
);
