import { timingSafeEqual } from "node:crypto";
import { KeelError } from "../core/errors.ts";
import { SIDES, type SidesName } from "../quote/target.ts";
import type { MetricRegistry } from "./metrics.ts";

/** What the HTTP side may ask of the process. */
export interface HttpTarget {
  readonly metrics: MetricRegistry;
  /** The event loop turns and no part has failed; the reasons when not. */
  unhealthy(): readonly string[];
  /** Everything needed to quote is there; the reasons when not. */
  unready(): readonly string[];
  /** A JSON document for people and scripts. */
  status(): unknown;
  /** The alerts that fire. */
  alerts(): unknown;
  kill(reason: string): void;
  /** @returns false when the kill switch was not tripped. */
  resetKill(): boolean;
  /** Positions, money and profit, for people and scripts. */
  positions(): unknown;
  /** The quotes of an instrument with every term that made them; empty when it is not quoted. */
  quotes(instrument: string): unknown;
  /** Only what reduces a position is quoted until the reset. */
  reduce(reason: string): void;
  /** Sides quoted of an instrument, or without a symbol of all. @returns how many it concerns; 0 when none of that name is quoted */
  setSides?(instrument: string, sides: SidesName): number;
  /** Has the counterparty's positions taken over. @returns false when it cannot be asked */
  adoptPositions(): boolean;
  /** The FIX session with the counterparty; null when there is none. */
  fix(): unknown;
  /** The session at Deribit; null or left out where there is none. */
  deribit?(): unknown;
  /** Requests for quotes and their counterparties; null or left out when none are answered. */
  rfq?(): unknown;
  /** What came of predictions, quotes and fills so far; null or left out when it is not followed. */
  outcomes?(): unknown;
  /** How far the model's world is from its training rows; null or left out when it is not watched. */
  drift?(): unknown;
  /** What this process is of a pair; null or left out for one that is alone. */
  failover?(): unknown;
  /** Gives the lead to the other one of the pair. Rejects with a KeelError that says why it cannot be done. */
  switchLead?(force: boolean): Promise<void>;
  /** Logs the FIX session out and back on with both sequences at 1. @returns false when there is none. */
  resetFix(): boolean;
}

export interface HttpOptions {
  readonly hostname: string;
  readonly port: number;
  /** When set, `POST` needs `Authorization: Bearer <token>` from everywhere. */
  readonly token: string | null;
}

const MAX_BODY_BYTES = 4_096;
const POSTS = ["/kill", "/reduce", "/sides", "/reset", "/positions/adopt", "/fix/reset", "/failover/switch"];

/**
 * `/metrics` (Prometheus text), `/healthz`, `/readyz`, `/status`, `/alerts`, `/positions`, `/quotes?instrument=SYMBOL`, `/outcomes`, `/drift`, `/fix`, `/failover` and `/deribit` (JSON); `POST /kill`, `POST /reduce`, `POST /sides` and
 * `POST /reset` move the trading state, `POST /positions/adopt` takes over the counterparty's positions, `POST /fix/reset` starts the FIX session anew, `POST /failover/switch` gives the lead to the other one of a pair.
 *
 * A `POST` is accepted with the token, or, when none is configured, from a loopback address by a client that is no web page
 * (no `Origin` header), so that a page open in a browser on the host cannot reach the switch.
 */
export class HttpServer {
  readonly #server: Bun.Server<undefined>;

