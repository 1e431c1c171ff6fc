import { beforeAll, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { type Audit, auditJournal } from "../../src/journal/audit.ts";
import { CRC_FROM, HEADER_BYTES, RECORD_BYTES, segmentName } from "../../src/journal/format.ts";
import { JournalReader } from "../../src/journal/reader.ts";
import { RECORD } from "../../src/journal/record.ts";
import { RETIRED_FILE, type Retention } from "../../src/journal/retention.ts";
import { JournalWriter } from "../../src/journal/writer.ts";
import { signingKeys } from "../support/signing-keys.ts";
import { temporaryFolders } from "../support/temporary-folders.ts";

const { signingKey: privateKey, checker } = signingKeys();
const { signingKey: stranger } = signingKeys();

const { folder } = temporaryFolders("keel-audit-");

const RECORDS = 60;
const RUN = "20260101T000000-00000001";
const NEXT = "20260102T000000-00000001";

interface RunOptions {
  readonly runId?: string;
  readonly signingKey?: string | null;
  readonly retention?: Retention;
  readonly end?: boolean;
  readonly segmentBytes?: number;
}

/** Several segments, several checkpoints in each. */
async function writeRun(directory: string, options: RunOptions = {}): Promise<void> {
  const { runId = RUN, signingKey = privateKey, retention, end = true, segmentBytes = 4_000 } = options;
  const writer = await JournalWriter.open({
    directory,
    runId,
    signingKey,
    segmentBytes,
    checkpointMs: 100,
    ...(retention === undefined ? {} : { retention }),
  });
  for (let i = 0; i < RECORDS; i += 1) {
    writer.text(RECORD.feedFrame, i % 3, 1_700_000_000_000_000 + i, `frame ${i} ${"x".repeat(100 + i)}`);
    if (i % 20 === 19) await Bun.sleep(120);
  }
  if (end) writer.text(RECORD.end, 0, 1_700_000_000_000_100, "{}");
  expect(await writer.close()).toMatchObject({ dropped: 0, failure: null });
}

const audit = (directory: string, expected: string | null = null): Audit =>
  auditJournal(directory, { trusted: [checker], expected });

/** Whole folder with two linked runs. */
let original = "";
beforeAll(async () => {
  original = folder();
  await writeRun(original);
  await writeRun(original, { runId: NEXT });
});

function copy(): string {
  const path = folder();
  cpSync(original, path, { recursive: true });
  return path;
}

interface Placed {
  readonly at: number;
  readonly bytes: number;
  readonly type: number;
}

function recordsOf(bytes: Buffer, runId: string): Placed[] {
  const placed: Placed[] = [];
  for (let at = HEADER_BYTES + runId.length; at < bytes.length; ) {
    const length = RECORD_BYTES + bytes.readUInt32LE(at);
    placed.push({ at, bytes: length, type: bytes.readUInt32LE(at + 8) });
    at += length;
  }
  return placed;
}

/** As a forger would: with the CRC of what stands there now. */
function repair(bytes: Buffer, { at, bytes: length }: Placed): void {
  bytes.writeUInt32LE(Bun.hash.crc32(bytes.subarray(at + CRC_FROM, at + length)), at + 4);
}

test("what was written is as it was written, run after run", () => {
  const { ok, runs, problems, head } = audit(original);
  expect([ok, problems]).toEqual([true, []]);
  expect(runs).toHaveLength(2);
  for (const run of runs) {
    expect(run).toMatchObject({ records: RECORDS + 1, dropped: 0, complete: true, unsworn: 0 });
    expect(run.segments).toBeGreaterThan(1);
    expect(run.checkpoints).toBeGreaterThanOrEqual(run.segments);
    expect(run.signed).toBe(run.checkpoints);
  }
  expect(head).toMatch(/^[0-9a-f]{64}$/);
});

test("checkpoints are not seen by who reads the run", () => {
  const reader = new JournalReader(original, RUN);
  expect([...reader.records()].every(({ type }) => type === RECORD.feedFrame || type === RECORD.end)).toBe(
    true,
  );
  expect(reader).toMatchObject({ count: RECORDS + 1, missing: 0, damage: null });
});

describe("a forger who mends every CRC is found", () => {
  const file = segmentName(RUN, 1);

  /** Changes the first segment of the first run. */
  function forge(change: (bytes: Buffer, records: Placed[]) => Buffer): Audit {
    const directory = copy();
    const path = join(directory, file);
    const bytes = readFileSync(path);
    writeFileSync(path, change(bytes, recordsOf(bytes, RUN)));
    return audit(directory);
  }

  const desks = (records: Placed[]): Placed[] => records.filter(({ type }) => type === RECORD.feedFrame);

  test("having changed a byte of a record: the checkpoint behind it tells", () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 }), (which, where, by) => {
        const result = forge((bytes, records) => {
          const victim = desks(records)[which % desks(records).length];
          if (victim === undefined) throw new Error("no record");
          // All but the length and the sequence, whose change the reader itself refuses.
          const offset = victim.at + RECORD_BYTES + (where % (victim.bytes - RECORD_BYTES));
          bytes[offset] = (bytes[offset] ?? 0) ^ by;
          repair(bytes, victim);
          return bytes;
        });
        expect(result.ok).toBe(false);
        expect(result.problems[0]).toMatchObject({
          runId: RUN,
          what: expect.stringMatching(
            /^what lies from here to the checkpoint at byte \d+ is not what that one swears to$/,
          ),
        });
        expect(result.problems[0]?.file).toEndWith(file);
      }),
      { numRuns: 20, seed: 1 },
    );
  });

  test("having taken a record out", () => {
    const { ok, problems } = forge((bytes, records) => {
      const victim = desks(records)[3] ?? { at: 0, bytes: 0 };
      return Buffer.concat([bytes.subarray(0, victim.at), bytes.subarray(victim.at + victim.bytes)]);
    });
    expect(ok).toBe(false);
    expect(problems[0]?.what).toContain("swears to");
  });

  test("having put two records in each other's place", () => {
    const { ok, problems } = forge((bytes, records) => {
      const [one, other] = desks(records).slice(2, 4);
      if (one === undefined || other === undefined) throw new Error("no records");
      const parts = [bytes.subarray(0, one.at), bytes.subarray(other.at, other.at + other.bytes)];
      parts.push(bytes.subarray(one.at, one.at + one.bytes), bytes.subarray(other.at + other.bytes));
      return Buffer.concat(parts);
    });
    expect(ok).toBe(false);
    expect(problems[0]?.what).toMatch(/^sequence \d+ comes after/);
  });

  test("having put a record in", () => {
    const { ok } = forge((bytes, records) => {
      const twin = desks(records)[3] ?? { at: 0, bytes: 0, type: 0 };
      const made = Buffer.from(bytes.subarray(twin.at, twin.at + twin.bytes));
      return Buffer.concat([bytes.subarray(0, twin.at), made, bytes.subarray(twin.at)]);
    });
    expect(ok).toBe(false);
  });

  test("having taken the checkpoints away: the next segment's link tells", () => {
    const { ok, problems } = forge((bytes, records) => {
      const kept = records.filter(({ type }) => type === RECORD.feedFrame);
      const head = bytes.subarray(0, HEADER_BYTES + RUN.length);
      return Buffer.concat([head, ...kept.map(({ at, bytes: length }) => bytes.subarray(at, at + length))]);
    });
    expect(ok).toBe(false);
    expect(problems[0]?.what).toContain("not the one that this segment was written after");
  });
});

