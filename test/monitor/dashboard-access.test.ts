import { afterEach, describe, expect, test } from "bun:test";
import { Access } from "../../src/monitor/dashboard/access.ts";
import type { Viewer } from "../../src/monitor/dashboard/protocol.ts";
import { HttpServer } from "../../src/monitor/http.ts";
import { DeskBed } from "../desk/desk-bed.ts";
import { ScriptedEngine } from "../desk/scripted-engine.ts";
import { quietTarget } from "../support/quiet-target.ts";
import { dashboardOf } from "./dashboard-source.ts";

const TOKEN = "operator-token";
const VIEW = "viewer-token";
const bed = new DeskBed(new ScriptedEngine());
bed.run(3_000);

const source = dashboardOf(bed, 3);

let server: HttpServer | null = null;
let kills: string[] = [];
afterEach(async () => {
  await server?.stop();
  server = null;
  kills = [];
});

function start(tokens: { token?: string | null; viewToken?: string | null }): string {
  server = new HttpServer(
    { hostname: "127.0.0.1", port: 0, token: tokens.token ?? null, viewToken: tokens.viewToken ?? null },
    quietTarget({ dashboard: source, kill: (reason) => kills.push(reason) }),
  );
  return `http://127.0.0.1:${server.port}`;
}

function post(base: string, path: string, body: object, headers: Record<string, string> = {}) {
  return fetch(`${base}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", origin: base, ...headers },
    body: JSON.stringify(body),
  });
}

async function viewer(base: string): Promise<Viewer | null> {
  const session = (await (await fetch(`${base}/dashboard/session`)).json()) as { viewer: Viewer | null };
  return session.viewer;
}

async function login(base: string, token: string): Promise<string> {
  const answer = await post(base, "/dashboard/login", { token });
  expect(answer.status).toBe(200);
  return (answer.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
}

/** What the socket's handshake came to: the first message, or null when it was refused. */
function firstMessage(base: string, headers: Record<string, string>): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const socket = new WebSocket(`${base.replace("http", "ws")}/dashboard/live`, { headers });
  socket.onmessage = ({ data }) => {
    resolve(String(data));
    socket.close();
  };
  socket.onerror = () => resolve(null);
  socket.onclose = () => resolve(null);
  return promise;
}

describe("who may look on and who may act", () => {
  test("the page is served with a policy that lets nothing in from elsewhere, and nothing inline", async () => {
    const base = start({ token: TOKEN });
    const page = await fetch(base);
    const policy = page.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain("unsafe");
    expect(page.headers.get("x-frame-options")).toBe("DENY");
    expect(await page.text()).not.toMatch(/https?:\/\/|<style|onload=|<script>/);
    expect((await (await fetch(`${base}/dashboard/main.js`)).text()).length).toBeGreaterThan(10_000);
  });

  test("a login makes a session that only looks on; actions are unlocked with the token for them", async () => {
    const base = start({ token: TOKEN, viewToken: VIEW });
    expect(await viewer(base)).toBeNull();
    const answer = await post(base, "/dashboard/login", { token: VIEW });
    expect(answer.headers.get("set-cookie")).toMatch(/HttpOnly; SameSite=Strict$/);
    const cookie = await login(base, VIEW);
    const kill = { act: "kill", reason: "drill" };
    expect((await post(base, "/dashboard/act", kill)).status).toBe(401);
    expect((await post(base, "/dashboard/act", kill, { cookie })).status).toBe(403);
    expect((await post(base, "/dashboard/unlock", { token: VIEW }, { cookie })).status).toBe(401);
    expect((await post(base, "/dashboard/unlock", { token: TOKEN }, { cookie })).status).toBe(200);
    expect((await post(base, "/dashboard/act", kill, { cookie })).status).toBe(200);
    expect(kills).toEqual(["dashboard: drill"]);
    expect((await post(base, "/dashboard/act", { act: "sell" }, { cookie })).status).toBe(400);
    await post(base, "/dashboard/lock", {}, { cookie });
    expect((await post(base, "/dashboard/act", kill, { cookie })).status).toBe(403);
    await post(base, "/dashboard/logout", {}, { cookie });
    expect((await post(base, "/dashboard/act", kill, { cookie })).status).toBe(401);
    expect(kills).toHaveLength(1);
  });

  test("another origin, or none, does nothing even with the cookie", async () => {
    const base = start({ token: TOKEN });
    const cookie = await login(base, TOKEN);
    await post(base, "/dashboard/unlock", { token: TOKEN }, { cookie });
    const kill = { act: "kill", reason: "" };
    const evil = await post(base, "/dashboard/act", kill, { cookie, origin: "http://evil.example" });
    expect(evil.status).toBe(403);
    const none = await fetch(`${base}/dashboard/act`, {
      method: "POST",
      headers: { cookie },
      body: JSON.stringify(kill),
    });
    expect(none.status).toBe(403);
    expect(kills).toEqual([]);
  });

  test("the socket is for the own page with a session, or for a program with a token", async () => {
    const base = start({ token: TOKEN, viewToken: VIEW });
    const cookie = await login(base, VIEW);
    expect(await firstMessage(base, { origin: base, cookie })).toContain('"hello"');
    expect(await firstMessage(base, { authorization: `Bearer ${VIEW}` })).toContain('"hello"');
    expect(await firstMessage(base, { origin: "http://evil.example", cookie })).toBeNull();
    expect(await firstMessage(base, { origin: base })).toBeNull();
    expect(await firstMessage(base, { authorization: "Bearer wrong" })).toBeNull();
  });

  test("with a token for looking on nothing but health is shown without one", async () => {
    const base = start({ token: TOKEN, viewToken: VIEW });
    for (const path of ["/metrics", "/status", "/positions", "/alerts", "/quotes", "/dashboard/view"]) {
      expect([path, (await fetch(base + path)).status]).toEqual([path, 401]);
      const headers = { authorization: `Bearer ${VIEW}` };
      expect([path, (await fetch(base + path, { headers })).status]).toEqual([path, 200]);
    }
    expect((await fetch(`${base}/healthz`)).status).toBe(200);
    const headers = { authorization: `Bearer ${VIEW}` };
    expect((await fetch(`${base}/kill`, { method: "POST", headers })).status).toBe(401);
  });

  test("without tokens this host looks on under its own name, and a page cannot act", async () => {
    const base = start({});
    expect((await viewer(base))?.canUnlock).toBe(false);
    const rebound = await fetch(`${base}/dashboard/session`, { headers: { host: "rebound.example" } });
    expect(rebound.status).toBe(403);
    expect((await post(base, "/dashboard/act", { act: "kill", reason: "" })).status).toBe(403);
    expect((await post(base, "/dashboard/unlock", { token: "x" })).status).toBe(401);
  });

  test("wrong tokens are limited, by address and in all, and the limit wears off", () => {
    let nowMs = 0;
    const options = { viewToken: VIEW, token: TOKEN, certificates: false, nowMs: () => nowMs };
    const access = new Access(options);
    for (let wrong = 0; wrong < 5; wrong += 1) {
      expect(access.login("wrong", "10.0.0.1")).toEqual({ ok: false, waitMs: 0 });
    }
    expect(access.login(VIEW, "10.0.0.1")).toMatchObject({ ok: false, waitMs: 12_000 });
    expect(access.login(VIEW, "10.0.0.2").ok).toBe(true);
    nowMs = 12_000;
    expect(access.login(VIEW, "10.0.0.1").ok).toBe(true);
    for (let other = 0; other < 100; other += 1) access.login("wrong", `10.0.1.${other}`);
    expect(access.login(VIEW, "10.0.0.3").ok).toBe(false);
    expect(access.counters.limited).toBeGreaterThan(60);
  });

  test("sessions end: idle after an hour, in any case after twelve, unlocked for ten minutes", () => {
    let nowMs = 0;
    const options = { viewToken: null, token: TOKEN, certificates: false, nowMs: () => nowMs };
    const access = new Access(options);
    const { session } = access.login(TOKEN, "a") as { session: string };
    access.unlock(session, TOKEN, "a");
    nowMs += 9 * 60_000;
    expect(access.viewer(session)?.unlockedMs).toBe(60_000);
    nowMs += 2 * 60_000;
    expect(access.viewer(session)?.unlockedMs).toBe(0);
    for (; nowMs < 12 * 3_600_000; nowMs += 50 * 60_000) expect(access.viewer(session)).not.toBeNull();
    expect(access.viewer(session)).toBeNull();
    const idle = (access.login(TOKEN, "a") as { session: string }).session;
    nowMs += 61 * 60_000;
    expect(access.viewer(idle)).toBeNull();
  });
});
