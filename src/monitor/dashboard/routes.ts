/**
 * The dashboard's paths: the page and its assets, logging in and out, unlocking and acting, and the socket of live updates.
 *
 * A page acts only in a session with a cookie that other sites cannot send (`SameSite=Strict`), from its own origin (checked
 * against `Host`), after the token for actions was given. Without any token only this host may look on, under a name of this
 * host, so that another site's name that resolves to it (DNS rebinding) gets nothing.
 *
 * @module
 */
import type { Server } from "bun";
import { z } from "zod";
import { Access, type AccessCounters, type Verdict } from "./access.ts";
import { ICON, PAGE, pageAssets } from "./assets.ts";
import { DashboardHub, type LiveData } from "./hub.ts";
import { SECTIONS, type Viewer, WATCHED_ROWS_MAX } from "./protocol.ts";
import { directory, wholeRow } from "./rows.ts";
import type { DashboardSource } from "./source.ts";

/** What a page may have the desk do. */
export interface DashboardActions {
  kill(reason: string): void;
  /** @returns false when there was nothing to reset, or why it was not where the desk must not trade */
  resetKill(): boolean | string;
  reduce(reason: string): void;
}

export interface DashboardOptions {
  readonly source: DashboardSource;
  readonly actions: DashboardActions;
  readonly viewToken: string | null;
  readonly token: string | null;
  readonly certificates: boolean;
  /** The server speaks TLS: cookies are for it alone. */
  readonly secure: boolean;
}

const MAX_AGE_SECONDS = 12 * 3_600;
const REASON_CHARACTERS_MAX = 200;

const tokenMessage = z.strictObject({ token: z.string().min(1).max(16_384) });
const actMessage = z.discriminatedUnion("act", [
  z.strictObject({ act: z.literal("kill"), reason: z.string().max(REASON_CHARACTERS_MAX) }),
  z.strictObject({ act: z.literal("reduce"), reason: z.string().max(REASON_CHARACTERS_MAX) }),
  z.strictObject({ act: z.literal("reset") }),
]);

const HEADERS = {
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), microphone=(), geolocation=(), usb=(), payment=()",
  "cache-control": "no-store",
} as const;

export class Dashboard {
  readonly hub: DashboardHub;
  readonly #access: Access;
  readonly #options: DashboardOptions;

  constructor(options: DashboardOptions) {
    this.#options = options;
    this.hub = new DashboardHub(options.source);
    this.#access = new Access({ ...options, nowMs: () => options.source.timeUs() / 1_000 });
  }

  get logins(): Readonly<AccessCounters> {
    return this.#access.counters;
  }

  /** A session's cookie, or a program's token, lets its request look on. */
  admits(request: Request, port: number): boolean {
    return (
      this.#access.admits(request.headers.get("authorization")) ||
      this.#access.viewer(this.#session(request, port)) !== null
    );
  }

  /** @param peer the client's address; @returns null for a path that is none of the dashboard's, undefined for a socket */
  async answer(
    request: Request,
    { pathname, searchParams }: URL,
    peer: string,
    server: Server<LiveData>,
  ): Promise<Response | null | undefined> {
    if (pathname !== "/" && !pathname.startsWith("/dashboard/")) return null;
    const foreign = this.#foreign(request, peer);
    if (foreign !== null) return refusal(403, foreign);
    const port = server.port ?? 0;
    if (request.method === "POST") return await this.#post(request, pathname, peer, port);
    if (request.method !== "GET" && request.method !== "HEAD") return refusal(405, "GET or POST");
    switch (pathname) {
      case "/":
        return reply(PAGE, "text/html; charset=utf-8");
      case "/dashboard/main.js":
        return reply((await pageAssets()).script, "text/javascript; charset=utf-8");
      case "/dashboard/styles.css":
        return reply((await pageAssets()).styles, "text/css; charset=utf-8");
      case "/dashboard/icon.svg":
        return reply(ICON, "image/svg+xml");
      case "/dashboard/session":
        return this.#standing(request, port);
      case "/dashboard/live":
        return this.#live(request, server);
      case "/dashboard/view":
        return this.admits(request, port) ? this.#view(searchParams) : refusal(401, "a token is needed");
      default:
        return refusal(404, "no such path");
    }
  }

