import { afterEach, describe, expect, test } from "bun:test";
import { Histogram } from "../../src/core/histogram.ts";
import { HttpServer } from "../../src/monitor/http.ts";
import { registerHttpMetrics } from "../../src/monitor/http-metrics.ts";
import { MetricRegistry } from "../../src/monitor/metrics.ts";
import { exposition } from "../support/exposition.ts";
import { quietTarget } from "../support/quiet-target.ts";

let server: HttpServer | null = null;
afterEach(async () => {
  await server?.stop();
  server = null;
});

function start(token: string | null = null) {
  const kills: string[] = [];
  const state = { killed: false, unready: [] as string[], fixResets: 0 };
  const metrics = new MetricRegistry();
  metrics.single("keel_test_things_total", "counter", "Things.", () => 3);
  server = new HttpServer(
    { hostname: "127.0.0.1", port: 0, token },
    quietTarget({
      metrics,
      unready: () => state.unready,
      status: () => ({ fine: true }),
      kill: (reason) => {
        kills.push(reason);
        state.killed = true;
      },
      fix: () => ({ session: "FIX.4.4-A-B" }),
      positions: () => ({ positions: [] }),
      quotes: (instrument) => [{ instrument }],
      resetFix: () => {
        state.fixResets += 1;
        return true;
      },
      resetKill: () => {
        const was = state.killed;
        state.killed = false;
        return was;
      },
    }),
  );
  return { base: `http://127.0.0.1:${server.port}`, kills, state };
}

describe("HttpServer", () => {
  test("serves metrics, health, readiness and status", async () => {
    const { base, state } = start();
    expect(await (await fetch(`${base}/metrics`)).text()).toContain("keel_test_things_total 3\n");
    expect((await fetch(`${base}/healthz`)).status).toBe(200);
    state.unready.push("no feed is live");
    const readyz = await fetch(`${base}/readyz`);
    expect(readyz.status).toBe(503);
    expect(await readyz.text()).toBe("no feed is live\n");
    expect(await (await fetch(`${base}/status`)).json()).toEqual({ fine: true });
    expect((await fetch(`${base}/nothing`)).status).toBe(404);
  });

  test("sets the sides that are quoted, by POST, a known value and an instrument that is quoted only", async () => {
    const told: string[] = [];
    const target = quietTarget({
      setSides: (instrument, sides) => (instrument === "X" ? 0 : told.push(`${instrument}:${sides}`)),
    });
    server = new HttpServer({ hostname: "127.0.0.1", port: 0, token: null }, target);
    const path = `http://127.0.0.1:${server.port}/sides`;
    const post = (query: string): Promise<Response> => fetch(`${path}?${query}`, { method: "POST" });
    expect((await fetch(`${path}?sides=bid`)).status).toBe(405);
    const wrong = await post("sides=left");
    expect(wrong.status).toBe(400);
    expect(await wrong.text()).toBe('sides: found "left", expected one of both, bid, ask, reducing\n');
    expect((await post("sides=bid&instrument=X")).status).toBe(404);
    expect(told).toEqual([]);
    expect(await (await post("sides=bid&instrument=BTC-PERPETUAL")).json()).toEqual({
      sides: "bid",
      instruments: 1,
    });
    expect((await post("sides=reducing")).status).toBe(200);
    expect(told).toEqual(["BTC-PERPETUAL:bid", ":reducing"]);
  });

  test("tells of the FIX session and resets it by POST only", async () => {
    const { base, state } = start();
    expect(await (await fetch(`${base}/fix`)).json()).toEqual({ session: "FIX.4.4-A-B" });
    expect((await fetch(`${base}/fix/reset`)).status).toBe(405);
    const page = { method: "POST", headers: { origin: "https://example.com" } };
    expect((await fetch(`${base}/fix/reset`, page)).status).toBe(403);
    expect(state.fixResets).toBe(0);
    expect(await (await fetch(`${base}/fix/reset`, { method: "POST" })).json()).toEqual({ reset: true });
    expect(state.fixResets).toBe(1);
  });

  test("says why a desk that must not trade is not reset", async () => {
    server = new HttpServer(
      { hostname: "127.0.0.1", port: 0, token: null },
      quietTarget({ resetKill: () => "the journal can write no more" }),
    );
    const told = await fetch(`http://127.0.0.1:${server.port}/reset`, { method: "POST" });
    expect(told.status).toBe(409);
    expect(await told.json()).toEqual({ reset: false, note: "the journal can write no more" });
  });

  test("kills by POST only and resets once", async () => {
    const { base, kills } = start();
    expect((await fetch(`${base}/kill`)).status).toBe(405);
    expect(kills).toEqual([]);
    await fetch(`${base}/kill`, { method: "POST", body: "drill" });
    expect(kills).toEqual(["drill"]);
    expect((await fetch(`${base}/reset`, { method: "POST" })).status).toBe(200);
    expect((await fetch(`${base}/reset`, { method: "POST" })).status).toBe(409);
  });

  test("refuses a POST that a web page sent", async () => {
    const { base, kills } = start();
    const answer = await fetch(`${base}/kill`, {
      method: "POST",
      headers: { origin: "http://evil.example" },
    });
    expect(answer.status).toBe(403);
    expect(kills).toEqual([]);
  });

  test("needs the token where one is set", async () => {
    const { base, kills } = start("secret");
    expect((await fetch(`${base}/kill`, { method: "POST" })).status).toBe(401);
    const headers = { authorization: "Bearer secret" };
    expect((await fetch(`${base}/kill`, { method: "POST", headers })).status).toBe(200);
    expect(kills).toHaveLength(1);
  });

  test("names the address that is taken", () => {
    start();
    const port = server?.port ?? 0;
    expect(() => new HttpServer({ hostname: "127.0.0.1", port, token: null }, quietTarget())).toThrow(
      `127.0.0.1:${port}`,
    );
  });
});

