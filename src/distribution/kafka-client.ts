import { isIP } from "node:net";
import type { BaseOptions } from "@platformatic/kafka";
import type { PlainSecrets } from "./control.ts";
import type { KafkaOptions } from "./options.ts";

const CONNECT_MS = 5_000;
const REQUEST_MS = 10_000;
/** For a consumer to take leave of its brokers. */
const LEAVE_MS = 1_000;
/** Tries of one request; keel itself goes on for ever. */
const RETRIES = 2;
const RETRY_MS = 250;

/** What producer and consumer have in common. */
export function clientOptions(options: PlainSecrets<KafkaOptions>): BaseOptions {
  const { brokers, clientId, tls, sasl } = options;
  return {
    clientId,
    bootstrapBrokers: [...brokers],
    connectTimeout: CONNECT_MS,
    requestTimeout: REQUEST_MS,
    timeout: REQUEST_MS,
    retries: RETRIES,
    retryDelay: RETRY_MS,
    autocreateTopics: true,
    ...(tls === undefined
      ? {}
      : {
          tls: {
            ...(tls.ca === undefined ? {} : { ca: tls.ca }),
            ...(tls.certificate ?? {}),
          },
          // A name is told to the server (SNI); an address must not be, it is verified all the same.
          tlsServerName: brokers.every((broker) => isIP(hostOf(broker)) === 0),
        }),
    ...(sasl === undefined ? {} : { sasl }),
  };
}

function hostOf(broker: string): string {
  return broker.slice(0, broker.lastIndexOf(":")).replace(/^\[|\]$/g, "");
}

/**
 * Closes a consumer, without waiting for brokers that are gone without a word: they do not let it go either. Never throws; what it still
 * holds is then given up by its own time limits.
 *
 * @param withinMs left out = 1 s
 */
export async function letGo(
  consumer: { close(force: boolean): Promise<unknown> },
  withinMs = LEAVE_MS,
): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, withinMs);
  const left = new Promise((left) => left(consumer.close(true))).catch(() => {});
  await Promise.race([left, late]);
  clearTimeout(timer);
}

/** An error of the client in one line: it gathers the causes of each broker it tried. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const causes = error instanceof AggregateError ? error.errors.map(reasonOf) : [];
  const cause = error.cause === undefined ? [] : [reasonOf(error.cause)];
  return [...new Set([error.message, ...causes, ...cause])].join(": ");
}
