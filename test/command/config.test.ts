import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { variableTable } from "../../src/config/table.ts";
import { VARIABLES } from "../../src/config/variables.ts";
import { ConfigError, type ConfigProblem, loadConfig, requireFeeds } from "../../src/config.ts";
import { EXIT } from "../../src/core/errors.ts";
import { DEFAULT_QUOTE_PARAMETERS } from "../../src/quote/parameters.ts";
import { DEFAULT_RISK_LIMITS } from "../../src/risk/limits.ts";

const folder = mkdtempSync(join(tmpdir(), "keel-config-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function problemsOf(env: Record<string, string>): readonly ConfigProblem[] {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) {
      expect(error.exitCode).toBe(EXIT.badConfiguration);
      return error.problems;
    }
    throw error;
  }
  return [];
}

test("an empty environment gives the defaults", () => {
  const config = loadConfig({});
  expect(config.feeds).toEqual([]);
  expect(config.device).toBe("auto");
  expect(config.fix).toBeUndefined();
  expect(config.journal).toBeUndefined();
  expect(config.http).toBeUndefined();
  expect(config.quote).toEqual(DEFAULT_QUOTE_PARAMETERS);
  expect(config.risk).toEqual(DEFAULT_RISK_LIMITS);
});

test("a loop that never sleeps wants a processor, and no real-time priority, under which the kernel stops it", () => {
  expect(loadConfig({}).placement).toEqual({ cpu: null, priority: null, spin: false });
  expect(loadConfig({ KEEL_SPIN: "on", KEEL_LOOP_CPU: "3" }).placement).toEqual({
    cpu: 3,
    priority: null,
    spin: true,
  });
  const problems = problemsOf({ KEEL_SPIN: "on", KEEL_LOOP_PRIORITY: "20" });
  expect(problems.map(({ name, found }) => [name, found])).toEqual([
    ["KEEL_LOOP_CPU", null],
    ["KEEL_LOOP_PRIORITY", "20"],
  ]);
});

test("an empty variable counts as not set", () => {
  expect(loadConfig({ KEEL_FEEDS: "", KEEL_SEED: "" }).seed).toBe(1);
});

test("subscriptions are grouped by venue in the order of the list", () => {
  const { feeds } = loadConfig({
    KEEL_FEEDS: "deribit:BTC-PERPETUAL, binance-usdm:BTCUSDT,deribit:options:BTC",
  });
  expect(feeds).toEqual([
    { venue: "deribit", subscriptions: ["BTC-PERPETUAL", "options:BTC"] },
    { venue: "binance-usdm", subscriptions: ["BTCUSDT"] },
  ]);
});

test("a venue's URL gives both of its endpoints, one that is not set the venue's own", () => {
  const { endpoints } = loadConfig({ KEEL_URL_BINANCE_USDM: "http://127.0.0.1:9001" });
  expect(endpoints["binance-usdm"]).toEqual({
    webSocketUrl: "ws://127.0.0.1:9001/stream",
    restUrl: "http://127.0.0.1:9001",
    standIn: true,
  });
  expect(endpoints.deribit).toMatchObject({ restUrl: "https://www.deribit.com", standIn: false });
});

test("a verb that needs feeds says what to set", () => {
  expect(() => requireFeeds(loadConfig({}))).toThrow(
    "KEEL_FEEDS: found nothing, expected venue:subscription",
  );
  expect(() => requireFeeds(loadConfig({ KEEL_FEEDS: "deribit:BTC-PERPETUAL" }))).not.toThrow();
});

test("signals are off until their server is named", () => {
  expect(loadConfig({}).signals).toBeUndefined();
  expect(loadConfig({ KEEL_URL_SIGNAL: "http://127.0.0.1:1", KEEL_SIGNALS: "a,b" }).signals).toEqual({
    names: ["a", "b"],
    webSocketUrl: "ws://127.0.0.1:1",
  });
});

test("signals that come as FIX News need no server, only names", () => {
  expect(loadConfig({ KEEL_FIX_HOST: "localhost" }).signals).toBeUndefined();
  expect(loadConfig({ KEEL_FIX_HOST: "localhost", KEEL_SIGNALS: "sentiment.btc" }).signals).toEqual({
    names: ["sentiment.btc"],
    webSocketUrl: null,
  });
});

test("everything wrong is told at once, with what was found and expected", () => {
  const problems = problemsOf({
    KEEL_FEED: "deribit:BTC-PERPETUAL",
    KEEL_SEED: "-1",
    KEEL_DEVICE: "cuda",
    KEEL_URL_DERIBIT: "ftp://host",
    KEEL_RISK_PROTECTION_FILLS: "1.5",
    KEEL_SIGNALS: "sentiment",
  });
  expect(new ConfigError(problems).message).toMatchInlineSnapshot(`
    "bad configuration
      KEEL_FEED: found "deribit:BTC-PERPETUAL", expected another name, perhaps KEEL_FEEDS
      KEEL_DEVICE: found "cuda", expected one of auto, gpu, cpu, wasm, wgsl, webgpu, tensorrt
      KEEL_SEED: found "-1", expected a whole number from 0 to 4294967295
      KEEL_URL_DERIBIT: found "ftp://host", expected a ws, wss, http or https URL
      KEEL_RISK_PROTECTION_FILLS: found "1.5", expected a whole number from 1 to 1000000
      KEEL_URL_SIGNAL: found nothing, expected a URL (or KEEL_KAFKA_SIGNAL_TOPICS, or KEEL_FIX_HOST), because KEEL_SIGNALS is set"
  `);
});

