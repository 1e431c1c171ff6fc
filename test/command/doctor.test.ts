import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Check, Finding } from "../../src/command/doctor/check.ts";
import { disk, judged, SLOW_SYNC_MS } from "../../src/command/doctor/disk.ts";
import { instruments } from "../../src/command/doctor/instruments.ts";
import { kernelClock, kernelFinding } from "../../src/command/doctor/kernel-clock.ts";
import { killSwitch } from "../../src/command/doctor/kill-switch.ts";
import { limits, memory, nofile, threads } from "../../src/command/doctor/limits.ts";
import { fix, http, signal } from "../../src/command/doctor/network.ts";
import { clockOffset, venues } from "../../src/command/doctor/venues.ts";
import { loadConfig } from "../../src/config.ts";
import { runIsolated } from "../../src/core/child.ts";
import { isolatedProbe } from "../../src/inference/probe.ts";
import { KILL_SWITCH_FILE, KillSwitchStore } from "../../src/risk/kill-switch-store.ts";

const folder = mkdtempSync(join(tmpdir(), "keel-doctor-"));
const servers: { stop(force: boolean): unknown }[] = [];
afterAll(() => {
  for (const server of servers) server.stop(true);
  rmSync(folder, { recursive: true });
});

function look(check: Check, env: Record<string, string>, offline = false): Promise<Finding[]> {
  return check.run({ config: loadConfig({ KEEL_STATE_DIR: folder, ...env }), env, offline });
}

function statuses(found: readonly Finding[]): string[] {
  return found.map(({ area, subject, status }) => `${area} ${subject}: ${status}`);
}

/** A venue that takes WebSockets and tells a time `aheadMs` ahead of ours. */
function venueServer(aheadMs: number): string {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request, upgrading) =>
      upgrading.upgrade(request) ? undefined : Response.json({ result: Date.now() + aheadMs }),
    websocket: { message() {} },
  });
  servers.push(server);
  return `http://127.0.0.1:${server.port}`;
}

/** A port on which nothing listens. */
function closedPort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  listener.stop(true);
  return listener.port;
}

describe("feed", () => {
  test("a venue that answers is reachable both ways and has its clock compared", async () => {
    const env = { KEEL_FEEDS: "deribit:BTC-PERPETUAL", KEEL_URL_DERIBIT: venueServer(0) };
    expect(statuses(await look(venues, env))).toEqual([
      "feed deribit WebSocket: ok",
      "feed deribit REST: ok",
      "clock deribit: ok",
    ]);
  });

  test("a venue that does not answer fails with the variable to look at", async () => {
    const env = {
      KEEL_FEEDS: "binance-usdm:BTCUSDT",
      KEEL_URL_BINANCE_USDM: `ws://127.0.0.1:${closedPort()}`,
    };
    const found = await look(venues, env);
    expect(statuses(found)).toEqual(["feed binance-usdm WebSocket: fail", "feed binance-usdm REST: fail"]);
    expect(found[0]?.advice).toContain("KEEL_URL_BINANCE_USDM");
  });

  test("a server that is silent fails within the timeout", async () => {
    const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    servers.push(silent);
    const found = await look(venues, {
      KEEL_FEEDS: "deribit:BTC-PERPETUAL",
      KEEL_URL_DERIBIT: `ws://127.0.0.1:${silent.port}`,
      KEEL_CONNECT_TIMEOUT_MS: "100",
      KEEL_REQUEST_TIMEOUT_MS: "100",
    });
    expect(statuses(found)).toEqual(["feed deribit WebSocket: fail", "feed deribit REST: fail"]);
  });

  test("without feeds there is a warning, offline nothing is tried", async () => {
    expect(statuses(await look(venues, {}))).toEqual(["feed KEEL_FEEDS: warn"]);
    const env = { KEEL_FEEDS: "deribit:BTC-PERPETUAL", KEEL_URL_DERIBIT: `ws://127.0.0.1:${closedPort()}` };
    expect(statuses(await look(venues, env, true))).toEqual(["feed deribit: ok"]);
  });
});

