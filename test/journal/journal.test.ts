import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { BadInputError } from "../../src/core/errors.ts";
import { auditJournal } from "../../src/journal/audit.ts";
import { runIdAt, segmentName } from "../../src/journal/format.ts";
import { JournalReader, journalRuns } from "../../src/journal/reader.ts";
import { type JournalRecord, RECORD, type RecordType } from "../../src/journal/record.ts";
import { JournalError, type JournalOptions, JournalWriter } from "../../src/journal/writer.ts";
import { canMount, smallDisk } from "../support/small-disk.ts";

const root = mkdtempSync(join(tmpdir(), "keel-journal-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let folders = 0;
function folder(): string {
  folders += 1;
  return join(root, String(folders));
}

interface Plain {
  readonly type: RecordType;
  readonly subject: number;
  readonly timeUs: number;
  readonly text: string;
}

function plain(record: JournalRecord): Plain {
  const { type, subject, timeUs, payload } = record;
  return { type, subject, timeUs, text: Buffer.from(payload).toString("utf8") };
}

function sample(count: number, size = (i: number) => i % 50): Plain[] {
  return Array.from({ length: count }, (_, i) => ({
    type: i % 3 === 0 ? RECORD.quote : RECORD.feedFrame,
    subject: (i % 7) - 1,
    timeUs: 1_700_000_000_000_000 + i / 4,
    text: `${i}é${"x".repeat(size(i))}`,
  }));
}

async function write(options: JournalOptions, records: readonly Plain[]): Promise<JournalWriter> {
  const writer = await JournalWriter.open(options);
  for (const record of records) writer.text(record.type, record.subject, record.timeUs, record.text);
  return writer;
}

describe("writing and reading", () => {
  test("a run is read back record by record", async () => {
    const directory = folder();
    const records = sample(5_000);
    const writer = await write({ directory, runId: "run" }, records);
    expect(await writer.close()).toMatchObject({ records: 5_000, dropped: 0, segments: 1, failure: null });
    const reader = new JournalReader(directory);
    expect([...reader.records()].map(plain)).toEqual(records);
    expect(reader).toMatchObject({ damage: null, missing: 0, count: 5_000 });
  });

  test("text of any kind survives, and so do bytes", async () => {
    const directory = folder();
    const texts = fc.sample(fc.string({ unit: "grapheme", maxLength: 200 }), { seed: 3, numRuns: 500 });
    const writer = await JournalWriter.open({ directory, runId: "run" });
    for (const text of texts) {
      writer.text(RECORD.feedFrame, 1, 0, text);
      writer.bytes(RECORD.quote, 2, 0, Buffer.from(text));
    }
    await writer.close();
    const read = [...new JournalReader(directory).records()].map((record) => plain(record).text);
    expect(read).toEqual(texts.flatMap((text) => [text, text]));
  });

  test("segments rotate by size, are chained and read as one run", async () => {
    const directory = folder();
    const records = sample(600);
    const writer = await write({ directory, runId: "run", segmentBytes: 4_000 }, records);
    const { segments } = await writer.close();
    expect(segments).toBeGreaterThan(8);
    expect(readdirSync(directory).sort()[0]).toBe(segmentName("run", 1));
    const reader = new JournalReader(directory);
    expect([...reader.records()].map(plain)).toEqual(records);
    expect(reader.damage).toBeNull();
  });

  test("a record larger than the gathering buffer and than a segment is kept", async () => {
    const directory = folder();
    const records = sample(5, (i) => (i === 2 ? 3_000_000 : 10));
    const writer = await write(
      { directory, runId: "run", segmentBytes: 1_000_000, fsync: "always" },
      records,
    );
    await writer.close();
    const reader = new JournalReader(directory);
    expect([...reader.records()].map(plain)).toEqual(records);
    expect(reader.damage).toBeNull();
  });

  test("records written while the ring wraps many times are all there", async () => {
    const directory = folder();
    const writer = await JournalWriter.open({
      directory,
      runId: "run",
      ringBytes: 64 * 1024,
      fsync: "never",
    });
    const records = sample(20_000);
    for (const [i, record] of records.entries()) {
      writer.text(record.type, record.subject, record.timeUs, record.text);
      if (i % 200 === 199) while (writer.backlogBytes > 0) await Bun.sleep(1);
    }
    expect((await writer.close()).dropped).toBe(0);
    const reader = new JournalReader(directory);
    let i = 0;
    for (const record of reader.records()) expect(plain(record)).toEqual(records[i++] as Plain);
    expect(i).toBe(records.length);
  }, 120_000);

  test("what does not fit is counted, and the reader sees the gap", async () => {
    const directory = folder();
    const writer = await JournalWriter.open({ directory, runId: "run", ringBytes: 4_096 });
    writer.text(RECORD.timer, 0, 1, "first");
    for (let i = 0; i < 10; i += 1) writer.text(RECORD.feedFrame, 0, 2, "x".repeat(5_000));
    expect(writer.dropped).toBe(10);
    writer.text(RECORD.timer, 0, 3, "last");
    expect(await writer.close()).toMatchObject({ records: 2, dropped: 10 });
    const reader = new JournalReader(directory);
    expect([...reader.records()].map((record) => plain(record).text)).toEqual(["first", "last"]);
    expect(reader).toMatchObject({ missing: 10, gaps: [{ fromSequence: 1, count: 10 }], damage: null });
  });

  test("a closed journal drops what comes after and closes twice alike", async () => {
    const writer = await write({ directory: folder(), runId: "run" }, sample(3));
    const summary = await writer.close();
    writer.text(RECORD.timer, 0, 0, "late");
    expect(writer.dropped).toBe(1);
    expect(await writer.close()).toMatchObject({ records: summary.records, failure: null });
  });

  test("a process that is going down can wait for the disk without a promise", async () => {
    const directory = folder();
    const writer = await write({ directory, runId: "run" }, sample(2_000));
    expect(writer.closeSync(10_000)).toBe(true);
    expect([...new JournalReader(directory).records()]).toHaveLength(2_000);
    expect(await writer.close()).toMatchObject({ records: 2_000, failure: null });
  });

  test("a process that forgets to close still ends, and keeps what had been written", async () => {
    const directory = folder();
    const script = `
      import { JournalWriter } from ${JSON.stringify(import.meta.resolve("../../src/journal/writer.ts"))};
      const writer = await JournalWriter.open({ directory: ${JSON.stringify(directory)}, runId: "run" });
      writer.text(11, 0, 1, "kept");
      while (writer.backlogBytes > 0) await Bun.sleep(1);
      await Bun.sleep(50);
    `;
    const child = Bun.spawn([process.execPath, "-e", script], { stdout: "ignore", stderr: "inherit" });
    expect(await child.exited).toBe(0);
    expect([...new JournalReader(directory).records()].map(plain)).toMatchObject([{ text: "kept" }]);
  }, 120_000);

  test("the latest run is read unless one is named", async () => {
    const directory = folder();
    const [early, late] = [runIdAt(1_700_000_000_000_000, 1), runIdAt(1_700_000_002_000_000, 0)];
    await (await write({ directory, runId: late }, sample(2))).close();
    await (await write({ directory, runId: early }, sample(1))).close();
    expect(journalRuns(directory).map(({ runId }) => runId)).toEqual([early, late]);
    expect([...new JournalReader(directory).records()]).toHaveLength(2);
    expect([...new JournalReader(directory, early).records()]).toHaveLength(1);
    expect(() => new JournalReader(directory, "other")).toThrow(BadInputError);
  });
});

describe("failure", () => {
  test("a folder that cannot be made is refused at the start", async () => {
    const path = join(root, "a-file");
    writeFileSync(path, "");
    await expect(JournalWriter.open({ directory: join(path, "below"), runId: "run" })).rejects.toThrow(
      JournalError,
    );
  });

  test("a run id that is in use stops the writing, and everything after is counted as dropped", async () => {
    const directory = folder();
    await (await write({ directory, runId: "run" }, sample(3))).close();
    const again = await write({ directory, runId: "run" }, sample(1));
    while (!again.failed) await Bun.sleep(1);
    again.text(RECORD.timer, 0, 0, "");
    expect(again.dropped).toBe(1);
    expect((await again.close()).failure).toContain("EEXIST");
    expect([...new JournalReader(directory).records()]).toHaveLength(3);
  });

  test("an unusable run id is named", async () => {
    await expect(JournalWriter.open({ directory: folder(), runId: "../x" })).rejects.toThrow(/run id/);
  });
});

describe("damage", () => {
  const records = sample(12);
  const whole = folder();
  let bytes: Buffer;
  let spoiled: string;

  beforeAll(async () => {
    await (await write({ directory: whole, runId: "run" }, records)).close();
    bytes = readFileSync(join(whole, segmentName("run", 1)));
    spoiled = folder();
    mkdirSync(spoiled);
  });

  function readSpoiled(content: Uint8Array): { read: Plain[]; reader: JournalReader } {
    writeFileSync(join(spoiled, segmentName("run", 1)), content);
    const reader = new JournalReader(spoiled);
    return { read: [...reader.records()].map(plain), reader };
  }

  test("cut at any byte, everything before the cut is read and the cut is reported", () => {
    let boundaries = 0;
    for (let length = 0; length < bytes.length; length += 1) {
      const { read, reader } = readSpoiled(bytes.subarray(0, length));
      expect(read).toEqual(records.slice(0, read.length));
      if (reader.damage === null) boundaries += 1;
      else expect(reader.damage.offset).toBeLessThanOrEqual(length);
    }
    // Behind every record but the last, and before and behind the checkpoint at the end.
    expect(boundaries).toBe(records.length + 1);
  });

  test("with any byte flipped, reading ends before the damage and says where", () => {
    for (let at = 0; at < bytes.length; at += 1) {
      const copy = Buffer.from(bytes);
      copy[at] ^= 0x41;
      const { read, reader } = readSpoiled(copy);
      expect(read).toEqual(records.slice(0, read.length));
      expect(reader.damage).toMatchObject({ tail: true });
      expect(reader.damage?.offset).toBeLessThanOrEqual(at);
    }
  });

  test("noise after the end is reported", () => {
    const { read, reader } = readSpoiled(Buffer.concat([bytes, Buffer.alloc(100, 0xee)]));
    expect(read).toEqual(records);
    expect(reader.damage).toMatchObject({ offset: bytes.length });
  });

  test("a missing segment and a foreign one end the reading where they are", async () => {
    const directory = folder();
    await (await write({ directory, runId: "run", segmentBytes: 2_000 }, sample(200))).close();
    const other = folder();
    await (
      await write(
        { directory: other, runId: "run", segmentBytes: 2_000 },
        sample(300, () => 7),
      )
    ).close();

    copyFileSync(join(other, segmentName("run", 3)), join(directory, segmentName("run", 3)));
    const foreign = new JournalReader(directory);
    const read = [...foreign.records()].length;
    expect(read).toBeGreaterThan(10);
    expect(foreign.damage?.reason).toContain("not the one");

    rmSync(join(directory, segmentName("run", 3)));
    const missing = new JournalReader(directory);
    expect([...missing.records()]).toHaveLength(read);
    expect(missing.damage).toMatchObject({ reason: "segment 3 is missing before segment 4", tail: false });
  });

  test("a folder without a journal is named", () => {
    expect(() => new JournalReader(join(root, "nowhere"))).toThrow(/no folder/);
    mkdirSync(join(root, "empty"));
    expect(() => new JournalReader(join(root, "empty"))).toThrow(/no journal/);
  });
});

describe.skipIf(!canMount)("a full disk", () => {
  const disk = join(root, "disk");
  smallDisk(disk, 256);

  test("holds up the journal, which loses nothing that its ring holds and goes on once there is room", async () => {
    const ballast = join(disk, "ballast");
    writeFileSync(ballast, Buffer.alloc(128 * 1024));
    const writer = await JournalWriter.open({ directory: disk, runId: "run", segmentBytes: 40_000 });
    const records = sample(600, () => 200);
    for (const record of records) writer.text(record.type, record.subject, record.timeUs, record.text);
    for (const untilMs = performance.now() + 30_000; performance.now() < untilMs && !writer.stalled; )
      await Bun.sleep(5);
    expect([writer.stalled, writer.failed, writer.dropped]).toEqual([true, false, 0]);
    rmSync(ballast);
    for (const untilMs = performance.now() + 30_000; performance.now() < untilMs && writer.stalled; )
      await Bun.sleep(5);
    expect(await writer.close()).toMatchObject({ records: 600, dropped: 0, failure: null });
    const reader = new JournalReader(disk);
    expect([...reader.records()].map(plain)).toEqual(records);
    expect(reader).toMatchObject({ damage: null, missing: 0 });
    expect(auditJournal(disk, { trusted: null, expected: null })).toMatchObject({ ok: true, problems: [] });
  });
});