test("a signature of another key, and none at all, are found", async () => {
  const directory = folder();
  await writeRun(directory, { signingKey: stranger });
  expect(audit(directory).problems[0]?.what).toContain("signed by key");
  const unsigned = folder();
  await writeRun(unsigned, { signingKey: null });
  expect(audit(unsigned).problems[0]?.what).toMatch(/^the checkpoint at byte \d+ is not signed$/);
  expect(auditJournal(unsigned, { trusted: null, expected: null }).ok).toBe(true);
});

test("a checkpoint does not pass for that of another run", async () => {
  const directory = folder();
  await writeRun(directory);
  const renamed = folder();
  for (const name of readdirSync(directory)) {
    const bytes = readFileSync(join(directory, name));
    bytes.write(NEXT, HEADER_BYTES, "latin1");
    bytes.writeUInt32LE(Bun.hash.crc32(bytes.subarray(16, HEADER_BYTES + NEXT.length)), 12);
    writeFileSync(join(renamed, name.replace(RUN, NEXT)), bytes);
  }
  expect(audit(renamed).ok).toBe(false);
});

describe("a whole file that is not where it was", () => {
  test("a segment taken away", () => {
    const directory = copy();
    rmSync(join(directory, segmentName(RUN, 2)));
    const { ok, problems } = audit(directory);
    expect(ok).toBe(false);
    expect(problems.map(({ what }) => what).join("\n")).toContain("segment 2 is missing before segment 3");
  });

  test("the first segment taken away, without being written down", () => {
    const directory = copy();
    rmSync(join(directory, segmentName(RUN, 1)));
    expect(audit(directory).problems[0]?.what).toBe(
      "the segments before 2 are gone, and not written down as retired",
    );
  });

  test("a run taken away", () => {
    const directory = copy();
    for (const name of readdirSync(directory)) if (name.includes(RUN)) rmSync(join(directory, name));
    expect(audit(directory).problems[0]?.what).toContain("what lay before this run is gone or changed");
  });

  test("a run put in", async () => {
    const directory = copy();
    const elsewhere = folder();
    const runId = "20260101T120000-00000009";
    await writeRun(elsewhere, { runId });
    for (const name of readdirSync(elsewhere)) copyFileSync(join(elsewhere, name), join(directory, name));
    const { ok, problems } = audit(directory);
    expect(ok).toBe(false);
    expect(problems.map(({ runId: run }) => run)).toContain(runId);
  });

  test("a segment under another's name", () => {
    const directory = copy();
    renameSync(join(directory, segmentName(NEXT, 1)), join(directory, segmentName(NEXT, 2)));
    expect(audit(directory).ok).toBe(false);
  });
});

