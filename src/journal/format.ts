import { BadInputError } from "../core/errors.ts";

/**
 * The journal's files. A run is a series of segments `keel-RUN-000001.kjl`, `…-000002.kjl`, …; numbers are little-endian.
 *
 * Segment header, {@link HEADER_BYTES} bytes and then the run id:
 *
 * | at | what |
 * |---|---|
 * | 0 | `KEELJRNL` |
 * | 8 | u32 version: {@link VERSION}; 2 before a run could be begun beside another one, 1 before there were checkpoints and links between runs |
 * | 12 | u32 CRC-32 of everything from 16 to the end of the header, run id included |
 * | 16 | u32 number of the segment, from 1 |
 * | 20 | u32 bytes of the run id |
 * | 24 | u64 sequence of its first record |
 * | 32 | 32 bytes: SHA-256 of the whole segment before it; in a run's first, of the last segment of the run before; zeros where there is none, or where the run was begun beside another one, which its `link` record names. This chains everything in a folder |
 * | 64 | run id, UTF-8 |
 *
 * Record, {@link RECORD_BYTES} bytes and then the payload:
 *
 * | at | what |
 * |---|---|
 * | 0 | u32 bytes of the payload |
 * | 4 | u32 CRC-32 of everything from 8 to the end of the payload |
 * | 8 | u32 type |
 * | 12 | i32 subject |
 * | 16 | u64 sequence: increases by one with every record that the desk wrote, dropped ones included |
 * | 24 | f64 time, µs since the epoch |
 * | 32 | payload |
 */
export const MAGIC = "KEELJRNL";
export const VERSION = 3;
const READABLE_VERSIONS: readonly number[] = [1, 2, VERSION];
export const HEADER_BYTES = 64;
export const DIGEST_BYTES = 32;
export const RECORD_BYTES = 32;
/** Where the part of a record begins that its CRC covers. */
export const CRC_FROM = 8;
/** No record is longer; a longer length on disk is damage. */
export const PAYLOAD_BYTES_MAX = 256 * 1024 * 1024;
export const TWO_32 = 4_294_967_296;

export const RUN_ID_BYTES_MAX = 64;
const RUN_ID = /^[0-9A-Za-z_.-]{1,64}$/;
const SEGMENT_NAME = /^keel-([0-9A-Za-z_.-]{1,64})-(\d{6,})\.kjl$/;

/** Fields of a segment's header. */
export interface SegmentHeader {
  readonly runId: string;
  readonly segment: number;
  readonly firstSequence: number;
  readonly previousDigest: Uint8Array;
  readonly version: number;
}

/** Run id that sorts behind another one, whatever the clock did meanwhile: the chain of a folder goes by the order of names. */
export function runIdAfter(before: string, wallUs: number, salt: number): string {
  let id = runIdAt(wallUs, salt);
  for (let timeUs = Math.max(wallUs, secondOf(before)); id <= before; timeUs += 1e6)
    id = runIdAt(timeUs, salt);
  return id;
}

/** Run ids made by {@link runIdAt}, which have others of their kind behind them. */
export function isTimedRunId(runId: string): boolean {
  return secondOf(runId) > 0;
}

/** Start of the second that a run id names, µs since the epoch; 0 for other names. */
function secondOf(runId: string): number {
  const [, date, hour, minute, second] = /^(\d{8})T(\d\d)(\d\d)(\d\d)-/.exec(runId) ?? [];
  if (date === undefined) return 0;
  const day = `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}`;
  const ms = Date.parse(`${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(ms) ? 0 : ms * 1_000;
}

/** A run id that sorts by time: `20261122T134500-1f3a9c`. `salt` tells apart runs of the same second. */
export function runIdAt(wallUs: number, salt: number): string {
  const stamp = new Date(wallUs / 1_000).toISOString().replace(/[-:]|\.\d+Z/g, "");
  return `${stamp}-${(salt >>> 0).toString(16).padStart(8, "0")}`;
}

/** @throws BadInputError when the run id cannot be part of a file name. */
export function segmentName(runId: string, segment: number): string {
  if (!RUN_ID.test(runId)) {
    throw new BadInputError(
      "journal run id",
      JSON.stringify(runId),
      "1 to 64 letters, digits, '_', '.' and '-'",
    );
  }
  return `keel-${runId}-${String(segment).padStart(6, "0")}.kjl`;
}

/** @returns null when the file's name is not that of a segment. */
export function parseSegmentName(name: string): { readonly runId: string; readonly segment: number } | null {
  const match = SEGMENT_NAME.exec(name);
  if (match === null) return null;
  return { runId: match[1] ?? "", segment: Number(match[2]) };
}

export function encodeHeader(header: Omit<SegmentHeader, "version">): Buffer {
  const runId = Buffer.from(header.runId);
  const bytes = Buffer.alloc(HEADER_BYTES + runId.length);
  bytes.write(MAGIC, 0, "latin1");
  bytes.writeUInt32LE(VERSION, 8);
  bytes.writeUInt32LE(header.segment, 16);
  bytes.writeUInt32LE(runId.length, 20);
  writeU64(bytes, 24, header.firstSequence);
  bytes.set(header.previousDigest, 32);
  bytes.set(runId, HEADER_BYTES);
  bytes.writeUInt32LE(Bun.hash.crc32(bytes.subarray(16)), 12);
  return bytes;
}

/** @returns the header, or in words what is wrong with it. */
export function decodeHeader(bytes: Buffer): SegmentHeader | string {
  if (bytes.length < HEADER_BYTES) return `the header ends after ${bytes.length} bytes`;
  if (bytes.toString("latin1", 0, 8) !== MAGIC) return `the file does not begin with ${MAGIC}`;
  const version = bytes.readUInt32LE(8);
  if (!READABLE_VERSIONS.includes(version)) {
    const known = `expected ${READABLE_VERSIONS.join(", ")}`;
    return `version ${version}, ${known}${version > VERSION ? ": a later keel wrote it" : ""}`;
  }
  const end = HEADER_BYTES + bytes.readUInt32LE(20);
  if (end > bytes.length) return "the header's run id has no end";
  if (Bun.hash.crc32(bytes.subarray(16, end)) !== bytes.readUInt32LE(12))
    return "the header's CRC does not match";
  return {
    version,
    runId: bytes.toString("utf8", HEADER_BYTES, end),
    segment: bytes.readUInt32LE(16),
    firstSequence: readU64(bytes, 24),
    previousDigest: Uint8Array.from(bytes.subarray(32, 32 + DIGEST_BYTES)),
  };
}

/** A u64 as a double; exact below 2⁵³. */
export function readU64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at + 4) * TWO_32 + bytes.readUInt32LE(at);
}

export function writeU64(bytes: Buffer, at: number, value: number): void {
  bytes.writeUInt32LE(value % TWO_32, at);
  bytes.writeUInt32LE(Math.floor(value / TWO_32), at + 4);
}
