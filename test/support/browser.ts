import chromium from "@sparticuz/chromium";
import puppeteer, { type Browser } from "puppeteer-core";

/** Flags of a headless browser in a container. Everything that protects a user from a page stays on. */
const FLAGS = [
  "--no-sandbox",
  "--disable-dev-shm-usage",
  "--disable-gpu",
  "--font-render-hinting=none",
  "--no-first-run",
  "--lang=en-US",
];

/** Starts the Chromium that the development dependency carries; null, with the reason printed, where it cannot run. */
export async function startBrowser(): Promise<Browser | null> {
  try {
    return await puppeteer.launch({
      executablePath: await chromium.executablePath(),
      args: FLAGS,
      headless: "shell",
      env: { ...process.env, LANG: "en_US.UTF-8", LC_ALL: "en_US.UTF-8" },
      defaultViewport: { width: 1_440, height: 900 },
    });
  } catch (error) {
    console.warn(
      `skipped: no browser: ${error instanceof Error ? (error.message.split("\n")[0] ?? "") : error}`,
    );
    return null;
  }
}
