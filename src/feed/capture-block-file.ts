import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { promisify } from "node:util";
import { type ZstdOptions, zstdDecompress, zstdDecompressSync } from "node:zlib";
import { BadInputError } from "../core/errors.ts";
import {
  BLOCK_HEADER_BYTES,
  type BlockEntry,
  type BlockInfo,
  type BlockProblem,
  INDEX_TAIL_BYTES,
  indexBytesBefore,
  readBlockHeader,
  readIndex,
} from "./capture-block.ts";

const decompress: (bytes: Uint8Array, options: ZstdOptions) => Promise<Buffer> = promisify(zstdDecompress);
/** What is looked through at once for the next whole block behind a damaged one. */
const SEARCH_BYTES = 1024 * 1024;
/** Where the beginning of a file is damaged, its first block is looked for no further than here. */
const FIRST_BYTES_MAX = 64 * 1024 * 1024;
const BLOCK_START = Buffer.from("5b2a4d18300000004b45454c424c4b31", "hex");

/** Where the reading of a block ended. */
type BlockReading =
  | { readonly is: "block"; readonly info: BlockInfo; readonly frame: Buffer; readonly next: number }
  /** The time index, or the end of a file that has none. */
  | { readonly is: "end"; readonly indexed: boolean }
  /** The file ends within the block. */
  | { readonly is: "cut"; readonly reason: string }
  /** `entries`: of the block, where its description is sound. */
  | { readonly is: "damage"; readonly problem: BlockProblem; readonly entries?: number };

export interface BlockFileOptions {
  /** What a damaged block does: stops with an error that names it, or is counted and passed over. */
  readonly damaged: "throw" | "skip";
  /** Blocks that end before or begin after are not read; the first, which says what was recorded, always is. */
  readonly fromUs: number;
  readonly toUs: number;
  /** Told of what is passed over. @param entries in it; NaN when nothing sound tells */
  readonly onDamaged?: (problem: BlockProblem, entries: number) => void;
}

/** A compressed capture, read block by block in bounded memory. The layout is in `capture-block.ts`. */
export class BlockFile {
  readonly path: string;
  readonly bytes: number;
  /** Blocks passed over because they were damaged. */
  damagedBlocks = 0;
  /** Why the end is missing; null when it is there, or not reached. */
  truncated: string | null = null;
  readonly #file: number;

