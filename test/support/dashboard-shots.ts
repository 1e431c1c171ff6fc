/**
 * Takes the screenshots of docs/dashboard.md: at rest, under load with 1,000 options, and in alarm. Run it as
 * `bun test/support/dashboard-shots.ts [folder]` and look at each.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "puppeteer-core";
import { startBrowser } from "./browser.ts";
import { registerModels } from "./registry.ts";

const TOKEN = "a-token-for-screenshots";
const root = join(import.meta.dir, "../..");
const folder = process.argv[2] ?? join(root, "docs/images");
const scratch = mkdtempSync(join(tmpdir(), "keel-shots-"));
writeFileSync(join(scratch, "token"), TOKEN);
mkdirSync(folder, { recursive: true });
await registerModels(join(scratch, "registry"), "lstm-residual-int8", "lstm-residual-pruned-int8");

const browser = await startBrowser();
if (browser === null) process.exit(1);

/** A simulated desk with a dashboard, for as long as `work` takes. */
async function withDesk(strikes: number, work: (base: string) => Promise<void>): Promise<void> {
  const probe = Bun.serve({ port: 0, fetch: () => new Response() });
  const { port } = probe;
  await probe.stop(true);
  const child = Bun.spawn(
    [process.execPath, join(root, "src/main.ts"), "demo", "--seconds", "120", "--strikes", String(strikes)],
    {
      env: {
        ...process.env,
        KEEL_HTTP: `127.0.0.1:${port}`,
        KEEL_HTTP_TOKEN_FILE: join(scratch, "token"),
        KEEL_DEVICE: "cpu",
        KEEL_REGISTRY: join(scratch, "registry"),
        KEEL_MODEL: "registry:champion",
        KEEL_CHALLENGERS: "1",
        KEEL_JOURNAL_DIR: join(scratch, `journal-${strikes}`),
        KEEL_OUTCOMES_DIR: join(scratch, `outcomes-${strikes}`),
      },
      stdout: "ignore",
      stderr: "ignore",
    },
  );
  try {
    await work(`http://127.0.0.1:${port}`);
  } finally {
    child.kill("SIGTERM");
    await child.exited;
  }
}

async function enter(base: string, theme: string): Promise<Page> {
  const page = await (browser ?? process.exit(1)).newPage();
  for (let tries = 0; tries < 200; tries += 1) {
    if (
      await fetch(`${base}/healthz`).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      break;
    await Bun.sleep(200);
  }
  await page.goto(base);
  await page.waitForSelector("#token");
  await page.type("#token", TOKEN);
  await page.keyboard.press("Enter");
  await page.waitForSelector(".tiles");
  await page.select("#theme", theme);
  return page;
}

async function shot(page: Page, tab: string, name: string, waitMs: number): Promise<void> {
  await page.click(`#tab-${tab}`);
  await Bun.sleep(waitMs);
  await page.screenshot({ path: join(folder, `${name}.png`) as `${string}.png`, optimizeForSpeed: false });
  console.log(name);
}

await withDesk(19, async (base) => {
  const page = await enter(base, "light");
  await shot(page, "overview", "dashboard-at-rest", 15_000);
  await shot(page, "surface", "dashboard-surface", 1_500);
  await shot(page, "risk", "dashboard-risk", 1_500);
  await shot(page, "profit", "dashboard-profit", 1_500);
  await shot(page, "feeds", "dashboard-feeds", 1_500);
  await shot(page, "model", "dashboard-model", 1_500);
  await fetch(`${base}/kill`, {
    method: "POST",
    headers: { authorization: `Bearer ${TOKEN}` },
    body: "drill",
  });
  await page.select("#theme", "dark");
  await shot(page, "overview", "dashboard-in-alarm", 3_500);
  await shot(page, "alerts", "dashboard-alerts", 1_500);
});
await withDesk(125, async (base) => {
  const page = await enter(base, "dark");
  await page.select("#rate", "60");
  await shot(page, "instruments", "dashboard-under-load", 12_000);
  await page.focus("[role=grid]");
  for (const key of ["ArrowDown", "ArrowDown", "ArrowDown", "Enter"] as const) await page.keyboard.press(key);
  await shot(page, "instruments", "dashboard-explained", 1_500);
  await shot(page, "latency", "dashboard-latency", 3_000);
});
await browser.close();
rmSync(scratch, { recursive: true, force: true });
