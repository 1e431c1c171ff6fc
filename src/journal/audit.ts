import { readFileSync } from "node:fs";
import { basename } from "node:path";
import type { SignatureChecker } from "../core/signature.ts";
import {
  chainEnd,
  headerOf,
  linkProblems,
  NOTHING,
  type RunLink,
  type Stretch,
  unswornProblem,
} from "./audit-chain.ts";
import { TrustedKeys } from "./audit-keys.ts";
import { fileDigest } from "./chain.ts";
import { CRC_FROM, RECORD_BYTES, type SegmentHeader, segmentName } from "./format.ts";
import {
  type FoundCheckpoint,
  type JournalPlace,
  JournalReader,
  type JournalRun,
  journalRuns,
  UNLINKED,
} from "./reader.ts";
import { RECORD } from "./record.ts";
import { type RetiredLine, type RetiredSegment, retiredSegments } from "./retention.ts";
import { linkOf } from "./staging.ts";

/** Something that is not as it was written, and the first record that cannot be trusted for it. */
export interface AuditProblem {
  /** Null when it is of the whole folder. */
  readonly runId: string | null;
  readonly file: string;
  /** Byte of the file at which that record begins; null where it has no place. */
  readonly offset: number | null;
  /** Its number in the file, from 1, checkpoints included; 0 is the file's header. */
  readonly record: number | null;
  /** The sequence that is expected there; null where that cannot be known. */
  readonly sequence: number | null;
  readonly what: string;
  /** The end of a run that was cut off, as a crash leaves it: what is lost cannot be known, and nothing was changed. */
  readonly cutOff: boolean;
}

/** What one run proves. */
export interface RunAudit {
  readonly runId: string;
  readonly segments: number;
  readonly records: number;
  /** Records that the desk wrote and the journal had to drop; the numbers of those that are missing are known. */
  readonly dropped: number;
  /** The run has its last record. */
  readonly complete: boolean;
  readonly fromUs: number;
  readonly toUs: number;
  readonly checkpoints: number;
  /** Checkpoints with a signature that one of the given keys made. */
  readonly signed: number;
  /** The key that made them; null where none did. */
  readonly key: string | null;
  /** Records behind the last good checkpoint: their CRCs hold, and nobody has sworn to them. */
  readonly unsworn: number;
  /** The largest bound on the host clock's error that was recorded, µs; null where none was. */
  readonly clockErrorUsMax: number | null;
  /** Checkpoints at which nothing kept the clock, or the kernel did not tell. */
  readonly clockUnknown: number;
}

export interface Audit {
  readonly ok: boolean;
  readonly runs: readonly RunAudit[];
  /** Segments that were retired, as written down. */
  readonly retired: number;
  /** Hex digest of the newest run's last segment. Whoever keeps it elsewhere can later prove that nothing behind it was cut off. */
  readonly head: string | null;
  readonly problems: readonly AuditProblem[];
}

/** No type of record is larger. */
const TYPE_MAX = 255;
const TAKEN = "the file was taken away while the run was read, and is not written down as retired";
/** A run that loses files faster than they are read is given up. */
const ATTEMPTS_MAX = 100;
const UNSWORN_SEGMENT = "a further segment begins although no checkpoint swears to the records from here on";

export interface AuditOptions {
  /** Keys whose signatures count, of each of which a run may be; null leaves signatures unchecked. */
  readonly trusted: readonly SignatureChecker[] | null;
  /** Run before which there was no key: those that sort before it may be unsigned. */
  readonly signedFrom?: string | null;
  /** A digest that was told earlier, of a checkpoint or of a segment: it must be found. */
  readonly expected: string | null;
  /** With a key: longest time that records behind the last good checkpoint may span, µs; null as {@link unswornProblem} says. */
  readonly unswornUsMax?: number | null;
}

/**
 * Reads every byte of a journal's folder and proves what can be proved: that no record was changed, dropped, put elsewhere or put in
 * (CRC, sequence, digest of each checkpoint), no segment and no run taken away (links, retired segments), and, with a key, that whoever
 * holds it wrote all that but for the newest records.
 *
 * @throws BadInputError when the folder cannot be read
 */
