import { createHash } from "node:crypto";
import { appendFileSync, existsSync, readFileSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Signer } from "../core/signature.ts";
import { fileDigest, readHeader, type SegmentFile, segmentFiles } from "./chain.ts";

/** How much of a journal's folder is kept; null = no bound. */
export interface Retention {
  readonly bytes: number | null;
  readonly ageMs: number | null;
}

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

/**
 * Removes the oldest segments until what is left is within bounds; each is written down, with its digest, before it goes, so that the
 * chain goes on where the files begin.
 *
 * @param writing path of the segment that is being written; it and what follows stay
 * @param nowMs wall clock
 * @returns how many were removed
 */
export function retire(
  directory: string,
  keep: Retention,
  writing: string,
  nowMs: number,
  signer: Signer | null,
): number {
  if (keep.bytes === null && keep.ageMs === null) return 0;
  const files = segmentFiles(directory);
  let left = files.reduce((total, { bytes }) => total + bytes, 0);
  let removed = 0;
  for (const [at, file] of files.entries()) {
    if (file.path === writing) break;
    const tooLarge = keep.bytes !== null && left > keep.bytes;
    const tooOld = keep.ageMs !== null && nowMs - file.modifiedMs > keep.ageMs;
    if (!tooLarge && !tooOld) break;
    const { runId, segment, bytes } = file;
    const digest = digestOf(file, files[at + 1]);
    const why = tooLarge ? "size" : "age";
    write(directory, { runId, segment, digest, bytes, why, timeUs: nowMs * 1_000 }, signer);
    unlinkSync(file.path);
    left -= bytes;
    removed += 1;
  }
  return removed;
}

/** As the next segment names it; only where that cannot be read is the file itself read. */
function digestOf(file: SegmentFile, next: SegmentFile | undefined): string {
  const header = next === undefined ? null : readHeader(next.path);
  const isNamed =
    header !== null &&
    typeof header !== "string" &&
    (next?.runId === file.runId || (header.version > 1 && header.previousDigest.some((byte) => byte !== 0)));
  return Buffer.from(isNamed ? header.previousDigest : fileDigest(file.path)).toString("hex");
}

function write(directory: string, retired: Omit<RetiredSegment, "previous">, signer: Signer | null): void {
  const path = join(directory, RETIRED_FILE);
  const last = existsSync(path) ? readFileSync(path, "utf8").trimEnd().split("\n").at(-1) : undefined;
  const text = JSON.stringify({ ...retired, previous: last === undefined ? "" : sha256(last) });
  appendFileSync(path, `${text}\t${signer?.sign(statement(text)) ?? ""}\n`, { flush: true });
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