  stop(): void {
    this.hub.stop();
  }

  async #post(request: Request, pathname: string, peer: string, port: number): Promise<Response> {
    if (!sameOrigin(request)) return refusal(403, "only the dashboard's own page may do that");
    const id = this.#session(request, port);
    switch (pathname) {
      case "/dashboard/login": {
        const message = await read(request, tokenMessage);
        if (message === null) return refusal(400, "a token is expected");
        return this.#entered(this.#access.login(message.token, peer), port);
      }
      case "/dashboard/unlock": {
        const message = await read(request, tokenMessage);
        if (message === null) return refusal(400, "a token is expected");
        return this.#entered(this.#access.unlock(id, message.token, peer), port);
      }
      case "/dashboard/lock":
        this.#access.lock(id);
        return this.#standing(request, port);
      case "/dashboard/logout":
        this.#access.logout(id);
        return json({ ended: true }, 200, { "set-cookie": this.#cookie("", 0, port) });
      case "/dashboard/act":
        return await this.#act(request, this.#access.viewer(id));
      default:
        return refusal(404, "no such path");
    }
  }

  async #act(request: Request, viewer: Viewer | null): Promise<Response> {
    if (viewer === null) return refusal(401, "log in first");
    if (viewer.unlockedMs === 0)
      return refusal(403, "actions are locked: unlock them with the token for them");
    const message = await read(request, actMessage);
    if (message === null) return refusal(400, "an action is expected: kill, reduce or reset");
    const { actions } = this.#options;
    switch (message.act) {
      case "kill":
        actions.kill(message.reason.trim() === "" ? "dashboard" : `dashboard: ${message.reason.trim()}`);
        return json({ killed: true });
      case "reduce":
        actions.reduce(message.reason.trim() === "" ? "dashboard" : `dashboard: ${message.reason.trim()}`);
        return json({ reducing: true });
      case "reset":
        return reset(actions);
    }
  }

  #entered(verdict: Verdict, port: number): Response {
    if (verdict.ok) {
      const viewer = this.#access.viewer(verdict.session);
      const cookie = this.#cookie(verdict.session, MAX_AGE_SECONDS, port);
      return json({ viewer, needsLogin: this.#access.needsLogin }, 200, { "set-cookie": cookie });
    }
    if (verdict.waitMs === 0) return refusal(401, "that is not the token");
    const seconds = String(Math.ceil(verdict.waitMs / 1_000));
    return refusal(429, `too many wrong tokens: wait ${seconds} s`, { "retry-after": seconds });
  }

  #standing(request: Request, port: number): Response {
    const { name, version } = this.#options.source;
    const viewer = this.#access.viewer(this.#session(request, port));
    const { needsLogin } = this.#access;
    // Who has not logged in learns nothing but that this is keel.
    return json(viewer === null ? { viewer, needsLogin } : { viewer, needsLogin, name, version });
  }

  #live(request: Request, server: Server<LiveData>): Response | undefined {
    const { headers } = request;
    const isProgram = this.#access.admits(headers.get("authorization"));
    if (!isProgram && !sameOrigin(request)) return refusal(403, "only the dashboard's own page may do that");
    const id = this.#session(request, server.port ?? 0);
    const program: Viewer = { canUnlock: false, unlockedMs: 0, by: "token" };
    const viewer = (): Viewer | null => (isProgram ? program : this.#access.viewer(id));
    if (viewer() === null) return refusal(401, "log in first");
    if (this.hub.full) {
      this.hub.counters.refused += 1;
      return refusal(503, "too many clients");
    }
    return server.upgrade(request, { data: { viewer, client: null } })
      ? undefined
      : refusal(426, "a WebSocket is expected");
  }

