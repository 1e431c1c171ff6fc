import { isIP } from "node:net";
import type { BaseOptions } from "@platformatic/kafka";
import type { PlainSecrets } from "./control.ts";
import type { KafkaOptions } from "./options.ts";

const CONNECT_MS = 5_000;
const REQUEST_MS = 10_000;
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

/** An error of the client in one line: it gathers the causes of each broker it tried. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const causes = error instanceof AggregateError ? error.errors.map(reasonOf) : [];
  const cause = error.cause === undefined ? [] : [reasonOf(error.cause)];
  return [...new Set([error.message, ...causes, ...cause])].join(": ");
}
