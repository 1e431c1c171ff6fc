import type { Secret } from "../core/secret.ts";

/** What may be published; each has a topic of its own, `PREFIX` + name. */
export const PUBLICATIONS = ["top", "trades", "tickers", "predictions", "quotes", "feed"] as const;
export type Publication = (typeof PUBLICATIONS)[number];

export const KAFKA_ACKS = ["none", "leader", "all"] as const;
export const KAFKA_COMPRESSIONS = ["none", "gzip", "snappy", "lz4", "zstd"] as const;
export const SASL_MECHANISMS = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] as const;
export const SIGNAL_STARTS = ["latest", "earliest"] as const;

/** TLS to a server whose certificate is always verified. */
export interface TlsOptions {
  /** Certificates (PEM) that vouch for the server's; undefined = those that Bun knows. */
  readonly ca: string | undefined;
  readonly certificate: { readonly cert: string; readonly key: Secret } | undefined;
}

export interface KafkaOptions {
  /** `host:port` of the brokers that are asked first. */
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly topicPrefix: string;
  readonly publish: readonly Publication[];
  /** How often `feed` tells an instrument's whole book. */
  readonly snapshotMs: number;
  /** A message waits so long for others before a request is made of them. */
  readonly lingerMs: number;
  /** Topic that another keel's `feed` is taken from. */
  readonly feedTopic: string;
  readonly acks: (typeof KAFKA_ACKS)[number];
  readonly compression: (typeof KAFKA_COMPRESSIONS)[number];
  /** Messages that wait for the brokers; beyond that the oldest are lost and counted. */
  readonly backlogMessages: number;
  /** Topics that external signals come from; empty = none. */
  readonly signalTopics: readonly string[];
  readonly signalStart: (typeof SIGNAL_STARTS)[number];
  readonly tls: TlsOptions | undefined;
  readonly sasl:
    | {
        readonly mechanism: (typeof SASL_MECHANISMS)[number];
        readonly username: string;
        readonly password: Secret;
      }
    | undefined;
}

export interface RedisOptions {
  /** `redis://host:port/db` or `rediss://…`, without user and password. */
  readonly url: string;
  readonly username: string | undefined;
  readonly password: Secret | undefined;
  readonly prefix: string;
  readonly ttlMs: number;
  /** How often an underlying's features are written at most. */
  readonly intervalMs: number;
  readonly ca: string | undefined;
}

/** Undefined where there is none of it. */
export interface DistributionOptions {
  readonly kafka: KafkaOptions | undefined;
  readonly redis: RedisOptions | undefined;
}
