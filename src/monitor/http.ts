import { timingSafeEqual } from "node:crypto";
import type { TLSOptions } from "bun";
import { KeelError } from "../core/errors.ts";
import { serverDefaults } from "../core/server-defaults.ts";
import { SIDES, type SidesName } from "../quote/target.ts";
import type { LiveData } from "./dashboard/hub.ts";
import { Dashboard } from "./dashboard/routes.ts";
import type { DashboardSource } from "./dashboard/source.ts";
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
  /** @returns false when there was nothing to reset, or why it was not where the desk must not trade */
  resetKill(): boolean | string;
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
  /** Champion, canary and challengers; null or left out where the model cannot be changed. */
  models?(): unknown;
  /** One stage onward. @returns where it stands then, in words why not, or null where the model cannot be changed */
  promoteModel?(version: string, why: string): Promise<unknown>;
  /** The canary out of force, or the champion of before back. @returns as {@link promoteModel} */
  rollbackModel?(why: string): Promise<unknown>;
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
  /** What the dashboard shows; left out where there is none. */
  readonly dashboard?: DashboardSource;
}

export interface HttpOptions {
  readonly hostname: string;
  readonly port: number;
  /** When set, `POST` needs `Authorization: Bearer <token>` from everywhere. */
  readonly token: string | null;
  /** When set, whatever tells more than health needs this token or the other one, or a session of the dashboard. */
  readonly viewToken?: string | null;
  /** Left out: plain TCP. With `requestCert` a client without a certificate that `ca` vouches for gets no answer. */
  readonly tls?: TLSOptions | undefined;
  /** A socket in the file system in place of a port; whoever may open it counts as local. */
  readonly unix?: string | undefined;
  /** Is given what was thrown while a request was answered. */
  readonly onFault?: (error: unknown) => void;
}

/** More than any message of a page or a tool needs, and longer than any token. */
const MAX_BODY_BYTES = 32_768;
const MAX_REASON_CHARACTERS = 200;
/** Of a page's message: what it looks at. */
const MAX_MESSAGE_BYTES = 16_384;
/** Bytes that may wait for one page; what comes after that is left out until it has read them. */
const MAX_BACKLOG_BYTES = 8 << 20;
const OPEN_PATHS = ["/healthz", "/readyz"];
const POSTS = [
  "/kill",
  "/reduce",
  "/sides",
  "/reset",
  "/positions/adopt",
  "/fix/reset",
  "/failover/switch",
  "/models/promote",
  "/models/rollback",
];

/**
 * `/metrics` (Prometheus text), `/healthz`, `/readyz`, `/status`, `/alerts`, `/positions`, `/quotes?instrument=SYMBOL`, `/rfq`, `/outcomes`, `/models`, `/drift`, `/fix`, `/failover` and `/deribit` (JSON); `POST /kill`, `POST /reduce`, `POST /sides` and
 * `POST /reset` move the trading state, `POST /positions/adopt` takes over the counterparty's positions, `POST /fix/reset` starts the FIX session anew, `POST /failover/switch` gives the lead to the other one of a pair,
 * `POST /models/promote` and `/models/rollback` change the model.
 *
 * A `POST` is accepted with the token, or, when none is configured, from a loopback address by a client that is no web page
 * (no `Origin` header), so that a page open in a browser on the host cannot reach the switch.
 */
export class HttpServer {
  readonly dashboard: Dashboard | null;
  /** Requests that were let do nothing, by what was wrong with them. */
  readonly refusals = { malformed: 0, unauthorised: 0, forbidden: 0 };
  /** Requests that something of ours went wrong with. */
  faults = 0;
  readonly #server: Bun.Server<LiveData>;

