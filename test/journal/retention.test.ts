import { afterAll, describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { kernelClockErrorUs } from "../../src/core/kernel-clock.ts";
import { Logger } from "../../src/core/log.ts";
import { Secret } from "../../src/core/secret.ts";
import { SignatureChecker, Signer } from "../../src/core/signature.ts";
import { type Audit, auditJournal } from "../../src/journal/audit.ts";
import { segmentName } from "../../src/journal/format.ts";
import { journalRuns } from "../../src/journal/reader.ts";
import { RECORD } from "../../src/journal/record.ts";
import { RETIRED_FILE, type Retention, retire } from "../../src/journal/retention.ts";
import { STAGING } from "../../src/journal/staging.ts";
import { JournalWriter } from "../../src/journal/writer.ts";
import { openJournal } from "../../src/live/prepare.ts";

const keys = generateKeyPairSync("ed25519");
const signingKey = keys.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
const signer = new Signer(signingKey, "journal");
const checker = new SignatureChecker(
  keys.publicKey.export({ type: "spki", format: "pem" }).toString(),
  "journal",
);
const log = new Logger({ level: "error", format: "json", sink: () => {} });

const root = mkdtempSync(join(tmpdir(), "keel-retention-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folders = 0;
function folder(): string {
  folders += 1;
  const path = join(root, String(folders));
  mkdirSync(path);
  return path;
}

const EARLY = "20260101T000000-00000001";
const MIDDLE = "20260102T000000-00000001";
const LATE = "20260103T000000-00000001";
const NO_BOUND: Retention = { bytes: null, ageMs: null };

const audit = (directory: string): Audit => auditJournal(directory, { checker, expected: null });
const runIds = (directory: string): string[] => journalRuns(directory).map(({ runId }) => runId);

/** Three or four segments. */
async function fill(writer: JournalWriter): Promise<void> {
  for (let i = 0; i < 40; i += 1) writer.text(RECORD.feedFrame, 0, 1e15 + i, "x".repeat(200));
  writer.text(RECORD.end, 0, 1e15 + 40, "{}");
  expect(await writer.close()).toMatchObject({ dropped: 0, failure: null });
}

async function writeRun(
  directory: string,
  runId: string,
  retention = NO_BOUND,
  segmentBytes = 3_000,
): Promise<void> {
  await fill(await JournalWriter.open({ directory, runId, signingKey, retention, segmentBytes }));
}

describe("a wall clock that was put back between two runs", () => {
  test("leaves the folder's order of names as the chain is, and retention removes from its beginning", async () => {
    const directory = folder();
    const journal = {
      ...{ dir: directory, segmentBytes: 3_000, checkpointMs: 100, lost: "quote" as const },
      ...{ signingKey: new Secret(signingKey), retention: { bytes: 14_000, ageMs: null } },
    };
    const names: string[] = [];
    for (const day of [2, 1, 1, 1, 3]) {
      const clock = { wallUs: () => Date.UTC(2026, 0, day) * 1_000, monotonicNs: () => 0 };
      const writer = await openJournal(journal, clock, log);
      if (writer === null) throw new Error("no journal");
      names.push(writer.runId);
      await fill(writer);
      expect(audit(directory)).toMatchObject({ ok: true, problems: [] });
    }
    expect(names).toEqual([...names].sort());
    expect(new Set(names).size).toBe(5);
    expect(names[1]).toStartWith("20260102T000001-");
    expect(names[4]).toStartWith("20260103T000000-");
    expect(runIds(directory)).not.toContain(names[0]);
  });

  test("does not put a run before one that a process left beside the folder", async () => {
    const directory = folder();
    mkdirSync(join(directory, STAGING));
    await writeRun(join(directory, STAGING), MIDDLE);
    const journal = {
      ...{ dir: directory, segmentBytes: 3_000, checkpointMs: 100, lost: "quote" as const },
      ...{ signingKey: undefined, retention: NO_BOUND },
    };
    const clock = { wallUs: () => Date.UTC(2026, 0, 1) * 1_000, monotonicNs: () => 0 };
    const writer = await openJournal(journal, clock, log);
    expect((writer?.runId ?? "") > MIDDLE).toBeTrue();
    await writer?.close();
  });

  test("of a keel that went by it: what is there is proved, and retention writes down what goes", async () => {
    const directory = folder();
    await writeRun(directory, EARLY);
    await writeRun(directory, LATE);
    await writeRun(directory, MIDDLE);
    expect(audit(directory)).toMatchObject({ ok: true, problems: [] });
    const left = folder();
    await writeRun(left, EARLY);
    await writeRun(left, LATE);
    // One file, which is the first behind those of the first run, and names the last one of the late run.
    await writeRun(left, MIDDLE, { bytes: 0, ageMs: null }, 1e6);
    expect(runIds(left)).toEqual([MIDDLE, LATE]);
    expect(audit(left)).toMatchObject({ ok: true, problems: [] });
  });
});

describe("retention by age", () => {
  const keep: Retention = { bytes: null, ageMs: 3_600_000 };

  /** Two runs, of which the first is old. */
  async function aged(): Promise<{ directory: string; writing: string }> {
    const directory = folder();
    await writeRun(directory, EARLY);
    for (const name of readdirSync(directory)) utimesSync(join(directory, name), 1, 1);
    await writeRun(directory, LATE);
    return { directory, writing: join(directory, segmentName(LATE, 1)) };
  }

  test("removes what is older", async () => {
    const { directory, writing } = await aged();
    const options = { keep, writing, nowMs: Date.now(), isClockKept: () => true, signer };
    const { removed, putOff } = retire(directory, options);
    expect(removed).toBeGreaterThan(2);
    expect(putOff).toBeNull();
    expect(runIds(directory)).toEqual([LATE]);
    expect(audit(directory)).toMatchObject({ ok: true, retired: removed });
  });

  test("removes nothing while nothing keeps the clock", async () => {
    const { directory, writing } = await aged();
    const options = { keep, writing, nowMs: Date.now() + 1e13, isClockKept: () => false, signer };
    expect(retire(directory, options)).toEqual({
      removed: 0,
      putOff: expect.stringContaining("nothing keeps the host's clock"),
    });
    expect(runIds(directory)).toEqual([EARLY, LATE]);
    expect(existsSync(join(directory, RETIRED_FILE))).toBeFalse();
    // What does not ask for the clock goes.
    expect(retire(directory, { ...options, keep: { bytes: 0, ageMs: 1 } }).removed).toBeGreaterThan(2);
    expect(runIds(directory)).toEqual([LATE]);
    expect(audit(directory).ok).toBeTrue();
  });

  test("of a running journal asks the kernel, and what stays is told and counted", async () => {
    const directory = folder();
    await writeRun(directory, EARLY);
    for (const name of readdirSync(directory)) utimesSync(join(directory, name), 1, 1);
    const told: string[] = [];
    const onUnretired = (why: string): unknown => told.push(why);
    const writer = await JournalWriter.open({
      ...{ directory, runId: LATE, signingKey, retention: keep, onUnretired },
    });
    writer.text(RECORD.start, 0, 1, "{}");
    const isKept = !Number.isNaN(kernelClockErrorUs());
    for (const untilMs = performance.now() + 30_000; performance.now() < untilMs; await Bun.sleep(5)) {
      if (isKept ? runIds(directory).length === 1 : told.length > 0) break;
    }
    expect(runIds(directory)).toEqual(isKept ? [LATE] : [EARLY, LATE]);
    expect([told.length, writer.unretired]).toEqual(isKept ? [0, 0] : [1, 1]);
    await writer.close();
    expect(audit(directory).ok).toBeTrue();
  });
});