export function auditJournal(
  directory: string,
  { trusted, signedFrom, expected, unswornUsMax }: AuditOptions,
): Audit {
  const keys = new TrustedKeys(trusted, signedFrom ?? null);
  const found = new Findings(keys);
  const { problems, links, digests } = found;
  const runs = journalRuns(directory).flatMap((run) => auditLeft(directory, run, found) ?? []);
  // Behind the runs: what was retired while they were read is written down by now.
  const retired = retiredSegments(directory);
  if (retired.problem !== null) {
    problems.push(folderProblem(directory, `retired segments: ${retired.problem}`));
  }
  problems.push(...retiredProblems(directory, retired.lines, keys));
  const newest = chainEnd(links);
  problems.push(...linkProblems(links, retired.lines));
  if (!keys.isUnchecked) {
    const unsworn = unswornProblem(links, unswornUsMax ?? null);
    if (unsworn !== null) problems.push(unsworn);
  }
  for (const { entry } of retired.lines) digests.add(entry.digest);
  for (const { last, previous } of links) digests.add(last).add(previous ?? last);
  if (expected !== null && !digests.has(expected)) {
    const what = `nothing has the digest ${expected}: what it was told of is gone or changed`;
    const end = newest?.end;
    // Where all that is there holds together, it is what followed that is gone.
    problems.push(
      end !== undefined && problems.every(({ cutOff }) => cutOff)
        ? { runId: newest?.runId ?? null, ...end, what, cutOff: false }
        : folderProblem(directory, what),
    );
  }
  const ok = problems.every(({ cutOff }) => cutOff);
  return { ok, runs, retired: retired.lines.length, head: newest?.last ?? null, problems };
}

/** What is gathered while the runs are read. */
class Findings {
  readonly keys: TrustedKeys;
  readonly problems: AuditProblem[] = [];
  readonly links: RunLink[] = [];
  /** Of good checkpoints and of segments. */
  readonly digests = new Set<string>();

  constructor(keys: TrustedKeys) {
    this.keys = keys;
  }
}

/**
 * Audits a run from which a running desk's retention may take the first files meanwhile: then it is begun anew at the first one that is
 * left, and what was found before that stays found.
 *
 * @returns null when nothing of it is left
 */
function auditLeft(
  directory: string,
  { runId, files: listed }: JournalRun,
  found: Findings,
): RunAudit | null {
  let files = listed;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return auditRun(directory, runId, found);
    } catch (error) {
      const left = journalRuns(directory).find((run) => run.runId === runId)?.files ?? [];
      const gone = files.filter((file) => !left.includes(file));
      if (gone.length === 0 || attempt === ATTEMPTS_MAX) throw error;
      const retired = new Set(retiredSegments(directory).lines.map(({ entry }) => nameOf(entry)));
      const taken = gone.find((file) => !retired.has(basename(file)));
      if (taken !== undefined) {
        found.problems.push({ runId, ...headerOf(taken), what: TAKEN, cutOff: false });
        return null;
      }
      if (left.length === 0) return null;
      files = left;
    }
  }
}

function nameOf({ runId, segment }: RetiredSegment): string {
  return segmentName(runId, segment);
}

function auditRun(directory: string, runId: string, { keys, problems, links, digests }: Findings): RunAudit {
  const reader = new JournalReader(directory, runId, true);
  const seen = { checkpoints: 0, signed: 0, sinceGood: 0, clockErrorUsMax: Number.NaN, clockUnknown: 0 };
  let [fromUs, toUs] = [Number.NaN, Number.NaN];
  let complete = false;
  let sinceAny = 0;
  let anchored = false;
  let key: string | null = null;
  let [goodFromUs, goodToUs, betweenUsMax, missing] = [0, 0, 0, 0];
  // The first record that no good checkpoint swears to, and the last good checkpoint.
  let unsworn: JournalPlace | null = null;
  let good: JournalPlace | null = null;
  let told: JournalPlace | null = null;
  let linked: string | null = null;
  reader.onSegment = () => {
    // Who writes swears to a segment before the next one begins, whatever happens.
    if (sinceAny > 0 && reader.first?.version !== 1)
      problems.push({ runId, ...(unsworn ?? reader.header()), what: UNSWORN_SEGMENT, cutOff: false });
    sinceAny = 0;
    if (seen.sinceGood === 0) unsworn = reader.header();
  };
  reader.onCheckpoint = (checkpoint) => {
    const place = reader.position();
    const from = unsworn ?? place;
    const it = `the checkpoint at byte ${place.offset}`;
    const changed = checkpointProblem(checkpoint, it);
    const isUnsigned = keys.mayLack(runId, checkpoint.signature) && checkpoint.body.key === null;
    const wrong = changed ?? (isUnsigned ? null : keys.problemOf(checkpoint, it, key));
    seen.checkpoints += 1;
    sinceAny = 0;
    if (wrong !== null) {
      // The checkpoints behind it in the file, which swear to it too, add nothing.
      if (told !== from) problems.push({ runId, ...from, what: wrong, cutOff: false });
      told = from;
      return;
    }
    digests.add(checkpoint.found);
    // As it was when a later run swore to it, and no more.
    if (isUnsigned && !keys.isUnchecked) return;
    // Where records are missing nothing could be written, however long that took.
    if (missing === reader.missing) betweenUsMax = Math.max(betweenUsMax, goodToUs - goodFromUs);
    missing = reader.missing;
    anchored ||= linked !== null || !isNothing(reader.first);
    seen.sinceGood = 0;
    good = place;
    unsworn = reader.behind();
    if (!keys.isUnchecked) {
      seen.signed += 1;
      key = checkpoint.body.key;
    }
    const { clock } = checkpoint.body;
    if (clock?.synchronised === true) seen.clockErrorUsMax = maximum(seen.clockErrorUsMax, clock.maxErrorUs);
    else seen.clockUnknown += 1;
  };
  for (const { type, timeUs, payload } of reader.records()) {
    // The first one counts: a later one may be behind what is sworn to.
    if (type === RECORD.link) linked ??= linkOf(payload)?.digest ?? null;
    if (Number.isNaN(fromUs)) fromUs = timeUs;
    toUs = timeUs;
    complete = type === RECORD.end;
    goodFromUs = seen.sinceGood === 0 ? timeUs : Math.min(goodFromUs, timeUs);
    goodToUs = seen.sinceGood === 0 ? timeUs : Math.max(goodToUs, timeUs);
    seen.sinceGood += 1;
    sinceAny += 1;
  }
  const { damage, first, lastDigest, run } = reader;
  if (damage !== null) {
    const { file, offset, reason, tail, whole, bytes } = damage;
    const isSworn = complete && seen.sinceGood === 0;
    const cutOff = tail && !whole && !isSworn && !holdsRecord(file, offset + 1, bytes);
    // All that the last good checkpoint swears to is as it was. What follows is not, or, where nothing proves it, itself.
    const isProved = !keys.isUnchecked || seen.sinceGood > 0;
    const place = reason === UNLINKED ? ((isProved ? null : good) ?? unsworn) : null;
    problems.push({ runId, ...(place ?? placeOf(damage)), what: reason, cutOff });
  }
  const stretch: Stretch | null =
    seen.sinceGood === 0
      ? null
      : { from: unsworn ?? reader.header(), records: seen.sinceGood, fromUs: goodFromUs, toUs: goodToUs };
  links.push({
    runId,
    file: run.files[0] ?? "",
    previous: previousOf(first, linked),
    last: hex(lastDigest ?? fileDigest(run.files.at(-1) ?? "")),
    firstSegment: first?.segment ?? 1,
    end: damage === null ? reader.behind() : placeOf(damage),
    anchored,
    unsworn: stretch,
    betweenUsMax,
  });
  return {
    runId,
    segments: run.files.length,
    records: reader.count,
    dropped: reader.missing,
    complete,
    ...{ fromUs, toUs },
    checkpoints: seen.checkpoints,
    signed: seen.signed,
    key,
    unsworn: seen.sinceGood,
    clockErrorUsMax: Number.isNaN(seen.clockErrorUsMax) ? null : seen.clockErrorUsMax,
    clockUnknown: seen.clockUnknown,
  };
}

