import type { KafkaOptions, RedisOptions } from "./options.ts";

/** Counters that the distribution's thread keeps and the desk's reads, each one f64 of shared memory. */
export const COUNTERS = [
  "kafkaSent",
  "kafkaFailed",
  "kafkaDropped",
  "kafkaConflated",
  "kafkaBacklog",
  "kafkaUp",
  "signalsReceived",
  "signalsDropped",
  "signalsUp",
  "redisWritten",
  "redisFailed",
  "redisSkipped",
  "redisUp",
] as const;
export type CounterName = (typeof COUNTERS)[number];

/** The thread's end of the counters. */
export class Counters {
  readonly #values: Float64Array;

  constructor(memory: SharedArrayBuffer) {
    this.#values = new Float64Array(memory);
  }

  static memory(): SharedArrayBuffer {
    return new SharedArrayBuffer(COUNTERS.length * 8);
  }

  get(name: CounterName): number {
    return this.#values[COUNTERS.indexOf(name)];
  }

  add(name: CounterName, by = 1): void {
    this.#values[COUNTERS.indexOf(name)] += by;
  }

  set(name: CounterName, value: number): void {
    this.#values[COUNTERS.indexOf(name)] = value;
  }
}

/** What a thread is told: secrets as plain text, because that is all that passes between threads. */
export type PlainSecrets<T> = T extends { reveal(): string }
  ? string
  : T extends readonly (infer E)[]
    ? readonly E[]
    : T extends object
      ? { readonly [K in keyof T]: PlainSecrets<T[K]> }
      : T;

export interface FeatureNames {
  readonly schemaHash: string;
  readonly features: readonly { readonly name: string; readonly unit: string; readonly windowMs: number }[];
}

/** First message to the thread. */
export interface DistributionStart {
  readonly start: {
    readonly beat: SharedArrayBuffer;
    readonly ring: SharedArrayBuffer;
    readonly counters: SharedArrayBuffer;
    readonly kafka: PlainSecrets<KafkaOptions> | undefined;
    readonly redis: PlainSecrets<RedisOptions> | undefined;
    readonly heads: readonly string[];
    readonly model: string;
    readonly schema: FeatureNames;
  };
}

/** Last message to the thread: send what waits, at most so long, and end. */
export interface DistributionStop {
  readonly stopWithinMs: number;
}

/** Messages from the thread. */
export type DistributionReply =
  | { readonly signals: readonly string[] }
  /** Something that an operator should read. */
  | { readonly problem: string }
  | { readonly ended: true };

/** Secrets as plain text, for the thread that has to send them. */
export function revealed<T extends object>(options: T): PlainSecrets<T> {
  const plain: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(options)) plain[key] = plainValue(value);
  return plain as PlainSecrets<T>;
}

function plainValue(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  if ("reveal" in value && typeof value.reveal === "function") return value.reveal();
  return revealed(value);
}
