import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { verify } from "../../src/command/audit/verify.ts";
import type { Output } from "../../src/command/command.ts";
import { Signer } from "../../src/core/signature.ts";
import { type Audit, auditJournal } from "../../src/journal/audit.ts";
import { CHECKPOINT, encodeCheckpoint } from "../../src/journal/checkpoint.ts";
import { CRC_FROM, HEADER_BYTES, RECORD_BYTES, segmentName } from "../../src/journal/format.ts";
import { RECORD } from "../../src/journal/record.ts";
import type { Retention } from "../../src/journal/retention.ts";
import { JournalWriter } from "../../src/journal/writer.ts";
import { type SigningKeys, signingKeys } from "../support/signing-keys.ts";
import { temporaryFolders } from "../support/temporary-folders.ts";

const old = signingKeys();
const now = signingKeys();

const { root, folder } = temporaryFolders("keel-audit-keys-");

const RUNS = ["20260101T000000-00000001", "20260102T000000-00000001", "20260103T000000-00000001"] as const;

interface RunOptions {
  readonly signingKey: string | null;
  readonly retention?: Retention;
  readonly segmentBytes?: number;
}

async function writeRun(directory: string, runId: string, options: RunOptions): Promise<void> {
  const writer = await JournalWriter.open({ directory, runId, segmentBytes: 3_000, ...options });
  for (let i = 0; i < 40; i += 1) writer.text(RECORD.feedFrame, 0, 1e15 + i, "x".repeat(200));
  writer.text(RECORD.end, 0, 1e15 + 40, "{}");
  expect(await writer.close()).toMatchObject({ dropped: 0, failure: null });
}

function audit(directory: string, keys: readonly SigningKeys[], signedFrom: string | null = null): Audit {
  const trusted = keys.map(({ checker }) => checker);
  return auditJournal(directory, { trusted, signedFrom, expected: null });
}

/** Two runs with a key each; of the first, retention removed files under either key. */
async function changed(): Promise<string> {
  const directory = folder();
  const retention = { bytes: 9_000, ageMs: null };
  await writeRun(directory, RUNS[0], { signingKey: old.signingKey, retention });
  await writeRun(directory, RUNS[1], {
    signingKey: now.signingKey,
    retention: { bytes: 16_000, ageMs: null },
  });
  return directory;
}

test("with both keys a folder is proved across the change from one to the other", async () => {
  const directory = await changed();
  const { ok, problems, runs, retired } = audit(directory, [old, now]);
  expect([ok, problems]).toEqual([true, []]);
  expect(retired).toBeGreaterThan(1);
  expect(runs.map((run) => [run.runId, run.key, run.signed > 0])).toEqual([
    [RUNS[0], old.checker.keyId, true],
    [RUNS[1], now.checker.keyId, true],
  ]);
});

test("one key does not vouch for what the other one signed", async () => {
  const directory = await changed();
  for (const [trusted, foreign, run] of [
    [old, now, RUNS[1]],
    [now, old, RUNS[0]],
  ] as const) {
    const { ok, problems } = audit(directory, [trusted]);
    expect(ok).toBeFalse();
    const told = problems.filter(({ what }) => what.includes("is signed by"));
    expect(new Set(told.map(({ runId }) => runId))).toEqual(new Set([run]));
    expect(told[0]?.what).toContain(
      `is signed by key ${foreign.checker.keyId}, expected ${trusted.checker.keyId}`,
    );
    expect(
      problems.some(({ what }) => what.endsWith("written down as retired without the key's signature")),
    ).toBe(true);
  }
  expect(audit(directory, [signingKeys()]).ok).toBeFalse();
});