  /** @throws KeelError when the address cannot be bound. */
  constructor(options: HttpOptions, target: HttpTarget) {
    const { token, tls, viewToken = null } = options;
    const dashboard = target.dashboard === undefined ? null : dashboardOf(options, target, target.dashboard);
    this.dashboard = dashboard;
    const mayRead = (request: Request, { pathname }: URL, port: number): boolean => {
      if (viewToken === null || OPEN_PATHS.includes(pathname)) return true;
      if (dashboard !== null) return dashboard.admits(request, port);
      return bears(request, viewToken) || (token !== null && bears(request, token));
    };
    const respond = async (request: Request, server: Bun.Server<LiveData>): Promise<Response | undefined> => {
      // A request of HTTP/1.0 may come without a host, and its URL is then a path alone.
      const url = URL.parse(request.url, "http://localhost");
      if (url === null) {
        return new Response("the host or the path is none\n", { status: 400 });
      }
      const peer = server.requestIP(request)?.address ?? (options.unix === undefined ? "unknown" : "");
      const shown = (await dashboard?.answer(request, url, peer, server)) ?? null;
      if (shown !== null || (dashboard !== null && isLive(url))) return shown ?? undefined;
      const isRead = request.method === "GET" || request.method === "HEAD";
      if (isRead && !mayRead(request, url, server.port ?? 0)) return unauthorised();
      return await answer(request, url, peer, token, target);
    };
    const common = {
      ...(tls === undefined ? {} : { tls }),
      maxRequestBodySize: MAX_BODY_BYTES,
      ...serverDefaults((error) => {
        this.faults += 1;
        options.onFault?.(error);
      }),
      fetch: async (request: Request, server: Bun.Server<LiveData>): Promise<Response | undefined> => {
        const response = await respond(request, server);
        if (response?.status === 400) this.refusals.malformed += 1;
        if (response?.status === 401) this.refusals.unauthorised += 1;
        if (response?.status === 403) this.refusals.forbidden += 1;
        return response;
      },
      websocket: {
        maxPayloadLength: MAX_MESSAGE_BYTES,
        backpressureLimit: MAX_BACKLOG_BYTES,
        idleTimeout: 120,
        sendPings: true,
        perMessageDeflate: false,
        open: (socket: Bun.ServerWebSocket<LiveData>) => dashboard?.hub.open(socket),
        message: (socket: Bun.ServerWebSocket<LiveData>, message: string | Buffer) =>
          dashboard?.hub.message(socket, message),
        close: (socket: Bun.ServerWebSocket<LiveData>) => dashboard?.hub.close(socket),
      },
    };
    const at = options.unix ?? `${options.hostname}:${options.port}`;
    try {
      this.#server =
        options.unix === undefined
          ? Bun.serve<LiveData>({
              ...common,
              hostname: options.hostname,
              port: options.port,
              reusePort: false,
            })
          : Bun.serve<LiveData>({ ...common, unix: options.unix });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new KeelError("http-bind", `KEEL_HTTP: cannot listen on ${at}: ${why}`);
    }
  }

  get port(): number {
    return this.#server.port ?? 0;
  }

  async stop(): Promise<void> {
    this.dashboard?.stop();
    await this.#server.stop(true);
  }
}

function dashboardOf(options: HttpOptions, target: HttpTarget, source: DashboardSource): Dashboard {
  const { token, viewToken = null, tls } = options;
  return new Dashboard({
    source,
    actions: {
      kill: (reason) => target.kill(reason),
      reduce: (reason) => target.reduce(reason),
      resetKill: () => target.resetKill(),
    },
    ...{ viewToken, token },
    certificates: tls?.requestCert === true,
    secure: tls !== undefined,
  });
}

/** The dashboard answers this one with a socket, and so with no response. */
function isLive({ pathname }: URL): boolean {
  return pathname === "/dashboard/live";
}

async function answer(
  request: Request,
  { pathname, searchParams }: URL,
  peer: string,
  token: string | null,
  target: HttpTarget,
): Promise<Response> {
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
      case "/models":
        return Response.json(target.models?.() ?? null);
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
      case "/models/promote":
      case "/models/rollback":
        return new Response("use POST\n", { status: 405, headers: { allow: "POST" } });
      default:
        return new Response(
          "paths: / (the dashboard) /metrics /healthz /readyz /status /alerts /positions /quotes?instrument=SYMBOL /rfq /outcomes /models /drift /fix /failover /deribit, POST /kill /reduce /sides /reset /positions/adopt /fix/reset /failover/switch /models/promote?version=VERSION /models/rollback\n",
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
    const done = target.resetKill();
    if (typeof done === "string") return Response.json({ reset: false, note: done }, { status: 409 });
    return done
      ? Response.json({ killed: false })
      : Response.json({ killed: false, note: "there was nothing to reset" }, { status: 409 });
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
  const body = (await request.text()).trim().slice(0, MAX_REASON_CHARACTERS);
  if (pathname === "/models/promote" || pathname === "/models/rollback") {
    const version = searchParams.get("version") ?? "";
    const done = pathname.endsWith("promote")
      ? await target.promoteModel?.(version, body)
      : await target.rollbackModel?.(body);
    if (typeof done === "string") return Response.json({ changed: false, note: done }, { status: 409 });
    return done == null
      ? Response.json({ changed: false, note: "the model cannot be changed" }, { status: 409 })
      : Response.json({ changed: true, ...done });
  }
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
  if (token !== null) return bears(request, token) ? null : unauthorised();
  const loopback = peer === "" || peer === "::1" || peer.startsWith("127.") || peer.startsWith("::ffff:127.");
  if (!loopback || request.headers.has("origin")) {
    return new Response("refused: without KEEL_HTTP_TOKEN_FILE only local tools may POST\n", { status: 403 });
  }
  return null;
}

function bears(request: Request, token: string): boolean {
  const given = Buffer.from(request.headers.get("authorization") ?? "");
  const wanted = Buffer.from(`Bearer ${token}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

function unauthorised(): Response {
  return new Response("a bearer token is needed\n", {
    status: 401,
    headers: { "www-authenticate": "Bearer" },
  });
}
