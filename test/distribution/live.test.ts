import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Consumer, Producer, stringDeserializers, stringSerializers } from "@platformatic/kafka";
import { RedisClient } from "bun";
import { simulatedCapture } from "../../src/bench/input.ts";
import { SCHEMA_HASH } from "../../src/feature/schema.ts";
import { JournalReader } from "../../src/journal/reader.ts";
import { RECORD } from "../../src/journal/record.ts";
import { CaptureVenue } from "../../src/sim/capture-venue.ts";
import { freePort, KafkaBroker, kafkaMissing, RedisServer, redisMissing } from "../support/services.ts";
import { skipUnless } from "../support/shared-data.ts";

const MAIN = join(import.meta.dir, "../../src/main.ts");
const folder = mkdtempSync(join(tmpdir(), "keel-distribution-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function until(what: string, condition: () => boolean | Promise<boolean>, ms = 60_000): Promise<void> {
  const deadline = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${ms} ms for ${what}`);
    await Bun.sleep(50);
  }
}

const missing = kafkaMissing() ?? redisMissing();

test.skipIf(skipUnless(missing === null, missing ?? ""))(
  "a live desk publishes, mirrors, takes signals from Kafka into its journal; a second one takes its market from the first; both replay the same bit for bit",
  async () => {
    const [kafka, redis] = [new KafkaBroker(), new RedisServer()];
    const capture = join(folder, "capture.log");
    writeFileSync(capture, simulatedCapture(7, 240));
    const broker = `127.0.0.1:${kafka.port}`;
    const served = await CaptureVenue.start({ capture, speed: 1 });
    await Promise.all([kafka.start(), redis.start()]);
    const client = { clientId: "test", bootstrapBrokers: [broker], retries: 20, retryDelay: 100 };
    const producer = new Producer({ ...client, serializers: stringSerializers, autocreateTopics: true });
    const signal = (value: number) =>
      producer.send({
        messages: [{ topic: "signals", key: "BTC", value: JSON.stringify({ signal: "mood", value }) }],
      });
    await signal(0.1);
    const journal = join(folder, "journal");
    const password = join(folder, "redis-password");
    writeFileSync(password, redis.password);
    const port = freePort();
    const desk = Bun.spawn([process.execPath, MAIN, "run", "--json"], {
      env: {
        PATH: process.env.PATH ?? "",
        KEEL_STATE_DIR: join(folder, "state"),
        KEEL_FEEDS: "binance-usdm:BTCUSDT",
        KEEL_URL_BINANCE_USDM: served.url,
        KEEL_DEVICE: "cpu",
        KEEL_WARM_UP_MS: "0",
        KEEL_SHED: "off",
        KEEL_JOURNAL_DIR: journal,
        KEEL_HTTP: `127.0.0.1:${port}`,
        KEEL_KAFKA_BROKERS: broker,
        KEEL_KAFKA_PUBLISH: "top,trades,tickers,predictions,quotes,feed",
        KEEL_KAFKA_SIGNAL_TOPICS: "signals",
        KEEL_SIGNALS: "mood",
        KEEL_REDIS_URL: redis.url,
        KEEL_REDIS_PASSWORD_FILE: password,
      },
      stdout: "pipe",
      stderr: "pipe",
    });
    const followerJournal = join(folder, "follower-journal");
    const followerPort = freePort();
    const follower = Bun.spawn([process.execPath, MAIN, "run", "--json"], {
      env: {
        PATH: process.env.PATH ?? "",
        KEEL_STATE_DIR: join(folder, "follower-state"),
        KEEL_FEEDS: "binance-usdm:relay:BTCUSDT",
        KEEL_DEVICE: "cpu",
        KEEL_WARM_UP_MS: "0",
        KEEL_SHED: "off",
        KEEL_JOURNAL_DIR: followerJournal,
        KEEL_HTTP: `127.0.0.1:${followerPort}`,
        KEEL_KAFKA_BROKERS: broker,
        KEEL_KAFKA_PUBLISH: "none",
      },
      stdout: "pipe",
      stderr: "pipe",
    });
    try {
      const metric = async (name: string, at = port): Promise<number> => {
        const text = await fetch(`http://127.0.0.1:${at}/metrics`)
          .then((answer) => answer.text())
          .catch(() => "");
        return Number(
          text
            .split("\n")
            .find((line) => line.startsWith(`${name} `))
            ?.split(" ")
            .at(-1) ?? Number.NaN,
        );
      };
      await until(
        "the desk to publish",
        async () => (await metric('keel_kafka_messages_total{result="sent"}')) > 200,
      );
      await until("signals to be taken", async () => (await metric("keel_kafka_signals_up")) === 1);
      await until("a signal to arrive", async () => {
        await signal(0.7);
        return (await metric('keel_kafka_signals_total{result="received"}')) > 0;
      });
      expect(await metric("keel_kafka_up")).toBe(1);
      await until("features to be mirrored", async () => (await metric("keel_redis_up")) === 1);

      const url = new URL(redis.url);
      url.password = encodeURIComponent(redis.password);
      const reader = new RedisClient(url.href);
      expect(await reader.hget("keel:features:BTC", "schemaHash")).toBe(SCHEMA_HASH);
      reader.close();

      const topics = ["keel.top", "keel.trades", "keel.predictions"];
      const consumer = new Consumer({
        ...client,
        groupId: "test",
        deserializers: stringDeserializers,
        maxWaitTime: 50,
      });
      const seen = new Map<string, string>();
      const stream = await consumer.consume({ topics, mode: "earliest", autocommit: false });
      for await (const { topic, key } of stream) {
        seen.set(topic, key);
        if (seen.size === topics.length) break;
      }
      await consumer.close(true);
      expect(Object.fromEntries(seen)).toEqual({
        "keel.top": "binance-usdm:BTCUSDT",
        "keel.trades": "binance-usdm:BTCUSDT",
        "keel.predictions": "BTC",
      });
      expect(await metric("keel_distribution_dropped_total")).toBe(0);
      await until(
        "the follower's book to be live",
        async () => (await metric('keel_feed_instruments{state="live"}', followerPort)) === 1,
      );
      await until(
        "predictions of the follower",
        async () => (await metric("keel_inference_predictions_total", followerPort)) > 100,
      );
    } finally {
      follower.kill("SIGTERM");
      desk.kill("SIGTERM");
      await Promise.all([desk.exited, follower.exited]);
      await producer.close(true);
      await served.stop();
      await Promise.all([kafka.stop(), redis.stop()]);
      kafka.remove();
      redis.remove();
    }
    expect([desk.exitCode, await desk.stderr.text()]).toEqual([0, expect.not.stringContaining("error")]);

    const frames = [...new JournalReader(journal).records()]
      .filter(({ type, subject }) => type === RECORD.feedFrame && subject === 1)
      .map(({ payload }) => new TextDecoder().decode(payload));
    expect(frames).toContain('{"signal":"mood","value":0.7}');
    for (const run of [journal, followerJournal]) {
      const replay = Bun.spawnSync([process.execPath, MAIN, "replay", run, "--verify", "--json"]);
      const verified = JSON.parse(replay.stdout.toString().trimEnd().split("\n").at(-1) ?? "") as Record<
        string,
        unknown
      >;
      expect(verified).toMatchObject({ identical: true, missing: 0 });
      expect(Number(verified.compared)).toBeGreaterThan(0);
    }
  },
  300_000,
);
