import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RunningProcess } from "../../src/command/running-process.ts";
import { PAGES, type TopPage } from "../../src/command/top/pages.ts";
import { look, type Snapshot } from "../../src/command/top/running.ts";
import { drawScreen, pageLines, screenLines, skipMax } from "../../src/command/top/screen.ts";
import { loadConfig } from "../../src/config.ts";
import { SECTIONS } from "../../src/monitor/dashboard/protocol.ts";
import type { DashboardSource } from "../../src/monitor/dashboard/source.ts";
import { HttpServer } from "../../src/monitor/http.ts";
import { DeskBed } from "../desk/desk-bed.ts";
import { ScriptedEngine } from "../desk/scripted-engine.ts";
import { dashboardOf } from "../monitor/dashboard-source.ts";
import { quietTarget } from "../support/quiet-target.ts";

const root = join(import.meta.dir, "../..");
const folder = mkdtempSync(join(tmpdir(), "keel-top-"));
const unix = join(folder, "http.sock");
const bed = new DeskBed(new ScriptedEngine());
bed.run(3_000);

const dashboard: DashboardSource = {
  ...dashboardOf(bed, 3),
  waiting: () => ["something"],
  alerts: () => [
    { name: "KeelKilled", severity: "critical", summary: "Killed", labels: {}, value: 1, startsUs: 0 },
  ],
  sessions: () => ({ FIX: { state: "active" } }),
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
  snapshot = await look(new RunningProcess(url, loadConfig({})), SECTIONS, 128);
});

afterAll(async () => {
  await server.stop();
  await local.stop();
  rmSync(folder, { recursive: true, force: true });
});

const screen = { ...{ sort: "", columns: 80, rows: 24, skip: 0 }, problem: null, isPaused: false };