describe("clock", () => {
  const sample = { status: 200, roundTripMs: 10, errorMs: 5 };

  test.each([
    [3, "ok"],
    [-104, "ok"],
    [-106, "warn"],
    [4_000, "warn"],
    [5_006, "fail"],
  ] as const)("%p ms from the venue's clock is %s", (offsetMs, status) => {
    expect(clockOffset("deribit", { ...sample, offsetMs }, false).status).toBe(status);
  });

  test("a stand-in for a venue may play the past", () => {
    expect(clockOffset("deribit", { ...sample, offsetMs: -1e11 }, true).status).toBe("ok");
  });

  test.each([
    [0, 0x2001, 1_500, "ok"],
    [0, 0x2001, 200_000, "warn"],
    [5, 0x40, 16_000_000, "warn"],
    [-1, 0, 0, "warn"],
  ] as const)("adjtimex %p with status %p and error %p µs is %s", (state, status, errorUs, expected) => {
    expect(kernelFinding({ state, status, maxErrorUs: errorUs, offsetUs: 0 }).status).toBe(expected);
  });

  test("the kernel of this host answers", async () => {
    expect(statuses(await look(kernelClock, {}))[0]).toMatch(/^clock kernel: (ok|warn)$/);
  });
});

describe("instruments", () => {
  function listing(answer: (url: URL) => Response): string {
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: (request) => answer(new URL(request.url)),
    });
    servers.push(server);
    return `http://127.0.0.1:${server.port}`;
  }

  test("a subscription that the venue does not list fails by name", async () => {
    const url = listing(() => Response.json({ symbols: [{ symbol: "BTCUSDT" }] }));
    const env = { KEEL_URL_BINANCE_USDM: url };
    const known = await look(instruments, { ...env, KEEL_FEEDS: "binance-usdm:BTCUSDT" });
    expect(statuses(known)).toEqual(["feed binance-usdm instruments: ok"]);
    const found = await look(instruments, { ...env, KEEL_FEEDS: "binance-usdm:BTCUSDT,binance-usdm:NOSUCH" });
    expect(found[0]).toMatchObject({ status: "fail", detail: "not listed by the venue: NOSUCH" });
  });

  test("a whole chain counts its options, and one that is empty fails", async () => {
    const url = listing(({ searchParams }) =>
      Response.json({
        result:
          searchParams.get("currency") === "BTC" ? [{ instrument_name: "A" }, { instrument_name: "B" }] : [],
      }),
    );
    const env = { KEEL_URL_DERIBIT: url };
    const known = await look(instruments, { ...env, KEEL_FEEDS: "deribit:options:BTC" });
    expect(known[0]).toMatchObject({ status: "ok", detail: "2 listed for options:BTC" });
    const found = await look(instruments, { ...env, KEEL_FEEDS: "deribit:options:BTC,deribit:options:ETH" });
    expect(found[0]).toMatchObject({ status: "fail", detail: "not listed by the venue: options:ETH" });
  });

  test("where one symbol is asked for, 400 means that there is none", async () => {
    const url = listing(() => Response.json({ code: -1121, msg: "Invalid symbol." }, { status: 400 }));
    const found = await look(instruments, { KEEL_URL_BINANCE_SPOT: url, KEEL_FEEDS: "binance-spot:NOSUCH" });
    expect(found[0]?.status).toBe("fail");
  });

  test("of a venue that cannot be reached nothing is said twice", async () => {
    const url = `http://127.0.0.1:${closedPort()}`;
    expect(await look(instruments, { KEEL_URL_DERIBIT: url, KEEL_FEEDS: "deribit:options:BTC" })).toEqual([]);
  });
});

