/** Any byte or record of a signed journal changed, dropped, inserted or put elsewhere is found, and the place of it is told. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Audit, auditJournal } from "../../src/journal/audit.ts";
import { CHECKPOINT } from "../../src/journal/checkpoint.ts";
import { CRC_FROM, HEADER_BYTES, RECORD_BYTES, readU64 } from "../../src/journal/format.ts";
import { RECORD } from "../../src/journal/record.ts";
import { JournalWriter } from "../../src/journal/writer.ts";
import { signingKeys } from "../support/signing-keys.ts";

const root = mkdtempSync(join(tmpdir(), "keel-mutation-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const RUN = "20260101T000000.000000Z-1";
const { signingKey, checker } = signingKeys();

/** A record, or the header of a file. */
interface Placed {
  readonly at: number;
  readonly end: number;
  readonly record: number;
  readonly isCheckpoint: boolean;
  /** Sequence of the desk's next record at this place. */
  readonly sequence: number;
}

/** Where everything in a file lies; the place behind its end comes last. */
function placesOf(bytes: Buffer): Placed[] {
  let sequence = readU64(bytes, 24);
  const places = [{ at: 0, end: HEADER_BYTES + RUN.length, record: 0, isCheckpoint: false, sequence }];
  for (let at = HEADER_BYTES + RUN.length; at < bytes.length; ) {
    const end = at + RECORD_BYTES + bytes.readUInt32LE(at);
    const isCheckpoint = bytes.readUInt32LE(at + 8) === CHECKPOINT;
    if (!isCheckpoint) sequence = readU64(bytes, at + 16);
    places.push({ at, end, record: places.length, isCheckpoint, sequence });
    if (!isCheckpoint) sequence += 1;
    at = end;
  }
  const behind = { at: bytes.length, end: Number.POSITIVE_INFINITY, record: places.length };
  return [...places, { ...behind, isCheckpoint: false, sequence }];
}

interface Written {
  readonly directory: string;
  readonly head: string;
  readonly files: readonly { readonly name: string; readonly whole: Buffer; readonly places: Placed[] }[];
}

/** A run of several segments with several checkpoints in each of them. */
async function written(name: string, segmentBytes: number): Promise<Written> {
  const directory = join(root, name);
  const writer = await JournalWriter.open({
    ...{ directory, runId: RUN, segmentBytes, checkpointMs: 1, signingKey },
  });
  writer.text(RECORD.start, 0, 1, "{}");
  for (let i = 0; i < 24; i += 1) {
    writer.text(RECORD.feedFrame, 0, i + 2, `frame ${i}`.padEnd(20 + i, "."));
    if (i % 4 === 0) await Bun.sleep(20);
  }
  writer.text(RECORD.end, 0, 99, "{}");
  await writer.close();
  const untouched = auditJournal(directory, { trusted: [checker], expected: null });
  expect(untouched.ok).toBeTrue();
  expect(untouched.runs[0]?.checkpoints).toBeGreaterThan(3);
  expect(untouched.runs[0]?.signed).toBe(untouched.runs[0]?.checkpoints ?? 0);
  const files = readdirSync(directory).sort();
  expect(files.length).toBeGreaterThan(1);
  return {
    directory,
    head: untouched.head ?? "",
    files: files.map((file) => {
      const whole = readFileSync(join(directory, file));
      return { name: file, whole, places: placesOf(whole) };
    }),
  };
}

/** The first place of an audit's problems, in words. */
function told({ ok, problems: [first] }: Audit): string {
  if (ok || first === undefined) return "nothing found";
  const { file, offset, record, sequence } = first;
  return placeText(file.slice(file.lastIndexOf("/") + 1), offset, record, sequence);
}

function placeText(name: string, offset: number | null, record: number | null, sequence: number | null) {
  return `${name}, byte ${offset}, record ${record}, sequence ${sequence}`;
}

test("any byte: file, byte, record and sequence of the first record that cannot be trusted are told", async () => {
  const { directory, head, files } = await written("bytes", 1_400);
  let tried = 0;
  const wrong: string[] = [];
  for (const { name, whole, places } of files) {
    const path = join(directory, name);
    const attempt = (what: string, bytes: Buffer): void => {
      tried += 1;
      writeFileSync(path, bytes);
      let first = 0;
      while (first < bytes.length && bytes[first] === whole[first]) first += 1;
      const place = places.find(({ end }) => first < end);
      if (place === undefined) throw new Error(`no place has byte ${first}`);
      const expected = placeText(name, place.at, place.record, place.sequence);
      // The run's first sequence is not known where its first header cannot be read.
      const found = told(auditJournal(directory, { trusted: [checker], expected: head })).replace(
        "null",
        "0",
      );
      if (found !== expected) wrong.push(`${what} in ${name}: ${found}, expected ${expected}`);
    };
    for (let byte = 0; byte < whole.length; byte += 1) {
      const changed = Buffer.from(whole);
      changed[byte] ^= 1 << (byte % 8);
      attempt(`byte ${byte} changed`, changed);
      if (byte % 3 !== 0 && byte > 8 && byte < whole.length - 8) continue;
      attempt(`byte ${byte} dropped`, Buffer.concat([whole.subarray(0, byte), whole.subarray(byte + 1)]));
      attempt(
        `byte before ${byte} inserted`,
        Buffer.concat([whole.subarray(0, byte), Buffer.from([0x5a]), whole.subarray(byte)]),
      );
      if (byte === 0 || whole[byte] === whole[byte - 1]) continue;
      const swapped = Buffer.from(whole);
      [swapped[byte - 1], swapped[byte]] = [whole[byte] ?? 0, whole[byte - 1] ?? 0];
      attempt(`bytes ${byte - 1} and ${byte} exchanged`, swapped);
    }
    attempt("a byte behind the end", Buffer.concat([whole, Buffer.from([0])]));
    writeFileSync(path, whole);
  }
  expect(wrong).toEqual([]);
  expect(tried).toBeGreaterThan(4_000);
  expect(auditJournal(directory, { trusted: [checker], expected: head }).ok).toBeTrue();
});

