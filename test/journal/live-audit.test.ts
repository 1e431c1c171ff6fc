import { describe, expect, test } from "bun:test";
import { copyFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { SignatureChecker, Signer } from "../../src/core/signature.ts";
import { type Audit, auditJournal } from "../../src/journal/audit.ts";
import { segmentName } from "../../src/journal/format.ts";
import { journalRuns } from "../../src/journal/reader.ts";
import { RECORD } from "../../src/journal/record.ts";
import { retire } from "../../src/journal/retention.ts";
import { JournalWriter } from "../../src/journal/writer.ts";
import { signingKeys } from "../support/signing-keys.ts";
import { temporaryFolders } from "../support/temporary-folders.ts";

const { signingKey, publicKey, checker } = signingKeys();
const signer = new Signer(signingKey, "journal");

const { root, folder } = temporaryFolders("keel-live-audit-");

const RUNS = ["20260101T000000-00000001", "20260102T000000-00000001"] as const;

/** Two runs of one checkpoint a segment. */
async function twoRuns(): Promise<string> {
  const directory = folder();
  for (const runId of RUNS) {
    const writer = await JournalWriter.open({
      ...{ directory, runId, signingKey, segmentBytes: 2_000, checkpointMs: 3_600_000 },
    });
    for (let i = 0; i < 50; i += 1) writer.text(RECORD.feedFrame, 0, 1e15 + i, "x".repeat(200));
    writer.text(RECORD.end, 0, 1e15 + 50, "{}");
    expect(await writer.close()).toMatchObject({ dropped: 0, failure: null });
  }
  return directory;
}

/** Lets something happen at the folder when it has checked so many signatures of it. */
class Interrupted extends SignatureChecker {
  readonly #at: number;
  readonly #then: () => void;
  #checked = 0;

  constructor(at: number, then: () => void) {
    super(publicKey, "journal");
    this.#at = at;
    this.#then = then;
  }

  override matches(text: string, signature: string): boolean {
    this.#checked += 1;
    if (this.#checked === this.#at) this.#then();
    return super.matches(text, signature);
  }
}

function auditWhile(directory: string, at: number, then: () => void): Audit {
  return auditJournal(directory, { trusted: [new Interrupted(at, then)], expected: null });
}

/** Retires everything before the file. */
function retireBefore(directory: string, runId: string, segment: number): void {
  const writing = join(directory, segmentName(runId, segment));
  const options = { writing, nowMs: Date.now(), isClockKept: () => true, signer };
  retire(directory, { ...options, keep: { bytes: 0, ageMs: null } });
}

describe("while a journal is audited, retention may take", () => {
  test("the files that come next: the run is proved from the first one that is left", async () => {
    const directory = await twoRuns();
    const { segments } = auditJournal(directory, { trusted: [checker], expected: null }).runs[0] ?? {
      segments: 0,
    };
    expect(segments).toBeGreaterThan(5);
    const { ok, problems, runs, retired } = auditWhile(directory, 2, () => {
      retireBefore(directory, RUNS[0], 5);
    });
    expect([ok, problems]).toEqual([true, []]);
    expect(runs.map((run) => [run.runId, run.segments])).toEqual([
      [RUNS[0], segments - 4],
      [RUNS[1], segments],
    ]);
    expect(retired).toBe(4);
  });

  test("files that were read", async () => {
    const directory = await twoRuns();
    const { ok, problems, runs } = auditWhile(directory, 6, () => retireBefore(directory, RUNS[0], 5));
    expect([ok, problems, runs.length]).toEqual([true, [], 2]);
  });

  test("the run that is read, and the beginning of the next", async () => {
    const directory = await twoRuns();
    const { ok, problems, runs } = auditWhile(directory, 2, () => retireBefore(directory, RUNS[1], 3));
    expect([ok, problems]).toEqual([true, []]);
    expect(runs.map(({ runId }) => runId)).toEqual([RUNS[1]]);
  });

  test("the run that was read, and the beginning of the one that is read", async () => {
    const directory = await twoRuns();
    const { segments } = auditJournal(directory, { trusted: [checker], expected: null }).runs[0] ?? {
      segments: 0,
    };
    const then = (): void => retireBefore(directory, RUNS[1], 5);
    const { ok, problems, runs } = auditWhile(directory, segments + 2, then);
    expect([ok, problems]).toEqual([true, []]);
    expect(runs.map(({ runId }) => runId)).toEqual([...RUNS]);
  });

  test("nothing that it does not write down", async () => {
    const directory = await twoRuns();
    const { ok, problems } = auditWhile(directory, 2, () => {
      rmSync(join(directory, segmentName(RUNS[0], 3)));
    });
    expect(ok).toBeFalse();
    expect(problems[0]).toMatchObject({
      runId: RUNS[0],
      file: join(directory, segmentName(RUNS[0], 3)),
      what: "the file was taken away while the run was read, and is not written down as retired",
    });
  });
});

test("a file that a crash kept from going after it was written down is no second beginning", async () => {
  const directory = await twoRuns();
  const first = segmentName(RUNS[0], 1);
  const kept = join(root, "kept");
  copyFileSync(join(directory, first), kept);
  retireBefore(directory, RUNS[0], 2);
  expect(readdirSync(directory)).not.toContain(first);
  copyFileSync(kept, join(directory, first));
  expect(auditJournal(directory, { trusted: [checker], expected: null })).toMatchObject({
    ok: true,
    problems: [],
  });
});

test("the journal of a running desk whose retention works is proved at any time", async () => {
  const directory = folder();
  const retention = { bytes: 300_000, ageMs: null };
  for (const runId of RUNS) {
    const writer = await JournalWriter.open({
      ...{ directory, runId, signingKey, segmentBytes: 32_000, checkpointMs: 100, retention },
    });
    for (let round = 0; round < 40; round += 1) {
      for (let i = 0; i < 60; i += 1) writer.text(RECORD.feedFrame, 0, 1e15, "x".repeat(300 + i));
      const { ok, problems } = auditJournal(directory, { trusted: [checker], expected: null });
      expect([ok, problems.filter(({ cutOff }) => !cutOff)]).toEqual([true, []]);
    }
    expect(await writer.close()).toMatchObject({ dropped: 0, failure: null });
  }
  const { problems, retired } = auditJournal(directory, { trusted: [checker], expected: null });
  expect(problems).toEqual([]);
  expect(retired).toBeGreaterThan(20);
  expect(journalRuns(directory).map(({ runId }) => runId)).toEqual([RUNS[1]]);
});
