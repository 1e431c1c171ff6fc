import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import type { HttpAccess, HttpConfig } from "../../config/http.ts";
import type { Config } from "../../config.ts";
import { runningHolder } from "../../live/run-lock.ts";
import { RunningProcess } from "../running-process.ts";
import { type Check, type CheckContext, type Finding, findings, within } from "./check.ts";

/** The counterparty takes TCP connections. No logon is tried: it would move the session's sequence numbers. */
export const fix: Check = {
  area: "fix",
  async run({ config, offline }) {
    const { ok, warn, fail } = findings("fix");
    if (config.deribit !== undefined) {
      const { url, indexes, quoting } = config.deribit;
      return [
        ok(
          "KEEL_GATEWAY",
          `deribit: ${quoting} quotes of ${indexes.join(", ")} go to ${url}; no login is tried`,
        ),
      ];
    }
    if (config.fix === undefined) {
      return [
        warn(
          "KEEL_FIX_HOST",
          "not set: quotes go to a paper counterparty on this host",
          "set it to the counterparty's host",
        ),
      ];
    }
    const { host, port, senderCompId, targetCompId, version } = config.fix;
    const session = `${version} ${senderCompId}→${targetCompId}`;
    if (offline) return [ok(`${host}:${port}`, `${session}; not tried: --offline`)];
    const started = performance.now();
    try {
      await connectTcp(host, port, config.timeouts.connectMs);
    } catch (error) {
      return [
        fail(
          `${host}:${port}`,
          `${session}: ${reason(error)}`,
          "check KEEL_FIX_HOST, KEEL_FIX_PORT and firewalls",
        ),
      ];
    }
    return [ok(`${host}:${port}`, `${session}; connected in ${(performance.now() - started).toFixed(1)} ms`)];
  },
};

/** Shorter tokens are told. */
const TOKEN_LEAST = 16;

/** The address of the HTTP side can be listened on, or is had by the keel that runs with this state folder. */
export const http: Check = {
  area: "http",
  async run({ config }) {
    if (config.http === undefined) return [findings("http").ok("KEEL_HTTP", "off")];
    return [...(await httpAddress(config, config.http)), ...shortTokens(config.http)];
  },
};

/** Wrong logins at the dashboard are limited, wrong bearer tokens of programs are not. */
function shortTokens({ token, viewToken }: HttpAccess): Finding[] {
  const tokens = { KEEL_HTTP_TOKEN_FILE: token, KEEL_HTTP_VIEW_TOKEN_FILE: viewToken };
  return Object.entries(tokens)
    .map(([name, secret]) => ({ name, length: secret?.reveal().length ?? Number.POSITIVE_INFINITY }))
    .filter(({ length }) => length < TOKEN_LEAST)
    .map(({ name, length }) =>
      findings("http").warn(
        name,
        `a token of ${length} characters can be guessed`,
        `make one of at least ${TOKEN_LEAST}: openssl rand -hex 32`,
      ),
    );
}

async function httpAddress(
  config: Config,
  { hostname, port, unix, token, tls }: HttpConfig,
): Promise<Finding[]> {
  const { ok, warn, fail } = findings("http");
  if (unix !== undefined) {
    const folder = dirname(unix);
    return existsSync(folder)
      ? [ok("KEEL_HTTP", `the socket ${unix}`)]
      : [
          warn(
            "KEEL_HTTP",
            `the socket ${unix}: there is no folder ${folder}`,
            "make it; below /run the unit of `keel print unit` does",
          ),
        ];
  }
  let state = "free";
  try {
    Bun.listen({ hostname, port, socket: { data() {} } }).stop(true);
  } catch (error) {
    const isTaken = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
    const answer = isTaken ? await whoAnswers(config) : "another";
    const pid = runningHolder(config.stateDir);
    if (pid === null && answer === "keel") {
      return [
        warn(
          `${hostname}:${port}`,
          `taken by a keel, and none runs with ${config.stateDir}`,
          "give that one's state folder by STATE_DIRECTORY or KEEL_STATE_DIR; for a second desk choose another port",
        ),
      ];
    }
    if (pid === null || answer === "another") {
      return [fail(`${hostname}:${port}`, reason(error), "choose another port or stop what listens there")];
    }
    if (answer !== "keel") {
      return [
        warn(
          `${hostname}:${port}`,
          `taken; process ${pid} runs with ${config.stateDir}, and whether it is the one that has it is not known: ${answer.problem}`,
          "see to it that KEEL_HTTP and its tokens are those of the running process",
        ),
      ];
    }
    state = `taken by the keel that runs with ${config.stateDir} (process ${pid})`;
  }
  const local = /^(127\.|localhost$|::1$)/.test(hostname);
  if (!local && token === undefined) {
    return [
      warn(
        `${hostname}:${port}`,
        `${state}; reachable from other hosts and without a token`,
        "set KEEL_HTTP_TOKEN_FILE or listen on 127.0.0.1",
      ),
    ];
  }
  if (!local && tls === undefined) {
    return [
      warn(
        `${hostname}:${port}`,
        `${state}; tokens cross the network in clear`,
        "set KEEL_HTTP_TLS_CERT_FILE and KEEL_HTTP_TLS_KEY_FILE",
      ),
    ];
  }
  return [ok(`${hostname}:${port}`, state)];
}

const aDesk = z.object({ engine: z.string(), model: z.string() });

/** Who has the address of `KEEL_HTTP`; a problem where one that listens there does not tell. */
async function whoAnswers(config: Config): Promise<"keel" | "another" | { readonly problem: string }> {
  try {
    const status = await new RunningProcess(undefined, config).ask("GET", "/status", "look");
    return aDesk.safeParse(status).success ? "keel" : "another";
  } catch (error) {
    return { problem: reason(error) };
  }
}

/** The server of external signals takes WebSocket connections. */
export const signal: Check = {
  area: "signal",
  async run({ config, offline }: CheckContext): Promise<Finding[]> {
    const { ok, fail } = findings("signal");
    if (config.signals === undefined) return [];
    const { names, webSocketUrl } = config.signals;
    if (webSocketUrl === null) return [];
    if (offline) return [ok(webSocketUrl, "not tried: --offline")];
    try {
      const ms = await openWebSocket(webSocketUrl, config.timeouts.connectMs);
      return [ok(webSocketUrl, `opened in ${ms.toFixed(1)} ms for ${names.join(", ")}`)];
    } catch (error) {
      return [fail(webSocketUrl, reason(error), "check KEEL_URL_SIGNAL")];
    }
  },
};

async function connectTcp(hostname: string, port: number, timeoutMs: number): Promise<void> {
  const connecting = Bun.connect({ hostname, port, socket: { data() {}, error() {} } });
  connecting.then(
    (socket) => socket.terminate(),
    () => {},
  );
  await within(timeoutMs, "TCP connect", connecting);
}

/** Opens and closes a WebSocket. @returns ms until it was open. @throws Error saying what came instead. */
export async function openWebSocket(url: string, timeoutMs: number): Promise<number> {
  const started = performance.now();
  const socket = new WebSocket(url);
  try {
    await within(
      timeoutMs,
      "WebSocket",
      new Promise<void>((resolve, reject) => {
        socket.onopen = () => resolve();
        socket.onerror = (event) =>
          reject(new Error("message" in event ? String(event.message) : "failed to open"));
        socket.onclose = ({ code, reason: text }) =>
          reject(new Error(`closed with ${code} ${text}`.trimEnd()));
      }),
    );
    return performance.now() - started;
  } finally {
    socket.onerror = null;
    socket.onclose = null;
    socket.close();
  }
}

export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