describe("the newest end", () => {
  test("that a crash cut off is told as such", () => {
    const directory = copy();
    const last = join(directory, readdirSync(directory).sort().at(-1) ?? "");
    truncateSync(last, readFileSync(last).length - 7);
    const { ok, problems, runs } = audit(directory);
    expect(ok).toBe(true);
    expect(problems).toMatchObject([{ runId: NEXT, cutOff: true }]);
    expect(runs[1]?.runId).toBe(NEXT);
  });

  test("with a byte of a record in its middle changed is no end that a crash left", async () => {
    const directory = folder();
    await writeRun(directory, { segmentBytes: 1_000_000 });
    const path = join(directory, segmentName(RUN, 1));
    const whole = readFileSync(path);
    const victim = recordsOf(whole, RUN)[RECORDS / 2] ?? { at: 0 };
    for (const byte of [0, 4, 8, 16, 40]) {
      const bytes = Buffer.from(whole);
      const at = victim.at + byte;
      bytes[at] = (bytes[at] ?? 0) ^ 0x80;
      writeFileSync(path, bytes);
      const { ok, problems } = audit(directory);
      expect([ok, problems[0]?.cutOff, problems[0]?.offset]).toEqual([false, false, victim.at]);
    }
  });

  test("with something put behind it is found", () => {
    const directory = copy();
    appendFileSync(join(directory, readdirSync(directory).sort().at(-1) ?? ""), "x");
    expect(audit(directory).ok).toBe(false);
  });

  test("that was cut off between records is found where its digest was kept", () => {
    const directory = copy();
    const { head } = audit(directory);
    const last = join(directory, readdirSync(directory).sort().at(-1) ?? "");
    const bytes = readFileSync(last);
    truncateSync(last, recordsOf(bytes, NEXT).at(-2)?.at ?? 0);
    expect(audit(directory).ok).toBe(true);
    expect(audit(directory, head).problems[0]?.what).toContain("nothing has the digest");
    expect(audit(original, head).ok).toBe(true);
  });

  test("with a crash behind it, the next run still follows", async () => {
    const directory = folder();
    await writeRun(directory, { end: false });
    const last = join(directory, readdirSync(directory).sort().at(-1) ?? "");
    appendFileSync(last, "half a rec");
    await writeRun(directory, { runId: NEXT });
    const { ok, problems } = audit(directory);
    expect([ok, problems.length, problems[0]?.cutOff]).toEqual([true, 1, true]);
    truncateSync(last, readFileSync(last).length - 1);
    expect(audit(directory).ok).toBe(false);
  });
});