/** What a run follows: its first header tells it, or of a run that was begun beside another one the record of when it took over. */
function previousOf(first: SegmentHeader | null, linked: string | null): string | null {
  if (first === null || (first.version === 1 && first.segment === 1)) return null;
  const previous = hex(first.previousDigest);
  return previous === NOTHING && first.segment === 1 ? (linked ?? NOTHING) : previous;
}

/** Whether a whole record lies somewhere from `from` to `to`: then the damage before it is no end that a crash left. */
function holdsRecord(file: string, from: number, to: number): boolean {
  const bytes = readFileSync(file).subarray(0, to);
  for (let at = from; at + RECORD_BYTES <= bytes.length; at += 1) {
    const end = at + RECORD_BYTES + bytes.readUInt32LE(at);
    if (end > bytes.length || bytes.readUInt32LE(at + 8) > TYPE_MAX) continue;
    if (Bun.hash.crc32(bytes.subarray(at + CRC_FROM, end)) === bytes.readUInt32LE(at + 4)) return true;
  }
  return false;
}

/** In words what a checkpoint says and is not so, whoever signed it; null when nothing is. */
function checkpointProblem({ body, found, records, headAgrees }: FoundCheckpoint, it: string): string | null {
  if (body.digest !== found) return `what lies from here to ${it} is not what that one swears to`;
  if (body.records !== records)
    return `${records} records of the file lie before ${it}, which swears to ${body.records}`;
  return headAgrees ? null : `${it} has another time or sequence than it was written with`;
}

function retiredProblems(
  directory: string,
  lines: readonly RetiredLine[],
  keys: TrustedKeys,
): AuditProblem[] {
  return lines
    .filter((line) => !keys.hasSigned(line))
    .map(({ entry: { segment, runId } }) => {
      const what = `segment ${segment} of run ${runId} is written down as retired without the key's signature`;
      return folderProblem(directory, what);
    });
}

function folderProblem(file: string, what: string): AuditProblem {
  return { runId: null, file, offset: null, record: null, sequence: null, what, cutOff: false };
}

/** Its first header names nothing that it follows. */
function isNothing(header: SegmentHeader | null): boolean {
  return header === null || header.previousDigest.every((byte) => byte === 0);
}

function placeOf({ file, offset, record, sequence }: JournalPlace): JournalPlace {
  return { file, offset, record, sequence };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function maximum(a: number, b: number): number {
  return Number.isNaN(a) ? b : Math.max(a, b);
}
