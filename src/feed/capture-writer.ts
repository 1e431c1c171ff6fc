import { close, closeSync, fdatasync, mkdirSync, openSync, write } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { BadInputError } from "../core/errors.ts";
import type { BlockEntry } from "./capture-block.ts";
import { INDEX_BLOCKS_MAX } from "./capture-block.ts";
import type { CaptureEntry } from "./capture-format.ts";
import { formatKeelHeader, formatKeelLine } from "./capture-format.ts";
import { type BlockSummary, type PackedBlock, packerFor, zstdPacker } from "./capture-packer.ts";

/** Text gathered before it is compressed; also the most that a crash of the process loses beside what is in flight. */
const CHUNK_BYTES = 1024 * 1024;
/** Text being compressed or waiting for the disk; beyond that entries are lost and counted. */
const IN_FLIGHT_BYTES_MAX = 16 * CHUNK_BYTES;
/** A block smaller than this is copied out of the chunk, so that waiting blocks hold no more memory than their text. */
const COPIED_BYTES_MAX = CHUNK_BYTES / 4;
/** Longer text in one entry is lost and counted: readers refuse such a line. */
const LINE_BYTES_MAX = 64 * 1024 * 1024;
/** Worst case of UTF-8 bytes for one UTF-16 unit. */
const UTF8_BYTES_MAX = 3;
/** Blocks after which what was written is synced to disk; what a loss of power costs, at about one block a second. */
const SYNC_BLOCKS = 8;

const writeAt: (
  file: number,
  bytes: Uint8Array,
  offset: number,
  length: number,
) => Promise<{ bytesWritten: number }> = promisify(write);
const sync: (file: number) => Promise<void> = promisify(fdatasync);
const closeFile: (file: number) => Promise<void> = promisify(close);

export interface CaptureWriterOptions {
  readonly directory: string;
  /** Files are `NAME-0001.zst`, `NAME-0002.zst`, …; or, with `file`, that one file and no rotation. */
  readonly name: string;
  /** A name that ends in `.gz` is written as gzip, any other in indexed blocks. */
  readonly file?: string;
  /** Compressed bytes after which the next file begins. */
  readonly maxFileBytes: number;
  /** Recorded time after which the next file begins, ms; left out = no limit. */
  readonly maxFileMs?: number;
  /** Said in the first line of every file. */
  readonly about: Readonly<Record<string, unknown>>;
}

/** What a writer has done so far. */
export interface CaptureWriterCounters {
  entries: number;
  /** Entries left out because compression or the disk could not keep up. */
  lost: number;
  textBytes: number;
  fileBytes: number;
  readonly files: string[];
}

/**
 * Writes captures in keel's own layout. Text is gathered in memory, compressed and written on the thread pool as blocks that stand
 * alone; so the event loop is not held up, and a crash costs the last block at most: every block before it is whole. Memory is
 * bounded by {@link IN_FLIGHT_BYTES_MAX}.
 */
export class CaptureWriter {
  readonly counters: CaptureWriterCounters = { entries: 0, lost: 0, textBytes: 0, fileBytes: 0, files: [] };
  readonly #options: CaptureWriterOptions;
  readonly #packer: typeof zstdPacker;
  #chunk: Buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  #used = 0;
  #summary = emptySummary();
  #inFlightBytes = 0;
  #tail: Promise<void> = Promise.resolve();
  #file = -1;
  #bytesInFile = 0;
  #headBytes = 0;
  #fileFirstUs = Number.NaN;
  #blocks: BlockEntry[] = [];
  #unsynced = 0;
  #lostHere = 0;
  #failure: Error | null = null;

