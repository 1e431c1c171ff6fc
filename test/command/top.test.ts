import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PAGES } from "../../src/command/top/pages.ts";
import { RunningProcess, type Snapshot } from "../../src/command/top/running.ts";
import { drawScreen, screenLines } from "../../src/command/top/screen.ts";
import { StageHistograms } from "../../src/desk/latency.ts";
import { SECTIONS } from "../../src/monitor/dashboard/protocol.ts";
import type { DashboardSource } from "../../src/monitor/dashboard/source.ts";
import { HttpServer } from "../../src/monitor/http.ts";
import { DeskBed } from "../desk/desk-bed.ts";
import { ScriptedEngine } from "../desk/scripted-engine.ts";
import { quietTarget } from "../support/quiet-target.ts";

const root = join(import.meta.dir, "../..");
const folder = mkdtempSync(join(tmpdir(), "keel-top-"));
const unix = join(folder, "http.sock");
const bed = new DeskBed(new ScriptedEngine());
bed.run(3_000);

const dashboard: DashboardSource = {
  name: "bed",
  version: "0",
  desk: bed.desk,
  timer: new StageHistograms(() => 0),
  heads: ["down50"],
  model: { name: "scripted", version: "1", sha256: "00" },
  timeUs: () => Date.now() * 1_000,
  seconds: () => 3,
  engine: () => "scripted",
  sessionUp: () => true,
  waiting: () => ["something"],
  alerts: () => [
    { name: "KeelKilled", severity: "critical", summary: "Killed", labels: {}, value: 1, startsUs: 0 },
  ],
  sessions: () => ({ FIX: { state: "active" } }),
  journal: () => null,
  outcomes: () => null,
  shadow: () => null,
  loopLagMs: () => 0,
};

let server: HttpServer;
let local: HttpServer;
let url = "";
let snapshot: Snapshot;

beforeAll(async () => {
  const target = quietTarget({ dashboard });
  server = new HttpServer({ hostname: "127.0.0.1", port: 0, token: null }, target);
  local = new HttpServer({ hostname: "", port: 0, unix, token: null }, target);
  url = `http://127.0.0.1:${server.port}`;
  snapshot = await new RunningProcess(url, undefined).look(SECTIONS, 128);
});

afterAll(async () => {
  await server.stop();
  await local.stop();
  rmSync(folder, { recursive: true, force: true });
});

function keel(args: readonly string[], options: object = {}) {
  const { KEEL_HTTP: _, ...env } = process.env;
  return Bun.spawn([process.execPath, join(root, "src/main.ts"), "top", ...args], { env, ...options });
}

describe("keel top", () => {
  test("writes every page once when piped, over TCP and over a socket in the file system", async () => {
    for (const where of [url, `unix:${unix}`]) {
      const text = await new Response(keel(["--url", where], { stdout: "pipe" }).stdout).text();
      for (const { name } of PAGES) expect(text).toContain(name.toUpperCase());
      for (const part of ["NOT QUOTING", "BTCUSDT", "net delta", "decode", "KeelKilled"]) {
        expect(text).toContain(part);
      }
      expect(text).not.toContain("\x1b");
    }
  });

  test("with --interval a line each time", async () => {
    const { stdout } = keel(["--url", url, "--interval", "0.1", "--seconds", "0.5"], { stdout: "pipe" });
    const lines = (await new Response(stdout).text()).trim().split("\n");
    expect(lines.length).toBeGreaterThan(1);
    for (const line of lines) expect(line).toMatch(/^keel bed .* NOT QUOTING .* p99 /);
  });

  test("ends with exit code 3 where nobody answers", async () => {
    expect(await keel(["--url", "http://127.0.0.1:1"], { stderr: "ignore", stdout: "ignore" }).exited).toBe(
      3,
    );
  });

  test("on a terminal it follows keys and the terminal's size, and leaves the screen as it was", async () => {
    let screen = "";
    const child = keel(["--url", url], {
      env: { ...process.env, TERM: "xterm", NO_COLOR: "" },
      terminal: {
        cols: 100,
        rows: 24,
        data: (_terminal: unknown, chunk: Uint8Array) => {
          screen += Buffer.from(chunk).toString();
        },
      },
    });
    const { terminal } = child;
    if (terminal === undefined) throw new Error("no terminal");
    const until = async (part: string | RegExp): Promise<void> => {
      const deadlineMs = performance.now() + 15_000;
      while (!(typeof part === "string" ? screen.includes(part) : part.test(screen))) {
        if (performance.now() > deadlineMs)
          throw new Error(`no ${part} on the screen: ${screen.slice(-500)}`);
        await Bun.sleep(20);
      }
      screen = "";
    };
    await until("[1 overview]");
    terminal.write("2");
    await until(/\[2 quotes\][\s\S]*own bid[\s\S]*BTCUSDT/);
    terminal.write("s");
    await until("s sort: name");
    terminal.resize(60, 10);
    await until("\x1b[H");
    terminal.write("\t");
    await until("[3 risk]");
    const widest = Math.max(
      ...screenLines(snapshot, {
        page: PAGES[1] ?? PAGES[0],
        sort: "name",
        columns: 60,
        rows: 10,
        skip: 0,
        problem: null,
      } as Parameters<typeof screenLines>[1]).map(({ text }) => text.length),
    );
    expect(widest).toBeLessThan(60);
    terminal.write("q");
    expect(await child.exited).toBe(0);
    await until("\x1b[?1049l");
  });

  test("every page fits any terminal, and colours are left out where they are not wanted", () => {
    for (const page of PAGES) {
      for (const [columns, rows] of [
        [200, 50],
        [80, 24],
        [40, 6],
      ] as const) {
        const lines = screenLines(snapshot, {
          ...{ page, sort: page.sorts[0] ?? "", columns, rows, skip: 3, problem: null },
        });
        expect(lines.length).toBeLessThanOrEqual(rows);
        for (const { text } of lines) expect(text.length).toBeLessThan(columns);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape sequences are what is looked for
        expect(drawScreen(lines, false)).not.toMatch(/\x1b\[[\d;]*m/);
      }
    }
  });
});
