/**
 * What `dist/keel` must do as it is handed over: from an empty folder, with an empty environment. Run by `.ci/run` after the
 * build, not by `bun test` alone.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { VERBS } from "../src/command/verbs.ts";
import { EXIT } from "../src/core/errors.ts";

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
  expect(names.some((name) => name.endsWith("dawn.node"))).toBe(true);
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

test("left nothing behind in the folder it was started in", () => {
  expect(readdirSync(folder)).toEqual([]);
});