describe("a journal that is being written", () => {
  test("is read as far as it went when it was opened", () => {
    const directory = copy();
    const path = join(directory, readdirSync(directory).sort().at(-1) ?? "");
    const whole = readFileSync(path);
    const records = recordsOf(whole, NEXT);
    expect(records.length).toBeGreaterThan(4);
    // Whole records, a head without its record, half a record.
    for (const more of [0, RECORD_BYTES, RECORD_BYTES + 9]) {
      const at = (records[2]?.at ?? 0) + more;
      writeFileSync(path, whole.subarray(0, at));
      const reader = new JournalReader(directory, NEXT);
      let count = 0;
      reader.onSegment = () => {
        // Behind the opening of the file, before its first record is asked for.
        if (reader.position().file === path) appendFileSync(path, whole.subarray(at));
      };
      for (const _ of reader.records()) count += 1;
      const known = [...new JournalReader(directory, NEXT).records()].length;
      expect(count).toBeLessThan(known);
      if (more === 0) expect(reader.damage).toBeNull();
      else expect(reader.damage).toMatchObject({ tail: true, whole: false, bytes: at, offset: at - more });
    }
  });

  test("is proved up to where it is, whatever is written meanwhile", async () => {
    const directory = folder();
    const writer = await JournalWriter.open({
      directory,
      ...{ runId: RUN, signingKey: privateKey, segmentBytes: 64_000, checkpointMs: 100 },
    });
    for (let round = 0; round < 40; round += 1) {
      for (let i = 0; i < 40; i += 1) {
        writer.text(RECORD.feedFrame, 0, 1_700_000_000_000_000, "x".repeat(300 + i));
      }
      const { ok, problems } = audit(directory);
      expect([ok, problems.filter(({ cutOff }) => !cutOff)]).toEqual([true, []]);
    }
    expect(await writer.close()).toMatchObject({ dropped: 0, failure: null });
    expect(audit(directory).problems).toEqual([]);
  });
});

describe("retention", () => {
  test("by size removes the oldest files and the chain goes on where they begin", async () => {
    const directory = folder();
    const retention = { bytes: 9_000, ageMs: null };
    await writeRun(directory, { retention });
    await writeRun(directory, { runId: NEXT, retention });
    const left = readdirSync(directory).filter((name) => name.endsWith(".kjl"));
    expect(left.every((name) => name.includes(NEXT))).toBe(true);
    const { ok, problems, retired, runs } = audit(directory);
    expect([ok, problems]).toEqual([true, []]);
    expect(retired).toBeGreaterThan(1);
    expect(runs).toHaveLength(1);
  });

  test("cannot be pretended", async () => {
    const directory = folder();
    const retention = { bytes: 9_000, ageMs: null };
    await writeRun(directory, { retention });
    await writeRun(directory, { runId: NEXT, retention });
    const path = join(directory, RETIRED_FILE);
    const lines = readFileSync(path, "utf8").split("\n");
    writeFileSync(path, lines.slice(1).join("\n"));
    expect(audit(directory).problems[0]?.what).toContain("line 1 does not follow the one before it");
    writeFileSync(path, lines.map((line) => line.replace(/\t.*/, "\t")).join("\n"));
    expect(audit(directory).ok).toBe(false);
  });
});

test("a key that is none is refused when the journal begins", async () => {
  const opened = JournalWriter.open({ directory: folder(), runId: RUN, signingKey: "nonsense" });
  await expect(opened).rejects.toThrow("found no key, expected an Ed25519 private key in PEM");
});
