import { describe, expect, test } from "bun:test";
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { kernelClockErrorUs } from "../../src/core/kernel-clock.ts";
import { Logger } from "../../src/core/log.ts";
import { Secret } from "../../src/core/secret.ts";
import { Signer } from "../../src/core/signature.ts";
import { type Audit, auditJournal } from "../../src/journal/audit.ts";
import { segmentName } from "../../src/journal/format.ts";
import { journalRuns } from "../../src/journal/reader.ts";
import { RECORD } from "../../src/journal/record.ts";
import { RETIRED_FILE, type Retention, retire } from "../../src/journal/retention.ts";
import { STAGING } from "../../src/journal/staging.ts";
import { JournalWriter } from "../../src/journal/writer.ts";
import { openJournal } from "../../src/live/prepare.ts";
import { signingKeys } from "../support/signing-keys.ts";
import { canMount, smallDisk } from "../support/small-disk.ts";
import { temporaryFolders } from "../support/temporary-folders.ts";

const { signingKey, checker } = signingKeys();
const signer = new Signer(signingKey, "journal");
const log = new Logger({ level: "error", format: "json", sink: () => {} });

const { root, folder } = temporaryFolders("keel-retention-");

const EARLY = "20260101T000000-00000001";
const MIDDLE = "20260102T000000-00000001";
const LATE = "20260103T000000-00000001";
const NO_BOUND: Retention = { bytes: null, ageMs: null };

const audit = (directory: string): Audit => auditJournal(directory, { trusted: [checker], expected: null });
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

describe("what is written down as retired", () => {
  /** Removes the oldest file. @returns how many were removed */
  function retireOne(directory: string): number {
    const names = readdirSync(directory)
      .filter((name) => name.endsWith(".kjl"))
      .sort();
    const writing = join(directory, names[1] ?? "");
    const options = { writing, nowMs: Date.now(), isClockKept: () => true, signer };
    return retire(directory, { ...options, keep: { bytes: 0, ageMs: null } }).removed;
  }

  test("goes on behind half a line that a crash left, and in a file without a line", async () => {
    for (const torn of ["", '{"runId":"2026', '{"runId":"2026\t']) {
      const directory = folder();
      await writeRun(directory, EARLY);
      const path = join(directory, RETIRED_FILE);
      writeFileSync(path, torn);
      expect(retireOne(directory)).toBe(1);
      appendFileSync(path, torn);
      expect(audit(directory)).toMatchObject({ ok: true, retired: 1 });
      expect(retireOne(directory)).toBe(1);
      expect(audit(directory)).toMatchObject({ ok: true, problems: [], retired: 2 });
    }
  });

  test("is written down once, however often its removal is tried", async () => {
    const directory = folder();
    await writeRun(directory, EARLY);
    const first = join(directory, segmentName(EARLY, 1));
    const kept = join(root, "kept");
    copyFileSync(first, kept);
    retireOne(directory);
    copyFileSync(kept, first);
    expect(retireOne(directory)).toBe(1);
    expect(existsSync(first)).toBeFalse();
    expect(audit(directory)).toMatchObject({ ok: true, problems: [], retired: 1 });
  });

  test("and cannot be, does not end the recording, and is made up for", async () => {
    const directory = folder();
    const path = join(directory, RETIRED_FILE);
    mkdirSync(path);
    const told: string[] = [];
    const onUnretired = (why: string): unknown => told.push(why);
    const retention: Retention = { bytes: 5_000, ageMs: null };
    const writer = await JournalWriter.open({
      ...{ directory, runId: EARLY, signingKey, segmentBytes: 3_000, retention, onUnretired },
    });
    const segments = (): number => readdirSync(directory).filter((name) => name.endsWith(".kjl")).length;
    const frames = (): void => {
      for (let i = 0; i < 60; i += 1) writer.text(RECORD.feedFrame, 0, 1e15 + i, "x".repeat(200));
    };
    frames();
    for (const untilMs = performance.now() + 30_000; performance.now() < untilMs; await Bun.sleep(5)) {
      if (segments() > 4 && told.length > 0) break;
    }
    expect(told).toHaveLength(1);
    expect(told[0]).toContain("EISDIR");
    expect(writer.unretired).toBeGreaterThan(1);
    expect(writer.failed).toBeFalse();
    rmdirSync(path);
    frames();
    expect(await writer.close()).toMatchObject({ records: 120, dropped: 0, failure: null });
    expect(segments()).toBeLessThan(4);
    expect(audit(directory)).toMatchObject({ ok: true, problems: [] });
  });
});

describe.skipIf(!canMount)("a full disk", () => {
  const disk = join(root, "disk");
  smallDisk(disk, 512);

  test("leaves no half of a line of what was retired", async () => {
    const directory = join(disk, "journal");
    await writeRun(directory, EARLY, NO_BOUND, 600);
    const path = join(directory, RETIRED_FILE);
    const ballast = join(disk, "ballast");
    const keep: Retention = { bytes: 0, ageMs: null };
    const fill = (): void => {
      try {
        for (;;) appendFileSync(ballast, Buffer.alloc(4_096));
      } catch {}
    };
    const names = readdirSync(directory)
      .filter((name) => name.endsWith(".kjl"))
      .sort();
    let failure = "";
    let removed = 0;
    for (const name of names.slice(1, -1)) {
      const options = { keep, writing: join(directory, name), nowMs: 1, isClockKept: () => true, signer };
      try {
        removed += retire(directory, options).removed;
      } catch (error) {
        failure = String(error);
        break;
      }
      fill();
    }
    expect(failure).toContain("ENOSPC");
    expect(removed).toBeGreaterThan(2);
    expect(readFileSync(path, "utf8")).toEndWith("\n");
    expect(audit(directory)).toMatchObject({ ok: true, problems: [], retired: removed });
    rmSync(ballast);
    const writing = join(directory, names.at(-1) ?? "");
    removed += retire(directory, { keep, writing, nowMs: 1, isClockKept: () => true, signer }).removed;
    expect(removed).toBe(names.length - 1);
    expect(audit(directory)).toMatchObject({ ok: true, problems: [], retired: removed });
  });
});
