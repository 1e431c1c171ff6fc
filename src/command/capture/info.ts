import { statSync } from "node:fs";
import { type CaptureFormat, type CapturePacking, CaptureReader } from "../../feed/capture.ts";
import type { EventBatch } from "../../market/event-batch.ts";
import { EVENT } from "../../market/event-batch.ts";
import { decodeCapture } from "./play.ts";

/** What one file holds, without decoding its frames. */
export interface FileInfo {
  readonly file: string;
  readonly packing: CapturePacking | null;
  readonly format: CaptureFormat | null;
  /** What the recorder said in the first line. */
  readonly about: Readonly<Record<string, unknown>> | null;
  readonly bytes: number;
  readonly textBytes: number;
  readonly entries: number;
  readonly frames: number;
  readonly connects: number;
  readonly disconnects: number;
  readonly httpAnswers: number;
  /** Entries that the recorder had to leave out. */
  readonly lost: number;
  /** Local time of the earliest and latest entry, µs; null when there is none. */
  readonly firstUs: number | null;
  readonly lastUs: number | null;
  /** Longest time without an entry. */
  readonly longestSilenceMs: number;
  readonly skipped: number;
  readonly damagedBlocks: number;
  /** Where and why lines and blocks are damaged: the first of them. */
  readonly problems: readonly string[];
  readonly truncated: string | null;
}

/** Reads a file whole. Damaged lines and blocks are counted. */
export async function fileInfo(file: string): Promise<FileInfo> {
  const reader = new CaptureReader(file, { malformed: "skip" });
  const counts = { frame: 0, snapshot: 0, connect: 0, disconnect: 0, sent: 0, http: 0, lost: 0 };
  let [textBytes, firstUs, lastUs, previousUs, silenceUs, lost] = [
    0,
    Number.NaN,
    Number.NaN,
    Number.NaN,
    0,
    0,
  ];
  for await (const entries of reader.batches()) {
    for (const { kind, timeUs, text } of entries) {
      counts[kind] += 1;
      textBytes += text.length;
      if (kind === "lost") lost += Number(text) || 0;
      if (!(timeUs >= firstUs)) firstUs = timeUs;
      if (!(timeUs <= lastUs)) lastUs = timeUs;
      if (timeUs - previousUs > silenceUs) silenceUs = timeUs - previousUs;
      previousUs = timeUs;
    }
  }
  const { packing, format, about, entries, skipped, damagedBlocks, problems, truncated } = reader.report;
  return {
    file,
    packing,
    format,
    about,
    bytes: statSync(file).size,
    textBytes,
    entries,
    frames: counts.frame,
    connects: counts.connect,
    disconnects: counts.disconnect,
    httpAnswers: counts.http + counts.snapshot,
    lost,
    firstUs: Number.isNaN(firstUs) ? null : firstUs,
    lastUs: Number.isNaN(lastUs) ? null : lastUs,
    longestSilenceMs: silenceUs / 1_000,
    skipped,
    damagedBlocks,
    problems,
    truncated,
  };
}

/** What a recording's frames decode to. */
export interface DecodedInfo {
  readonly venue: string;
  /** Instruments with events, and how many of each kind. */
  readonly instruments: readonly InstrumentInfo[];
  readonly gaps: number;
  readonly checksums: number;
  readonly unparsable: number;
  readonly reconnects: number;
  readonly resyncs: number;
  readonly problem: string;
}

export interface InstrumentInfo {
  readonly symbol: string;
  readonly bookSnapshots: number;
  readonly bookDeltas: number;
  readonly tops: number;
  readonly trades: number;
  readonly tickers: number;
  readonly statuses: number;
}

/** Decodes a recording by its venue's feed. @throws BadInputError when it cannot be played */
export async function decodedInfo(files: readonly string[]): Promise<DecodedInfo> {
  const kinds = Object.keys(EVENT).length;
  const counts = new Map<number, Float64Array>();
  const count = (events: EventBatch): void => {
    for (let row = 0; row < events.count; row += 1) {
      const id = events.instrument[row];
      let of = counts.get(id);
      if (of === undefined) {
        of = new Float64Array(kinds);
        counts.set(id, of);
      }
      of[events.kind[row]] += 1;
    }
  };
  const { feed, instruments } = await decodeCapture(files, count);
  const { gaps, checksums, unparsable, reconnects, resyncs } = feed.counters;
  const found: InstrumentInfo[] = [];
  for (const { id, symbol } of instruments.all()) {
    const of = counts.get(id);
    if (of === undefined) continue;
    found.push({
      symbol,
      bookSnapshots: of[EVENT.bookSnapshot],
      bookDeltas: of[EVENT.bookDelta],
      tops: of[EVENT.top],
      trades: of[EVENT.trade],
      tickers: of[EVENT.ticker],
      statuses: of[EVENT.status],
    });
  }
  const { venue, problem } = feed;
  return { venue, instruments: found, gaps, checksums, unparsable, reconnects, resyncs, problem };
}
