import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Audit, auditJournal } from "../../src/journal/audit.ts";
import { CHECKPOINT } from "../../src/journal/checkpoint.ts";
import { CRC_FROM, HEADER_BYTES, RECORD_BYTES, segmentName } from "../../src/journal/format.ts";
import { RECORD } from "../../src/journal/record.ts";
import { JournalWriter } from "../../src/journal/writer.ts";
import { signingKeys } from "../support/signing-keys.ts";

const { signingKey, checker } = signingKeys();

const root = mkdtempSync(join(tmpdir(), "keel-unsworn-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
const folder = (): string => join(root, String(++folders));

const RUNS = ["20260101T000000-00000001", "20260102T000000-00000001", "20260103T000000-00000001"] as const;
const SECOND_US = 1e6;
const DAY_US = 86_400e6;
const RECORDS = 40;

/** Records a second apart from the day that the run's name says, a checkpoint behind every tenth. */
async function writeRun(directory: string, day: 0 | 1 | 2, options: Partial<RunOptions> = {}): Promise<void> {
  const { segmentBytes = 4_000, records = RECORDS, version = 3, key = signingKey } = options;
  const runId = RUNS[day];
  const writer = await JournalWriter.open({
    ...{ directory, runId, segmentBytes, checkpointMs: 1, signingKey: key },
  });
  for (let i = 0; i < records; i += 1) {
    writer.text(RECORD.feedFrame, 0, day * DAY_US + i * SECOND_US, `frame ${i} ${"x".repeat(150)}`);
    if (i % 10 === 9) await Bun.sleep(25);
  }
  writer.text(RECORD.end, 0, day * DAY_US + records * SECOND_US, "{}");
  expect(await writer.close()).toMatchObject({ dropped: 0, failure: null });
  if (version !== 3) rewrite(directory, (_, file) => file.writeUInt32LE(version, 8), [runId]);
}

interface RunOptions {
  readonly segmentBytes: number;
  readonly records: number;
  readonly version: number;
  readonly key: string | null;
}

const audit = (directory: string, unswornUsMax: number | null = null): Audit =>
  auditJournal(directory, { trusted: [checker], expected: null, unswornUsMax });

interface Kept {
  readonly type: number;
  readonly bytes: Buffer;
}

/**
 * As somebody without the key would: leaves records out or changes them, mends the CRCs of records and headers and every link.
 *
 * @param change of a file's header (before its digest of the file before is put in) and of its records, which are those that it leaves
 */
function rewrite(
  directory: string,
  change: (records: Kept[], header: Buffer, name: string) => unknown,
  runs: readonly string[] = RUNS,
): void {
  let [before, digest] = ["", Buffer.alloc(32)];
  for (const name of readdirSync(directory).sort()) {
    const path = join(directory, name);
    const whole = readFileSync(path);
    const head = HEADER_BYTES + whole.readUInt32LE(20);
    const header = Buffer.from(whole.subarray(0, head));
    let records: Kept[] = [];
    for (let at = head; at < whole.length; ) {
      const end = at + RECORD_BYTES + whole.readUInt32LE(at);
      records.push({ type: whole.readUInt32LE(at + 8), bytes: Buffer.from(whole.subarray(at, end)) });
      at = end;
    }
    if (runs.some((run) => name.includes(run))) {
      const changed = change(records, header, name);
      if (Array.isArray(changed)) records = changed;
    }
    for (const { bytes } of records) bytes.writeUInt32LE(Bun.hash.crc32(bytes.subarray(CRC_FROM)), 4);
    if (before !== "") header.set(digest, 32);
    header.writeUInt32LE(Bun.hash.crc32(header.subarray(16)), 12);
    const made = Buffer.concat([header, ...records.map(({ bytes }) => bytes)]);
    writeFileSync(path, made);
    before = name;
    digest = Buffer.from(new Bun.CryptoHasher("sha256").update(made).digest());
  }
}

const unsworn = (records: Kept[]): Kept[] => records.filter(({ type }) => type !== CHECKPOINT);

/** Changes the first record of the file. */
function change(records: Kept[]): void {
  records[0]?.bytes.write("forged", RECORD_BYTES);
}

let original = "";
beforeAll(async () => {
  original = folder();
  await writeRun(original, 0);
  await writeRun(original, 1);
  expect(audit(original)).toMatchObject({ ok: true, problems: [] });
});

function copy(from = original): string {
  const path = folder();
  cpSync(from, path, { recursive: true });
  return path;
}

describe("who leaves the checkpoints out and mends every CRC and link is found", () => {
  test("of all of the folder", () => {
    const directory = copy();
    rewrite(directory, (records, _, name) => {
      if (name === segmentName(RUNS[0], 1)) change(records);
      return unsworn(records);
    });
    const { ok, problems } = audit(directory);
    expect(ok).toBeFalse();
    expect(problems.map(({ cutOff }) => cutOff)).not.toContain(true);
    expect(problems[0]?.what).toBe(
      "a further segment begins although no checkpoint swears to the records from here on",
    );
    expect(problems.at(-1)).toMatchObject({ runId: RUNS[0], offset: 0, record: 0 });
    expect(problems.at(-1)?.what).toMatch(
      /^no good checkpoint swears to the 82 records from here on, of 86440 s/,
    );
  });

  test("from a file of the first run on, although the run is one file and ended in order", async () => {
    const directory = folder();
    await writeRun(directory, 0, { segmentBytes: 1e6 });
    await writeRun(directory, 1, { segmentBytes: 1e6 });
    expect(audit(directory).problems).toEqual([]);
    let kept = 0;
    rewrite(directory, (records, _, name) => {
      if (!name.includes(RUNS[0])) return unsworn(records);
      // Everything up to the first checkpoint is as it was.
      kept = records.findIndex(({ type }) => type === CHECKPOINT) + 1;
      change(records.slice(kept));
      return [...records.slice(0, kept), ...unsworn(records.slice(kept))];
    });
    const { ok, problems } = audit(directory);
    expect([ok, problems.length]).toEqual([false, 1]);
    expect(problems[0]).toMatchObject({ runId: RUNS[0], record: kept + 1 });
    expect(problems[0]?.what).toContain("expected at most 60 s of them");
    expect(audit(directory, 2 * DAY_US).ok).toBeTrue();
  });

  test("who calls it a version that had no checkpoints", () => {
    const directory = copy();
    rewrite(directory, (records, header) => {
      header.writeUInt32LE(1, 8);
      return unsworn(records);
    });
    expect(audit(directory).ok).toBeFalse();
    const mixed = copy();
    rewrite(mixed, (records, header, name) => {
      if (name.endsWith("000001.kjl")) return records;
      header.writeUInt32LE(1, 8);
      return unsworn(records);
    });
    expect(audit(mixed).problems[0]?.what).toBe("version 1 in a run that was begun with version 3");
  });

  test("and so is who writes times that are none", () => {
    const directory = copy();
    rewrite(directory, (records) => {
      const kept = unsworn(records);
      for (const { bytes } of kept) bytes.writeDoubleLE(Number.NaN, 24);
      return kept;
    });
    expect(audit(directory).problems.at(-1)?.what).toContain("no good checkpoint swears to");
  });
});

describe("nothing is wrong with", () => {
  test("a run that a crash ended, however long the next one came later", async () => {
    const directory = folder();
    await writeRun(directory, 0, { segmentBytes: 1e6 });
    const path = join(directory, segmentName(RUNS[0], 1));
    const whole = readFileSync(path);
    // Its last record is whole and the checkpoint behind it is not there.
    truncateSync(path, whole.lastIndexOf(`{"digest":`) - RECORD_BYTES);
    expect(audit(directory)).toMatchObject({ ok: true, problems: [] });
    expect(audit(directory).runs[0]).toMatchObject({ complete: true });
    await writeRun(directory, 2);
    expect(audit(directory)).toMatchObject({ ok: true, problems: [] });
    expect(audit(directory).runs[0]?.unsworn).toBeGreaterThan(0);
  });

  test("a run of which a crash left an empty file or half a header, with and without a run behind it", async () => {
    for (const bytes of [0, 40]) {
      const directory = folder();
      await writeRun(directory, 0);
      await writeRun(directory, 1, { records: 1 });
      truncateSync(join(directory, segmentName(RUNS[1], 1)), bytes);
      expect(audit(directory)).toMatchObject({ ok: true, problems: [{ runId: RUNS[1], cutOff: true }] });
      await writeRun(directory, 2);
      expect(audit(directory)).toMatchObject({ ok: true, problems: [{ runId: RUNS[1], cutOff: true }] });
    }
  });

  test("long stretches between checkpoints, as the journal was configured", async () => {
    const directory = folder();
    const writer = await JournalWriter.open({
      ...{ directory, runId: RUNS[0], segmentBytes: 1_200, checkpointMs: 3_600_000, signingKey },
    });
    // Each file's end is sworn to, a quarter of an hour or more behind its beginning; but for the last one's.
    for (let i = 0; i < 20; i += 1) writer.text(RECORD.feedFrame, 0, i * 300e6, "x".repeat(200));
    const { segments } = await writer.close();
    const path = join(directory, segmentName(RUNS[0], segments));
    truncateSync(path, readFileSync(path).lastIndexOf(`{"digest":`) - RECORD_BYTES);
    const { ok, problems, runs } = audit(directory);
    expect([ok, problems]).toEqual([true, []]);
    expect(runs[0]?.unsworn).toBeGreaterThan(1);
  });

  test("runs of the version without checkpoints before those with them", async () => {
    const directory = folder();
    await writeRun(directory, 0);
    rewrite(directory, (records, header) => {
      header.writeUInt32LE(1, 8);
      return unsworn(records);
    });
    // Without a key it is as it was; a key proves nothing of what nobody signed.
    expect(auditJournal(directory, { trusted: null, expected: null })).toMatchObject({
      ok: true,
      problems: [],
    });
    await writeRun(directory, 2);
    expect(audit(directory)).toMatchObject({ ok: true, problems: [] });
  });
});

test("a checkpoint from before a run took another one's place does not swear to that one", async () => {
  const directory = folder();
  await writeRun(directory, 0, { segmentBytes: 1e6 });
  const next = await JournalWriter.open({
    ...{ directory, runId: RUNS[1], checkpointMs: 1, signingKey, staged: true },
  });
  next.text(RECORD.start, 0, DAY_US, "{}");
  await Bun.sleep(25);
  next.link(RUNS[0], null, DAY_US + 1);
  await Bun.sleep(25);
  next.text(RECORD.end, 0, DAY_US + 2, "{}");
  await next.close();
  expect(audit(directory)).toMatchObject({ ok: true, problems: [] });
  const forged = folder();
  cpSync(directory, forged, { recursive: true, filter: (path) => !path.endsWith("handover") });
  const first = join(forged, segmentName(RUNS[0], 1));
  rewrite(
    forged,
    (records) => {
      change(records);
      return unsworn(records);
    },
    [RUNS[0]],
  );
  const second = join(forged, segmentName(RUNS[1], 1));
  // As it was, but for what follows the first checkpoint: a link to the file that was forged.
  const whole = readFileSync(join(directory, segmentName(RUNS[1], 1)));
  const linkAt = whole.indexOf(`{"run":`) - RECORD_BYTES;
  const end = linkAt + RECORD_BYTES + whole.readUInt32LE(linkAt);
  const link = Buffer.from(whole.subarray(linkAt, end));
  const digest = new Bun.CryptoHasher("sha256").update(readFileSync(first)).digest("hex");
  link.write(digest, link.indexOf(`"digest":"`) + `"digest":"`.length);
  link.writeUInt32LE(Bun.hash.crc32(link.subarray(CRC_FROM)), 4);
  writeFileSync(second, Buffer.concat([whole.subarray(0, linkAt), link]));
  const { ok, problems } = audit(forged);
  expect([ok, problems.map(({ runId }) => runId)]).toEqual([false, [RUNS[0]]]);
  // A second link behind the first one, which is sworn to, tells nothing.
  writeFileSync(second, Buffer.concat([whole.subarray(0, whole.length), bumped(link, whole)]));
  expect(audit(forged).ok).toBeFalse();
});

/** The record with the sequence that comes behind the file's last one. */
function bumped(record: Buffer, file: Buffer): Buffer {
  const bytes = Buffer.from(record);
  let last = 0;
  for (let at = HEADER_BYTES + file.readUInt32LE(20); at < file.length; ) {
    last = Math.max(last, file.readUInt32LE(at + 16));
    at += RECORD_BYTES + file.readUInt32LE(at);
  }
  bytes.writeUInt32LE(last + 1, 16);
  bytes.writeUInt32LE(Bun.hash.crc32(bytes.subarray(CRC_FROM)), 4);
  return bytes;
}
