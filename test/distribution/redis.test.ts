import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { RedisClient } from "bun";
import { Secret } from "../../src/core/secret.ts";
import type { RedisOptions } from "../../src/distribution/options.ts";
import { FEATURE_COUNT, FEATURES, SCHEMA_HASH } from "../../src/feature/schema.ts";
import { RedisServer, redisMissing } from "../support/services.ts";
import { skipUnless } from "../support/shared-data.ts";
import { ShownDesk, START_US, until } from "./shown-desk.ts";

const noRedis = redisMissing();
describe.skipIf(skipUnless(noRedis === null, noRedis ?? ""))("Redis", () => {
  const server = new RedisServer();
  const options: RedisOptions = {
    url: server.url,
    username: undefined,
    password: new Secret(server.password),
    prefix: "keel:",
    ttlMs: 60_000,
    intervalMs: 10,
    ca: undefined,
  };
  const row = (value: number) => new Float32Array(FEATURE_COUNT + 1).fill(value);

  async function client(): Promise<RedisClient> {
    const url = new URL(server.url);
    url.password = encodeURIComponent(server.password);
    const connected = new RedisClient(url.href);
    await connected.connect();
    return connected;
  }

  beforeEach(() => server.up(), 120_000);
  afterAll(async () => {
    await server.stop();
    server.remove();
  });

  test("features vanish when they stop", async () => {
    const { distributor, problems } = new ShownDesk().distributor({ redis: { ...options, ttlMs: 300 } });
    const redis = await client();
    distributor.onFeatures(0, row(1), 1, START_US);
    await until("a row", () => distributor.counter("redisWritten") === 1);
    await until("the features to vanish", async () => (await redis.exists("keel:features:BTC")) === false);
    await distributor.ended();
    redis.close();
    expect(problems).toEqual([]);
  }, 120_000);

  test("the latest features are there with schema, time and an end, at most once an interval", async () => {
    const { distributor, problems } = new ShownDesk().distributor({ redis: options });
    for (let i = 0; i < 30; i += 1) distributor.onFeatures(0, row(i), 1, START_US + i * 1_000);
    const redis = await client();
    await until(
      "features",
      async () => (await redis.hget("keel:features:BTC", "receivedUs")) === String(START_US + 20_000),
    );
    const hash = (await redis.hgetall("keel:features:BTC")) as Record<string, string>;
    expect(hash.schemaHash).toBe(SCHEMA_HASH);
    expect(Object.keys(hash).length).toBe(FEATURE_COUNT + 2);
    for (const { name } of FEATURES) expect([name, hash[name]]).toEqual([name, "20"]);
    expect(Number(await redis.send("PTTL", ["keel:features:BTC"]))).toBeWithin(1, options.ttlMs + 1);
    const described = JSON.parse((await redis.get(`keel:schema:${SCHEMA_HASH}`)) ?? "[]") as {
      name: string;
    }[];
    expect(described.map(({ name }) => name)).toEqual(FEATURES.map(({ name }) => name));
    // The thread counts a row when Redis has answered, which another client may see earlier.
    await until(
      "three rows to be counted",
      () => distributor.counter("redisWritten") + distributor.counter("redisSkipped") === 3,
    );
    await distributor.ended();
    redis.close();
    expect(problems).toEqual([]);
  }, 120_000);

  test("whatever stood under a row's key is gone with it: fields of an earlier schema, a value of another type, a key without an end", async () => {
    const redis = await client();
    const { distributor, problems } = new ShownDesk().distributor({ redis: options });
    await redis.send("HSET", ["keel:features:BTC", "of_an_earlier_schema", "1", "schemaHash", "old"]);
    distributor.onFeatures(0, row(1), 1, START_US);
    await until("the first row", () => distributor.counter("redisWritten") === 1);
    const fields = (await redis.hkeys("keel:features:BTC")) as string[];
    expect(fields.length).toBe(FEATURE_COUNT + 2);
    expect(fields).not.toContain("of_an_earlier_schema");
    expect(Number(await redis.send("PTTL", ["keel:features:BTC"]))).toBeGreaterThan(0);
    await redis.set("keel:features:BTC", "no hash");
    distributor.onFeatures(0, row(2), 1, START_US + 20_000);
    await until("the second row", () => distributor.counter("redisWritten") === 2);
    expect(await redis.hget("keel:features:BTC", "schemaHash")).toBe(SCHEMA_HASH);
    await distributor.ended();
    redis.close();
    expect(problems).toEqual([]);
  }, 120_000);

  test("a Redis that went away and came back has features again", async () => {
    const { distributor, problems } = new ShownDesk().distributor({ redis: options });
    let i = 0;
    const step = () => {
      i += 1;
      distributor.onFeatures(0, row(i), 1, START_US + i * 20_000);
    };
    const flowing = async (what: string, condition: () => boolean) =>
      until(what, () => {
        step();
        return condition();
      });
    await flowing("features", () => distributor.counter("redisUp") === 1);
    await server.stop();
    await flowing("the outage to be noticed", () => distributor.counter("redisUp") === 0);
    await until("the problem to be told", () => problems.length > 0);
    await server.start();
    const before = distributor.counter("redisWritten");
    await flowing("features again", () => distributor.counter("redisWritten") > before);
    const redis = await client();
    await redis.send("CLIENT", ["PAUSE", "600000", "ALL"]);
    redis.close();
    await flowing("silence to be noticed", () => distributor.counter("redisUp") === 0);
    await until("the silence to be told", () => problems.some((problem) => problem.includes("no answer")));
    await server.stop();
    await server.start();
    const later = distributor.counter("redisWritten");
    await flowing("features after the silence", () => distributor.counter("redisWritten") > later);
    await distributor.ended();
  }, 120_000);
});