function pageOf(name: string): TopPage {
  const page = PAGES.find((one) => one.name === name);
  if (page === undefined) throw new Error(`no page ${name}`);
  return page;
}

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
    const child = keel(["--url", url, "--interval", "0.1", "--seconds", "60"], { stdout: "pipe" });
    let text = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (text.split("\n").length > 3) break;
    }
    child.kill();
    await child.exited;
    const lines = text.split("\n").slice(0, 3);
    for (const line of lines) expect(line).toMatch(/^keel bed .* NOT QUOTING .* p99 /);
    const brief = keel(["--url", url, "--interval", "0.1", "--seconds", "0.2"], { stdout: "ignore" });
    expect(await brief.exited).toBe(0);
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
      const deadlineMs = performance.now() + 45_000;
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
    terminal.write("q");
    expect(await child.exited).toBe(0);
    await until("\x1b[?1049l");
  });

  test("every page fits any terminal, and colours are left out where they are not wanted", () => {
    for (const page of PAGES) {
      for (const [columns, rows] of [
        [200, 60],
        [80, 24],
        [60, 12],
        [40, 10],
        [12, 3],
      ] as const) {
        const lines = screenLines(snapshot, { ...screen, page, columns, rows, skip: 3 });
        expect(lines.length).toBeLessThanOrEqual(rows);
        for (const { text } of lines) expect(text.length).toBeLessThan(columns);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape sequences are what is looked for
        expect(drawScreen(lines, false)).not.toMatch(/\x1b\[[\d;]*m/);
      }
    }
  });

  test("on a narrow terminal the columns that matter most are left, whole", () => {
    const at = (name: string, columns: number): string =>
      screenLines(snapshot, { ...screen, page: pageOf(name), columns, rows: 10 })
        .map(({ text }) => text)
        .join("\n");
    expect(at("quotes", 40)).toMatch(/instrument +own bid +own ask( +reasons)?\n/);
    expect(at("quotes", 200)).toMatch(
      /instrument +bid +ask +own bid +own ask +fair +wider bp +size × +reasons/,
    );
    expect(at("latency", 40)).toMatch(/last 10 s +(events +)?p50 +p99/);
    expect(at("risk", 40)).toMatch(/limit +of +(used +)?share\n/);
  });

  test("what does not fit is said to be below, scrolls, and the head of a table stays", () => {
    const options = { ...screen, page: pageOf("quotes"), columns: 100, rows: 10 };
    const many = {
      ...snapshot,
      directory: Array(30).fill(snapshot.directory[0]),
      rows: Array(30).fill(snapshot.rows[0]),
    };
    expect(skipMax(many, options)).toBe(24);
    const [first, last] = [0, 24].map((skip) =>
      screenLines(many, { ...options, skip }).map(({ text }) => text),
    );
    expect(first?.at(-1)).toStartWith("↓ 24 more");
    expect(last?.at(-1)).toStartWith("q quit");
    for (const lines of [first, last]) {
      expect(lines?.[2]).toStartWith("instrument");
      expect(lines).toHaveLength(10);
    }
  });

  test("what was true at the last answer does not pass for what is", () => {
    const page = pageOf("overview");
    const [gone] = screenLines(snapshot, { ...screen, page, problem: "http://x: no answer" });
    expect(gone).toMatchObject({
      tone: "bad",
      text: expect.stringMatching(/^NO ANSWER, this was: keel bed/),
    });
    expect(screenLines(snapshot, { ...screen, page, isPaused: true })[0]?.text).toStartWith(
      "PAUSED at: keel bed",
    );
  });

  test("each stage of load is told in words", () => {
    const overview = snapshot.sections.overview;
    if (overview === undefined) throw new Error("no overview");
    const told = (["normal", "conflate", "widen", "pull"] as const).map((load) => {
      const loaded = { ...snapshot, sections: { ...snapshot.sections, overview: { ...overview, load } } };
      return pageLines(pageOf("overview"), loaded, "", 200).find(({ text }) => /load/i.test(text));
    });
    expect(told).toEqual([
      { text: "load within capacity", tone: "plain" },
      { text: "LOAD: quotes are decided once in 10 ms", tone: "warn" },
      { text: "LOAD: quotes are conflated and wider", tone: "warn" },
      { text: "LOAD: quotes are pulled", tone: "bad" },
    ]);
  });

  test("text of others cannot speak to the terminal", () => {
    const alerts = [
      {
        name: "KeelKilled",
        severity: "critical",
        summary: "\x1b]0;owned\x07\x1b[2J\r\n\u202efoo",
        labels: {},
        value: 1,
        startsUs: 0,
      },
    ] as const;
    const hostile = {
      ...snapshot,
      hello: { ...snapshot.hello, name: "a\x1b[31mb" },
      sections: { ...snapshot.sections, alerts },
    };
    for (const { text } of screenLines(hostile, { ...screen, page: pageOf("alerts"), columns: 200 })) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
      expect(text).not.toMatch(/[\x00-\x1f\x7f-\x9f\u202e]/);
    }
  });

  test("answers of another version are told as such, page by page", () => {
    const odd = {
      ...snapshot,
      sections: {
        overview: { state: "active" },
        risk: {},
        latency: {},
        feeds: { feeds: [{}] },
        alerts: [{ startsUs: 1e300 }],
      },
    };
    for (const page of PAGES.filter(({ name }) => name !== "quotes" && name !== "latency")) {
      const text = screenLines(odd as unknown as Snapshot, { ...screen, page, columns: 120 }).map(
        (line) => line.text,
      );
      expect(text.join("\n")).toContain("cannot be shown: the process is keel 0, this is keel ");
    }
  });

  test("a process that goes while it is watched is told, keys come together, and it goes on when the process is back", async () => {
    const target = quietTarget({ dashboard });
    const options = { hostname: "", port: 0, unix: join(folder, "comes-and-goes.sock"), token: null };
    let there = new HttpServer(options, target);
    let shown = "";
    const child = keel(["--url", `unix:${options.unix}`, "--interval", "0.1"], {
      env: { ...process.env, TERM: "dumb" },
      terminal: {
        ...{ cols: 90, rows: 14 },
        data: (_terminal: unknown, chunk: Uint8Array) => {
          shown += Buffer.from(chunk).toString();
        },
      },
    });
    const until = async (part: string): Promise<void> => {
      const deadlineMs = performance.now() + 45_000;
      while (!shown.includes(part)) {
        if (performance.now() > deadlineMs) throw new Error(`no ${part} on the screen: ${shown.slice(-500)}`);
        await Bun.sleep(20);
      }
      shown = "";
    };
    await until("[1 overview]");
    child.terminal?.write("2s\x1b[B\x1b[B\x1b[6~5");
    await until("[5 feeds]");
    await there.stop();
    await until("NO ANSWER");
    there = new HttpServer(options, target);
    await until("\x1b[Hkeel bed");
    child.terminal?.write(" ");
    await until("PAUSED at");
    child.terminal?.write("\x03");
    expect(await child.exited).toBe(0);
    await there.stop();
  });
});