  /** @throws KeelError when the address cannot be bound. */
  constructor(options: HttpOptions, target: HttpTarget) {
    try {
      this.#server = Bun.serve({
        hostname: options.hostname,
        port: options.port,
        maxRequestBodySize: MAX_BODY_BYTES,
        fetch: (request, server) =>
          answer(request, server.requestIP(request)?.address ?? "", options.token, target),
      });
    } catch (error) {
      throw new KeelError(
        "http-bind",
        `KEEL_HTTP: cannot listen on ${options.hostname}:${options.port}: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }

  get port(): number {
    return this.#server.port ?? 0;
  }

  async stop(): Promise<void> {
    await this.#server.stop(true);
  }
}

async function answer(
  request: Request,
  peer: string,
  token: string | null,
  target: HttpTarget,
): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  if (request.method === "GET" || request.method === "HEAD") {
    switch (pathname) {
      case "/metrics":
        return new Response(target.metrics.expose(), {
          headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
        });
      case "/healthz":
        return verdict(target.unhealthy());
      case "/readyz":
        return verdict(target.unready());
      case "/status":
        return Response.json(target.status());
      case "/alerts":
        return Response.json(target.alerts());
      case "/fix":
        return Response.json(target.fix());
      case "/failover":
        return Response.json(target.failover?.() ?? null);
      case "/deribit":
        return Response.json(target.deribit?.() ?? null);
      case "/rfq":
        return Response.json(target.rfq?.() ?? null);
      case "/outcomes":
        return Response.json(target.outcomes?.() ?? null);
      case "/drift":
        return Response.json(target.drift?.() ?? null);
      case "/positions":
        return Response.json(target.positions());
      case "/quotes":
        return Response.json(target.quotes(searchParams.get("instrument") ?? ""));
      case "/kill":
      case "/reduce":
      case "/sides":
      case "/positions/adopt":
      case "/reset":
      case "/fix/reset":
      case "/failover/switch":
        return new Response("use POST\n", { status: 405, headers: { allow: "POST" } });
      default:
        return new Response(
          "paths: /metrics /healthz /readyz /status /alerts /positions /quotes?instrument=SYMBOL /rfq /outcomes /drift /fix /failover /deribit, POST /kill /reduce /sides /reset /positions/adopt /fix/reset /failover/switch\n",
          {
            status: 404,
          },
        );
    }
  }
  if (request.method !== "POST" || !POSTS.includes(pathname)) {
    return new Response("not found\n", { status: 404 });
  }
  const refusal = refuse(request, peer, token);
  if (refusal !== null) return refusal;
  if (pathname === "/reset") {
    return target.resetKill()
      ? Response.json({ killed: false })
      : Response.json({ killed: false, note: "the kill switch was not tripped" }, { status: 409 });
  }
  if (pathname === "/fix/reset") {
    return target.resetFix()
      ? Response.json({ reset: true })
      : Response.json({ reset: false, note: "there is no FIX session" }, { status: 409 });
  }
  if (pathname === "/positions/adopt") {
    return target.adoptPositions()
      ? Response.json({ asked: true })
      : Response.json({ asked: false, note: "the counterparty cannot be asked now" }, { status: 409 });
  }
  if (pathname === "/failover/switch") {
    return await switchLead(target, searchParams.get("force") === "true");
  }
  if (pathname === "/sides") return setSides(target, searchParams);
  const body = (await request.text()).trim().slice(0, 200);
  if (pathname === "/reduce") {
    target.reduce(body === "" ? "HTTP POST /reduce" : body);
    return Response.json({ reducing: true });
  }
  target.kill(body === "" ? "HTTP POST /kill" : body);
  return Response.json({ killed: true });
}

/** `POST /sides?sides=bid[&instrument=SYMBOL]`. */
function setSides(target: HttpTarget, parameters: URLSearchParams): Response {
  const given = parameters.get("sides");
  const sides = (Object.keys(SIDES) as SidesName[]).find((name) => name === given);
  if (sides === undefined) {
    return new Response(`sides: found "${given ?? ""}", expected one of ${Object.keys(SIDES).join(", ")}\n`, {
      status: 400,
    });
  }
  const instrument = parameters.get("instrument") ?? "";
  const instruments = target.setSides?.(instrument, sides) ?? 0;
  if (instruments > 0) return Response.json({ sides, instruments });
  return new Response(`instrument: "${instrument}" is not quoted\n`, { status: 404 });
}

async function switchLead(target: HttpTarget, force: boolean): Promise<Response> {
  try {
    if (target.switchLead === undefined) throw new KeelError("alone", "this process is not one of a pair");
    await target.switchLead(force);
    return Response.json({ switched: true });
  } catch (error) {
    if (!(error instanceof KeelError)) throw error;
    return Response.json({ switched: false, note: error.message }, { status: 409 });
  }
}

function verdict(reasons: readonly string[]): Response {
  return reasons.length === 0
    ? new Response("ok\n")
    : new Response(`${reasons.join("\n")}\n`, { status: 503 });
}

function refuse(request: Request, peer: string, token: string | null): Response | null {
  if (token !== null) {
    const given = Buffer.from(request.headers.get("authorization") ?? "");
    const wanted = Buffer.from(`Bearer ${token}`);
    const matches = given.length === wanted.length && timingSafeEqual(given, wanted);
    return matches
      ? null
      : new Response("a bearer token is needed\n", {
          status: 401,
          headers: { "www-authenticate": "Bearer" },
        });
  }
  const loopback = peer === "::1" || peer.startsWith("127.") || peer.startsWith("::ffff:127.");
  if (!loopback || request.headers.has("origin")) {
    return new Response("refused: without KEEL_HTTP_TOKEN_FILE only local tools may POST\n", { status: 403 });
  }
  return null;
}
