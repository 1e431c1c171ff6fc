import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { Consumer, Producer, stringDeserializers, stringSerializers } from "@platformatic/kafka";
import { Secret } from "../../src/core/secret.ts";
import { KAFKA_COMPRESSIONS, type KafkaOptions } from "../../src/distribution/options.ts";
import { SCHEMA_HASH } from "../../src/feature/schema.ts";
import { EVENT, FEED_STATE, SIDE, TICKER, TICKER_FIELDS, UNSOUND } from "../../src/market/event-batch.ts";
import { QuoteBatch, REASON } from "../../src/quote/quote-batch.ts";
import { KafkaBroker, kafkaMissing } from "../support/services.ts";
import { skipUnless } from "../support/shared-data.ts";
import { kafka, ShownDesk, START_US, until } from "./shown-desk.ts";

const READ_MS = 15_000;

type Message = { readonly key: string; readonly value: Record<string, unknown> };

/** Reads so many messages of a topic, from its beginning; waits for the topic and the messages to be there. */
async function read(broker: string, topic: string, count: number): Promise<Message[]> {
  let messages: Message[] = [];
  await until(
    `${count} messages of ${topic}`,
    async () => {
      messages = await readOnce(broker, topic, count);
      return messages.length === count;
    },
    90_000,
  );
  return messages;
}

/** Fewer messages where no more come in time: a reader that was there before the topic's partitions may miss one of them. */
async function readOnce(broker: string, topic: string, count: number): Promise<Message[]> {
  const consumer = new Consumer({
    clientId: "test-reader",
    groupId: crypto.randomUUID(),
    bootstrapBrokers: [broker],
    deserializers: stringDeserializers,
    maxWaitTime: 50,
    retries: 10,
    retryDelay: 100,
  });
  const messages: Message[] = [];
  const stream = await consumer
    .consume({ topics: [topic], mode: "earliest", autocommit: false })
    .catch(() => null);
  if (stream !== null) {
    const late = setTimeout(() => void stream.close(), READ_MS);
    for await (const { key, value } of stream) {
      messages.push({ key, value: JSON.parse(value) as Record<string, unknown> });
      if (messages.length === count) break;
    }
    clearTimeout(late);
  }
  await consumer.close(true);
  return messages;
}

async function produce(broker: string, topic: string, values: readonly string[]): Promise<void> {
  const producer = new Producer({
    clientId: "test-writer",
    bootstrapBrokers: [broker],
    serializers: stringSerializers,
    autocreateTopics: true,
    retries: 20,
    retryDelay: 100,
  });
  await producer.send({ messages: values.map((value) => ({ topic, key: "k", value })) });
  await producer.close();
}

