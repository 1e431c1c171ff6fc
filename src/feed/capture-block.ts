/**
 * The layout of a compressed capture (`.zst`): text of the plain layout in blocks, each a zstd frame that stands alone behind a
 * skippable frame that describes it; at the end a skippable frame with the time index. Any zstd tool that skips such frames
 * (RFC 8878, section 3.1.2) reads the file as plain text: `zstdcat`, `zstdgrep`.
 *
 * All numbers are little-endian. A block's description:
 *
 * | byte | what |
 * |---|---|
 * | 0 | magic 0x184D2A5B, then 48: the length of the rest |
 * | 8 | `KEELBLK1` |
 * | 16 | bytes of the zstd frame that follows, u32 |
 * | 20 | bytes of its text, u32 |
 * | 24 | earliest and latest local time of its entries, µs, two f64; NaN when there is none |
 * | 40 | entries, u32 |
 * | 44 | of them received frames, u32 |
 * | 48 | CRC-32 of the zstd frame, u32 |
 * | 52 | CRC-32 of bytes 8 to 51, u32 |
 *
 * The index: magic 0x184D2A5E, length, `KEELIDX1`, the number of blocks (u32), for each where it begins (f64), earliest and latest
 * time (f64), entries and received frames (u32), then CRC-32 of all from `KEELIDX1` on, the length of the whole skippable frame (u32)
 * and `KEELEND1`, by which it is found from the end of the file.
 *
 * @module
 */
import { invariant } from "../core/invariant.ts";

const BLOCK_MAGIC = 0x184d_2a5b;
const INDEX_MAGIC = 0x184d_2a5e;
const SKIPPABLE_BYTES = 8;
const BLOCK_MARK = "KEELBLK1";
const INDEX_MARK = "KEELIDX1";
const END_MARK = "KEELEND1";

/** A block's description, magic and length included. */
export const BLOCK_HEADER_BYTES = 56;
/** Text of one block: a chunk, or a single line that is longer. A larger length in a file is damage. */
const BLOCK_TEXT_BYTES_MAX = 65 * 1024 * 1024;
/** zstd's own bound: incompressible text grows by less than 1 in 256 and a few bytes. */
const FRAME_BYTES_MAX = BLOCK_TEXT_BYTES_MAX + (BLOCK_TEXT_BYTES_MAX >> 8) + 512;
const INDEX_HEAD_BYTES = SKIPPABLE_BYTES + 8 + 4;
const INDEX_ROW_BYTES = 32;
export const INDEX_TAIL_BYTES = 4 + 4 + 8;
/** Blocks in one file's index: at one a second, half a year. */
export const INDEX_BLOCKS_MAX = 1 << 24;

/** What a block's description says. */
export interface BlockInfo {
  /** Bytes of the zstd frame. */
  readonly frameBytes: number;
  readonly textBytes: number;
  /** Earliest and latest local time of its entries, µs; NaN when it has none. */
  readonly firstUs: number;
  readonly lastUs: number;
  readonly entries: number;
  /** Entries that are frames received. */
  readonly frames: number;
  readonly crc: number;
}

/** A block as the index knows it. */
export interface BlockEntry {
  /** Where its description begins in the file. */
  readonly offset: number;
  readonly firstUs: number;
  readonly lastUs: number;
  readonly entries: number;
  readonly frames: number;
}

/** What is wrong with bytes that should be a block or an index: where in the file, what stands there, what should. */
export interface BlockProblem {
  readonly offset: number;
  readonly found: string;
  readonly expected: string;
}

/** Whether a file begins as a compressed capture does. */
export function isBlockFile(head: Uint8Array): boolean {
  return (
    head.length >= 16 && Buffer.from(head.buffer, head.byteOffset).toString("latin1", 8, 16) === BLOCK_MARK
  );
}

/** Whether bytes begin a zstd frame, or one to be skipped. */
export function isZstd(head: Uint8Array): boolean {
  if (head.length < 4) return false;
  const magic = Buffer.from(head.buffer, head.byteOffset).readUInt32LE(0);
  return magic === 0xfd2f_b528 || magic >>> 4 === 0x0184_d2a5;
}

export function writeBlockHeader(info: BlockInfo): Buffer {
  invariant(info.textBytes <= BLOCK_TEXT_BYTES_MAX, "a block's text is bounded");
  const header = Buffer.alloc(BLOCK_HEADER_BYTES);
  header.writeUInt32LE(BLOCK_MAGIC, 0);
  header.writeUInt32LE(BLOCK_HEADER_BYTES - SKIPPABLE_BYTES, 4);
  header.write(BLOCK_MARK, 8, "latin1");
  header.writeUInt32LE(info.frameBytes, 16);
  header.writeUInt32LE(info.textBytes, 20);
  header.writeDoubleLE(info.firstUs, 24);
  header.writeDoubleLE(info.lastUs, 32);
  header.writeUInt32LE(info.entries, 40);
  header.writeUInt32LE(info.frames, 44);
  header.writeUInt32LE(info.crc, 48);
  header.writeUInt32LE(Bun.hash.crc32(header.subarray(8, 52)), 52);
  return header;
}

/** What the bytes at the place of a block's description are. */
export type HeaderReading =
  | { readonly is: "block"; readonly info: BlockInfo }
  /** The time index: nothing but it follows. */
  | { readonly is: "index" }
  /** All zeros: a file system that lost power gave the file its length but not its content. */
  | { readonly is: "blank" }
  | { readonly is: "damage"; readonly problem: BlockProblem };