describe("what does not fit is refused", () => {
  test.each([
    ["KEEL_FEEDS", "BTCUSDT"],
    ["KEEL_FEEDS", "binance-usdm:"],
    ["KEEL_FEEDS", "binance-usdm:btcusdt"],
    ["KEEL_SIGNALS", "a,a"],
    ["KEEL_SIGNALS", "a,b,c,d"],
    ["KEEL_FEEDS", "deribit:BTC-PERPETUAL,"],
    ["KEEL_HTTP", "9464"],
    ["KEEL_HTTP", "127.0.0.1:70000"],
    ["KEEL_FIX_PORT", "0"],
    ["KEEL_FIX_PORT", "98 78"],
    ["KEEL_FIX_PORT", "0x10"],
    ["KEEL_FIX_SENDER_COMP_ID", "TWO WORDS"],
    ["KEEL_FIX_RESET_ON_LOGON", "yes"],
    ["KEEL_FIX_VERSION", "FIX.5.0"],
    ["KEEL_URL_DERIBIT", "http://user:secret@host"],
    ["KEEL_URL_DERIBIT", "http://host/?token=1"],
    ["KEEL_LOG", "xml"],
    ["KEEL_QUOTE_MIN_QUOTE_LIFE_MS", "soon"],
    ["KEEL_QUOTE_MIN_QUOTE_LIFE_MS", "Infinity"],
  ])("%s=%s", (name, value) => {
    expect(
      problemsOf({ KEEL_URL_SIGNAL: "ws://127.0.0.1", [name]: value }).map((problem) => problem.name),
    ).toEqual([name]);
  });
});

test("a name that is no variable is refused with the nearest one", () => {
  expect(problemsOf({ KEEL_RISK_MAX_DELTA_NOTIONALS: "1" })).toEqual([
    {
      name: "KEEL_RISK_MAX_DELTA_NOTIONALS",
      found: "1",
      expected: "another name, perhaps KEEL_RISK_MAX_DELTA_NOTIONAL",
    },
  ]);
});

test("names of other programs are left alone", () => {
  expect(problemsOf({ PATH: "/bin", KEELHAUL: "1" })).toEqual([]);
});

test("a secret comes from its file, without the line feed, and is never shown", () => {
  const { fix } = loadConfig({
    KEEL_FIX_HOST: "localhost",
    KEEL_FIX_PASSWORD_FILE: file("password", "hunter2\n"),
  });
  expect(fix?.password?.reveal()).toBe("hunter2");
  expect(JSON.stringify(fix) + Bun.inspect(fix) + String(fix?.password)).not.toContain("hunter2");
});

test("a secret comes from systemd's credentials when no file is named", () => {
  file("fix_password", "hunter3");
  const { fix } = loadConfig({ KEEL_FIX_HOST: "localhost", CREDENTIALS_DIRECTORY: folder });
  expect(fix?.password?.reveal()).toBe("hunter3");
});

test("a file that holds no secret is refused without showing what it holds", () => {
  const path = file("two-lines", "first\nsecond");
  const problems = problemsOf({ KEEL_FIX_PASSWORD_FILE: path });
  expect(problems.map(({ name, found }) => [name, found])).toEqual([["KEEL_FIX_PASSWORD_FILE", path]]);
  expect(JSON.stringify(problems)).not.toContain("second");
});

test("systemd's state directory goes before the default and after the variable", () => {
  expect(loadConfig({ STATE_DIRECTORY: "/var/lib/keel:/other" }).stateDir).toBe("/var/lib/keel");
  expect(loadConfig({ STATE_DIRECTORY: "/var/lib/keel", KEEL_STATE_DIR: "/srv" }).stateDir).toBe("/srv");
});

test("every default fits its own type", () => {
  for (const [name, { type, default: text }] of Object.entries(VARIABLES)) {
    if (text !== null) expect([name, type.schema.safeParse(text).success]).toEqual([name, true]);
  }
});

test("the README has the table of variables as it is now (`bun run readme` writes it)", () => {
  const readme = readFileSync(join(import.meta.dir, "../../README.md"), "utf8");
  const table = /<!-- variables -->\n([\s\S]*?)\n<!-- \/variables -->/.exec(readme)?.[1]?.trim();
  expect(table).toBe(variableTable());
});

test.each([
  ["KEEL_PEER", "wss://desk-b.example:9879"],
  ["KEEL_PEER_LISTEN", "127.0.0.1:9879"],
  ["KEEL_LEASE_NAME", "btc-options"],
  ["KEEL_LEASE_HOLDER", "desk-a"],
  ["KEEL_LEASE_TTL_MS", "1000"],
])("one of a pair that is not told of its lease is refused, and does not quote alone: %s", (name, value) => {
  expect(() => loadConfig({ [name]: value })).toThrow(
    `KEEL_LEASE_URL: found nothing, expected the URL of Redis or etcd, because ${name} is set`,
  );
});

test("one of a pair does not reset the session that both share, which would lose the fills that a dead leader had not read", () => {
  const pair = { KEEL_LEASE_URL: "redis://redis.example:6379", KEEL_FIX_HOST: "fix.example" };
  expect(() => loadConfig({ ...pair, KEEL_FIX_RESET_ON_LOGON: "on" })).toThrow(
    `KEEL_FIX_RESET_ON_LOGON: found "on", expected off, because KEEL_LEASE_URL is set`,
  );
  expect(loadConfig({ ...pair, KEEL_FIX_RESET_ON_LOGON: "off" }).failover).toBeDefined();
  expect(loadConfig({ KEEL_FIX_HOST: "fix.example", KEEL_FIX_RESET_ON_LOGON: "on" }).fix?.resetOnLogon).toBe(
    true,
  );
});
