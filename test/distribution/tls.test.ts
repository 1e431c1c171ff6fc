import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Secret } from "../../src/core/secret.ts";
import { Counters, revealed } from "../../src/distribution/control.ts";
import { KafkaPublisher } from "../../src/distribution/kafka-publisher.ts";
import { KafkaSignals } from "../../src/distribution/kafka-signals.ts";
import type { KafkaOptions, RedisOptions, TlsOptions } from "../../src/distribution/options.ts";
import { RedisMirror } from "../../src/distribution/redis-mirror.ts";
import { type CertificateFiles, makeCertificates } from "../support/certificate-authority.ts";
import { KafkaBroker, kafkaMissing, RedisServer, redisMissing } from "../support/services.ts";
import { skipUnless } from "../support/shared-data.ts";

const folder = mkdtempSync(join(tmpdir(), "keel-tls-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const noOpenssl = Bun.which("openssl") === null ? "no openssl for certificates" : null;
const certificates = noOpenssl === null ? makeCertificates(folder) : null;

const pem = (file: string): string => readFileSync(file, "utf8");

async function until(what: string, condition: () => boolean, ms = 45_000): Promise<void> {
  const deadline = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited ${ms} ms for ${what}`);
    await Bun.sleep(10);
  }
}

const noRedis = redisMissing() ?? noOpenssl;
describe.skipIf(skipUnless(noRedis === null, noRedis ?? ""))("Redis over TLS", () => {
  const { ca, server, elsewhere } = certificates ?? { ca: "", server: undefined, elsewhere: undefined };
  const right = new RedisServer(server === undefined ? undefined : { server, ca });
  const wrong = new RedisServer(elsewhere === undefined ? undefined : { server: elsewhere, ca });

  beforeAll(async () => {
    await Promise.all([right.start(), wrong.start()]);
  }, 120_000);
  afterAll(async () => {
    for (const redis of [right, wrong]) {
      await redis.stop();
      redis.remove();
    }
  });

  /** Mirrors one row; tells what came of it. */
  async function mirror(redis: RedisServer, vouching: string | undefined) {
    const options: RedisOptions = {
      url: redis.url,
      username: undefined,
      password: new Secret(redis.password),
      prefix: "keel:",
      ttlMs: 60_000,
      intervalMs: 10,
      ca: vouching,
    };
    const counters = new Counters(Counters.memory());
    const problems: string[] = [];
    const schema = { schemaHash: "hash", features: [{ name: "x", unit: "1", windowMs: 0 }] };
    const subject = new RedisMirror(revealed(options), schema, counters, (problem) => problems.push(problem));
    subject.set("BTC", 1, new Float64Array([0.5]));
    subject.pump(performance.now());
    await until("the row's fate", () => counters.get("redisWritten") + problems.length > 0);
    await subject.close(performance.now() + 1_000);
    return { written: counters.get("redisWritten"), problems: problems.join() };
  }

  test("features arrive where the authority that was named vouches for the host", async () => {
    expect(await mirror(right, pem(ca))).toEqual({ written: 1, problems: "" });
  });

  test("nothing is sent to a server that nobody known vouches for", async () => {
    const { written, problems } = await mirror(right, undefined);
    expect([written, problems]).toEqual([0, expect.stringMatching(/certificate|verif/i)]);
    expect(problems).not.toContain(right.password);
  });

  test("nothing is sent to a server that shows the certificate of another host", async () => {
    const { written, problems } = await mirror(wrong, pem(ca));
    expect([written, problems]).toEqual([0, expect.stringMatching(/host|altname|certificate/i)]);
  });
});

const noKafka = kafkaMissing() ?? noOpenssl;
describe.skipIf(skipUnless(noKafka === null, noKafka ?? ""))("Kafka over TLS", () => {
  const broker = noKafka === null ? new KafkaBroker(certificates) : null;
  const ports = { mutual: broker?.mutualPort ?? 0, elsewhere: broker?.elsewherePort ?? 0 };

  beforeEach(() => broker?.up(), 120_000);
  afterAll(async () => {
    await broker?.stop();
    broker?.remove();
  });

  function options(port: number, client: CertificateFiles | undefined, topic = "signals"): KafkaOptions {
    const tls: TlsOptions = {
      ca: pem(certificates?.ca ?? ""),
      certificate:
        client === undefined ? undefined : { cert: pem(client.cert), key: new Secret(pem(client.key)) },
    };
    return {
      brokers: [`127.0.0.1:${port}`],
      clientId: "keel-test",
      topicPrefix: "t.",
      publish: ["top"],
      snapshotMs: 1_000,
      lingerMs: 5,
      feedTopic: "t.feed",
      acks: "leader",
      compression: "none",
      backlogMessages: 1_000,
      signalTopics: [topic],
      signalStart: "earliest",
      tls,
      sasl: undefined,
    };
  }

  /** Publishes one message; tells what came of it. */
  async function publish(kafka: KafkaOptions) {
    const counters = new Counters(Counters.memory());
    const problems: string[] = [];
    const publisher = new KafkaPublisher(revealed(kafka), counters, (problem) => problems.push(problem));
    const value = '{"signal":"mood","value":1}';
    publisher.add({
      message: { topic: kafka.signalTopics[0] ?? "", key: "k", value },
      latest: null,
      fences: null,
    });
    await until("the message's fate", () => {
      publisher.pump(performance.now());
      return counters.get("kafkaSent") + counters.get("kafkaFailed") > 0;
    });
    await publisher.close(performance.now() + 500);
    return { sent: counters.get("kafkaSent"), problems: problems.join() };
  }

  test("a client with a certificate publishes and is heard, and takes signals", async () => {
    const kafka = options(ports.mutual, certificates?.client);
    expect(await publish(kafka)).toEqual({ sent: 1, problems: "" });
    const counters = new Counters(Counters.memory());
    const signals = new KafkaSignals(revealed(kafka), counters, () => {});
    const taken: string[] = [];
    await until("the signal", () => taken.push(...signals.take()) > 0);
    expect(taken).toEqual(['{"signal":"mood","value":1}']);
    await signals.close(performance.now() + 500);
  }, 120_000);

  test("without a certificate, or with a stranger's, the broker takes nothing and the desk says so", async () => {
    for (const client of [undefined, certificates?.stranger]) {
      const { sent, problems } = await publish(options(ports.mutual, client));
      expect([sent, problems]).toEqual([0, expect.stringContaining("Kafka takes no messages")]);
      expect(problems).not.toContain("PRIVATE KEY");
    }
  }, 120_000);

  test("nothing is sent to a broker that shows the certificate of another host", async () => {
    const { sent, problems } = await publish(options(ports.elsewhere, undefined));
    expect([sent, problems]).toEqual([0, expect.stringMatching(/altname|host/i)]);
  }, 120_000);
});
