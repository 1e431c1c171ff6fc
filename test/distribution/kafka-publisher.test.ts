import { expect, test } from "bun:test";
import { Counters } from "../../src/distribution/control.ts";
import { KafkaPublisher } from "../../src/distribution/kafka-publisher.ts";

const MESSAGE = {
  message: { topic: "t", key: "k", value: "v" },
  latest: null,
  fences: null,
} as const;

/** Of brokers that are not there: a request that was begun takes what waits, and loses it. */
function publisher(lingerMs: number): { counters: Counters; published: KafkaPublisher } {
  const counters = new Counters(Counters.memory());
  const published = new KafkaPublisher(
    {
      ...{ brokers: ["127.0.0.1:1"], clientId: "test", topicPrefix: "", publish: ["trades"] },
      ...{ snapshotMs: 1_000, lingerMs, feedTopic: "feed", acks: "leader", compression: "none" },
      ...{ backlogMessages: 5_000, signalTopics: [], signalStart: "latest", tls: undefined, sasl: undefined },
    },
    counters,
    () => {},
  );
  return { counters, published };
}

/** What waits, as a look at this time finds it. */
function waiting({ counters, published }: ReturnType<typeof publisher>, nowMs: number): number {
  published.pump(nowMs);
  return counters.get("kafkaBacklog");
}

test("a message waits for others, and for no longer than it may", async () => {
  const made = publisher(5);
  made.published.add(MESSAGE);
  expect(waiting(made, 100)).toBe(1);
  made.published.add(MESSAGE);
  expect(waiting(made, 104)).toBe(2);
  made.published.pump(105);
  expect(waiting(made, 105)).toBe(0);
  await made.published.close(0);
});

test("what fills a request does not wait", async () => {
  const made = publisher(1_000);
  for (let count = 0; count < 1_000; count += 1) made.published.add(MESSAGE);
  made.published.pump(100);
  expect(waiting(made, 100)).toBe(0);
  await made.published.close(0);
});

test("without a time to wait each message leaves at once", async () => {
  const made = publisher(0);
  made.published.add(MESSAGE);
  made.published.pump(100);
  expect(waiting(made, 100)).toBe(0);
  await made.published.close(0);
});
