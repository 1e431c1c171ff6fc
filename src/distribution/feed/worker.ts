/**
 * The thread that reads another keel's `feed` topic: from now on, every partition, in a consumer group of its own, nothing committed.
 * A consumer that fails is made anew, for ever.
 *
 * @module
 */
import { Consumer, stringDeserializers } from "@platformatic/kafka";
import { clientOptions, letGo, reasonOf } from "../kafka-client.ts";
import { keepBeat } from "../kept-thread.ts";
import { Credit } from "./credit.ts";
import { Handover, VALUE_CHARS_MAX } from "./handover.ts";
import type { FeedSourceReply, FeedSourceStart } from "./source.ts";

declare const self: Worker;

const WAIT_MS = 20;
const PAUSE_MS = 250;
const PAUSE_MS_MAX = 2_000;
const SETTLED_MS = 20_000;

const reply = (message: FeedSourceReply): void => self.postMessage(message);

async function consume({ kafka, venues, credit }: FeedSourceStart): Promise<string> {
  const handover = new Handover(venues, new Credit(credit), reply);
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
      // A stream that is not read asks for no more: it holds 1,024 messages and one fetch of each broker at most.
      if (handover.isFull) await handover.flush();
    }
    return "the brokers closed the stream";
  } catch (error) {
    return reasonOf(error);
  } finally {
    await handover.flush();
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
