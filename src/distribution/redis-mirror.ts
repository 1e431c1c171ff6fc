import { RedisClient } from "bun";
import { KeelError } from "../core/errors.ts";
import type { Counters, FeatureNames, PlainSecrets } from "./control.ts";
import { reasonOf } from "./kafka-client.ts";
import type { RedisOptions } from "./options.ts";
import { tlsDistrust } from "./tls-reason.ts";

const CONNECT_MS = 5_000;
/** A server that is gone without a word looks like a slow one; after so long it is asked anew over another connection. */
const ANSWER_MS = 5_000;
const PAUSE_MS = 250;
const PAUSE_MS_MAX = 2_000;
/** The description outlives a pause of the desk, but not its end for long. */
const SCHEMA_TTL_MS = 3_600_000;
const SCHEMA_EVERY_MS = 60_000;

/**
 * Mirrors each underlying's latest features to a Redis hash with a time to live, written anew each time in one transaction: `PREFIXfeatures:BASE` with the fields `schemaHash`,
 * `receivedUs` and one per feature. `PREFIXschema:HASH` describes the features. While one round is under way newer rows take the
 * waiting ones' place, so that memory is bounded by the number of underlyings.
 */
export class RedisMirror {
  readonly #options: PlainSecrets<RedisOptions>;
  readonly #schema: FeatureNames;
  readonly #counters: Counters;
  readonly #onProblem: (problem: string) => void;
  readonly #waiting = new Map<string, string[]>();
  #client: RedisClient | null = null;
  #writing: Promise<void> | null = null;
  #pauseMs = 0;
  #resumeMs = 0;
  #schemaMs = Number.NEGATIVE_INFINITY;

  constructor(
    options: PlainSecrets<RedisOptions>,
    schema: FeatureNames,
    counters: Counters,
    onProblem: (problem: string) => void,
  ) {
    this.#options = options;
    this.#schema = schema;
    this.#counters = counters;
    this.#onProblem = onProblem;
  }

  set(base: string, timeUs: number, values: Float64Array): void {
    if (this.#waiting.has(base)) this.#counters.add("redisSkipped");
    const fields = ["schemaHash", this.#schema.schemaHash, "receivedUs", String(timeUs)];
    for (const [column, { name }] of this.#schema.features.entries())
      fields.push(name, String(values[column]));
    this.#waiting.set(base, fields);
  }

  /** Begins a round when none is under way and something waits. To be called every few milliseconds. */
  pump(nowMs: number): void {
    if (this.#writing !== null || this.#waiting.size === 0 || nowMs < this.#resumeMs) return;
    this.#writing = this.#write(nowMs).finally(() => {
      this.#writing = null;
    });
  }

  async close(untilMs: number): Promise<void> {
    if (this.#pauseMs === 0) this.pump(Number.POSITIVE_INFINITY);
    await Promise.race([this.#writing, Bun.sleep(Math.max(0, untilMs - performance.now()))]);
    this.#client?.close();
  }

  async #write(nowMs: number): Promise<void> {
    const { prefix, ttlMs } = this.#options;
    const rows = [...this.#waiting];
    this.#waiting.clear();
    try {
      const client = await this.#connected();
      const commands = rows.flatMap(([base, fields]) => {
        const key = `${prefix}features:${base}`;
        // At once: a row never stands without its time to live, and no field of an earlier schema stays in it.
        return [
          client.send("MULTI", []),
          client.send("DEL", [key]),
          client.send("HSET", [key, ...fields]),
          client.send("PEXPIRE", [key, String(ttlMs)]),
          client.send("EXEC", []),
        ];
      });
      if (nowMs - this.#schemaMs > SCHEMA_EVERY_MS) {
        const { schemaHash, features } = this.#schema;
        const text = JSON.stringify(features);
        commands.push(
          client.send("SET", [`${prefix}schema:${schemaHash}`, text, "PX", String(SCHEMA_TTL_MS)]),
        );
      }
      await answered(settled(commands));
      if (nowMs - this.#schemaMs > SCHEMA_EVERY_MS) this.#schemaMs = nowMs;
      this.#counters.add("redisWritten", rows.length);
      this.#counters.set("redisUp", 1);
      this.#pauseMs = 0;
    } catch (error) {
      this.#counters.add("redisFailed", rows.length);
      this.#counters.set("redisUp", 0);
      if (this.#pauseMs === 0) this.#onProblem(`Redis takes no features: ${await this.#reason(error)}`);
      this.#pauseMs = Math.min(PAUSE_MS_MAX, Math.max(PAUSE_MS, this.#pauseMs * 2));
      this.#resumeMs = performance.now() + this.#pauseMs;
      this.#schemaMs = Number.NEGATIVE_INFINITY;
      this.#client?.close();
      this.#client = null;
    }
  }

  async #reason(error: unknown): Promise<string> {
    const { url, ca } = this.#options;
    const distrust = url.startsWith("rediss:") ? await tlsDistrust(url, ca) : null;
    return distrust ?? reasonOf(error);
  }

  async #connected(): Promise<RedisClient> {
    if (this.#client?.connected === true) return this.#client;
    this.#client?.close();
    const { url, username, password, ca } = this.#options;
    const client = new RedisClient(withCredentials(url, username, password), {
      connectionTimeout: CONNECT_MS,
      autoReconnect: false,
      enableOfflineQueue: false,
      ...(ca === undefined ? {} : { tls: { ca } }),
    });
    this.#client = client;
    await client.connect();
    return client;
  }
}

function withCredentials(url: string, username: string | undefined, password: string | undefined): string {
  if (password === undefined) return url;
  const whole = new URL(url);
  whole.username = encodeURIComponent(username ?? "");
  whole.password = encodeURIComponent(password);
  return whole.href;
}

/** @throws KeelError when there is no answer in time */
async function answered(answer: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new KeelError("redis-silent", `no answer within ${ANSWER_MS} ms`)),
      ANSWER_MS,
    );
  });
  try {
    await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits for all, so that none fails unheard, then throws the first failure. */
async function settled(commands: readonly Promise<unknown>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(commands))
    if (outcome.status === "rejected") throw outcome.reason;
}
