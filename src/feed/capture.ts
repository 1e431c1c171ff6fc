/**
 * Reading of recorded market data, whatever recorder wrote it: compressed blocks, gzip, zstd or plain text, one entry a line.
 *
 * A file that ends in the middle (a crashed recorder, a copy cut short) is read up to its last whole line and the loss is
 * reported in {@link CaptureReport.truncated}. A line that is not of the file's layout, a damaged block or stream is an error by default,
 * because a capture is evidence; `malformed: "skip"` counts lines and blocks instead, and `"mark"` puts an entry `lost` in their place.
 *
 * @module
 */
import {
  closeSync,
  createReadStream,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
} from "node:fs";
import { basename, join } from "node:path";
import { constants, createGunzip, createZstdDecompress, gunzipSync, zstdDecompressSync } from "node:zlib";
import { BadInputError } from "../core/errors.ts";
import { isBlockFile, isZstd } from "./capture-block.ts";
import { BlockFile, type BlockFileOptions } from "./capture-block-file.ts";
import { type CaptureEntry, type CaptureFormat, type LineParser, parserFor } from "./capture-format.ts";
import { memberTexts, standAlone } from "./capture-members.ts";

export type { CaptureEntry, CaptureFormat, CaptureKind } from "./capture-format.ts";

/** Bytes in one line; a frame of a full option chain is far below it. */
const MAX_LINE_BYTES = 64 * 1024 * 1024;
const READ_BYTES = 64 * 1024;
const INFLATED_BYTES = 256 * 1024;
const NEWLINE = 10;
/** {@link CaptureReport.problems} kept; all are counted. */
const PROBLEMS_MAX = 20;
const CAPTURE_NAME = /\.(?:zst|gz|cap|log|txt)$/;

/** How the text of a file is packed. `blocks` is the layout of `capture-block.ts`. */
export type CapturePacking = "blocks" | "gzip" | "zstd" | "plain";

export interface CaptureOptions {
  /**
   * What a line that is not of the file's layout does, or a damaged block: stops with an error that names it (default), is counted, or is
   * counted and marked by an entry `lost`. `mark` also finds the first sound block of a file whose beginning is damaged.
   */
  readonly malformed?: "throw" | "skip" | "mark";
  /** Entries before this local time, µs, are left out; where there is a time index their blocks are not even read. */
  readonly fromUs?: number;
  /** Entries after this local time, µs, are left out. */
  readonly toUs?: number;
}

/** What reading found so far; final once the iteration has ended. */
export interface CaptureReport {
  packing: CapturePacking | null;
  format: CaptureFormat | null;
  /** What the recorder said in the first line of a keel capture: venue, time, host. */
  about: Readonly<Record<string, unknown>> | null;
  lines: number;
  entries: number;
  /** Lines left out because they were not of the layout. */
  skipped: number;
  /** Blocks left out because they were damaged; gzip members too, where they are marked. */
  damagedBlocks: number;
  /** What was left out, where and why: the first of it. */
  problems: string[];
  /** Why the end of the file is missing; null when the file is whole. */
  truncated: string | null;
}

/** A capture file. Each iteration reads the file anew, from its beginning, in bounded memory. */
export class CaptureReader {
  readonly path: string;
  readonly report: CaptureReport = emptyReport();
  readonly #malformed: "throw" | "skip" | "mark";
  readonly #fromUs: number;
  readonly #toUs: number;
  #parser: LineParser | null = null;
  /** Entries left out since the last one that was given; NaN when nobody knows how many, 0 when none. */
  #leftOut = 0;
  #lastUs = Number.NaN;

  constructor(path: string, options: CaptureOptions = {}) {
    this.path = path;
    this.#malformed = options.malformed ?? "throw";
    this.#fromUs = options.fromUs ?? Number.NEGATIVE_INFINITY;
    this.#toUs = options.toUs ?? Number.POSITIVE_INFINITY;
  }

  /** Entries one by one. @throws BadInputError naming file and line. */
  async *[Symbol.asyncIterator](): AsyncGenerator<CaptureEntry> {
    for await (const batch of this.batches()) yield* batch;
  }

  /** Entries in batches of about a quarter of a megabyte of text: far cheaper than one promise an entry. */
  async *batches(): AsyncGenerator<CaptureEntry[]> {
    this.#restart();
    const packing = this.#packing();
    let rest: Buffer = Buffer.alloc(0);
    for await (const chunk of this.#texts(packing)) {
      const text: Buffer = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      const entries: CaptureEntry[] = [];
      const used = this.#lines(text, entries);
      rest = text.subarray(used);
      if (rest.length > MAX_LINE_BYTES) throw this.#tooLong();
      if (entries.length > 0) yield entries;
    }
    const last: CaptureEntry[] = [];
    this.#lastLine(rest, last);
    if (this.#leftOut !== 0 && !Number.isNaN(this.#lastUs)) last.push(this.#mark(this.#lastUs));
    if (last.length > 0) yield last;
  }

  #texts(packing: CapturePacking): AsyncIterable<Buffer> | Iterable<Buffer> {
    if (packing === "blocks") return this.#blockTexts();
    return this.#hasMembers(packing) ? this.#memberTexts() : this.#streamTexts(packing);
  }