test("what is refused is counted by why, and what is let in is not", async () => {
  const { base } = start("right-token-of-16");
  if (server === null) throw new Error("a server was started");
  const metrics = new MetricRegistry();
  registerHttpMetrics(metrics, server);
  const kill = (authorization: string): Promise<Response> =>
    fetch(`${base}/kill`, { method: "POST", headers: { authorization } });
  expect((await kill("Bearer wrong")).status).toBe(401);
  expect((await kill("")).status).toBe(401);
  expect((await kill("Bearer right-token-of-16")).status).toBe(200);
  expect((await fetch(`${base}/healthz`)).status).toBe(200);
  expect(exposition(metrics)).toContain('keel_http_refused_total{status="401"} 2\n');
  expect(exposition(metrics)).toContain('keel_http_refused_total{status="403"} 0\n');
  await server.stop();
  start(null);
  const other = new MetricRegistry();
  registerHttpMetrics(other, server);
  const foreign = await fetch(`http://127.0.0.1:${server.port}/kill`, {
    method: "POST",
    headers: { origin: "https://elsewhere.example" },
  });
  expect(foreign.status).toBe(403);
  expect(exposition(other)).toContain('keel_http_refused_total{status="403"} 1\n');
});

describe("what a stranger's bytes do", () => {
  for (const [what, request, status] of [
    ["HTTP/1.0 without a host", "GET /healthz HTTP/1.0\r\n\r\n", "200"],
    ["a host that is none", "GET /healthz HTTP/1.1\r\nHost: [\r\nConnection: close\r\n\r\n", "400"],
    ["a port that is none", "GET /healthz HTTP/1.1\r\nHost: x:99999\r\nConnection: close\r\n\r\n", "400"],
  ] as const) {
    test(`${what} is answered in a line`, async () => {
      start();
      const answer = await raw(server?.port ?? 0, request);
      expect(answer).toMatch(new RegExp(`^HTTP/1\\.[01] ${status} `));
      expect(answer.length).toBeLessThan(400);
    });
  }

  test("a fault of ours is told to the log, counted, and its source to nobody", async () => {
    const told: unknown[] = [];
    const failing = quietTarget({
      status: () => {
        throw new Error("no status");
      },
    });
    const onFault = (error: unknown): void => void told.push(error);
    server = new HttpServer({ hostname: "127.0.0.1", port: 0, token: null, onFault }, failing);
    const response = await fetch(`http://127.0.0.1:${server.port}/status`);
    expect([response.status, await response.text()]).toEqual([500, "internal error\n"]);
    expect(told).toEqual([new Error("no status")]);
    const metrics = new MetricRegistry();
    registerHttpMetrics(metrics, server);
    expect(exposition(metrics)).toContain('keel_http_refused_total{status="500"} 1\n');
  });
});

/** Sends bytes as they are. @returns what comes back until the end */
async function raw(port: number, request: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let answer = "";
  await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: (socket) => void socket.write(request),
      data: (_, bytes) => {
        answer += bytes.toString();
        if (/\r\n\r\n./s.test(answer)) resolve(answer);
      },
      close: () => resolve(answer),
      error: (_, error) => reject(error),
    },
  });
  return await promise;
}

describe("MetricRegistry", () => {
  test("writes cumulative histogram buckets in seconds and escapes labels", () => {
    const metrics = new MetricRegistry();
    const histogram = new Histogram();
    histogram.record(900);
    histogram.record(2_000_000);
    metrics.add({
      name: "keel_test_stage_seconds",
      type: "histogram",
      help: "Stage.",
      collect: (_emit, emitHistogram) => emitHistogram(histogram, { stage: 'a"b' }),
    });
    const text = exposition(metrics);
    expect(text).toContain('keel_test_stage_seconds_bucket{stage="a\\"b",le="0.000001"} 1\n');
    expect(text).toContain('keel_test_stage_seconds_bucket{stage="a\\"b",le="+Inf"} 2\n');
    expect(text).toContain('keel_test_stage_seconds_count{stage="a\\"b"} 2\n');
  });

  test("refuses a second family of the same name", () => {
    const metrics = new MetricRegistry();
    metrics.single("keel_x", "gauge", "X.", () => 0);
    expect(() => metrics.single("keel_x", "gauge", "X.", () => 0)).toThrow("keel_x");
  });
});