  /** @throws BadInputError when the first file cannot be created, or exists. */
  constructor(options: CaptureWriterOptions) {
    this.#options = options;
    this.#packer = options.file === undefined ? zstdPacker : packerFor(options.file);
    try {
      mkdirSync(options.directory, { recursive: true });
      this.#create();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new BadInputError(
        options.file ?? options.directory,
        reason,
        "a place where a new file can be written",
      );
    }
    const { file } = this;
    this.#tail = this.#begin(file).catch((error: unknown) => this.#failed(error));
  }

  /** The error that stopped the writing, for instance a full disk; entries after it are counted as lost. */
  get failure(): Error | null {
    return this.#failure;
  }

  /** The file that is being written. */
  get file(): string {
    return this.counters.files.at(-1) ?? "";
  }

  write(entry: CaptureEntry): void {
    if (
      this.#failure !== null ||
      this.#inFlightBytes >= IN_FLIGHT_BYTES_MAX ||
      entry.text.length * UTF8_BYTES_MAX > LINE_BYTES_MAX
    ) {
      this.counters.lost += 1;
      this.#lostHere += 1;
      return;
    }
    if (this.#lostHere > 0) {
      const lost = this.#lostHere;
      this.#lostHere = 0;
      this.#append({ ...entry, kind: "lost", text: String(lost), url: "", connection: 0, status: 0 });
    }
    this.#append(entry);
    this.counters.entries += 1;
  }

  /** Hands what is gathered to the compressor. Call it about once a second. */
  flush(): void {
    if (this.#used === 0) return;
    const gathered = this.#chunk.subarray(0, this.#used);
    const copied = gathered.length <= COPIED_BYTES_MAX;
    const text = copied ? Buffer.from(gathered) : gathered;
    const summary = this.#summary;
    if (!copied) this.#chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    this.#used = 0;
    this.#summary = emptySummary();
    this.#inFlightBytes += text.length;
    this.counters.textBytes += text.length;
    const packed = this.#packer.pack(text, summary);
    this.#tail = Promise.allSettled([packed, this.#tail]).then(async ([block]) => {
      try {
        if (block.status === "rejected") throw block.reason;
        if (this.#failure === null) await this.#store(block.value);
      } catch (error) {
        this.#failed(error);
      } finally {
        this.#inFlightBytes -= text.length;
      }
    });
  }

  /** Hands on what is gathered and waits until it is written: for conversions, which would rather wait than lose. */
  async settle(): Promise<void> {
    this.flush();
    await this.#tail;
  }

  /** Writes out everything and syncs it to disk. @throws the error that stopped the writing, if there was one. */
  async close(): Promise<void> {
    this.flush();
    await this.#tail;
    if (this.#file >= 0) {
      try {
        if (this.#failure === null) await this.#finish();
        else closeSync(this.#file);
      } catch (error) {
        this.#failed(error);
      }
      this.#file = -1;
    }
    if (this.#failure !== null) throw this.#failure;
  }

  #failed(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
  }

  #append(entry: CaptureEntry): void {
    const line = formatKeelLine(entry);
    if (line.length * UTF8_BYTES_MAX > this.#chunk.length - this.#used) {
      const bytes = Buffer.byteLength(line);
      if (bytes > this.#chunk.length - this.#used) this.flush();
      if (bytes > this.#chunk.length) this.#chunk = Buffer.allocUnsafe(bytes);
    }
    this.#used += this.#chunk.write(line, this.#used, "utf8");
    const summary = this.#summary;
    if (!(entry.timeUs >= summary.firstUs)) summary.firstUs = entry.timeUs;
    if (!(entry.timeUs <= summary.lastUs)) summary.lastUs = entry.timeUs;
    summary.entries += 1;
    if (entry.kind === "frame") summary.frames += 1;
  }

  async #store(block: PackedBlock): Promise<void> {
    if (this.#isFull(block)) {
      await this.#finish();
      this.#create();
      await this.#begin(this.file);
    }
    await this.#put(block);
    this.#unsynced += 1;
    if (this.#unsynced >= SYNC_BLOCKS) {
      this.#unsynced = 0;
      await sync(this.#file);
    }
  }

  /** A file holds one block at least. */
  #isFull({ bytes, summary }: PackedBlock): boolean {
    const { file, maxFileBytes, maxFileMs = Number.POSITIVE_INFINITY } = this.#options;
    if (file !== undefined || this.#bytesInFile === this.#headBytes) return false;
    return (
      this.#bytesInFile + bytes.length > maxFileBytes ||
      summary.lastUs - this.#fileFirstUs > maxFileMs * 1_000 ||
      this.#blocks.length === INDEX_BLOCKS_MAX
    );
  }

  async #put({ bytes, summary }: PackedBlock): Promise<void> {
    const { firstUs, lastUs, entries, frames } = summary;
    this.#blocks.push({ offset: this.#bytesInFile, firstUs, lastUs, entries, frames });
    if (Number.isNaN(this.#fileFirstUs)) this.#fileFirstUs = firstUs;
    await this.#write(bytes);
  }

  async #write(bytes: Buffer): Promise<void> {
    let written = 0;
    while (written < bytes.length) {
      written += (await writeAt(this.#file, bytes, written, bytes.length - written)).bytesWritten;
    }
    this.#bytesInFile += bytes.length;
    this.counters.fileBytes += bytes.length;
  }

  /** Ends the file with its index. */
  async #finish(): Promise<void> {
    await this.#write(this.#packer.end(this.#blocks));
    await sync(this.#file);
    await closeFile(this.#file);
    this.#file = -1;
  }

  #create(): void {
    const { directory, name, file } = this.#options;
    const part = String(this.counters.files.length + 1).padStart(4, "0");
    const path = join(directory, file ?? `${name}-${part}.${this.#packer.extension}`);
    this.#file = openSync(path, "wx");
    this.counters.files.push(path);
    this.#bytesInFile = 0;
    this.#fileFirstUs = Number.NaN;
    this.#blocks = [];
    this.#unsynced = 0;
  }

  /** The first block: what was recorded. */
  async #begin(file: string): Promise<void> {
    const part = this.counters.files.indexOf(file) + 1;
    const header = formatKeelHeader({ ...this.#options.about, part });
    await this.#put(await this.#packer.pack(Buffer.from(header), emptySummary()));
    this.#headBytes = this.#bytesInFile;
  }
}

function emptySummary(): BlockSummary {
  return { firstUs: Number.NaN, lastUs: Number.NaN, entries: 0, frames: 0 };
}