  /** The same entries without promises; holds the whole inflated file in memory. For tests, benchmarks and small files. */
  *sync(): Generator<CaptureEntry> {
    this.#restart();
    const packing = this.#packing();
    if (packing === "blocks") {
      const file = new BlockFile(this.path);
      try {
        for (const text of file.textsSync(this.#blockOptions())) yield* this.#entries(text);
      } finally {
        this.#closeBlocks(file);
      }
    } else if (this.#hasMembers(packing)) {
      for (const text of this.#memberTexts()) yield* this.#entries(text);
    } else yield* this.#entries(this.#wholeText(packing));
    if (this.#leftOut !== 0 && !Number.isNaN(this.#lastUs)) yield this.#mark(this.#lastUs);
  }

  #restart(): void {
    this.#parser = null;
    this.#leftOut = 0;
    this.#lastUs = Number.NaN;
    Object.assign(this.report, emptyReport());
  }

  #packing(): CapturePacking {
    const head = Buffer.alloc(16);
    let file: number;
    try {
      file = openSync(this.path, "r");
    } catch {
      throw new BadInputError(this.path, "no readable file", "a capture file");
    }
    let packing: CapturePacking = "plain";
    try {
      const bytes = head.subarray(0, readSync(file, head, 0, head.length, 0));
      if (bytes.length >= 2 && bytes[0] === 0x1f && bytes[1] === 0x8b) packing = "gzip";
      else if (isBlockFile(bytes)) packing = "blocks";
      else if (isZstd(bytes)) packing = "zstd";
    } catch {
      throw new BadInputError(this.path, "no readable file", "a capture file");
    } finally {
      closeSync(file);
    }
    if (this.#malformed === "mark" && (packing === "plain" || packing === "zstd")) {
      if (this.#hasBlocks()) packing = "blocks";
      else if (packing === "plain" && standAlone(this.path)) packing = "gzip";
    }
    this.report.packing = packing;
    return packing;
  }

  #hasBlocks(): boolean {
    const file = new BlockFile(this.path);
    try {
      return file.hasBlocks;
    } finally {
      file.close();
    }
  }

  #hasMembers(packing: CapturePacking): boolean {
    return this.#malformed === "mark" && packing === "gzip" && standAlone(this.path);
  }

  *#memberTexts(): Generator<Buffer> {
    yield* memberTexts(this.path, (from, to, reason) => {
      this.report.damagedBlocks += 1;
      this.#leave(
        Number.NaN,
        `${this.path}: byte ${from}: found ${reason} up to byte ${to}, expected a gzip member`,
      );
    });
  }

  async *#blockTexts(): AsyncGenerator<Buffer> {
    const file = new BlockFile(this.path);
    try {
      yield* file.texts(this.#blockOptions());
    } finally {
      this.#closeBlocks(file);
    }
  }

  async *#streamTexts(packing: CapturePacking): AsyncGenerator<Buffer> {
    const file = createReadStream(this.path, {
      highWaterMark: packing === "plain" ? INFLATED_BYTES : READ_BYTES,
    });
    let source: AsyncIterable<Buffer> & { destroy(): unknown } = file;
    if (packing === "gzip") source = file.pipe(createGunzip({ chunkSize: INFLATED_BYTES }));
    if (packing === "zstd") source = file.pipe(createZstdDecompress({ chunkSize: INFLATED_BYTES }));
    try {
      yield* source;
    } catch (error) {
      this.#endedBy(error);
    } finally {
      file.destroy();
      source.destroy();
    }
  }

  /** The inflated text of a file that is not in blocks. */
  #wholeText(packing: CapturePacking): Buffer {
    const raw = readFileSync(this.path);
    if (packing === "plain") return raw;
    const inflate = packing === "gzip" ? gunzipSync : zstdDecompressSync;
    const finishFlush = packing === "gzip" ? constants.Z_SYNC_FLUSH : constants.ZSTD_e_continue;
    try {
      return inflate(raw);
    } catch (error) {
      this.#endedBy(error);
      try {
        return inflate(raw, { finishFlush });
      } catch {
        throw new BadInputError(
          this.path,
          `a damaged ${packing} stream`,
          `${packing} data (whole or cut short)`,
        );
      }
    }
  }

  #blockOptions(): BlockFileOptions {
    return {
      damaged: this.#malformed === "throw" ? "throw" : "skip",
      fromUs: this.#fromUs,
      toUs: this.#toUs,
      onDamaged: ({ offset, found, expected }, entries) =>
        this.#leave(entries, `${this.path}: byte ${offset}: found ${found}, expected ${expected}`),
    };
  }

  #leave(entries: number, problem: string): void {
    if (this.#malformed === "mark") this.#leftOut += entries;
    const { problems } = this.report;
    if (problems.length < PROBLEMS_MAX) problems.push(problem);
  }

  /** An entry that stands for what was left out. */
  #mark(timeUs: number): CaptureEntry {
    const text = Number.isNaN(this.#leftOut) ? "?" : String(this.#leftOut);
    this.#leftOut = 0;
    return { kind: "lost", timeUs, text, url: "", connection: 0, status: 0 };
  }

  #closeBlocks(file: BlockFile): void {
    file.close();
    this.report.damagedBlocks = file.damagedBlocks;
    this.report.truncated ??= file.truncated;
  }

  *#entries(text: Buffer): Generator<CaptureEntry> {
    let at = 0;
    while (at < text.length) {
      const end = text.indexOf(NEWLINE, at);
      if (end < 0) break;
      const entry = this.#line(text.toString("utf8", at, end));
      at = end + 1;
      if (entry === null) continue;
      if (this.#leftOut !== 0) yield this.#mark(entry.timeUs);
      yield entry;
    }
    const last: CaptureEntry[] = [];
    this.#lastLine(text.subarray(at), last);
    yield* last;
  }

  /** Parses every whole line. @returns bytes used. */
  #lines(text: Buffer, out: CaptureEntry[]): number {
    let at = 0;
    for (;;) {
      const end = text.indexOf(NEWLINE, at);
      if (end < 0) return at;
      const entry = this.#line(text.toString("utf8", at, end));
      if (entry !== null) this.#push(entry, out);
      at = end + 1;
    }
  }

  #line(raw: string): CaptureEntry | null {
    this.report.lines += 1;
    const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
    if (line.length === 0) return null;
    const where = `${this.path}:${this.report.lines}`;
    try {
      if (this.#parser === null) {
        this.#parser = parserFor(line, where, this.#malformed === "mark");
        this.report.format = this.#parser.format;
      }
      const entry = this.#parser.parse(line, where);
      if (entry === null) {
        this.report.about = this.#parser.about;
        return null;
      }
      if (entry.timeUs < this.#fromUs || entry.timeUs > this.#toUs) return null;
      this.report.entries += 1;
      this.#lastUs = entry.timeUs;
      return entry;
    } catch (error) {
      const isFirst = this.#parser === null && this.#malformed !== "mark";
      if (this.#malformed === "throw" || isFirst || !(error instanceof BadInputError)) throw error;
      this.report.skipped += 1;
      this.#leave(1, error.message);
      return null;
    }
  }

  /** The bytes after the last newline: a whole line only when the file was not cut and its JSON is complete. */
  #lastLine(rest: Buffer, out: CaptureEntry[]): void {
    if (rest.length === 0) return;
    const line = rest.toString("utf8");
    const whole = this.report.truncated === null && endsInWholeJson(line);
    if (!whole && this.#parser !== null) {
      this.report.lines += 1;
      this.report.truncated ??= `line ${this.report.lines} has no end (${rest.length} bytes)`;
      return;
    }
    const entry = this.#line(line);
    if (entry !== null) this.#push(entry, out);
  }

  #push(entry: CaptureEntry, out: CaptureEntry[]): void {
    if (this.#leftOut !== 0) out.push(this.#mark(entry.timeUs));
    out.push(entry);
  }

  #endedBy(error: unknown): void {
    if (error instanceof BadInputError) throw error;
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (!/^(?:Z_|ZSTD_)/.test(code)) throw error;
    const { packing, lines } = this.report;
    if (code !== "Z_BUF_ERROR" && this.#malformed === "throw") {
      throw new BadInputError(
        `${this.path}: after line ${lines}`,
        `a damaged ${packing} stream (${code})`,
        `${packing} data, whole or cut short`,
      );
    }
    this.report.truncated =
      code === "Z_BUF_ERROR"
        ? `the ${packing} stream has no end`
        : `the ${packing} stream is damaged (${code})`;
  }

  #tooLong(): BadInputError {
    return new BadInputError(
      `${this.path}:${this.report.lines + 1}`,
      `a line of more than ${MAX_LINE_BYTES} bytes`,
      "one entry a line",
    );
  }
}

/**
 * The files a `--capture` argument names: itself, or, for a folder, the capture files in it in the order of their names.
 *
 * @throws BadInputError when there is none.
 */
export function captureFiles(path: string): string[] {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw new BadInputError(path, "no file", "a capture file or a folder of them");
  if (!stat.isDirectory()) return [path];
  const names = readdirSync(path).filter((name) => CAPTURE_NAME.test(basename(name)));
  if (names.length === 0) throw new BadInputError(path, "an empty folder", "capture files (*.zst, *.gz)");
  return names.sort().map((name) => join(path, name));
}

function endsInWholeJson(line: string): boolean {
  const start = line.search(/[{[]/);
  if (start < 0) return /<-> \d+(?:\.\d+)?$/.test(line);
  try {
    JSON.parse(line.slice(start));
    return true;
  } catch {
    return false;
  }
}

function emptyReport(): CaptureReport {
  return {
    packing: null,
    format: null,
    about: null,
    lines: 0,
    entries: 0,
    skipped: 0,
    damagedBlocks: 0,
    problems: [],
    truncated: null,
  };
}
