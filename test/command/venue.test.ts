import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCommandLine } from "../../src/command/cli.ts";
import { readFault } from "../../src/command/venue.ts";
import { EXIT } from "../../src/core/errors.ts";
import { CaptureReader } from "../../src/feed/capture.ts";
import { sharedPath, skipUnlessShared } from "../support/shared-data.ts";

const CAPTURE = "data/ws/DERIBIT.ws.1.0.gz";
const folder = mkdtempSync(join(tmpdir(), "keel-verbs-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a verb in this process; `stdout` grows while it runs. */
function start(args: readonly string[], env: Record<string, string> = {}) {
  const shutdown = new AbortController();
  const running = { stdout: "", stderr: "", shutdown, exitCode: Promise.resolve(-1) };
  running.exitCode = runCommandLine(args, {
    env: { KEEL_STATE_DIR: folder, ...env },
    stdout: { write: (text: string) => (running.stdout += text) },
    stderr: { write: (text: string) => (running.stderr += text) },
    shutdown: shutdown.signal,
  });
  return running;
}

function last(stdout: string): Record<string, unknown> {
  return JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "") as Record<string, unknown>;
}

test.skipIf(skipUnlessShared(CAPTURE))(
  "what venue serves, record writes down, and both say what they did",
  async () => {
    const serving = start([
      "venue",
      "--capture",
      sharedPath(CAPTURE),
      "--port",
      "0",
      "--speed",
      "30",
      "--json",
    ]);
    while (!serving.stdout.includes("\n")) await Bun.sleep(2);
    const url = /ws:\/\/\S+:\d+/.exec(serving.stdout)?.[0] ?? "";
    const out = join(folder, "deribit.gz");
    const record = (seconds: number) =>
      start(["record", "--out", out, "--seconds", String(seconds), "--json"], {
        KEEL_FEEDS: "deribit:options:BTC",
        KEEL_URL_DERIBIT: url,
      });
    let recording = record(1.5);
    expect(await recording.exitCode).toBe(EXIT.ok);
    // On a busy host little more than the subscriptions may fit into that.
    const frames = () => (last(recording.stdout) as { venues: { frames: number }[] }).venues[0].frames;
    let clients = 1;
    for (; frames() <= 100 && clients < 4; clients += 1) {
      rmSync(out);
      recording = record(4 ** clients);
      expect(await recording.exitCode).toBe(EXIT.ok);
    }
    serving.shutdown.abort();
    expect(await serving.exitCode).toBe(EXIT.ok);
    const { venues } = last(recording.stdout) as { venues: Record<string, number>[] };
    expect(venues).toMatchObject([
      { venue: "deribit", lost: 0, gaps: 0, reconnects: 0, files: [out], problem: "" },
    ]);
    const served = last(serving.stdout);
    expect(served).toMatchObject({ venue: "deribit", clients, problem: null });
    expect(served.framesSent).toBeGreaterThan(50);
    expect([...new CaptureReader(out).sync()].filter(({ kind }) => kind === "frame").length).toBe(
      venues[0].frames,
    );
  },
  120_000,
);

test.skipIf(skipUnlessShared(CAPTURE))("venue ends after its time", async () => {
  const serving = start([
    "venue",
    "--capture",
    sharedPath(CAPTURE),
    "--port",
    "0",
    "--seconds",
    "0.05",
    "--json",
  ]);
  expect(await serving.exitCode).toBe(EXIT.ok);
  expect(last(serving.stdout)).toMatchObject({ framesSent: 0, ended: false });
});

test("a capture that cannot be served ends with the exit code for bad input, and says where", async () => {
  const path = join(folder, "bad.log");
  writeFileSync(path, "1723161256172216566 {}\nnonsense\n");
  const serving = start(["venue", "--capture", path, "--json"]);
  expect(await serving.exitCode).toBe(EXIT.badInputFile);
  expect(serving.stderr).toContain(`${path}:2`);
  expect(last(serving.stdout)).toMatchObject({ error: { code: "bad-input" } });
});

test("a speed or a fault that cannot be read is a usage error", async () => {
  for (const wrong of [
    ["--speed", "fast"],
    ["--fault", "drop"],
    ["--fault", "burn@3"],
  ]) {
    expect(await start(["venue", "--capture", "x", ...wrong]).exitCode).toBe(EXIT.badConfiguration);
  }
  expect(readFault("freeze@2000:1500")).toEqual({
    frame: 2_000,
    fault: { kind: "freeze", forMs: 1_500, control: false },
  });
  expect(readFault("drop@7")).toEqual({ frame: 7, fault: { kind: "drop", count: 1 } });
});

test("record without feeds is a usage error; with a venue that is not there it says so", async () => {
  expect(await start(["record", "--out", folder]).exitCode).toBe(EXIT.badConfiguration);
  const lost = start(["record", "--out", join(folder, "lost"), "--seconds", "0.2", "--json"], {
    KEEL_FEEDS: "deribit:BTC-PERPETUAL",
    KEEL_URL_DERIBIT: "ws://127.0.0.1:1",
  });
  expect(await lost.exitCode).toBe(EXIT.unreachable);
});
