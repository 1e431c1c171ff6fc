import {
  KAFKA_ACKS,
  KAFKA_COMPRESSIONS,
  PUBLICATIONS,
  SASL_MECHANISMS,
  SIGNAL_STARTS,
} from "../distribution/options.ts";
import { SIGNALS } from "../feature/schema.ts";
import {
  brokerList,
  publicationList,
  redisUrl,
  topicList,
  topicName,
  topicPrefix,
} from "./distribution-types.ts";
import { endpointUrl, flag, integerIn, oneOf, path, secretFile, signalList, word } from "./types.ts";
import { variable } from "./variable.ts";

/** External signals, Kafka and Redis. */
export const DISTRIBUTION_VARIABLES = {
  KEEL_SIGNALS: variable(
    signalList,
    SIGNALS.join(","),
    "Names under which the signal features come, in their order; with KEEL_FIX_HOST they may come as News (35=B)",
  ),
  KEEL_URL_SIGNAL: variable(
    endpointUrl,
    null,
    "WebSocket server of external signals; they may also come from Kafka or as FIX News",
  ),
  KEEL_KAFKA_BROKERS: variable(
    brokerList,
    null,
    "Kafka brokers that are asked first; without them Kafka is not used",
  ),
  KEEL_KAFKA_CLIENT_ID: variable(
    word("text without spaces"),
    "keel",
    "Our name in the brokers' logs and quotas",
  ),
  KEEL_KAFKA_TOPIC_PREFIX: variable(
    topicPrefix,
    "keel.",
    "Goes before the names in KEEL_KAFKA_PUBLISH to make their topics",
  ),
  KEEL_KAFKA_PUBLISH: variable(
    publicationList,
    PUBLICATIONS.filter((name) => name !== "feed").join(","),
    "What is published, keyed by `venue:symbol` (predictions by coin), as JSON; `feed` is all that another keel needs to take this one for the venue",
  ),
  KEEL_KAFKA_SNAPSHOT_MS: variable(
    integerIn(100, 600_000),
    "2000",
    "How often `feed` tells an instrument's whole book: the longest that a late or interrupted reader waits for it",
  ),
  KEEL_KAFKA_LINGER_MS: variable(
    integerIn(0, 1_000),
    "5",
    "How long a message waits for others before a request is made of them, as with Kafka's own producer; 0 = not at all, at more than half as much work again for each message",
  ),
  KEEL_KAFKA_FEED_TOPIC: variable(
    topicName,
    "keel.feed",
    "Topic that feeds named `relay:` in KEEL_FEEDS are taken from, e.g. `binance-usdm:relay:BTCUSDT`",
  ),
  KEEL_KAFKA_ACKS: variable(
    oneOf(...KAFKA_ACKS),
    "leader",
    "Who must have a message before it counts as sent",
  ),
  KEEL_KAFKA_COMPRESSION: variable(oneOf(...KAFKA_COMPRESSIONS), "zstd", "Compression of the requests"),
  KEEL_KAFKA_BACKLOG: variable(
    integerIn(1_000, 1_000_000),
    "50000",
    "Messages that may wait for slow or absent brokers; beyond it the oldest are lost, and from 1000 on a later state of the same thing takes the earlier one's place",
  ),
  KEEL_KAFKA_SIGNAL_TOPICS: variable(
    topicList,
    null,
    "Topics that external signals come from, in the form of KEEL_URL_SIGNAL's messages",
  ),
  KEEL_KAFKA_SIGNAL_START: variable(
    oneOf(...SIGNAL_STARTS),
    "latest",
    "Where reading these topics begins; `earliest` fits compacted ones",
  ),
  KEEL_KAFKA_TLS: variable(flag, "off", "TLS to the brokers, whose certificates are verified"),
  KEEL_KAFKA_TLS_CA_FILE: variable(
    path,
    null,
    "Certificates (PEM) that vouch for the brokers'; default: those that Bun knows",
  ),
  KEEL_KAFKA_TLS_CERT_FILE: variable(path, null, "Our certificate (PEM), for brokers that ask for one"),
  KEEL_KAFKA_TLS_KEY_FILE: variable(secretFile, null, "Its private key (PEM)"),
  KEEL_KAFKA_SASL_MECHANISM: variable(
    oneOf(...SASL_MECHANISMS),
    "SCRAM-SHA-512",
    "How we log on to the brokers",
  ),
  KEEL_KAFKA_SASL_USERNAME: variable(
    word("text without spaces"),
    null,
    "Our user name there; without it no log-on",
  ),
  KEEL_KAFKA_SASL_PASSWORD_FILE: variable(secretFile, null, "File with its password"),
  KEEL_REDIS_URL: variable(
    redisUrl,
    null,
    "Redis that the latest features are mirrored to, e.g. `redis://localhost:6379/0`, `rediss` for TLS; without it they are not",
  ),
  KEEL_REDIS_USERNAME: variable(word("text without spaces"), null, "Our user name there"),
  KEEL_REDIS_PASSWORD_FILE: variable(secretFile, null, "File with the password"),
  KEEL_REDIS_TLS_CA_FILE: variable(
    path,
    null,
    "Certificates (PEM) that vouch for Redis's; default: those that Bun knows",
  ),
  KEEL_REDIS_PREFIX: variable(word("text without spaces"), "keel:", "Goes before the keys"),
  KEEL_REDIS_TTL_MS: variable(
    integerIn(100, 86_400_000),
    "10000",
    "Time after which features that are not renewed vanish",
    "ms",
  ),
  KEEL_REDIS_INTERVAL_MS: variable(
    integerIn(1, 60_000),
    "100",
    "How often an underlying's features are written at most",
    "ms",
  ),
} as const;
