import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileLock } from "../../src/core/file-lock.ts";

const MAIN = join(import.meta.dir, "../../src/main.ts");

let folder: string;
let stateDir: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "keel-detached-"));
  stateDir = join(folder, "state");
  mkdirSync(stateDir);
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function ask() {
  return Bun.spawn([process.execPath, MAIN, "run", "--handover", "--detach"], {
    env: {
      PATH: process.env.PATH ?? "",
      KEEL_STATE_DIR: stateDir,
      KEEL_FEEDS: "binance-usdm:BTCUSDT",
      KEEL_URL_BINANCE_USDM: "ws://127.0.0.1:1",
      KEEL_WARM_UP_MS: "0",
    },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
}

test("whoever asks for a new process hears that it could not take the place of the one that runs, which goes on", async () => {
  const lock = FileLock.take(
    join(stateDir, "run.lock"),
    () => `${JSON.stringify({ pid: process.pid, token: 1 })}\n`,
  );
  const asked = ask();
  const [code, log] = await Promise.all([asked.exited, asked.stderr.text()]);
  expect(code, log).toBe(1);
  expect(log).toContain(`process ${process.pid} runs with this state directory`);
  expect(FileLock.note(join(stateDir, "run.lock"))).toContain(`"pid":${process.pid}`);
  lock?.release();
});