describe("disk", () => {
  test("folders that do not exist yet are tried where they will be made, and nothing is left behind", async () => {
    const found = await look(disk, {
      KEEL_STATE_DIR: join(folder, "a/b"),
      KEEL_JOURNAL_DIR: join(folder, "c"),
      KEEL_JOURNAL_SEGMENT_MB: "1",
    });
    // A loaded host's disk may be slow, and that is what it is warned of then.
    const took = ({ detail }: Finding): number => Number(/synced in ([\d.]+) ms/.exec(detail)?.[1]);
    const expected = found.map((finding) => (took(finding) > SLOW_SYNC_MS ? "warn" : "ok"));
    expect(found.map(({ status }) => status)).toEqual(expected);
    expect(found.map(({ subject }) => subject)).toEqual(["KEEL_STATE_DIR", "KEEL_JOURNAL_DIR"]);
    expect(readdirSync(folder)).toEqual([]);
  });

  test.each([
    [{}, "ok"],
    [{ syncMs: 200 }, "ok"],
    [{ syncMs: 201 }, "warn"],
    [{ freeBytes: 99 }, "warn"],
    [{ freeBytes: 9, syncMs: 201 }, "fail"],
    [{ inodesLeft: false }, "fail"],
  ] as const)("of a folder with %p it is %s", (sample, status) => {
    const good = { freeBytes: 1_000, inodesLeft: true, syncMs: 1 };
    const finding = judged("KEEL_STATE_DIR", "/f", { ...good, ...sample }, { failBytes: 10, warnBytes: 100 });
    expect(finding).toMatchObject({ subject: "KEEL_STATE_DIR", status });
    expect(finding.detail).toStartWith("/f");
  });

  test("a file in place of a folder fails", async () => {
    const path = join(folder, "file");
    writeFileSync(path, "");
    chmodSync(path, 0o600);
    expect(statuses(await look(disk, { KEEL_STATE_DIR: path }))[0]).toBe("disk KEEL_STATE_DIR: fail");
    rmSync(path);
  });
});

describe("limit", () => {
  test.each([
    ["128", "fail"],
    ["1024", "warn"],
    ["65536", "ok"],
    ["unlimited", "ok"],
  ] as const)("%s open files is %s", (soft, status) => {
    expect(
      nofile(`Limit  Soft  Hard  Units\nMax open files            ${soft}   unlimited   files\n`).status,
    ).toBe(status);
  });

  test("memory is what the host or the control group leaves, whichever is less", () => {
    const meminfo = "MemTotal: 99 kB\nMemAvailable:    8388608 kB\n";
    expect(memory(meminfo, "max\n")).toMatchObject({ status: "ok", detail: "8.0 GiB available" });
    expect(memory(meminfo, "536870912\n").status).toBe("warn");
    expect(memory(meminfo, "134217728\n").status).toBe("fail");
  });

  test("threads for feeds need processors, and venues or coins to be spread over them", () => {
    const feeds = [
      { venue: "okx", subscriptions: ["BTC-USDT", "ETH-USDT"] },
      { venue: "kraken", subscriptions: ["BTC/USD"] },
    ] as const;
    expect(threads({ feeds, shards: 3 }, 8)).toMatchObject({ subject: "KEEL_SHARDS", status: "ok" });
    expect(threads({ feeds, shards: 5 }, 8)).toMatchObject({ status: "warn" });
    expect(threads({ feeds, shards: 5 }, 8).advice).toStartWith("set it to 3:");
    expect(threads({ feeds, shards: 2 }, 2).advice).toStartWith("set it to 1:");
  });

  test("this host answers", async () => {
    expect((await look(limits, {})).map(({ subject }) => subject)).toContain("nofile");
  });
});

