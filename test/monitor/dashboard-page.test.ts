import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "puppeteer-core";
import { httpTarget } from "../../src/live/http-target.ts";
import { liveMetrics } from "../../src/live/live-metrics.ts";
import { AlertWatch } from "../../src/monitor/alerts/watch.ts";
import { DiskSpace } from "../../src/monitor/disk-space.ts";
import { HttpServer } from "../../src/monitor/http.ts";
import type { LoadStageName } from "../../src/risk/load-shedder.ts";
import { Harness } from "../live/harness.ts";
import { startBrowser } from "../support/browser.ts";

const TOKEN = "operator-token";
const VIEW = "viewer-token";
/** Pages that between them have every colour. */
const DARK = ["tab-overview", "tab-instruments", "tab-alerts"];
const folder = mkdtempSync(join(tmpdir(), "keel-page-"));
writeFileSync(join(folder, "token"), TOKEN);
const axe = await Bun.file(Bun.resolveSync("axe-core/axe.min.js", import.meta.dir)).text();

const browser: Browser | null = await startBrowser();

/** One desk, one browser: a page of the dashboard from login to reset, as an operator goes through it. */
let harness: Harness;
let server: HttpServer;
let alerts: AlertWatch;
let page: Page;
const faults: string[] = [];
/** Stage of load that the page is told. */
let load: LoadStageName = "normal";

beforeAll(async () => {
  if (browser === null) return;
  harness = await Harness.start();
  const { live } = harness;
  const metrics = liveMetrics(live, null, new DiskSpace(new Map(), () => 0));
  alerts = new AlertWatch({ metrics, clock: live.clock, log: live.log, webhook: null });
  const target = httpTarget(live, metrics, alerts, null);
  if (target.dashboard === undefined) throw new Error("no dashboard");
  server = new HttpServer(
    { hostname: "127.0.0.1", port: 0, token: TOKEN, viewToken: VIEW },
    { ...target, dashboard: { ...target.dashboard, load: () => load } },
  );
  await harness.untilQuoting();
}, 120_000);

beforeEach(() => {
  faults.length = 0;
});

/** A page of somebody who has not been here before. */
async function strangersPage(): Promise<Page> {
  if (browser === null) throw new Error("no browser");
  const opened = await (await browser.createBrowserContext()).newPage();
  opened.on("pageerror", (error) => faults.push(String(error)));
  opened.on("console", (message) => {
    if (message.type() === "error" && !message.text().includes("401")) faults.push(message.text());
  });
  return opened;
}

afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
  if (browser === null) return;
  alerts.stop();
  await server.stop();
  await harness.stop();
  harness.remove();
});

const text = (selector: string): Promise<string> =>
  page.$eval(selector, (element) => element.textContent ?? "");

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 45_000;
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error(`not within 45 s: ${what}`);
    await Bun.sleep(50);
  }
}

test.skipIf(browser === null)(
  "an operator logs in, sees numbers move, explains a quote, kills and resets, by keyboard",
  async () => {
    harness.live.trading.resetKill();
    page = await strangersPage();
    await page.goto(`http://127.0.0.1:${server.port}/`);
    await page.waitForSelector("#token");
    await page.keyboard.type("wrong");
    await page.keyboard.press("Enter");
    await until(
      "a wrong token is refused",
      async () => (await text("[role=alert]")) === "that is not the token",
    );
    await page.keyboard.type(VIEW);
    await page.keyboard.press("Enter");
    await until(
      "the desk quotes",
      async () => (await page.$(".state")) !== null && (await text(".state")) === "QUOTING",
    );

    const events = (): Promise<string> => text(".tile:nth-child(5)");
    await until("a rate is shown", async () => !(await events()).includes("0 events/s"));
    const before = harness.desk.counters.quotesSent;
    await until("quotes are sent", async () => harness.desk.counters.quotesSent > before);

    await page.focus("#tab-overview");
    await page.keyboard.press("ArrowRight");
    await until("the books are there", async () => (await page.$$("[role=gridcell]")).length > 100);
    await page.focus("[role=grid]");
    for (const key of ["ArrowDown", "ArrowDown", "Enter"] as const) await page.keyboard.press(key);
    await until("a quote is explained", async () => (await text(".detail")).includes("Base"));
    // In the order in which the venues described them.
    const [, second] = harness.desk.market.instruments.all();
    expect(await text(".detail h2")).toBe(second.symbol);

    await page.focus(".tools .danger");
    await page.keyboard.press("Enter");
    await page.keyboard.type("a drill");
    await page.keyboard.press("Tab");
    await page.keyboard.type("wrong");
    await page.keyboard.press("Tab");
    expect(await page.$eval("dialog .danger", (button) => button.hasAttribute("disabled"))).toBe(true);
    await page.keyboard.type("KILL");
    await page.keyboard.press("Enter");
    await until("a wrong token does not act", async () =>
      (await text("dialog [role=alert]")).includes("Refused"),
    );
    expect(harness.desk.gate.kill.tripped).toBe(false);
    await page.$eval("#act-token", (input) => ((input as unknown as { value: string }).value = ""));
    await page.focus("#act-token");
    await page.keyboard.type(TOKEN);
    await page.keyboard.press("Enter");
    await until("the desk is killed", async () =>
      (await text(".state")).startsWith("KILLED: http: dashboard: a drill"),
    );
    expect(harness.desk.gate.kill.tripped).toBe(true);
    await until("no quote stands", async () => harness.counterparty.liveQuotes.size === 0);

    await page.focus(".tools .primary");
    await page.keyboard.press("Enter");
    await page.keyboard.type("RESET");
    await page.keyboard.press("Enter");
    await until("the desk quotes again", async () => (await text(".state")) === "QUOTING");
    expect(faults).toEqual([]);
  },
  120_000,
);

test.skipIf(browser === null)(
  "each stage of load stands at the process, in words and in colour",
  async () => {
    await page.click("#tab-overview");
    const [note, value] = [".tile:last-child .note", ".tile:last-child .value"];
    for (const [stage, words, tone] of [
      ["conflate", "load: quotes conflated;", "warn"],
      ["widen", "load: quotes conflated, wider;", "warn"],
      ["pull", "load: QUOTES PULLED;", "bad"],
      ["normal", "up ", ""],
    ] as const) {
      load = stage;
      await until(`${stage} is shown`, async () => (await text(note)).startsWith(words));
      expect(await page.$eval(value, (element) => element.className)).toBe(`value ${tone}`.trim());
    }
    expect(faults).toEqual([]);
  },
  120_000,
);

test.skipIf(browser === null)(
  "every page passes axe, light and dark",
  async () => {
    await page.setViewport({ width: 1_440, height: 600 });
    await page.setBypassCSP(true);
    await page.reload();
    await page.waitForSelector(".tiles");
    await page.evaluate(axe);
    const found: unknown[] = [];
    for (const theme of ["light", "dark"]) {
      await page.select("#theme", theme);
      for (const tab of await page.$$eval("[role=tab]", (tabs) => tabs.map(({ id }) => id))) {
        await page.click(`#${tab}`);
        if (theme === "dark" && !DARK.includes(tab)) continue;
        await Bun.sleep(100);
        const violations = await page.evaluate(async () => {
          const { axe } = globalThis as unknown as {
            axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
          };
          const result = await axe.run();
          return result.violations.map(({ id, nodes }) => ({
            id,
            at: nodes.slice(0, 3).map(({ html }) => html),
          }));
        });
        for (const violation of violations) found.push({ theme, tab, ...violation });
      }
    }
    expect(found).toEqual([]);
  },
  120_000,
);