/** Reads a block's description from {@link BLOCK_HEADER_BYTES} bytes (fewer only where an index begins). */
export function readBlockHeader(bytes: Buffer, offset: number): HeaderReading {
  const damage = (at: number, found: string, expected: string): HeaderReading => {
    return { is: "damage", problem: { offset: offset + at, found, expected } };
  };
  if (
    bytes.length >= 16 &&
    bytes.readUInt32LE(0) === INDEX_MAGIC &&
    bytes.toString("latin1", 8, 16) === INDEX_MARK
  ) {
    return { is: "index" };
  }
  if (bytes.every((byte) => byte === 0)) return { is: "blank" };
  invariant(bytes.length === BLOCK_HEADER_BYTES, "a block's description is read whole");
  const magic = bytes.readUInt32LE(0);
  const mark = bytes.toString("latin1", 8, 16);
  if (
    magic !== BLOCK_MAGIC ||
    bytes.readUInt32LE(4) !== BLOCK_HEADER_BYTES - SKIPPABLE_BYTES ||
    mark !== BLOCK_MARK
  ) {
    return damage(
      0,
      `bytes ${bytes.subarray(0, 16).toString("hex")}`,
      "the beginning of a block or of the index",
    );
  }
  const crc = Bun.hash.crc32(bytes.subarray(8, 52));
  if (crc !== bytes.readUInt32LE(52)) {
    return damage(52, `CRC ${hex(bytes.readUInt32LE(52))}`, `${hex(crc)}, that of the block's description`);
  }
  const frameBytes = bytes.readUInt32LE(16);
  const textBytes = bytes.readUInt32LE(20);
  if (frameBytes > FRAME_BYTES_MAX)
    return damage(16, `a block of ${frameBytes} bytes`, `at most ${FRAME_BYTES_MAX}`);
  if (textBytes > BLOCK_TEXT_BYTES_MAX) {
    return damage(20, `a text of ${textBytes} bytes`, `at most ${BLOCK_TEXT_BYTES_MAX}`);
  }
  return {
    is: "block",
    info: {
      frameBytes,
      textBytes,
      firstUs: bytes.readDoubleLE(24),
      lastUs: bytes.readDoubleLE(32),
      entries: bytes.readUInt32LE(40),
      frames: bytes.readUInt32LE(44),
      crc: bytes.readUInt32LE(48),
    },
  };
}

export function writeIndex(blocks: readonly BlockEntry[]): Buffer {
  const total = INDEX_HEAD_BYTES + blocks.length * INDEX_ROW_BYTES + INDEX_TAIL_BYTES;
  const bytes = Buffer.alloc(total);
  bytes.writeUInt32LE(INDEX_MAGIC, 0);
  bytes.writeUInt32LE(total - SKIPPABLE_BYTES, 4);
  bytes.write(INDEX_MARK, 8, "latin1");
  bytes.writeUInt32LE(blocks.length, 16);
  let at = INDEX_HEAD_BYTES;
  for (const block of blocks) {
    bytes.writeDoubleLE(block.offset, at);
    bytes.writeDoubleLE(block.firstUs, at + 8);
    bytes.writeDoubleLE(block.lastUs, at + 16);
    bytes.writeUInt32LE(block.entries, at + 24);
    bytes.writeUInt32LE(block.frames, at + 28);
    at += INDEX_ROW_BYTES;
  }
  bytes.writeUInt32LE(Bun.hash.crc32(bytes.subarray(8, at)), at);
  bytes.writeUInt32LE(total, at + 4);
  bytes.write(END_MARK, at + 8, "latin1");
  return bytes;
}

/** Length of the index that ends in these last {@link INDEX_TAIL_BYTES} of a file; 0 when none does. */
export function indexBytesBefore(tail: Buffer): number {
  if (tail.length < INDEX_TAIL_BYTES || tail.toString("latin1", 8, 16) !== END_MARK) return 0;
  const total = tail.readUInt32LE(4);
  const rows = (total - INDEX_HEAD_BYTES - INDEX_TAIL_BYTES) / INDEX_ROW_BYTES;
  return Number.isInteger(rows) && rows >= 0 && rows <= INDEX_BLOCKS_MAX ? total : 0;
}

/** The blocks that an index lists; null when it is damaged: the blocks' own descriptions tell the same. */
export function readIndex(bytes: Buffer, fileBytes: number): BlockEntry[] | null {
  const count = (bytes.length - INDEX_HEAD_BYTES - INDEX_TAIL_BYTES) / INDEX_ROW_BYTES;
  const end = bytes.length - INDEX_TAIL_BYTES;
  if (bytes.readUInt32LE(0) !== INDEX_MAGIC || bytes.toString("latin1", 8, 16) !== INDEX_MARK) return null;
  if (bytes.readUInt32LE(16) !== count || bytes.readUInt32LE(end) !== Bun.hash.crc32(bytes.subarray(8, end)))
    return null;
  const blocks: BlockEntry[] = [];
  let after = 0;
  for (let at = INDEX_HEAD_BYTES; at < end; at += INDEX_ROW_BYTES) {
    const offset = bytes.readDoubleLE(at);
    if (!Number.isSafeInteger(offset) || offset < after || offset + BLOCK_HEADER_BYTES > fileBytes)
      return null;
    after = offset + BLOCK_HEADER_BYTES;
    blocks.push({
      offset,
      firstUs: bytes.readDoubleLE(at + 8),
      lastUs: bytes.readDoubleLE(at + 16),
      entries: bytes.readUInt32LE(at + 24),
      frames: bytes.readUInt32LE(at + 28),
    });
  }
  return blocks;
}

function hex(value: number): string {
  return value.toString(16).padStart(8, "0");
}
