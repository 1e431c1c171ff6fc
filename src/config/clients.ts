import { join } from "node:path";
import type { ConfigProblem } from "../config.ts";
import { Secret } from "../core/secret.ts";
import type { AddressList } from "../gateway/fix/address-list.ts";
import type { BeginString } from "./client-types.ts";
import { readSecret } from "./secrets.ts";
import { readServerTls, type ServerTls } from "./server-tls.ts";
import type { HostPort } from "./types.ts";
import type { NamedValues } from "./variables.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** FIX clients that ask us for quotes; see the README's table for units. */
export interface FixAcceptConfig {
  readonly address: HostPort;
  readonly senderCompId: string;
  readonly clients: readonly {
    readonly compId: string;
    readonly version: BeginString;
    readonly credentials: { readonly username: string; readonly password: Secret } | null;
  }[];
  readonly allowed: AddressList | undefined;
  readonly tls: ServerTls | undefined;
  readonly maxMessagesPerSecond: number;
  readonly maxConnectionsPerAddress: number;
  readonly storeDir: string;
  readonly messageLogDir: string | undefined;
}

/** A client of the JSON gateway. */
export interface ApiClient {
  readonly name: string;
  /** `read` = subscriptions only. */
  readonly role: "read" | "trade";
  readonly token: Secret;
}

/** The JSON gateway for in-house systems. */
export interface ApiConfig {
  readonly address: HostPort;
  readonly clients: readonly ApiClient[];
  readonly maxConnections: number;
  readonly maxConnectionsPerClient: number;
  readonly maxMessagesPerSecond: number;
  readonly maxSubscriptions: number;
  readonly maxBufferBytes: number;
  readonly tls: ServerTls | undefined;
  /** Origins (RFC 6454) of web pages that may connect. */
  readonly origins: readonly string[];
}

const TOKEN_LEAST = 16;

/** The `KEEL_FIX_ACCEPT…` part; undefined when no client is accepted. Faults are added to `problems`. */
export function readFixAccept(
  env: Environment,
  values: NamedValues,
  stateDir: string,
  problems: ConfigProblem[],
): FixAcceptConfig | undefined {
  const passwords = readSecret(env, "KEEL_FIX_ACCEPT_PASSWORDS_FILE", problems, { lines: true });
  const address = values.KEEL_FIX_ACCEPT;
  if (address === null) return undefined;
  const clients = values.KEEL_FIX_ACCEPT_CLIENTS ?? [];
  const compIds = clients.map(({ compId }) => compId);
  if (clients.length === 0) {
    const expected = "comp ids, because KEEL_FIX_ACCEPT is set";
    problems.push({ name: "KEEL_FIX_ACCEPT_CLIENTS", found: null, expected });
  }
  const credentials = readCredentials(passwords, compIds, problems);
  return {
    address,
    senderCompId: values.KEEL_FIX_ACCEPT_COMP_ID,
    clients: clients.map(({ compId, version = values.KEEL_FIX_ACCEPT_VERSION }) => ({
      ...{ compId, version },
      credentials: credentials.get(compId) ?? null,
    })),
    allowed: values.KEEL_FIX_ACCEPT_ALLOW,
    tls: readServerTls(env, values, "KEEL_FIX_ACCEPT", problems),
    maxMessagesPerSecond: values.KEEL_FIX_ACCEPT_MAX_MESSAGES_PER_SECOND,
    maxConnectionsPerAddress: values.KEEL_FIX_ACCEPT_MAX_CONNECTIONS_PER_ADDRESS,
    storeDir: values.KEEL_FIX_STORE_DIR ?? join(stateDir, "fix"),
    messageLogDir: values.KEEL_FIX_MESSAGE_LOG_DIR,
  };
}

/** With a file every client needs a line in it: a name that is misspelt must not leave a client without a password. */
function readCredentials(
  file: Secret | undefined,
  compIds: readonly string[],
  problems: ConfigProblem[],
): Map<string, { readonly username: string; readonly password: Secret }> {
  const found = new Map<string, { readonly username: string; readonly password: Secret }>();
  if (file === undefined) return found;
  const wrong = (expected: string): void => {
    problems.push({ name: "KEEL_FIX_ACCEPT_PASSWORDS_FILE", found: "(secret)", expected });
  };
  for (const [number, fields] of lines(file)) {
    const [compId, username, password, ...more] = fields;
    if (username === undefined || password === undefined || more.length > 0) {
      wrong(`COMPID USERNAME PASSWORD in line ${number}`);
    } else if (!compIds.includes(compId) || found.has(compId)) {
      wrong(`in line ${number} a comp id of KEEL_FIX_ACCEPT_CLIENTS, each once`);
    } else found.set(compId, { username, password: new Secret(password) });
  }
  for (const compId of compIds) if (!found.has(compId)) wrong(`a line for ${compId}`);
  return found;
}

/** The `KEEL_API…` part; undefined when the JSON gateway is off. Faults are added to `problems`. */
export function readApi(
  env: Environment,
  values: NamedValues,
  problems: ConfigProblem[],
): ApiConfig | undefined {
  const file = readSecret(env, "KEEL_API_TOKENS_FILE", problems, { lines: true });
  const address = values.KEEL_API;
  if (address === null) return undefined;
  const clients: ApiClient[] = [];
  const wrong = (found: string | null, expected: string): void => {
    problems.push({ name: "KEEL_API_TOKENS_FILE", found, expected });
  };
  if (file === undefined) wrong(null, "a file of tokens, because KEEL_API is set");
  for (const [number, fields] of file === undefined ? [] : lines(file)) {
    const [name, role, token, ...more] = fields;
    if ((role !== "read" && role !== "trade") || token === undefined || more.length > 0) {
      wrong("(secret)", `NAME read TOKEN or NAME trade TOKEN in line ${number}`);
    } else if (!/^[A-Za-z0-9._-]{1,64}$/.test(name) || clients.some((known) => known.name === name)) {
      wrong("(secret)", `in line ${number} a name of letters, digits, '.', '_' and '-', each once`);
    } else if (token.length < TOKEN_LEAST || clients.some((known) => known.token.reveal() === token)) {
      wrong("(secret)", `in line ${number} a token of at least ${TOKEN_LEAST} characters, each once`);
    } else clients.push({ name, role, token: new Secret(token) });
  }
  return {
    address,
    clients,
    maxConnections: values.KEEL_API_MAX_CONNECTIONS,
    maxConnectionsPerClient: values.KEEL_API_MAX_CONNECTIONS_PER_CLIENT,
    maxMessagesPerSecond: values.KEEL_API_MAX_MESSAGES_PER_SECOND,
    maxSubscriptions: values.KEEL_API_MAX_SUBSCRIPTIONS,
    maxBufferBytes: values.KEEL_API_MAX_BUFFER_KB * 1_024,
    tls: readServerTls(env, values, "KEEL_API", problems),
    origins: values.KEEL_API_ORIGINS ?? [],
  };
}

/** Lines with their numbers, split at spaces; empty ones and those that begin with `#` are left out. */
function* lines(file: Secret): Generator<readonly [number: number, fields: string[]]> {
  for (const [index, line] of file.reveal().split("\n").entries()) {
    const text = line.trim();
    if (text !== "" && !text.startsWith("#")) yield [index + 1, text.split(/\s+/)];
  }
}