const noKafka = kafkaMissing();
describe.skipIf(skipUnless(noKafka === null, noKafka ?? ""))("Kafka", () => {
  let server: KafkaBroker;
  let broker = "";

  beforeAll(async () => {
    server = new KafkaBroker();
    broker = `127.0.0.1:${server.port}`;
  }, 120_000);
  beforeEach(() => server.up(), 120_000);
  afterAll(async () => {
    await server?.stop();
    server?.remove();
  });

  test("market data and decisions arrive, keyed by instrument, with exact prices", async () => {
    const desk = new ShownDesk();
    const options = kafka(broker);
    const { distributor, problems } = desk.distributor({ kafka: options });
    desk.top(1, 618_003);
    const trade = desk.begin(EVENT.trade, 2);
    desk.events.level(SIDE.ask, 618_003, 7);
    expect(trade).toBe(1);
    const ticker = desk.begin(EVENT.ticker, 3);
    desk.events.values[ticker * TICKER_FIELDS + TICKER.markPrice] = 61_800.25;
    desk.events.status(0, FEED_STATE.unsound, UNSOUND.gap);
    desk.show(distributor, 4);
    distributor.onPrediction(0, new Float32Array([9, 0.25, 0.5]), 1, 2, REASON.modelWarming, START_US);
    const quotes = new QuoteBatch(4);
    quotes.count = 1;
    quotes.quoteId[0] = 77;
    quotes.bidTicks[0] = 617_999;
    quotes.bidLots[0] = 2;
    quotes.askTicks[0] = -1;
    quotes.reasons[0] = REASON.modelWarming;
    distributor.onQuotes(quotes, START_US);
    distributor.onCancelAll(START_US + 1);

    const [top, status] = await read(broker, `${options.topicPrefix}top`, 2);
    expect(top).toEqual({
      key: "deribit:BTC-PERPETUAL",
      value: {
        type: "top",
        venue: "deribit",
        instrument: "BTC-PERPETUAL",
        receivedUs: START_US + 4_500,
        exchangeUs: START_US + 1_000,
        bid: 61_800.3,
        bidSize: 30,
        ask: 61_800.8,
        askSize: 40,
      },
    });
    expect(status?.value).toMatchObject({ type: "status", state: "unsound", reason: "gap" });
    const [traded] = await read(broker, `${options.topicPrefix}trades`, 1);
    expect(traded?.value).toMatchObject({ type: "trade", side: "sell", price: 61_800.3, size: 70 });
    const [reference] = await read(broker, `${options.topicPrefix}tickers`, 1);
    expect(reference?.value).toMatchObject({ type: "ticker", markPrice: 61_800.25 });
    expect(reference?.value).not.toHaveProperty("indexPrice");
    const [prediction] = await read(broker, `${options.topicPrefix}predictions`, 1);
    expect(prediction).toMatchObject({
      key: "BTC",
      value: {
        probabilities: { down: 0.25, up: 0.5 },
        notInForce: ["modelWarming"],
        schemaHash: SCHEMA_HASH,
        model: "test-model",
      },
    });
    const decisions = await read(broker, `${options.topicPrefix}quotes`, 2);
    expect(decisions.find(({ key }) => key !== "*")?.value).toMatchObject({
      type: "quote",
      quoteId: 77,
      bid: 61_799.9,
      bidSize: 20,
      ask: null,
      askSize: 0,
      reasons: ["modelWarming"],
    });
    expect(decisions.find(({ key }) => key === "*")?.value).toMatchObject({ type: "cancelAll" });
    await distributor.ended();
    expect(distributor.counter("kafkaSent")).toBe(7);
    expect([distributor.dropped, distributor.failure, problems]).toEqual([0, null, []]);
  }, 240_000);

  test("the top is published when it changes, not with every event", async () => {
    const desk = new ShownDesk();
    const options = kafka(broker, { publish: ["top"] });
    const { distributor } = desk.distributor({ kafka: options });
    for (const [i, ticks] of [1_000, 1_000, 1_001, 1_001, 1_000].entries()) {
      desk.top(i, ticks);
      desk.show(distributor, i);
    }
    const tops = await read(broker, `${options.topicPrefix}top`, 3);
    expect(tops.map(({ value }) => value.bid)).toEqual([100, 100.1, 100]);
    await distributor.ended();
    expect(distributor.counter("kafkaSent")).toBe(3);
  }, 120_000);

  test.each(KAFKA_COMPRESSIONS)(
    "compressed by %s it arrives",
    async (compression) => {
      const desk = new ShownDesk();
      const options = kafka(broker, { publish: ["top"], compression, acks: "all" });
      const { distributor } = desk.distributor({ kafka: options });
      for (let i = 0; i < 100; i += 1) {
        desk.top(i, 1_000 + i);
        desk.show(distributor, i);
      }
      expect(await read(broker, `${options.topicPrefix}top`, 100)).toHaveLength(100);
      await distributor.ended();
    },
    120_000,
  );

  test("signals come in from every topic named, as they were sent; what is too long is dropped", async () => {
    const desk = new ShownDesk();
    const topics = ["sentiment", "macro"].map((name) => `${name}-${crypto.randomUUID()}`);
    const good = '{"signal":"sentiment","value":0.3,"ts":1723161256172}';
    await produce(broker, topics[0] ?? "", [good, `"${"x".repeat(5_000)}"`]);
    await produce(broker, topics[1] ?? "", ['{"signal":"macro","value":-1}']);
    const options = kafka(broker, { publish: [], signalTopics: topics });
    const { distributor, signals } = desk.distributor({ kafka: options });
    await until("signals", () => signals.length === 2 && distributor.counter("signalsDropped") === 1);
    expect(signals.toSorted()).toEqual(['{"signal":"macro","value":-1}', good]);
    await distributor.ended();
  }, 120_000);

  test("over TLS with SCRAM, both ways; with a wrong password it says so and nothing arrives", async () => {
    const desk = new ShownDesk();
    const { certFile, username, password, securePort } = server;
    const secure = (word: string): Partial<KafkaOptions> => ({
      tls: { ca: readFileSync(certFile, "utf8"), certificate: undefined },
      sasl: { mechanism: "SCRAM-SHA-512", username, password: new Secret(word) },
    });
    const topic = `risk-${crypto.randomUUID()}`;
    await produce(broker, topic, ['{"signal":"risk","value":1}']);
    const options = kafka(`127.0.0.1:${securePort}`, {
      ...secure(password),
      publish: ["top"],
      signalTopics: [topic],
    });
    const { distributor, signals, problems } = desk.distributor({ kafka: options });
    desk.top(1, 1_000);
    desk.show(distributor, 1);
    await until("both ways", () => signals.length === 1 && distributor.counter("kafkaSent") === 1);
    expect(problems).toEqual([]);
    await distributor.ended();

    const unknown = desk.distributor({
      kafka: kafka(`127.0.0.1:${securePort}`, {
        ...secure(password),
        tls: { ca: undefined, certificate: undefined },
        publish: ["top"],
      }),
    });
    desk.top(2, 1_001);
    desk.show(unknown.distributor, 2);
    await until("the distrust", () => unknown.problems.length > 0);
    expect(unknown.problems.join()).toMatch(/certificate/i);
    await unknown.distributor.ended();

    const refused = desk.distributor({
      kafka: kafka(`127.0.0.1:${securePort}`, { ...secure("wrong"), publish: ["top"] }),
    });
    desk.top(3, 1_002);
    desk.show(refused.distributor, 3);
    await until("the refusal", () => refused.problems.length > 0);
    expect(refused.problems.join()).toMatch(/authenticat/i);
    expect(refused.problems.join()).not.toContain("wrong");
    expect(refused.distributor.counter("kafkaUp")).toBe(0);
    await refused.distributor.ended();
  }, 120_000);

  test("while the broker is away what waits is bounded and counted; when it is back messages and signals flow again", async () => {
    const desk = new ShownDesk();
    const topic = `signals-${crypto.randomUUID()}`;
    await produce(broker, topic, ['{"signal":"a","value":1}']);
    const options = kafka(broker, {
      publish: ["top", "trades"],
      backlogMessages: 1_000,
      signalTopics: [topic],
    });
    const { distributor, signals } = desk.distributor({ kafka: options });
    desk.top(0, 500);
    desk.show(distributor, 0);
    await until("the first message", () => distributor.counter("kafkaSent") === 1 && signals.length === 1);
    let shown = 1;
    const trade = () => {
      desk.begin(EVENT.trade, shown);
      desk.events.level(SIDE.bid, 1_000, shown);
      desk.show(distributor, shown);
      shown += 1;
    };
    await server.stop();
    for (let i = 1; i <= 4_000; i += 1) trade();
    await until("the outage to be noticed", () => distributor.counter("kafkaUp") === 0, 40_000);
    await until("the backlog", () => distributor.counter("kafkaDropped") > 0);
    expect(distributor.counter("kafkaBacklog")).toBeLessThanOrEqual(1_000);
    await server.start();
    const before = distributor.counter("kafkaSent");
    await until(
      "messages to flow",
      () => {
        trade();
        return distributor.counter("kafkaSent") > before && distributor.counter("kafkaUp") === 1;
      },
      40_000,
    );
    await produce(broker, topic, ['{"signal":"b","value":2}']);
    await until("signals to flow", () => signals.some((frame) => frame.includes('"b"')), 40_000);
    await distributor.ended();
    const all = (["kafkaSent", "kafkaFailed", "kafkaDropped", "kafkaConflated"] as const).map((name) =>
      distributor.counter(name),
    );
    expect(all.reduce((sum, count) => sum + count, 0)).toBe(shown);
  }, 120_000);
});