describe("whole records, with every CRC mended", () => {
  const repaired = (bytes: Buffer): Buffer => {
    bytes.writeUInt32LE(Bun.hash.crc32(bytes.subarray(CRC_FROM)), 4);
    return bytes;
  };
  const CHANGES: Readonly<Record<string, (one: Buffer, next: Buffer) => Buffer[]>> = {
    "its last byte changed": (one, next) => {
      const changed = Buffer.from(one);
      changed[changed.length - 1] ^= 1;
      return [repaired(changed), next];
    },
    "its time changed": (one, next) => {
      const changed = Buffer.from(one);
      changed.writeDoubleLE(changed.readDoubleLE(24) + 1, 24);
      return [repaired(changed), next];
    },
    "its sequence changed": (one, next) => {
      const changed = Buffer.from(one);
      changed.writeUInt32LE(changed.readUInt32LE(16) + 7, 16);
      return [repaired(changed), next];
    },
    "taken out": (_, next) => [next],
    "taken out with all that follows in its file": () => [],
    "put in twice": (one, next) => [one, one, next],
    "exchanged with the next": (one, next) => [next, one],
  };

  test("are placed where the stretch begins that no good checkpoint swears to any more, or nearer", async () => {
    const { directory, head, files } = await written("records", 2_500);
    let tried = 0;
    let exact = 0;
    const wrong: string[] = [];
    for (const { name, whole, places } of files) {
      const path = join(directory, name);
      const records = places.slice(1, -1);
      for (const [i, { at, end, record }] of records.entries()) {
        for (const [what, change] of Object.entries(CHANGES)) {
          const next = records[i + 1];
          if (next === undefined && what === "exchanged with the next") continue;
          const tail = next?.end ?? end;
          const made = change(whole.subarray(at, end), whole.subarray(end, tail));
          writeFileSync(
            path,
            Buffer.concat([
              whole.subarray(0, at),
              ...made,
              ...(made.length === 0 ? [] : [whole.subarray(tail)]),
            ]),
          );
          const audit = auditJournal(directory, { trusted: [checker], expected: head });
          tried += 1;
          // From the record behind the last checkpoint before it, or the header, to the first place that differs.
          const isTwin = what === "put in twice";
          const sworn = records.findLast((other) => other.at < at && other.isCheckpoint);
          const [from, to] = [sworn?.end ?? 0, isTwin ? end : at];
          const [first] = audit.problems;
          const placed = first?.offset ?? -1;
          const isPlaced = !audit.ok && first?.file === path && placed >= from && placed <= to;
          if (!isPlaced)
            wrong.push(`record ${record} ${what} in ${name}: ${told(audit)}, expected byte ${from} to ${to}`);
          if (placed === to) exact += 1;
        }
      }
      writeFileSync(path, whole);
    }
    expect(wrong).toEqual([]);
    expect(tried).toBeGreaterThan(150);
    expect(exact).toBeGreaterThan(tried / 4);
  });

  test("are not taken for the end that a crash left when the last one stands there twice", async () => {
    const { directory, files } = await written("twice", 2_500);
    const { name, whole, places } = files.at(-1) ?? { name: "", whole: Buffer.alloc(0), places: [] };
    const last = places.findLast(({ isCheckpoint, end }) => !isCheckpoint && end <= whole.length);
    if (last === undefined) throw new Error("no record");
    const path = join(directory, name);
    const record = whole.subarray(last.at, last.end);
    writeFileSync(path, Buffer.concat([whole.subarray(0, last.end), record]));
    const audit = auditJournal(directory, { trusted: [checker], expected: null });
    expect(audit.ok).toBeFalse();
    expect(audit.problems[0]).toMatchObject({ offset: last.end, record: last.record + 1, cutOff: false });
    truncateSync(path, last.end);
    expect(auditJournal(directory, { trusted: [checker], expected: null }).ok).toBeTrue();
  });
});
