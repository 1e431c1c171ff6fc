/**
 * What `dist/keel` must do as it is handed over: from an empty folder, with an empty environment. Run by `.ci/run` after the
 * build, not by `bun test` alone.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { VERBS } from "../src/command/verbs.ts";
import { EXIT } from "../src/core/errors.ts";
import { MALFORMED_MODELS } from "./inference/malformed-models.ts";
import { sharedPath, skipUnlessShared } from "./support/shared-data.ts";

const executable = resolve(import.meta.dir, "../dist/keel");
let folder = "";

beforeAll(() => {
  if (!existsSync(executable)) throw new Error("dist/keel is not there: run `bun run build` first");
  folder = mkdtempSync(join(tmpdir(), "keel-smoke-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The last line of stdout, read as JSON. */
  json(): Record<string, unknown>;
}

async function keel(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const child = Bun.spawn([executable, ...args], {
    cwd: folder,
    env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: 110_000,
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  const json = () => JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "");
  return { exitCode, stdout, stderr, json };
}

/** The address in the first line that a server prints. */
async function addressOf(stdout: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string> {
  let text = "";
  for await (const chunk of stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const address = /ws:\/\/[\w.:]+:\d+/.exec(text)?.[0];
    if (address !== undefined) return address;
  }
  throw new Error(`no address in what the server printed: ${text}`);
}

test("shows the verbs", async () => {
  const { exitCode, stdout } = await keel([]);
  expect(exitCode).toBe(EXIT.ok);
  for (const verb of Object.keys(VERBS)) expect(stdout).toMatch(new RegExp(`^ +${verb} `, "m"));
});

describe("every verb shows its help", () => {
  test.each(Object.keys(VERBS))("%s", async (verb) => {
    const { exitCode, stdout } = await keel([verb, "--help"]);
    expect(exitCode).toBe(EXIT.ok);
    expect(stdout).toContain(`Usage: keel ${verb}`);
  });
});

test("names commit, embedded files and host", async () => {
  const ended = await keel(["version", "--json"]);
  expect(ended.exitCode).toBe(EXIT.ok);
  const { commit, compiled, embedded, host } = ended.json();
  expect(commit).toMatch(/^[0-9a-f]{40}\+?$/);
  expect(compiled).toBe(true);
  const names = (embedded as { name: string }[]).map(({ name }) => name);
  for (const name of ["dawn.node", "asyncify.wasm", "shaders/probe.wgsl", "shaders/slots.wgsl"]) {
    expect([name, names.some((embeddedName) => embeddedName.endsWith(name))]).toEqual([name, true]);
  }
  expect(Object.keys(host as object)).toContain("isa");
});

test("refuses a bad environment with everything that is wrong in it", async () => {
  const { exitCode, stdout } = await keel(["doctor"], {
    KEEL_SEED: "many",
    KEEL_FEDS: "deribit:BTC-PERPETUAL",
  });
  expect(exitCode).toBe(EXIT.badConfiguration);
  expect(stdout).toContain("a whole number from 0");
  expect(stdout).toContain("perhaps KEEL_FEEDS");
});

test("the doctor finds nothing wrong with an empty environment", async () => {
  const { exitCode, stdout, json } = await keel(["doctor", "--offline", "--json"]);
  expect({ exitCode, stdout }).toMatchObject({ exitCode: EXIT.ok });
  expect(json()).toMatchObject({ ok: true, failed: 0 });
});

test("run says what to set when nothing is", async () => {
  const { exitCode, stderr } = await keel(["run"]);
  expect(exitCode).toBe(EXIT.badConfiguration);
  expect(stderr).toContain("KEEL_FEEDS: found nothing");
});

test("a fall of 70 % with a withdrawal of 60 % widens by 15 bp and cuts the size to 0.7", async () => {
  const ended = await keel(["explain", "--down", "0.7", "--withdraw-bid", "0.6", "--json"]);
  expect(ended.json()).toMatchObject({ widenBp: 15, sizeFactor: 0.7 });
});

test("the demo quotes and is acknowledged", async () => {
  const { exitCode, stderr, json } = await keel(["demo", "--seconds", "6", "--json"]);
  expect({ exitCode, stderr }).toMatchObject({ exitCode: EXIT.ok });
  const { gaps, crossed, quotesSent, quotesAcked } = json() as Record<string, number>;
  expect({ gaps, crossed }).toEqual({ gaps: 0, crossed: 0 });
  expect(quotesSent).toBeGreaterThan(0);
  expect(quotesAcked).toBeGreaterThan(0);
});

test.each(["tick", "book"])("bench %s ends with rows", async (bench) => {
  const ended = await keel(["bench", bench, "--rounds", "1", "--json"]);
  expect(ended.exitCode).toBe(EXIT.ok);
  const { rows } = ended.json() as { rows: { name: string; p50: number }[] };
  expect(rows.length).toBeGreaterThan(0);
  for (const row of rows) expect(row.p50).toBeGreaterThan(0);
});

test.each(MALFORMED_MODELS)("refuses a model file: $name", async ({ bytes }) => {
  const models = mkdtempSync(join(tmpdir(), "keel-smoke-model-"));
  try {
    const path = join(models, "model.onnx");
    await Bun.write(path, bytes);
    const ended = await keel(["model", "check", path, "--json"]);
    expect({ exitCode: ended.exitCode, stderr: ended.stderr }).toMatchObject({ exitCode: EXIT.modelRefused });
    expect(ended.json().refused).not.toBeNull();
  } finally {
    rmSync(models, { recursive: true, force: true });
  }
});

const UP = "counterparty session is up";

test("a signal ends it in order, with its result", async () => {
  const demo = Bun.spawn([executable, "demo", "--seconds", "60", "--json"], {
    cwd: folder,
    env: {},
    stdout: "pipe",
    stderr: "pipe",
  });
  const log = (async () => {
    let text = "";
    for await (const chunk of demo.stderr.pipeThrough(new TextDecoderStream())) {
      if (text.includes(UP)) continue;
      text += chunk;
      if (text.includes(UP)) demo.kill("SIGTERM");
    }
  })();
  const stdout = await demo.stdout.text();
  await log;
  expect(await demo.exited).toBe(EXIT.ok);
  expect(JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "")).toMatchObject({ gaps: 0 });
});

/** What is served, the arguments that serve it, and what subscribes to it. */
const CAPTURES = [
  {
    venue: "BINANCE_USDM",
    feeds: "binance-usdm:BTCUSDT",
    files: ["data/binance/usdm-btcusdt-20240808.gz"],
    args: ["--capture"],
  },
  {
    venue: "DERIBIT",
    feeds: "deribit:options:BTC",
    files: ["data/ws/DERIBIT.ws.1.0.gz", "data/ws/DERIBIT.0.gz"],
    args: ["--capture", "--instruments"],
  },
];

describe.each(CAPTURES)("a capture of $venue", ({ venue, feeds, files, args }) => {
  test.skipIf(skipUnlessShared(...files))("served, quoted on, journalled and replayed", async () => {
    const options = args.flatMap((name, index) => [name, sharedPath(files[index] ?? "")]);
    const server = Bun.spawn([executable, "venue", ...options, "--port", "0", "--seconds", "110"], {
      cwd: folder,
      env: {},
      stdout: "pipe",
      stderr: "ignore",
    });
    const journal = mkdtempSync(join(tmpdir(), "keel-smoke-journal-"));
    try {
      const ran = await keel(["run", "--seconds", "8", "--json"], {
        KEEL_FEEDS: feeds,
        [`KEEL_URL_${venue}`]: await addressOf(server.stdout),
        KEEL_JOURNAL_DIR: journal,
        KEEL_STATE_DIR: journal,
        // A host that is short of processor time is no fault of what is tested.
        KEEL_SHED: "off",
      });
      expect({ exitCode: ran.exitCode, stderr: ran.stderr }).toMatchObject({ exitCode: EXIT.ok });
      const { events, gaps, crossed, quotesAcked } = ran.json() as Record<string, number>;
      expect(events).toBeGreaterThan(0);
      expect({ gaps, crossed }).toEqual({ gaps: 0, crossed: 0 });
      expect(quotesAcked).toBeGreaterThan(0);
      const replayed = await keel(["replay", journal, "--verify", "--json"]);
      expect(replayed.json()).toMatchObject({ identical: true });
      server.kill("SIGTERM");
      expect(await server.exited).toBe(EXIT.ok);
    } finally {
      server.kill("SIGKILL");
      rmSync(journal, { recursive: true, force: true });
    }
  });
});

const CAPTURE = "data/binance/spot-ethusdt-20240808.gz";

describe.skipIf(skipUnlessShared(CAPTURE))("the learning loop", () => {
  test("a dataset, a retraining, a backtest, a comparison and a report come out of the executable alone", async () => {
    const work = mkdtempSync(join(tmpdir(), "keel-smoke-learning-"));
    const at = (name: string): string => join(work, name);
    try {
      const capture = sharedPath(CAPTURE);
      const built = await keel([
        "dataset",
        "build",
        capture,
        "--out",
        at("sets"),
        "--no-leak-check",
        "--json",
      ]);
      expect({ exitCode: built.exitCode, stderr: built.stderr }).toMatchObject({ exitCode: EXIT.ok });
      const { folder: dataset, rows } = built.json();
      expect(rows).toBeGreaterThan(10_000);
      expect((await keel(["dataset", "info", String(dataset)])).exitCode).toBe(EXIT.ok);

      const env = {
        KEEL_REGISTRY: at("registry"),
        KEEL_STATE_DIR: at("state"),
        KEEL_MODEL: "registry:champion",
      };
      const trained = await keel(["retrain", capture, "--json"], env);
      // Logistic regression of five minutes may be refused; it is judged either way.
      expect<number[]>([EXIT.ok, EXIT.modelRefused]).toContain(trained.exitCode);
      expect(trained.json().heads).toHaveLength(7);

      const quick = ["--quote-spot", "--out", at("runs"), "--json"];
      const run = await keel(["backtest", "run", capture, "--strategy", "model", ...quick]);
      expect({ exitCode: run.exitCode, stderr: run.stderr }).toMatchObject({ exitCode: EXIT.ok });
      const plan = [
        "--strategy",
        "static",
        "--strategy",
        "model",
        "--scales",
        "0.5,1",
        "--latencies-us",
        "none",
      ];
      const compared = await keel([
        "backtest",
        "compare",
        capture,
        ...plan,
        ...quick,
        "--report",
        at("page"),
      ]);
      expect({ exitCode: compared.exitCode }).toEqual({ exitCode: EXIT.ok });
      expect(existsSync(at("page.html"))).toBe(true);

      const none = await keel(["report", "--outcomes", at("sets"), "--out", at("reports")]);
      expect(none.exitCode).toBe(EXIT.badInputFile);
    } finally {
      for (const name of readdirSync(work, { recursive: true })) chmodSync(join(work, String(name)), 0o755);
      rmSync(work, { recursive: true, force: true });
    }
  }, 300_000);
});

test("left nothing behind in the folder it was started in", () => {
  expect(readdirSync(folder)).toEqual([]);
});
