import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigError, loadConfig } from "../../src/config.ts";

const folder = mkdtempSync(join(tmpdir(), "keel-distribution-config-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function problems(env: Record<string, string>): string[] {
  try {
    loadConfig(env);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ name }) => name);
  }
}

test("without brokers and Redis nothing is distributed", () => {
  expect(loadConfig({}).distribution).toEqual({ kafka: undefined, redis: undefined });
});

test("Kafka with TLS and a log-on is read, secrets from files", () => {
  const { distribution, signals } = loadConfig({
    KEEL_KAFKA_BROKERS: "kafka-1.example:9093, [::1]:9093",
    KEEL_KAFKA_PUBLISH: "quotes,top",
    KEEL_KAFKA_SIGNAL_TOPICS: "sentiment,macro",
    KEEL_KAFKA_TLS: "on",
    KEEL_KAFKA_TLS_CA_FILE: file("ca.pem", "-----BEGIN CERTIFICATE-----\n"),
    KEEL_KAFKA_SASL_USERNAME: "desk",
    KEEL_KAFKA_SASL_PASSWORD_FILE: file("password", "hush\n"),
  });
  expect(distribution.kafka).toMatchObject({
    brokers: ["kafka-1.example:9093", "[::1]:9093"],
    publish: ["top", "quotes"],
    acks: "leader",
    tls: { ca: "-----BEGIN CERTIFICATE-----\n" },
    sasl: { mechanism: "SCRAM-SHA-512", username: "desk" },
  });
  expect(distribution.kafka?.sasl?.password.reveal()).toBe("hush");
  expect(JSON.stringify(distribution)).not.toContain("hush");
  expect(signals).toMatchObject({ webSocketUrl: null });
});

test("Redis is read with its password and times", () => {
  const { redis } = loadConfig({
    KEEL_REDIS_URL: "rediss://cache.example:6380/2",
    KEEL_REDIS_PASSWORD_FILE: file("redis", "hush"),
    KEEL_REDIS_TTL_MS: "2500",
  }).distribution;
  expect(redis).toMatchObject({
    url: "rediss://cache.example:6380/2",
    prefix: "keel:",
    ttlMs: 2_500,
    intervalMs: 100,
  });
  expect(redis?.password?.reveal()).toBe("hush");
});

describe("what does not fit is refused", () => {
  test.each([
    [{ KEEL_KAFKA_BROKERS: "kafka" }, ["KEEL_KAFKA_BROKERS"]],
    [{ KEEL_KAFKA_BROKERS: "user@kafka:1" }, ["KEEL_KAFKA_BROKERS"]],
    [{ KEEL_KAFKA_BROKERS: "kafka:70000" }, ["KEEL_KAFKA_BROKERS"]],
    [{ KEEL_KAFKA_BROKERS: "k:1", KEEL_KAFKA_PUBLISH: "top,top" }, ["KEEL_KAFKA_PUBLISH"]],
    [{ KEEL_KAFKA_BROKERS: "k:1", KEEL_KAFKA_PUBLISH: "books" }, ["KEEL_KAFKA_PUBLISH"]],
    [{ KEEL_KAFKA_BROKERS: "k:1", KEEL_KAFKA_SIGNAL_TOPICS: "a b" }, ["KEEL_KAFKA_SIGNAL_TOPICS"]],
    [{ KEEL_KAFKA_SIGNAL_TOPICS: "signals" }, ["KEEL_KAFKA_BROKERS"]],
    [{ KEEL_KAFKA_BROKERS: "k:1", KEEL_KAFKA_SASL_USERNAME: "desk" }, ["KEEL_KAFKA_SASL_PASSWORD_FILE"]],
    [{ KEEL_REDIS_URL: "redis://user:pass@host" }, ["KEEL_REDIS_URL"]],
    [{ KEEL_REDIS_URL: "http://host" }, ["KEEL_REDIS_URL"]],
  ])("%o", (env, names) => {
    expect(problems(env as Record<string, string>)).toEqual(names);
  });

  test("half a client certificate", () => {
    const env = { KEEL_KAFKA_BROKERS: "k:1", KEEL_KAFKA_TLS: "on" };
    const cert = file("cert.pem", "-----BEGIN CERTIFICATE-----\n");
    expect(problems({ ...env, KEEL_KAFKA_TLS_CERT_FILE: cert })).toEqual(["KEEL_KAFKA_TLS_KEY_FILE"]);
  });
});
