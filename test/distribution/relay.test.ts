import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { Consumer, Producer, stringDeserializers, stringSerializers } from "@platformatic/kafka";
import { KafkaFeedSource } from "../../src/distribution/feed/source.ts";
import type { KafkaOptions } from "../../src/distribution/options.ts";
import { FEED_STATE } from "../../src/market/event-batch.ts";
import { KafkaBroker, kafkaMissing } from "../support/services.ts";
import { skipUnless } from "../support/shared-data.ts";
import { bestOf, levelsOf, Market, Reader, SYMBOL, until } from "./relay-bed.ts";

const missing = kafkaMissing();
describe.skipIf(skipUnless(missing === null, missing ?? ""))(
  "a feed taken from another keel over Kafka",
  () => {
    let server: KafkaBroker;
    let broker: string;

    function options(topicPrefix = `t${crypto.randomUUID().slice(0, 8)}.`): KafkaOptions {
      return {
        brokers: [broker],
        clientId: "keel-test",
        topicPrefix,
        publish: ["feed"],
        snapshotMs: 300,
        lingerMs: 5,
        feedTopic: `${topicPrefix}feed`,
        acks: "leader",
        compression: "none",
        backlogMessages: 5_000,
        signalTopics: [],
        signalStart: "latest",
        tls: undefined,
        sasl: undefined,
      };
    }

    async function sameAtRest(market: Market, reader: Reader): Promise<void> {
      // A best price ahead of its change comes in a message of its own.
      const same = () =>
        levelsOf(reader.book) === levelsOf(market.book) && bestOf(reader.book) === bestOf(market.book);
      // Whole books go out with what the market does: a change that was lost at the very end waits for the next one.
      for (let tries = 0; tries < 20 && !same(); tries += 1) {
        for (let wait = 0; wait < 50 && !same(); wait += 1) await Bun.sleep(10);
        if (!same()) market.step();
      }
      await until("the same book", same);
      expect(reader.wrong).toEqual([]);
    }

    beforeAll(async () => {
      server = new KafkaBroker();
      broker = `127.0.0.1:${server.port}`;
    }, 120_000);
    beforeEach(() => server.up(), 120_000);
    // A client that a failed test leaves behind would fail the one that takes its broker away.
    const clients: { close(force: boolean): Promise<unknown> }[] = [];
    afterEach(async () => {
      for (const client of clients.splice(0)) await client.close(true).catch(() => {});
    });
    afterAll(async () => {
      await server.stop();
      server.remove();
    });

    test("a late joiner has the publisher's book at every change, its trades and tickers, and its distrust", async () => {
      const kafka = options();
      const market = new Market(kafka);
      market.open();
      await market.until("messages", () => market.distributor.counter("kafkaSent") > 100);
      const reader = new Reader(kafka, market, 0.1);
      await market.until("the reader to be live", () => reader.live);
      const { compared } = reader;
      await market.until("changes", () => reader.compared > compared + 300 && reader.trades > 50);
      await sameAtRest(market, reader);
      expect([reader.states, reader.feed.counters.gaps, reader.feed.problem]).toEqual([
        [FEED_STATE.live],
        0,
        "",
      ]);
      expect(reader.mark).toBeGreaterThan(20_000);
      expect(reader.feed.carried.map(({ symbol, tick, tickSteps }) => [symbol, tick, tickSteps])).toEqual([
        [SYMBOL, { mantissa: 5, scale: 1 }, [{ fromPriceTicks: 100_000, multiple: 2 }]],
      ]);
      market.distrust();
      await until("the distrust", () => reader.state === FEED_STATE.unsound);
      market.open();
      await market.until("the trust", () => reader.live);
      await sameAtRest(market, reader);
      reader.close();
      await market.distributor.ended();
      expect(market.problems).toEqual([]);
    }, 180_000);

    test("messages that come twice change nothing; one that is missing makes the book unsound until the next whole one", async () => {
      const original = options();
      const copy = options();
      const market = new Market(original);
      const reader = new Reader(copy, market, 0.1);
      const producer = new Producer({
        clientId: "copier",
        bootstrapBrokers: [broker],
        serializers: stringSerializers,
        autocreateTopics: true,
        retries: 20,
        retryDelay: 100,
      });
      const consumer = new Consumer({
        clientId: "copier",
        groupId: crypto.randomUUID(),
        bootstrapBrokers: [broker],
        deserializers: stringDeserializers,
        maxWaitTime: 20,
      });
      clients.push(consumer, producer);
      market.open();
      await market.until("messages", () => market.distributor.counter("kafkaSent") > 10);
      await producer.send({ messages: [{ topic: copy.feedTopic, key: "nobody", value: "{}" }] });
      const stream = await consumer.consume({
        topics: [original.feedTopic],
        mode: "latest",
        autocommit: false,
      });
      let [copied, dropNext] = [0, false];
      const copying = (async () => {
        for await (const { key, value } of stream) {
          copied += 1;
          if (dropNext && value.includes('"type":"delta"')) {
            dropNext = false;
            continue;
          }
          const message = { topic: copy.feedTopic, key, value };
          await producer.send({ messages: copied % 3 === 0 ? [message, message] : [message] });
        }
      })();
      await market.until("the reader to be live", () => reader.live);
      const { compared } = reader;
      await market.until("changes", () => reader.compared > compared + 100);
      expect([reader.states, reader.feed.counters.gaps]).toEqual([[FEED_STATE.live], 0]);
      dropNext = true;
      await market.until("the gap and its healing", () => reader.states.length === 3);
      expect(reader.states).toEqual([FEED_STATE.live, FEED_STATE.unsound, FEED_STATE.live]);
      expect(reader.feed.counters).toMatchObject({ gaps: 1, resyncs: 1, unparsable: 0 });
      await sameAtRest(market, reader);
      reader.close();
      await stream.close();
      await copying;
      await market.distributor.ended();
    }, 180_000);

    test("what did not fit the ring is a loss that readers are told of, and the desk's book heals it", async () => {
      const kafka = options();
      const market = new Market(kafka, 64 * 1_024);
      market.open();
      await market.until("messages", () => market.distributor.counter("kafkaSent") > 10);
      const reader = new Reader(kafka, market);
      await market.until("the reader to be live", () => reader.live);
      for (let i = 0; i < 2_000; i += 1) market.step();
      expect(market.distributor.dropped).toBeGreaterThan(0);
      await market.until("the healing", () => reader.states.length >= 3 && reader.live);
      await sameAtRest(market, reader);
      expect(reader.feed.counters.gaps).toBeGreaterThan(0);
      reader.close();
      await market.distributor.ended();
    }, 180_000);

    test("a broker that restarts is a lost connection, with no book trusted meanwhile; then both come back by themselves", async () => {
      const kafka = options();
      const market = new Market(kafka);
      market.open();
      await market.until("messages", () => market.distributor.counter("kafkaSent") > 10);
      const reader = new Reader(kafka, market);
      await market.until("the reader to be live", () => reader.live);
      await server.stop();
      await market.until("the outage to be noticed", () => !reader.live, 60_000);
      await server.start();
      await market.until("the reader to be live again", () => reader.live, 60_000);
      const { compared } = reader;
      await market.until("changes", () => reader.compared > compared + 50);
      await sameAtRest(market, reader);
      expect(reader.feed.counters.resyncs).toBeGreaterThan(0);
      reader.close();
      await market.distributor.ended();
    }, 240_000);

    test("a desk that is slower than the topic gets all of it in order, and its timers turn meanwhile", async () => {
      const MESSAGES = 24_000;
      const kafka = options();
      const producer = new Producer({
        clientId: "burst",
        bootstrapBrokers: [broker],
        serializers: stringSerializers,
        autocreateTopics: true,
        retries: 20,
        retryDelay: 100,
      });
      clients.push(producer);
      const send = (values: readonly number[]) =>
        producer.send({
          messages: values.map((value) => {
            return { topic: kafka.feedTopic, partition: 0, key: "deribit:A", value: String(value) };
          }),
        });
      const source = new KafkaFeedSource(kafka, new Map([[0, "deribit"]]));
      clients.push({ close: async () => source.close() });
      const numbers: number[] = [];
      const waitedMs: number[] = [];
      source.connect(0, {
        onOpen: () => {},
        onFrame: (_feed, text) => {
          for (const endMs = performance.now() + 0.1; performance.now() < endMs; );
          numbers.push(Number(text));
        },
        onClose: () => {},
        onResponse: () => {},
      });
      while (numbers.length === 0) {
        await send([-1]);
        await Bun.sleep(50);
      }
      const timer = setInterval(() => waitedMs.push(source.waitedMs(performance.now() * 1e6)), 10);
      for (let from = 0; from < MESSAGES; from += MESSAGES / 2) {
        await send(Array.from({ length: MESSAGES / 2 }, (_, at) => from + at));
      }
      await until("all messages", () => numbers.at(-1) === MESSAGES - 1);
      clearInterval(timer);
      expect(numbers.filter((number) => number >= 0)).toEqual(
        Array.from({ length: MESSAGES }, (_, number) => number),
      );
      expect(Math.max(...waitedMs)).toBeGreaterThan(100);
      expect(waitedMs.length).toBeGreaterThan(20);
      await until("nothing to wait", () => source.waitedMs(performance.now() * 1e6) === 0);
    }, 180_000);

    /** Those that are begun while `act` runs. */
    async function threadsOf(room: string, act: (threads: Worker[]) => Promise<void>): Promise<void> {
      const Original = globalThis.Worker;
      const threads: Worker[] = [];
      globalThis.Worker = class extends Original {
        constructor(...made: ConstructorParameters<typeof Worker>) {
          super(...made);
          if (String(made[0]).includes(room)) threads.push(this);
        }
      };
      try {
        await act(threads);
      } finally {
        globalThis.Worker = Original;
      }
    }

    test.each<[string, (thread: Worker | undefined) => void]>([
      ["ends", (thread) => thread?.terminate()],
      ["throws", (thread) => thread?.postMessage(null)],
    ])(
      "a reading thread that %s is a lost connection in that turn, and another one takes its place",
      (_, end) =>
        threadsOf("distribution/feed", async (threads) => {
          const market = new Market(options());
          market.open();
          await market.until("messages", () => market.distributor.counter("kafkaSent") > 10);
          const reader = new Reader(market.kafka, market);
          await market.until("the reader to be live", () => reader.live);
          const states = reader.states.length;
          end(threads.at(-1));
          await market.until("the loss to be noticed", () => reader.problems.length > 0);
          expect(reader.states.slice(states, states + 1)).toEqual([FEED_STATE.unsound]);
          expect([reader.problems[0], reader.source.losses.crash]).toEqual([
            expect.stringContaining("its thread ended"),
            1,
          ]);
          await market.until("the reader to be live again", () => reader.live, 60_000);
          const { compared } = reader;
          await market.until("changes", () => reader.compared > compared + 50);
          await sameAtRest(market, reader);
          expect(threads.length).toBeGreaterThan(1);
          reader.close();
          await market.distributor.ended();
        }),
      240_000,
    );

    test(
      "a publishing thread that ends is replaced, and its readers are told the book anew",
      () =>
        threadsOf("distribution", async (threads) => {
          const market = new Market(options());
          const publishing = threads.at(-1);
          market.open();
          await market.until("messages", () => market.distributor.counter("kafkaSent") > 100);
          const reader = new Reader(market.kafka, market);
          await market.until("the reader to be live", () => reader.live);
          const sent = market.distributor.counter("kafkaSent");
          publishing?.terminate();
          await until("the loss to be noticed", () => market.distributor.failure !== null);
          expect(market.problems).toEqual(["distribution: its thread ended"]);
          expect(market.distributor.counter("kafkaSent")).toBeGreaterThanOrEqual(sent);
          const { compared } = reader;
          // The market stands still: only what is told anew can heal the reader.
          await until(
            "the book to be told anew",
            () => {
              market.turn();
              return reader.compared > compared && reader.live;
            },
            60_000,
          );
          await market.until("changes", () => reader.compared > compared + 50);
          await sameAtRest(market, reader);
          expect(market.distributor.losses.crash).toBe(1);
          await until("the new thread to be seen", () => market.distributor.failure === null);
          reader.close();
          await market.distributor.ended();
        }),
      240_000,
    );
  },
);
