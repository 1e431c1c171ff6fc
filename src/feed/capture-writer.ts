import { closeSync, fsyncSync, mkdirSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { BadInputError } from "../core/errors.ts";
import type { CaptureEntry } from "./capture-format.ts";
import { formatKeelHeader, formatKeelLine } from "./capture-format.ts";

/** Text gathered before it is compressed; also the most that a crash of the process loses beside what is in flight. */
const CHUNK_BYTES = 1024 * 1024;
/** Chunks being compressed or waiting for it; beyond that entries are lost and counted. */
const CHUNKS_IN_FLIGHT_MAX = 16;
/** Worst case of UTF-8 bytes for one UTF-16 unit. */
const UTF8_BYTES_MAX = 3;

const compress = promisify(gzip);

export interface CaptureWriterOptions {
  readonly directory: string;
  /** Files are `NAME-0001.gz`, `NAME-0002.gz`, …; or, with `file`, that one file and no rotation. */
  readonly name: string;
  readonly file?: string;
  /** Compressed bytes after which the next file begins. */
  readonly maxFileBytes: number;
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
 * Writes captures in keel's own layout. Text is gathered in memory, compressed on the thread pool as gzip members that stand
 * alone, and appended; so the event loop is not held up, and a crash costs the last chunk at most: every member
 * before it is whole. Memory is bounded by {@link CHUNKS_IN_FLIGHT_MAX} chunks.
 */
export class CaptureWriter {
  readonly counters: CaptureWriterCounters = { entries: 0, lost: 0, textBytes: 0, fileBytes: 0, files: [] };
  readonly #options: CaptureWriterOptions;
  #chunk: Buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  #used = 0;
  #inFlight = 0;
  #tail: Promise<void> = Promise.resolve();
  #file = -1;
  #bytesInFile = 0;
  #lostHere = 0;
  #failure: Error | null = null;

  /** @throws BadInputError when the first file cannot be created, or exists. */
  constructor(options: CaptureWriterOptions) {
    this.#options = options;
    try {
      mkdirSync(options.directory, { recursive: true });
      this.#open();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new BadInputError(
        options.file ?? options.directory,
        reason,
        "a place where a new file can be written",
      );
    }
  }

  /** The error that stopped the writing, for instance a full disk; entries after it are counted as lost. */
  get failure(): Error | null {
    return this.#failure;
  }

  write(entry: CaptureEntry): void {
    if (this.#failure !== null || this.#inFlight >= CHUNKS_IN_FLIGHT_MAX) {
      this.counters.lost += 1;
      this.#lostHere += 1;
      return;
    }
    if (this.#lostHere > 0) {
      const lost = this.#lostHere;
      this.#lostHere = 0;
      this.#append(
        formatKeelLine({ ...entry, kind: "lost", text: String(lost), url: "", connection: 0, status: 0 }),
      );
    }
    this.#append(formatKeelLine(entry));
    this.counters.entries += 1;
  }

  /** Hands what is gathered to the compressor. Call it about once a second. */
  flush(): void {
    if (this.#used === 0) return;
    const text = this.#chunk.subarray(0, this.#used);
    this.#chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    this.#used = 0;
    this.#inFlight += 1;
    this.counters.textBytes += text.length;
    const compressed = compress(text, { level: 4 });
    this.#tail = this.#tail.then(async () => {
      try {
        this.#store(await compressed);
      } catch (error) {
        this.#failure ??= error instanceof Error ? error : new Error(String(error));
      } finally {
        this.#inFlight -= 1;
      }
    });
  }

  /** Writes out everything and syncs it to disk. @throws the error that stopped the writing, if there was one. */
  async close(): Promise<void> {
    this.flush();
    await this.#tail;
    if (this.#file >= 0) {
      fsyncSync(this.#file);
      closeSync(this.#file);
      this.#file = -1;
    }
    if (this.#failure !== null) throw this.#failure;
  }

  #append(line: string): void {
    if (line.length * UTF8_BYTES_MAX > this.#chunk.length - this.#used) {
      const bytes = Buffer.byteLength(line);
      if (bytes > this.#chunk.length - this.#used) this.flush();
      if (bytes > this.#chunk.length) this.#chunk = Buffer.allocUnsafe(bytes);
    }
    this.#used += this.#chunk.write(line, this.#used, "utf8");
  }

  #store(member: Buffer): void {
    const rotating = this.#options.file === undefined;
    if (rotating && this.#bytesInFile > 0 && this.#bytesInFile + member.length > this.#options.maxFileBytes) {
      closeSync(this.#file);
      this.#file = -1;
      this.#open();
    }
    let written = 0;
    while (written < member.length) written += writeSync(this.#file, member, written);
    this.#bytesInFile += member.length;
    this.counters.fileBytes += member.length;
  }

  #open(): void {
    const { directory, name, file, about } = this.#options;
    const part = this.counters.files.length + 1;
    const path = join(directory, file ?? `${name}-${String(part).padStart(4, "0")}.gz`);
    this.#file = openSync(path, "wx");
    this.counters.files.push(path);
    const header = Bun.gzipSync(Buffer.from(formatKeelHeader({ ...about, part })));
    writeSync(this.#file, header);
    this.#bytesInFile = 0;
  }
}