  /** @throws BadInputError when it cannot be opened */
  constructor(path: string) {
    this.path = path;
    try {
      this.#file = openSync(path, "r");
    } catch {
      throw new BadInputError(path, "no readable file", "a capture file");
    }
    this.bytes = fstatSync(this.#file).size;
  }

  close(): void {
    closeSync(this.#file);
  }

  /** The time index at the end; null when the file has none or it is damaged, as after a crash. */
  index(): BlockEntry[] | null {
    const tail = this.#read(Math.max(0, this.bytes - INDEX_TAIL_BYTES), INDEX_TAIL_BYTES);
    const total = indexBytesBefore(tail);
    if (total === 0 || total > this.bytes) return null;
    return readIndex(this.#read(this.bytes - total, total), this.bytes);
  }

  /** The blocks as their own descriptions tell, without reading their text: the index of a file that has none. */
  scan(): BlockEntry[] {
    const blocks: BlockEntry[] = [];
    for (let offset = 0; ; ) {
      const reading = this.#block(offset, false);
      if (reading.is !== "block") return blocks;
      const { firstUs, lastUs, entries, frames } = reading.info;
      blocks.push({ offset, firstUs, lastUs, entries, frames });
      offset = reading.next;
    }
  }

  /** Texts of the blocks, one by one. @throws BadInputError naming the byte at which a block is damaged */
  async *texts(options: BlockFileOptions): AsyncGenerator<Buffer> {
    for (const { info, frame, offset } of this.#blocks(options)) {
      let text: Buffer | null = null;
      try {
        text = await decompress(frame, { maxOutputLength: Math.max(1, info.textBytes) });
      } catch {
        // Told below, with the place.
      }
      const checked = this.#checked(text, info, offset, options);
      if (checked !== null) yield checked;
    }
  }

  /** As {@link texts}, without promises. */
  *textsSync(options: BlockFileOptions): Generator<Buffer> {
    for (const { info, frame, offset } of this.#blocks(options)) {
      let text: Buffer | null = null;
      try {
        text = zstdDecompressSync(frame, { maxOutputLength: Math.max(1, info.textBytes) });
      } catch {
        // Told below, with the place.
      }
      const checked = this.#checked(text, info, offset, options);
      if (checked !== null) yield checked;
    }
  }

  *#blocks(
    options: BlockFileOptions,
  ): Generator<{ readonly info: BlockInfo; readonly frame: Buffer; readonly offset: number }> {
    const { fromUs, toUs } = options;
    const bounded = fromUs > Number.NEGATIVE_INFINITY || toUs < Number.POSITIVE_INFINITY;
    const index = bounded ? this.index() : null;
    if (index !== null) {
      for (const [number, { offset, firstUs, lastUs }] of index.entries()) {
        if (number > 0 && (lastUs < fromUs || firstUs > toUs)) continue;
        const reading = this.#block(offset, true);
        if (reading.is === "block") yield { ...reading, offset };
        else if (reading.is === "damage") this.#damaged(reading.problem, options, reading.entries);
      }
      return;
    }
    for (let offset = 0; ; ) {
      const head = bounded && offset > 0 ? this.#block(offset, false) : null;
      if (head?.is === "block" && (head.info.lastUs < fromUs || head.info.firstUs > toUs)) {
        offset = head.next;
        continue;
      }
      const reading = this.#block(offset, true);
      if (reading.is === "end") {
        if (!reading.indexed) this.truncated = "no time index at the end: the recording was not ended";
        return;
      }
      if (reading.is === "cut") {
        this.truncated = reading.reason;
        return;
      }
      if (reading.is === "damage") {
        const next = this.#nextBlock(offset + 1);
        this.#damaged(reading.problem, options, reading.entries ?? this.#entriesBetween(offset, next));
        offset = next;
        continue;
      }
      yield { ...reading, offset };
      offset = reading.next;
    }
  }

  #block(offset: number, content: boolean): BlockReading {
    if (offset >= this.bytes) return { is: "end", indexed: false };
    const header = this.#read(offset, BLOCK_HEADER_BYTES);
    const cut = (what: string): BlockReading => ({ is: "cut", reason: `byte ${offset}: ${what} has no end` });
    if (header.length < BLOCK_HEADER_BYTES && header.toString("latin1", 8, 16) !== "KEELIDX1") {
      return cut("a block's description");
    }
    const reading = readBlockHeader(header, offset);
    if (reading.is === "index")
      return this.index() === null ? cut("the time index") : { is: "end", indexed: true };
    if (reading.is === "blank" && this.#nextBlock(offset) === this.bytes) {
      return { is: "cut", reason: `byte ${offset}: zeros in place of a block` };
    }
    if (reading.is === "blank") {
      return { is: "damage", problem: { offset, found: "zeros", expected: "the beginning of a block" } };
    }
    if (reading.is === "damage") return reading;
    const { info } = reading;
    const next = offset + BLOCK_HEADER_BYTES + info.frameBytes;
    if (next > this.bytes) return cut(`a block of ${info.frameBytes} bytes`);
    if (!content) return { is: "block", info, frame: Buffer.alloc(0), next };
    const frame = this.#read(offset + BLOCK_HEADER_BYTES, info.frameBytes);
    const crc = Bun.hash.crc32(frame);
    if (crc === info.crc) return { is: "block", info, frame, next };
    return {
      is: "damage",
      problem: {
        offset: offset + BLOCK_HEADER_BYTES,
        found: `a block with CRC ${crc.toString(16)}`,
        expected: `CRC ${info.crc.toString(16)}`,
      },
      entries: info.entries,
    };
  }

  #checked(text: Buffer | null, info: BlockInfo, offset: number, options: BlockFileOptions): Buffer | null {
    if (text !== null && text.length === info.textBytes) return text;
    this.#damaged(
      {
        offset: offset + BLOCK_HEADER_BYTES,
        found: text === null ? "no zstd frame of that length" : `${text.length} bytes of text`,
        expected: `${info.textBytes} bytes of text`,
      },
      options,
      info.entries,
    );
    return null;
  }

  #damaged(problem: BlockProblem, { damaged, onDamaged }: BlockFileOptions, entries = Number.NaN): void {
    const { offset, found, expected } = problem;
    if (damaged === "throw") throw new BadInputError(`${this.path}: byte ${offset}`, found, expected);
    this.damagedBlocks += 1;
    onDamaged?.(problem, entries);
  }

  /** Entries of the blocks that begin in a stretch of the file, by the index; NaN when that is not there. */
  #entriesBetween(from: number, to: number): number {
    const index = this.index();
    if (index === null) return Number.NaN;
    return index.reduce(
      (sum, { offset, entries }) => (offset >= from && offset < to ? sum + entries : sum),
      0,
    );
  }

  /** Whether there is a block at all, in the first 64 MiB. */
  get hasBlocks(): boolean {
    return this.#nextBlock(0, Math.min(this.bytes, FIRST_BYTES_MAX)) < this.bytes;
  }

  /** Where the next block begins, at `offset` or after; the file's end when none does before `limit`. */
  #nextBlock(offset: number, limit = this.bytes): number {
    for (let at = offset; at < limit; at += SEARCH_BYTES) {
      const found = this.#read(at, SEARCH_BYTES + BLOCK_START.length - 1).indexOf(BLOCK_START);
      if (found >= 0) return at + found;
    }
    return this.bytes;
  }

  #read(offset: number, bytes: number): Buffer {
    const buffer = Buffer.allocUnsafe(Math.min(bytes, this.bytes - offset));
    let used = 0;
    while (used < buffer.length) {
      const read = readSync(this.#file, buffer, used, buffer.length - used, offset + used);
      if (read === 0) break;
      used += read;
    }
    return buffer.subarray(0, used);
  }
}
