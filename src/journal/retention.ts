import { createHash } from "node:crypto";
import { appendFileSync, existsSync, readFileSync, truncateSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Signer } from "../core/signature.ts";
import { fileDigest, readHeader, type SegmentFile, segmentFiles } from "./chain.ts";

/** How much of a journal's folder is kept; null = no bound. */
export interface Retention {
  readonly bytes: number | null;
  readonly ageMs: number | null;
}

const UNKEPT =
  "nothing keeps the host's clock (NTP, PTP), or the kernel does not tell: files stay whatever their age";

/** What was retired, a line each: JSON, a tab, the signature in base64 (empty without a key). */
export const RETIRED_FILE = "keel-retired.jsonl";

const line = z.strictObject({
  runId: z.string(),
  segment: z.int().positive(),
  /** Hex SHA-256 of the segment as it was: what the segment after it names. */
  digest: z.string(),
  bytes: z.int().nonnegative(),
  why: z.enum(["size", "age"]),
  timeUs: z.number(),
  /** Hex SHA-256 of the line before; empty in the first. */
  previous: z.string(),
});
export type RetiredSegment = z.infer<typeof line>;

/** A line of the file, read. */
export interface RetiredLine {
  readonly entry: RetiredSegment;
  readonly signed: string;
  readonly signature: string;
}

export interface RetirementOptions {
  readonly keep: Retention;
  /** Path of the segment that is being written; it and what follows stay. */
  readonly writing: string;
  /** Wall clock. */
  readonly nowMs: number;
  /** Whether something keeps the wall clock. By one that runs free, and may have begun in another year, nothing is too old. */
  readonly isClockKept: () => boolean;
  readonly signer: Signer | null;
}

export interface Retirement {
  readonly removed: number;
  /** In words why files stay that should have gone; null when none does. */
  readonly putOff: string | null;
}

/**
 * Removes the oldest segments until what is left is within bounds; each is written down, with its digest, before it goes, so that the
 * chain goes on where the files begin.
 *
 * @throws what the file system throws
 */
export function retire(
  directory: string,
  { keep, writing, nowMs, isClockKept, signer }: RetirementOptions,
): Retirement {
  if (keep.bytes === null && keep.ageMs === null) return { removed: 0, putOff: null };
  const files = segmentFiles(directory);
  let left = files.reduce((total, { bytes }) => total + bytes, 0);
  let removed = 0;
  for (const [at, file] of files.entries()) {
    if (file.path === writing) break;
    const tooLarge = keep.bytes !== null && left > keep.bytes;
    const tooOld = keep.ageMs !== null && nowMs - file.modifiedMs > keep.ageMs;
    if (!tooLarge && !tooOld) break;
    if (!tooLarge && !isClockKept()) return { removed, putOff: UNKEPT };
    const { runId, segment, bytes } = file;
    const digest = digestOf(file, files[at + 1]);
    const why = tooLarge ? "size" : "age";
    write(directory, { runId, segment, digest, bytes, why, timeUs: nowMs * 1_000 }, signer);
    unlinkSync(file.path);
    left -= bytes;
    removed += 1;
  }
  return { removed, putOff: null };
}

/**
 * As the next segment of its run names it; where there is none, or it cannot be read, the file itself is read. What the next file of the
 * folder names may be of another run.
 */
function digestOf(file: SegmentFile, next: SegmentFile | undefined): string {
  const isNext = next?.runId === file.runId && next.segment === file.segment + 1;
  const header = isNext ? readHeader(next.path) : null;
  const isNamed = header !== null && typeof header !== "string";
  return Buffer.from(isNamed ? header.previousDigest : fileDigest(file.path)).toString("hex");
}

/** Writes all of the line or nothing: half of one, as a crash leaves it too, would make the file unreadable from there on. */
function write(directory: string, retired: Omit<RetiredSegment, "previous">, signer: Signer | null): void {
  const path = join(directory, RETIRED_FILE);
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  const bytes = Buffer.byteLength(whole);
  if (whole !== text) truncateSync(path, bytes);
  const last = whole.trimEnd().split("\n").at(-1) ?? "";
  const before = parse(last.split("\t")[0] ?? "");
  // Written down already, and then it could not be removed.
  if (before?.runId === retired.runId && before.segment === retired.segment) return;
  const line = JSON.stringify({ ...retired, previous: last === "" ? "" : sha256(last) });
  try {
    appendFileSync(path, `${line}\t${signer?.sign(statement(line)) ?? ""}\n`, { flush: true });
  } catch (error) {
    if (existsSync(path)) truncateSync(path, bytes);
    throw error;
  }
}

/** Reads what was retired; in words what is wrong with the first line that is not as it was written. */
export function retiredSegments(directory: string): { lines: RetiredLine[]; problem: string | null } {
  const path = join(directory, RETIRED_FILE);
  const lines: RetiredLine[] = [];
  if (!existsSync(path)) return { lines, problem: null };
  let previous = "";
  for (const [at, whole] of readFileSync(path, "utf8").split("\n").slice(0, -1).entries()) {
    const [text = "", signature = ""] = whole.split("\t");
    const entry = parse(text);
    if (entry === null) return { lines, problem: `line ${at + 1} cannot be read` };
    if (entry.previous !== previous)
      return { lines, problem: `line ${at + 1} does not follow the one before it` };
    lines.push({ entry, signed: statement(text), signature });
    previous = sha256(whole);
  }
  return { lines, problem: null };
}

function parse(text: string): RetiredSegment | null {
  try {
    return line.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

function statement(text: string): string {
  return `keel journal retired\n${text}`;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