  /** `?sections=overview,pulse&rows=40`: the sections, whole, and the rows of the first instruments that are quoted. */
  #view(parameters: URLSearchParams): Response {
    const { source } = this.#options;
    const asked = (parameters.get("sections") ?? "").split(",");
    const unknown = asked.find((name) => name !== "" && !SECTIONS.some((known) => known === name));
    if (unknown !== undefined) {
      return refusal(400, `sections: found "${unknown.slice(0, 40)}", expected some of ${SECTIONS.join()}`);
    }
    const wanted = Math.min(Math.max(Number(parameters.get("rows") ?? 0) || 0, 0), WATCHED_ROWS_MAX);
    const ids = parameters.get("books") === "all" ? undefined : (id: number) => source.desk.quoter.quotes(id);
    const shown = mostTelling(source, Math.floor(wanted), ids);
    const { name, version, heads } = source;
    return json({
      us: source.timeUs(),
      hello: { name, version, heads },
      directory: shown.map((id) => directory(source.desk, id, 1)[0]),
      rows: shown.map((id) => wholeRow(source.desk, id)),
      sections: this.hub.sections(
        SECTIONS.filter((section) => asked.includes(section)),
        source.timeUs(),
      ),
    });
  }

  /** Why a request is not even looked at; null when it is. */
  #foreign(request: Request, peer: string): string | null {
    if (this.#access.needsLogin || this.#options.certificates) return null;
    const isLocal =
      peer === "" || peer === "::1" || peer.startsWith("127.") || peer.startsWith("::ffff:127.");
    if (!isLocal) return "without KEEL_HTTP_VIEW_TOKEN_FILE only this host may look on";
    const host = (request.headers.get("host") ?? "").replace(/:\d+$/, "");
    return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(host)
      ? null
      : "without KEEL_HTTP_VIEW_TOKEN_FILE only under the name localhost";
  }

  #session(request: Request, port: number): string | null {
    const name = this.#cookieName(port);
    for (const part of (request.headers.get("cookie") ?? "").split(";")) {
      const [key, value] = part.trim().split("=", 2);
      if (key === name && value !== undefined && value !== "") return value;
    }
    return null;
  }

  /** Browsers do not tell ports apart where cookies are concerned: each keel on a host has a name of its own. */
  #cookieName(port: number): string {
    return `${this.#options.secure ? "__Host-" : ""}keel-${port}`;
  }

  #cookie(value: string, seconds: number, port: number): string {
    const secure = this.#options.secure ? "; Secure" : "";
    return `${this.#cookieName(port)}=${value}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Strict${secure}`;
  }
}

/** Perpetuals and futures first, then options by expiry and by how near they are to the money. */
function mostTelling(
  { desk }: DashboardSource,
  count: number,
  fits: (id: number) => boolean = () => true,
): number[] {
  const { delta } = desk.quoter.values;
  return desk.market.instruments
    .all()
    .filter(({ id }) => fits(id))
    .sort(
      (a, b) =>
        Number(a.kind === "option") - Number(b.kind === "option") ||
        (a.kind === "option" ? a.expiryMs - b.expiryMs : 0) ||
        Math.abs(Math.abs(delta[a.id]) - 0.5) - Math.abs(Math.abs(delta[b.id]) - 0.5) ||
        a.id - b.id,
    )
    .slice(0, count)
    .map(({ id }) => id);
}

/** The request comes from a page of this very server. Every browser sends `Origin` with POST requests and WebSockets. */
function sameOrigin(request: Request): boolean {
  const origin = request.headers.get("origin");
  const host = request.headers.get("host");
  return origin !== null && URL.canParse(origin) && new URL(origin).host === host;
}

async function read<T>(request: Request, schema: z.ZodType<T>): Promise<T | null> {
  try {
    return schema.safeParse(await request.json()).data ?? null;
  } catch {
    return null;
  }
}

function reply(text: string, type: string): Response {
  return new Response(text, { headers: { ...HEADERS, "content-type": type } });
}

function reset({ resetKill }: DashboardActions): Response {
  const done = resetKill();
  if (typeof done === "string") return refusal(409, done);
  return done ? json({ reset: true }) : refusal(409, "nothing was to be reset");
}

function json(value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Response {
  return Response.json(value, { status, headers: { ...HEADERS, ...headers } });
}

function refusal(status: number, why: string, headers: Readonly<Record<string, string>> = {}): Response {
  return json({ refused: why }, status, headers);
}
