import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";
import type { QuoteEvidence } from "../../src/command/audit/show.ts";
import { EXIT } from "../../src/core/errors.ts";
import { FEATURES } from "../../src/feature/schema.ts";
import { RISK_LIMITS } from "../../src/risk/limits.ts";
import { signingKeys } from "../support/signing-keys.ts";

const MAIN = join(import.meta.dir, "../../src/main.ts");
const root = mkdtempSync(join(tmpdir(), "keel-audit-verb-"));
const journal = join(root, "journal");
const privateKey = join(root, "key.pem");
const publicKey = join(root, "key.pub.pem");
afterAll(() => rmSync(root, { recursive: true }));

async function keel(args: readonly string[], env: Record<string, string> = {}) {
  const child = Bun.spawn([process.execPath, MAIN, ...args, "--json"], {
    env: { KEEL_STATE_DIR: join(root, "state"), ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { stdout, stderr, exitCode, result: JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "null") };
}

beforeAll(async () => {
  const keys = signingKeys();
  writeFileSync(privateKey, keys.signingKey);
  writeFileSync(publicKey, keys.publicKey);
  const env = {
    KEEL_JOURNAL_DIR: journal,
    KEEL_JOURNAL_KEY_FILE: privateKey,
    KEEL_JOURNAL_CHECKPOINT_MS: "500",
  };
  // Two simulated seconds a second, so that the model has seen enough to predict even on a slow host.
  const { exitCode, stderr } = await keel(["demo", "--seconds", "4", "--speed", "2"], env);
  if (exitCode !== EXIT.ok) throw new Error(stderr);
}, 120_000);

test("a run of the desk is proved, and a changed byte of it is not", async () => {
  const verify = ["audit", "verify", "--journal", journal, "--key", publicKey];
  const good = await keel(verify);
  expect([good.exitCode, good.result.ok, good.result.problems]).toEqual([EXIT.ok, true, []]);
  expect(good.result.runs[0].signed).toBeGreaterThan(3);
  const [name = ""] = readdirSync(journal);
  const bytes = readFileSync(join(journal, name));
  const spoiled = Buffer.from(bytes);
  const at = bytes.length >> 1;
  spoiled[at] = (spoiled[at] ?? 0) ^ 1;
  writeFileSync(join(journal, name), spoiled);
  const bad = await keel(verify);
  writeFileSync(join(journal, name), bytes);
  expect(bad.exitCode).toBe(EXIT.failed);
  expect(bad.stdout).toContain(`WRONG: run ${good.result.runs[0].runId}, ${join(journal, name)}, byte `);
});

test("an empty folder proves nothing, and a digest that is none is refused", async () => {
  const empty = mkdtempSync(join(root, "empty-"));
  const nothing = await keel(["audit", "verify", "--journal", empty]);
  expect([nothing.exitCode, nothing.stderr]).toEqual([EXIT.badInputFile, expect.stringContaining(empty)]);
  const { exitCode, stderr } = await keel(["audit", "verify", "--journal", journal, "--head", "zz"]);
  expect([exitCode, stderr]).toEqual([EXIT.badConfiguration, expect.stringContaining('found "zz"')]);
});

test("a folder that cannot be made is told by its name, not as a fault of the program", async () => {
  const out = join(publicKey, "export");
  const { exitCode, stderr, result } = await keel(["audit", "export", "--journal", journal, "--out", out]);
  expect([exitCode, result.error.code]).toEqual([EXIT.failed, "ENOTDIR"]);
  expect(stderr).toMatch(/^keel audit: ENOTDIR: .*export/);
});

test("a quote is shown with everything that it was made of", async () => {
  const { exitCode, result, stderr } = await keel([
    "audit",
    "show",
    "--journal",
    journal,
    "--instrument",
    "BTC-PERPETUAL",
  ]);
  expect([exitCode, stderr]).toEqual([EXIT.ok, stderr]);
  const evidence = result as QuoteEvidence;
  expect(Object.keys(evidence.features)).toEqual(FEATURES.map(({ name }) => name));
  expect(Object.values(evidence.probabilities).every((p) => p > 0 && p < 1)).toBe(true);
  expect(evidence.model?.onnxSha256).toMatch(/^[0-9a-f]{64}$/);
  expect(evidence.quote.terms.length).toBeGreaterThan(0);
  expect(evidence.limits).toEqual(
    expect.objectContaining(Object.fromEntries(RISK_LIMITS.map(({ key }) => [key, expect.anything()]))),
  );
  expect(evidence.cancelledUs).toBeGreaterThan(evidence.timeUs);
  const again = await keel([
    "audit",
    "show",
    "--journal",
    journal,
    "--quote",
    String(evidence.quote.quoteId),
  ]);
  expect(again.result.sequence).toBe(evidence.sequence);
  expect(again.result.features).toEqual(evidence.features);
});

test("a time before the first quote, and a text that is no time, are refused", async () => {
  const show = ["audit", "show", "--journal", journal, "--instrument", "BTC-PERPETUAL", "--at"];
  expect((await keel([...show, "2000-01-01T00:00:00Z"])).exitCode).toBe(EXIT.badInputFile);
  const { exitCode, stderr } = await keel([...show, "noon"]);
  expect(exitCode).toBe(EXIT.badConfiguration);
  expect(stderr).toContain('--at: found "noon", expected ISO 8601');
});

test("quotes and events are exported, each quote as often as it was sent", async () => {
  const out = join(root, "export");
  const { exitCode, result } = await keel(["audit", "export", "--journal", journal, "--out", out]);
  expect(exitCode).toBe(EXIT.ok);
  const [quotes, events] = result.tables;
  const file = await asyncBufferFromFile(quotes.file);
  const rows = await parquetReadObjects({
    file,
    compressors: { ZSTD: (input) => Bun.zstdDecompressSync(input) },
  });
  expect(rows).toHaveLength(quotes.rows);
  expect(rows.length).toBeGreaterThan(10);
  expect(Object.keys(rows[0] ?? {})).toContain("term_base");
  expect(events.rows).toBeGreaterThan(1);
});