test("a run has one key: who has the other one cannot go on with it", async () => {
  const directory = folder();
  await writeRun(directory, RUNS[0], { signingKey: now.signingKey, segmentBytes: 1e6 });
  const path = join(directory, segmentName(RUNS[0], 1));
  const whole = readFileSync(path);
  const records: { at: number; type: number }[] = [];
  for (let at = HEADER_BYTES + RUNS[0].length; at < whole.length; ) {
    records.push({ at, type: whole.readUInt32LE(at + 8) });
    at += RECORD_BYTES + whole.readUInt32LE(at);
  }
  const last = records.at(-1) ?? { at: 0, type: 0 };
  expect(last.type).toBe(CHECKPOINT);
  // Another time: what it swears to is as it was, and both keys are trusted.
  const head = Buffer.from(whole.subarray(last.at, last.at + RECORD_BYTES));
  const digest = new Bun.CryptoHasher("sha256").update(whole).digest("hex");
  const content = { digest, records: 41, timeUs: head.readDoubleLE(24), clock: null };
  const payload = Buffer.from(encodeCheckpoint(RUNS[0], 1, content, new Signer(old.signingKey, "journal")));
  head.writeUInt32LE(payload.length, 0);
  const record = Buffer.concat([head, payload]);
  record.writeUInt32LE(Bun.hash.crc32(record.subarray(CRC_FROM)), 4);
  writeFileSync(path, Buffer.concat([whole, record]));
  expect(audit(directory, [old, now]).problems.map(({ what }) => what)).toEqual([
    `the checkpoint at byte ${whole.length} is signed by key ${old.checker.keyId}, expected ${now.checker.keyId}`,
  ]);
});

test("runs from before there was a key are taken where the first one with a key is told", async () => {
  const directory = folder();
  const retention = { bytes: 9_000, ageMs: null };
  await writeRun(directory, RUNS[0], { signingKey: null, retention });
  await writeRun(directory, RUNS[1], { signingKey: null });
  await writeRun(directory, RUNS[2], { signingKey: now.signingKey });
  const strict = audit(directory, [now]).problems.map(({ what }) => what);
  expect(strict.filter((what) => what.endsWith("is not signed"))).toHaveLength(2);
  expect(strict.at(-1)).toEndWith("is written down as retired without the key's signature");
  expect(audit(directory, [now], RUNS[1]).problems[0]?.what).toContain("is not signed");
  const { ok, problems, runs } = audit(directory, [now], RUNS[2]);
  expect([ok, problems]).toEqual([true, []]);
  expect(runs.map(({ signed }) => signed > 0)).toEqual([false, false, true]);
  // What they hold is what the first run with a key swore to.
  const path = join(directory, segmentName(RUNS[1], 1));
  const bytes = readFileSync(path);
  const at = HEADER_BYTES + RUNS[1].length;
  bytes.write("y", at + RECORD_BYTES);
  const length = RECORD_BYTES + bytes.readUInt32LE(at);
  bytes.writeUInt32LE(Bun.hash.crc32(bytes.subarray(at + CRC_FROM, at + length)), at + 4);
  writeFileSync(path, bytes);
  expect(audit(directory, [now], RUNS[2]).ok).toBeFalse();
});

test("unsigned runs alone are not proved by saying that there was no key yet", async () => {
  const directory = folder();
  await writeRun(directory, RUNS[0], { signingKey: null });
  const trusted = [now.checker];
  const options = { trusted, signedFrom: RUNS[2], expected: null, unswornUsMax: 10 };
  expect(auditJournal(directory, options).problems[0]?.what).toContain(
    "no good checkpoint swears to the 41 records",
  );
});

test("the verb takes a file with several keys, and several files", async () => {
  const directory = await changed();
  const paths = { old: join(root, "old.pem"), now: join(root, "now.pem"), both: join(root, "both.pem") };
  writeFileSync(paths.old, old.publicKey);
  writeFileSync(paths.now, now.publicKey);
  writeFileSync(paths.both, `# The key of 2025\n${old.publicKey}\n${now.publicKey}`);
  const lines: string[] = [];
  const out: Output = {
    ...{ json: false, columns: 0, rows: 0 },
    line: (text = "") => lines.push(text),
    raw: () => {},
    result: () => {},
  };
  const options = { head: undefined, unsworn: undefined, "signed-from": undefined };
  for (const key of [[paths.both], [paths.old, paths.now]]) {
    lines.length = 0;
    expect(await verify(directory, { ...options, key }, out)).toBeTrue();
    expect(lines[0]).toContain(`of them signed by key ${old.checker.keyId}`);
    expect(lines.at(-1)).toContain(`signatures of key ${old.checker.keyId} and ${now.checker.keyId} checked`);
  }
  expect(await verify(directory, { ...options, key: [paths.now] }, out)).toBeFalse();
  writeFileSync(paths.old, "nonsense");
  const opened = verify(directory, { ...options, key: [paths.old] }, out);
  await expect(opened).rejects.toThrow("found no key, expected an Ed25519 public key in PEM");
});
