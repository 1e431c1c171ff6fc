import { hostname } from "node:os";
import type { ConfigProblem } from "../config.ts";
import type { Secret } from "../core/secret.ts";
import { readCertificates } from "./certificates.ts";
import { FAILOVER_VARIABLES } from "./failover-variables.ts";
import { readSecret } from "./secrets.ts";
import { readServerTls, type ServerTls } from "./server-tls.ts";
import type { HostPort } from "./types.ts";
import type { NamedValues } from "./variables.ts";

/** One of a pair of which one leads. */
export interface FailoverConfig {
  readonly lease: {
    readonly url: string;
    readonly name: string;
    readonly holder: string;
    readonly ttlMs: number;
    readonly username: string | undefined;
    readonly password: Secret | undefined;
    readonly ca: string | undefined;
  };
  /** Undefined: the other one is not followed, and takes over with what it has itself. */
  readonly peer:
    | {
        readonly url: string;
        readonly listen: HostPort;
        readonly token: Secret;
        readonly tls: ServerTls | undefined;
        readonly ca: string | undefined;
      }
    | undefined;
  readonly unfitMs: number;
}

const TOKEN_LEAST = 16;
/** Whoever sets one of them does not mean to be alone. */
const NAMES_OF_A_PAIR = Object.keys(FAILOVER_VARIABLES).filter((name) => /^KEEL_(LEASE|PEER)/.test(name));

/** The `KEEL_LEASE_…` and `KEEL_PEER…` part; undefined for a process that is alone. Faults are added to `problems`. */
export function readFailover(
  env: Readonly<Record<string, string | undefined>>,
  values: NamedValues,
  problems: ConfigProblem[],
): FailoverConfig | undefined {
  const password = readSecret(env, "KEEL_LEASE_PASSWORD_FILE", problems);
  const token = readSecret(env, "KEEL_PEER_TOKEN_FILE", problems);
  const url = values.KEEL_LEASE_URL;
  const { KEEL_PEER: peer, KEEL_PEER_LISTEN: listen } = values;
  const missing = (name: string, expected: string): void => {
    problems.push({ name, found: null, expected });
  };
  if (url === undefined) {
    const set = NAMES_OF_A_PAIR.find((name) => (env[name] ?? "") !== "");
    if (set !== undefined) {
      missing(
        "KEEL_LEASE_URL",
        `the URL of Redis or etcd, because ${set} is set: without it both of a pair would quote`,
      );
    }
    return undefined;
  }
  if (values.KEEL_GATEWAY === "fix" && values.KEEL_FIX_HOST === undefined) {
    missing("KEEL_FIX_HOST", "a FIX counterparty, because KEEL_LEASE_URL is set: a pair shares its session");
  }
  if (values.KEEL_FIX_HOST !== undefined && values.KEEL_FIX_RESET_ON_LOGON) {
    problems.push({
      name: "KEEL_FIX_RESET_ON_LOGON",
      found: env.KEEL_FIX_RESET_ON_LOGON ?? null,
      expected:
        "off, because KEEL_LEASE_URL is set: who takes the session over asks for the fills that the leader had not read",
    });
  }
  if ((peer === undefined) !== (listen === null)) {
    const [name, other] =
      listen === null ? ["KEEL_PEER_LISTEN", "KEEL_PEER"] : ["KEEL_PEER", "KEEL_PEER_LISTEN"];
    missing(name, `an address, because ${other} is set: either may lead`);
  }
  if (peer !== undefined && (token === undefined || token.reveal().length < TOKEN_LEAST)) {
    missing("KEEL_PEER_TOKEN_FILE", `a file with a token of at least ${TOKEN_LEAST} characters`);
  }
  return {
    lease: {
      url,
      name: values.KEEL_LEASE_NAME,
      holder: values.KEEL_LEASE_HOLDER ?? `${hostname()}-${process.pid}`,
      ttlMs: values.KEEL_LEASE_TTL_MS,
      username: values.KEEL_LEASE_USERNAME,
      password,
      ca: readCertificates("KEEL_LEASE_TLS_CA_FILE", values.KEEL_LEASE_TLS_CA_FILE, problems),
    },
    peer:
      peer === undefined || listen === null || token === undefined
        ? undefined
        : {
            ...{ url: peer, listen, token },
            tls: readServerTls(env, values, "KEEL_PEER", problems),
            ca: readCertificates("KEEL_PEER_TLS_CA_FILE", values.KEEL_PEER_TLS_CA_FILE, problems),
          },
    unfitMs: values.KEEL_FAILOVER_UNFIT_MS,
  };
}
