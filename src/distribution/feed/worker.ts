/**
 * The thread that reads another keel's `feed` topic: from now on, every partition, in a consumer group of its own, nothing committed.
 * A consumer that fails is made anew, for ever.
 *
 * @module
 */
import { Consumer, stringDeserializers } from "@platformatic/kafka";
import { clientOptions, letGo, reasonOf } from "../kafka-client.ts";
import { keepBeat } from "../kept-thread.ts";
import type { FeedSourceReply, FeedSourceStart } from "./source.ts";

declare const self: Worker;

/** A book of tens of thousands of levels is about a megabyte long. */
const VALUE_CHARS_MAX = 16 * 1024 * 1024;
/** Values gathered before they are handed over together. */
const BATCH_MAX = 256;
const WAIT_MS = 20;
const PAUSE_MS = 250;
const PAUSE_MS_MAX = 2_000;
const SETTLED_MS = 20_000;

const reply = (message: FeedSourceReply): void => self.postMessage(message);

/** Values by venue on their way to the desk's thread, handed over when the event loop turns. */
class Handover {
  readonly #waiting = new Map<string, string[]>();
  #count = 0;

  constructor(venues: readonly string[]) {
    for (const venue of venues) this.#waiting.set(venue, []);
  }

  add(key: string, value: string): void {
    const values = this.#waiting.get(key.slice(0, Math.max(0, key.indexOf(":"))));
    if (values === undefined || value.length > VALUE_CHARS_MAX) return;
    values.push(value);
    this.#count += 1;
    if (this.#count === 1) setImmediate(() => this.flush());
    else if (this.#count === BATCH_MAX) this.flush();
  }

  flush(): void {
    this.#count = 0;
    for (const [venue, values] of this.#waiting) {
      if (values.length > 0) reply({ venue, values: values.splice(0) });
    }
  }
}

async function consume({ kafka, venues }: FeedSourceStart): Promise<string> {
  const handover = new Handover(venues);
  let consumer: Consumer<string, string, string, string> | null = null;
  try {
    consumer = new Consumer({
      ...clientOptions(kafka),
      groupId: `${kafka.clientId}-${crypto.randomUUID()}`,
      deserializers: stringDeserializers,
      maxWaitTime: WAIT_MS,
      maxBytes: VALUE_CHARS_MAX,
    });
    const stream = await consumer.consume({ topics: [kafka.feedTopic], mode: "latest", autocommit: false });
    reply({ up: true });
    for await (const { key, value } of stream) {
      if (typeof key === "string" && typeof value === "string") handover.add(key, value);
    }
    return "the brokers closed the stream";
  } catch (error) {
    return reasonOf(error);
  } finally {
    handover.flush();
    if (consumer !== null) await letGo(consumer);
  }
}

async function run(start: FeedSourceStart): Promise<never> {
  for (let pauseMs = PAUSE_MS; ; ) {
    const startMs = performance.now();
    const reason = await consume(start);
    reply({ down: reason });
    pauseMs = performance.now() - startMs > SETTLED_MS ? PAUSE_MS : Math.min(PAUSE_MS_MAX, pauseMs * 2);
    await Bun.sleep(pauseMs);
  }
}

self.onmessage = ({ data }: MessageEvent<FeedSourceStart>) => {
  keepBeat(data.beat);
  void run(data);
};

// The Kafka client rejects promises that nobody holds when a broker goes away; the consumer's own error says so, too.
process.on("unhandledRejection", () => {});
