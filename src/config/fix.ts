import { join } from "node:path";
import type { ConfigProblem } from "../config.ts";
import type { Secret } from "../core/secret.ts";
import type { Validation } from "../gateway/fix/dictionary/dictionary.ts";
import type { ScheduleRule } from "../gateway/fix/schedule.ts";
import { readCertificates } from "./certificates.ts";
import { readSecret } from "./secrets.ts";
import type { NamedValues } from "./variables.ts";

/** How a counterparty is reached over TLS; its certificate is always verified. */
export interface FixTlsConfig {
  /** Certificates (PEM) that vouch for the counterparty's; undefined = those that Bun knows. */
  readonly ca: string | undefined;
  readonly serverName: string;
  /** Ours, for a counterparty that asks for one. */
  readonly certificate: { readonly cert: string; readonly key: Secret } | undefined;
}

/** FIX session with the counterparty; see the README's table for units. */
export interface FixConfig {
  readonly host: string;
  readonly port: number;
  readonly version: "FIX.4.2" | "FIX.4.4";
  readonly senderCompId: string;
  readonly targetCompId: string;
  readonly username: string | undefined;
  readonly password: Secret | undefined;
  readonly heartbeatSeconds: number;
  readonly resetOnLogon: boolean;
  readonly nextExpected: boolean;
  /** null = always. */
  readonly schedule: ScheduleRule | null;
  /** null = only what the session itself needs. */
  readonly validation: Validation | null;
  readonly sendingTimeToleranceMs: number;
  readonly maxMessageBytes: number;
  readonly maxMessagesPerSecond: number;
  readonly storeDir: string;
  readonly messageLogDir: string | undefined;
  readonly logonTimeoutMs: number;
  /** Undefined = plain TCP. */
  readonly tls: FixTlsConfig | undefined;
}

/** The `KEEL_FIX_…` part of the configuration; undefined when no counterparty is configured. Faults are added to `problems`. */
export function readFix(
  env: Readonly<Record<string, string | undefined>>,
  values: NamedValues,
  stateDir: string,
  problems: ConfigProblem[],
): FixConfig | undefined {
  const password = readSecret(env, "KEEL_FIX_PASSWORD_FILE", problems);
  const host = values.KEEL_FIX_HOST;
  if (host === undefined) return undefined;
  if (values.KEEL_FIX_NEXT_EXPECTED && values.KEEL_FIX_VERSION === "FIX.4.2") {
    problems.push({
      name: "KEEL_FIX_NEXT_EXPECTED",
      found: "on",
      expected: "off: FIX.4.2 has no NextExpectedMsgSeqNum",
    });
  }
  return {
    host,
    port: values.KEEL_FIX_PORT,
    version: values.KEEL_FIX_VERSION,
    senderCompId: values.KEEL_FIX_SENDER_COMP_ID,
    targetCompId: values.KEEL_FIX_TARGET_COMP_ID,
    username: values.KEEL_FIX_USERNAME,
    password,
    heartbeatSeconds: values.KEEL_FIX_HEARTBEAT_SECONDS,
    resetOnLogon: values.KEEL_FIX_RESET_ON_LOGON,
    nextExpected: values.KEEL_FIX_NEXT_EXPECTED,
    schedule: values.KEEL_FIX_SCHEDULE,
    validation: values.KEEL_FIX_VALIDATION,
    sendingTimeToleranceMs: values.KEEL_FIX_SENDING_TIME_TOLERANCE_MS,
    maxMessageBytes: values.KEEL_FIX_MAX_MESSAGE_KB * 1_024,
    maxMessagesPerSecond: values.KEEL_FIX_MAX_MESSAGES_PER_SECOND,
    storeDir: values.KEEL_FIX_STORE_DIR ?? join(stateDir, "fix"),
    messageLogDir: values.KEEL_FIX_MESSAGE_LOG_DIR,
    logonTimeoutMs: values.KEEL_FIX_LOGON_TIMEOUT_MS,
    tls: readTls(env, values, host, problems),
  };
}

const TLS_NAMES = [
  "KEEL_FIX_TLS_CA_FILE",
  "KEEL_FIX_TLS_SERVER_NAME",
  "KEEL_FIX_TLS_CERT_FILE",
  "KEEL_FIX_TLS_KEY_FILE",
] as const;

function readTls(
  env: Readonly<Record<string, string | undefined>>,
  values: NamedValues,
  host: string,
  problems: ConfigProblem[],
): FixTlsConfig | undefined {
  if (!values.KEEL_FIX_TLS) {
    for (const name of TLS_NAMES) {
      if (values[name] === undefined) continue;
      problems.push({ name: "KEEL_FIX_TLS", found: "off", expected: `on, because ${name} is set` });
    }
    return undefined;
  }
  const ca = readCertificates("KEEL_FIX_TLS_CA_FILE", values.KEEL_FIX_TLS_CA_FILE, problems);
  const cert = readCertificates("KEEL_FIX_TLS_CERT_FILE", values.KEEL_FIX_TLS_CERT_FILE, problems);
  const key = readSecret(env, "KEEL_FIX_TLS_KEY_FILE", problems, { lines: true });
  if (cert !== undefined && key === undefined) {
    problems.push({
      name: "KEEL_FIX_TLS_KEY_FILE",
      found: null,
      expected: "the key of KEEL_FIX_TLS_CERT_FILE",
    });
  }
  return {
    ca,
    serverName: values.KEEL_FIX_TLS_SERVER_NAME ?? host,
    certificate: cert === undefined || key === undefined ? undefined : { cert, key },
  };
}
