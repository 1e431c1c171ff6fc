import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { basename, dirname } from "node:path";
import { BadInputError } from "../../core/errors.ts";
import { type CaptureEntry, CaptureReader } from "../../feed/capture.ts";
import { formatKeelHeader, formatKeelLine } from "../../feed/capture-format.ts";
import { CaptureWriter } from "../../feed/capture-writer.ts";
import { describesInstruments, isControl, mentions } from "./instrument-text.ts";

/** Text after which the writer is waited for: it would rather lose entries than wait, a conversion rather waits. */
const SETTLE_BYTES = 4 * 1024 * 1024;

export interface CutFilter {
  readonly fromUs: number;
  readonly toUs: number;
  /** Symbols as the venue spells them; empty = all. */
  readonly instruments: readonly string[];
  /** What is damaged is left out, counted and marked by an entry `lost`; otherwise it is an error. */
  readonly salvage: boolean;
}

export interface PackedCapture {
  readonly file: string;
  readonly entries: number;
  readonly frames: number;
  readonly bytes: number;
  /** What is missing of the files, and why. */
  readonly missing: readonly Missing[];
}

/** What one of the files lacks. */
export interface Missing {
  readonly file: string;
  readonly lines: number;
  /** Or gzip members. */
  readonly blocks: number;
  /** Where and why: the first of it. */
  readonly problems: readonly string[];
  /** Why the end is missing; null when it is there. */
  readonly truncated: string | null;
}

/**
 * Writes the entries of captures (parts of one recording, in order) that pass the filter to one file in keel's own layout, packed as
 * its name says: `.zst`, `.gz`, anything else plain. What came before the time asked for is left out but for connects, messages
 * sent and the venue's descriptions of its instruments, without which the rest could not be played.
 *
 * @throws BadInputError when a file is damaged and that is not to be salvaged, nothing is left of it or the new one exists; nothing is left of a new one then
 */
export async function packCapture(
  files: readonly string[],
  out: string,
  { fromUs, toUs, instruments, salvage }: CutFilter,
): Promise<PackedCapture> {
  const tests = instruments.map(mentions);
  const passes = (entry: CaptureEntry): boolean => {
    const { kind, timeUs, text } = entry;
    if (timeUs > toUs) return false;
    if (timeUs < fromUs) return isPreamble(entry);
    if (tests.length === 0 || (kind !== "frame" && kind !== "snapshot")) return true;
    return isControl(text) || tests.some((test) => test(text));
  };
  const isAskedFor = ({ kind, timeUs, text }: CaptureEntry): boolean => {
    if (timeUs < fromUs) return false;
    if (kind !== "frame" && kind !== "snapshot") return kind === "http" && tests.length === 0;
    return tests.length === 0 || tests.some((test) => test(text));
  };
  const isWhole =
    fromUs === Number.NEGATIVE_INFINITY && toUs === Number.POSITIVE_INFINITY && tests.length === 0;
  let writer: Sink | null = null;
  let [entries, frames] = [0, 0];
  let found = isWhole && !salvage;
  const missing: Missing[] = [];
  try {
    for (const [part, file] of files.entries()) {
      const reader = new CaptureReader(file, { malformed: salvage ? "mark" : "throw" });
      let lastUs = Number.NaN;
      for await (const batch of reader.batches()) {
        writer ??= openSink(out, { ...reader.report.about, from: files.map((path) => basename(path)) });
        for (const entry of batch) {
          if (!passes(entry)) continue;
          entries += 1;
          found ||= isAskedFor(entry);
          if (entry.kind === "frame") frames += 1;
          lastUs = entry.timeUs;
          await writer.write(entry);
        }
      }
      const { skipped: lines, damagedBlocks: blocks, problems, truncated } = reader.report;
      if (lines + blocks > 0 || truncated !== null)
        missing.push({ file, lines, blocks, problems, truncated });
      if (writer === null || truncated === null || part === files.length - 1 || Number.isNaN(lastUs))
        continue;
      entries += 1;
      await writer.write(lostEntry(lastUs));
    }
    if (writer === null) throw new BadInputError(files.join(", "), "no entry", "a capture that has some");
    if (!found) {
      throw new BadInputError(
        files.join(", "),
        "no frame in what was asked for",
        "another time or instrument",
      );
    }
    return { file: out, entries, frames, bytes: await writer.close(), missing };
  } catch (error) {
    if (writer !== null) await discard(writer, out);
    throw error;
  }
}

/** Stands between two parts of a recording, the first of which lacks its end. */
function lostEntry(timeUs: number): CaptureEntry {
  return { kind: "lost", timeUs, text: "?", url: "", connection: 0, status: 0 };
}

/** A part of a capture would pass for the whole. */
async function discard(writer: Sink, out: string): Promise<void> {
  await writer.close().catch(() => {});
  rmSync(out, { force: true });
}

function isPreamble({ kind, url, text }: CaptureEntry): boolean {
  if (kind === "frame") return describesInstruments(text);
  return kind === "connect" || kind === "sent" || (kind === "http" && !/depth|order_?book/i.test(url));
}

interface Sink {
  write(entry: CaptureEntry): Promise<void> | undefined;
  /** @returns bytes of the file */
  close(): Promise<number>;
}

function openSink(out: string, about: Readonly<Record<string, unknown>>): Sink {
  return /\.(?:zst|gz)$/.test(out) ? new PackedSink(out, about) : new PlainSink(out, about);
}

class PackedSink implements Sink {
  readonly #writer: CaptureWriter;
  #unsettled = 0;

  constructor(out: string, about: Readonly<Record<string, unknown>>) {
    this.#writer = new CaptureWriter({
      directory: dirname(out),
      name: basename(out),
      file: basename(out),
      maxFileBytes: Number.POSITIVE_INFINITY,
      about,
    });
  }

  write(entry: CaptureEntry): Promise<void> | undefined {
    const { lost } = this.#writer.counters;
    this.#writer.write(entry);
    if (this.#writer.counters.lost > lost) {
      throw (
        this.#writer.failure ?? new BadInputError("capture", "an entry of more than 21 MB", "a shorter one")
      );
    }
    this.#unsettled += entry.text.length;
    if (this.#unsettled < SETTLE_BYTES) return undefined;
    this.#unsettled = 0;
    return this.#writer.settle();
  }

  async close(): Promise<number> {
    await this.#writer.close();
    return this.#writer.counters.fileBytes;
  }
}

class PlainSink implements Sink {
  readonly #file: number;
  #bytes = 0;
  #lines = "";

  constructor(out: string, about: Readonly<Record<string, unknown>>) {
    try {
      mkdirSync(dirname(out), { recursive: true });
      this.#file = openSync(out, "wx");
    } catch (error) {
      throw new BadInputError(
        out,
        error instanceof Error ? error.message : String(error),
        "a place for a new file",
      );
    }
    this.#lines = formatKeelHeader(about);
  }

  write(entry: CaptureEntry): undefined {
    this.#lines += formatKeelLine(entry);
    if (this.#lines.length > SETTLE_BYTES) this.#drain();
  }

  async close(): Promise<number> {
    this.#drain();
    closeSync(this.#file);
    return this.#bytes;
  }

  #drain(): void {
    const bytes = Buffer.from(this.#lines);
    let written = 0;
    while (written < bytes.length) written += writeSync(this.#file, bytes, written);
    this.#bytes += bytes.length;
    this.#lines = "";
  }
}