describe("counterparty, HTTP and signals", () => {
  test("a counterparty that takes connections is fine, one that does not fails", async () => {
    const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    servers.push(listener);
    const env = { KEEL_FIX_HOST: "127.0.0.1", KEEL_FIX_PORT: String(listener.port) };
    expect((await look(fix, env))[0]?.status).toBe("ok");
    expect((await look(fix, { ...env, KEEL_FIX_PORT: String(closedPort()) }))[0]?.status).toBe("fail");
  });

  test("an HTTP port in use fails, a free one is fine", async () => {
    const port = closedPort();
    expect((await look(http, { KEEL_HTTP: `127.0.0.1:${port}` }))[0]?.status).toBe("ok");
    const url = new URL(venueServer(0));
    expect((await look(http, { KEEL_HTTP: url.host }))[0]?.status).toBe("fail");
  });

  test("an HTTP address that other hosts reach asks for a token", async () => {
    expect((await look(http, { KEEL_HTTP: `0.0.0.0:${closedPort()}` }))[0]?.status).toBe("warn");
  });

  test("an HTTP token that can be guessed is warned of, and one that cannot is not", async () => {
    const tokens = mkdtempSync(join(tmpdir(), "keel-doctor-tokens-"));
    const [short, long] = [join(tokens, "short"), join(tokens, "long")];
    writeFileSync(short, "0123456789abcde");
    writeFileSync(long, "0123456789abcdef");
    const env = { KEEL_HTTP: `unix:${join(tokens, "http.sock")}`, KEEL_HTTP_TOKEN_FILE: long };
    expect(statuses(await look(http, env))).toEqual(["http KEEL_HTTP: ok"]);
    expect(statuses(await look(http, { ...env, KEEL_HTTP_VIEW_TOKEN_FILE: short }))).toEqual([
      "http KEEL_HTTP: ok",
      "http KEEL_HTTP_VIEW_TOKEN_FILE: warn",
    ]);
    rmSync(tokens, { recursive: true });
    expect(statuses(await look(http, { KEEL_HTTP: env.KEEL_HTTP }))).toEqual(["http KEEL_HTTP: warn"]);
  });

  test("a signal server is tried", async () => {
    expect((await look(signal, { KEEL_URL_SIGNAL: venueServer(0) }))[0]?.status).toBe("ok");
    expect((await look(signal, { KEEL_URL_SIGNAL: `ws://127.0.0.1:${closedPort()}` }))[0]?.status).toBe(
      "fail",
    );
  });
});

describe("kill switch", () => {
  const env = { KEEL_STATE_DIR: join(folder, "state") };
  const store = new KillSwitchStore(join(folder, "state", KILL_SWITCH_FILE));
  afterAll(() => rmSync(join(folder, "state"), { recursive: true, force: true }));

  test("one that was never tripped, or was reset, is fine", async () => {
    expect((await look(killSwitch, env))[0]?.status).toBe("ok");
    store.save({ tripped: false, reason: "", timeUs: 0 });
    expect((await look(killSwitch, env))[0]?.status).toBe("ok");
  });

  test("a tripped one is a warning with its reason", async () => {
    store.save({ tripped: true, reason: "limit:maxDeltaNotional", timeUs: 1e15 });
    expect((await look(killSwitch, env))[0]).toMatchObject({
      status: "warn",
      detail: "tripped since 2001-09-09T01:46:40.000Z: limit:maxDeltaNotional",
    });
  });

  test("a state that cannot be read counts as tripped", async () => {
    writeFileSync(join(folder, "state", KILL_SWITCH_FILE), "half a li");
    expect((await look(killSwitch, env))[0]?.status).toBe("warn");
  });
});

describe("what runs in a child process", () => {
  test("a child that faults is reported and takes nothing with it", async () => {
    const end = await runIsolated("any", process.env, ["sh", "-c", "kill -SEGV $$"]);
    expect(end).toEqual({ error: { code: "child-signal", message: "ended with SIGSEGV: a faulty driver" } });
    const probe = await isolatedProbe(process.env, ["sh", "-c", "kill -SEGV $$"]);
    expect(probe).toMatchObject({
      gpuAdapters: [],
      gpuCompute: null,
      gpuReason: "the search for GPUs ended with SIGSEGV: a faulty driver",
      tensorrt: null,
    });
  });

  test("a child that fails is reported with its own error", async () => {
    const end = await runIsolated("any", process.env, [
      "sh",
      "-c",
      'echo \'{"error":{"code":"model-refused","message":"no"}}\'; exit 5',
    ]);
    expect(end).toEqual({ error: { code: "model-refused", message: "no" } });
  });

  test("a child that says nothing is reported", async () => {
    expect(await runIsolated("any", process.env, ["true"])).toMatchObject({
      error: { code: "child-broken" },
    });
  });
});
