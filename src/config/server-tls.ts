import type { TLSOptions } from "bun";
import type { ConfigProblem } from "../config.ts";
import type { Secret } from "../core/secret.ts";
import { readCertificates } from "./certificates.ts";
import { readSecret } from "./secrets.ts";
import type { NamedValues } from "./variables.ts";

/** What a listener shows of itself, and asks of those who come. */
export interface ServerTls {
  /** Our certificates (PEM). */
  readonly cert: string;
  readonly key: Secret;
  /** Certificates (PEM) that vouch for clients, each of which must then present one. */
  readonly clientCa: string | undefined;
}

type Prefix = "KEEL_FIX_ACCEPT" | "KEEL_API" | "KEEL_PEER" | "KEEL_HTTP";

/** The `…_TLS_CERT_FILE`, `…_TLS_KEY_FILE` and `…_TLS_CLIENT_CA_FILE` of a listener; undefined: plain TCP. Faults are added to `problems`. */
export function readServerTls(
  env: Readonly<Record<string, string | undefined>>,
  values: NamedValues,
  prefix: Prefix,
  problems: ConfigProblem[],
): ServerTls | undefined {
  const certName = `${prefix}_TLS_CERT_FILE` as const;
  const keyName = `${prefix}_TLS_KEY_FILE` as const;
  const clientCaName = `${prefix}_TLS_CLIENT_CA_FILE` as const;
  if (values[certName] === undefined) {
    for (const name of [keyName, clientCaName]) {
      if (values[name] === undefined) continue;
      problems.push({ name: certName, found: null, expected: `a certificate, because ${name} is set` });
    }
    return undefined;
  }
  const cert = readCertificates(certName, values[certName], problems);
  const clientCa = readCertificates(clientCaName, values[clientCaName], problems);
  const key = readSecret(env, keyName, problems, { lines: true });
  if (key === undefined) problems.push({ name: keyName, found: null, expected: `the key of ${certName}` });
  return cert === undefined || key === undefined ? undefined : { cert, key, clientCa };
}

/** The same as a socket takes it. */
export function tlsOptionsOf({ cert, key, clientCa }: ServerTls): TLSOptions {
  return {
    ...{ cert, key: key.reveal() },
    ...(clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: true }),
  };
}
