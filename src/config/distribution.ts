import type { ConfigProblem } from "../config.ts";
import type { DistributionOptions, KafkaOptions, RedisOptions, TlsOptions } from "../distribution/options.ts";
import { isRelayed } from "../feed/relay/subscription.ts";
import { readCertificates } from "./certificates.ts";
import { readSecret } from "./secrets.ts";
import type { NamedValues } from "./variables.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** The `KEEL_KAFKA_…` and `KEEL_REDIS_…` part of the configuration. Faults are added to `problems`. */
export function readDistribution(
  env: Environment,
  values: NamedValues,
  problems: ConfigProblem[],
): DistributionOptions {
  return { kafka: readKafka(env, values, problems), redis: readRedis(env, values, problems) };
}

function readKafka(
  env: Environment,
  values: NamedValues,
  problems: ConfigProblem[],
): KafkaOptions | undefined {
  const brokers = values.KEEL_KAFKA_BROKERS;
  const signalTopics = values.KEEL_KAFKA_SIGNAL_TOPICS ?? [];
  if (brokers === undefined) {
    if (values.KEEL_FEEDS?.some(({ subscriptions }) => subscriptions.some(isRelayed)) === true) {
      const expected = "host:port,… because KEEL_FEEDS has relayed feeds";
      problems.push({ name: "KEEL_KAFKA_BROKERS", found: null, expected });
    }
    if (signalTopics.length > 0) {
      const expected = "host:port,… because KEEL_KAFKA_SIGNAL_TOPICS is set";
      problems.push({ name: "KEEL_KAFKA_BROKERS", found: null, expected });
    }
    return undefined;
  }
  return {
    brokers,
    clientId: values.KEEL_KAFKA_CLIENT_ID,
    topicPrefix: values.KEEL_KAFKA_TOPIC_PREFIX,
    publish: values.KEEL_KAFKA_PUBLISH,
    snapshotMs: values.KEEL_KAFKA_SNAPSHOT_MS,
    lingerMs: values.KEEL_KAFKA_LINGER_MS,
    feedTopic: values.KEEL_KAFKA_FEED_TOPIC,
    acks: values.KEEL_KAFKA_ACKS,
    compression: values.KEEL_KAFKA_COMPRESSION,
    backlogMessages: values.KEEL_KAFKA_BACKLOG,
    signalTopics,
    signalStart: values.KEEL_KAFKA_SIGNAL_START,
    tls: values.KEEL_KAFKA_TLS ? readTls(env, values, problems) : undefined,
    sasl: readSasl(env, values, problems),
  };
}

function readTls(env: Environment, values: NamedValues, problems: ConfigProblem[]): TlsOptions {
  const key = readSecret(env, "KEEL_KAFKA_TLS_KEY_FILE", problems, { lines: true });
  const cert = readCertificates("KEEL_KAFKA_TLS_CERT_FILE", values.KEEL_KAFKA_TLS_CERT_FILE, problems);
  if ((key === undefined) !== (cert === undefined)) {
    const name = key === undefined ? "KEEL_KAFKA_TLS_KEY_FILE" : "KEEL_KAFKA_TLS_CERT_FILE";
    problems.push({
      name,
      found: null,
      expected: "a file, because the other one of certificate and key is given",
    });
  }
  return {
    ca: readCertificates("KEEL_KAFKA_TLS_CA_FILE", values.KEEL_KAFKA_TLS_CA_FILE, problems),
    certificate: key === undefined || cert === undefined ? undefined : { cert, key },
  };
}

function readSasl(env: Environment, values: NamedValues, problems: ConfigProblem[]): KafkaOptions["sasl"] {
  const password = readSecret(env, "KEEL_KAFKA_SASL_PASSWORD_FILE", problems);
  const username = values.KEEL_KAFKA_SASL_USERNAME;
  if (username === undefined && password === undefined) return undefined;
  if (username === undefined || password === undefined) {
    const name = username === undefined ? "KEEL_KAFKA_SASL_USERNAME" : "KEEL_KAFKA_SASL_PASSWORD_FILE";
    problems.push({
      name,
      found: null,
      expected: "a value, because the other one of user and password is given",
    });
    return undefined;
  }
  return { mechanism: values.KEEL_KAFKA_SASL_MECHANISM, username, password };
}

function readRedis(
  env: Environment,
  values: NamedValues,
  problems: ConfigProblem[],
): RedisOptions | undefined {
  const password = readSecret(env, "KEEL_REDIS_PASSWORD_FILE", problems);
  const url = values.KEEL_REDIS_URL;
  if (url === undefined) return undefined;
  return {
    url,
    username: values.KEEL_REDIS_USERNAME,
    password,
    prefix: values.KEEL_REDIS_PREFIX,
    ttlMs: values.KEEL_REDIS_TTL_MS,
    intervalMs: values.KEEL_REDIS_INTERVAL_MS,
    ca: readCertificates("KEEL_REDIS_TLS_CA_FILE", values.KEEL_REDIS_TLS_CA_FILE, problems),
  };
}
