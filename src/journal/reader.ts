import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { BadInputError } from "../core/errors.ts";
import { CHECKPOINT, type Checkpoint, decodeCheckpoint } from "./checkpoint.ts";
import {
  CRC_FROM,
  decodeHeader,
  HEADER_BYTES,
  PAYLOAD_BYTES_MAX,
  parseSegmentName,
  RECORD_BYTES,
  readU64,
  type SegmentHeader,
} from "./format.ts";
import type { JournalRecord, RecordType } from "./record.ts";

const WINDOW_BYTES = 4 * 1024 * 1024;
const GAPS_KEPT_MAX = 1_024;
/** Reason of the damage where a segment's header does not hold the digest of the one before. */
export const UNLINKED = "the segment before it is not the one that this segment was written after";

/** Segments of one run, in order. */
export interface JournalRun {
  readonly runId: string;
  readonly files: readonly string[];
}

/** A record's place, or that of a file's header. */
export interface JournalPlace {
  readonly file: string;
  /** Byte of the file at which it begins. */
  readonly offset: number;
  /** Its number in the file, from 1, checkpoints included; 0 is the header. */
  readonly record: number;
  /** Sequence of the desk's next record there; null where no header before it could be read. */
  readonly sequence: number | null;
}

/** Where the readable part of a run ends before its files do, and why. The place is that of the first record that cannot be trusted. */
export interface JournalDamage extends JournalPlace {
  readonly reason: string;
  /** The record there is whole by its CRC, and yet not the one that belongs there: no crash leaves that. */
  readonly whole: boolean;
  /** Bytes of the file that were looked at: what a running process has written since then is not in them. */
  readonly bytes: number;
  /** What is lost is the end of the run's last file, as after a crash; false when whole files lie behind the damage. */
  readonly tail: boolean;
}

/** Records that the desk wrote and the journal dropped. */
export interface JournalGap {
  /** Sequence of the first one that is missing. */
  readonly fromSequence: number;
  readonly count: number;
}

/** A checkpoint as it was found. */
export interface FoundCheckpoint extends Checkpoint {
  /** Hex SHA-256 of what the segment holds before it. */
  readonly found: string;
  /** The desk's records of the segment before it. */
  readonly records: number;
  /** Time and sequence of its record are those that its content and the record before it give; no CRC and no signature tells that. */
  readonly headAgrees: boolean;
}

/**
 * The runs in a folder, oldest first (by run id).
 *
 * @throws BadInputError when the folder cannot be read.
 */
export function journalRuns(directory: string): JournalRun[] {
  const byRun = new Map<string, { segment: number; file: string }[]>();
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true) {
    throw new BadInputError(directory, "no folder", "a folder with journal segments (keel-RUN-000001.kjl)");
  }
  for (const name of readdirSync(directory)) {
    const parsed = parseSegmentName(name);
    if (parsed === null) continue;
    const segments = byRun.get(parsed.runId) ?? [];
    segments.push({ segment: parsed.segment, file: join(directory, name) });
    byRun.set(parsed.runId, segments);
  }
  return [...byRun]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([runId, segments]) => ({
      runId,
      files: segments.sort((a, b) => a.segment - b.segment).map(({ file }) => file),
    }));
}

/**
 * Reads one run of a journal in order, in bounded memory. Every record's CRC and sequence is checked and every segment's
 * header and link to the one before. At the first damage (a tail cut off by a crash, a flipped bit, a missing segment) reading
 * ends: everything before it has been given, and {@link damage} says where and why. Of a file that is being written, what it held when
 * it was opened is read.
 */
export class JournalReader {
  readonly run: JournalRun;
  damage: JournalDamage | null = null;
  /** Records given so far. */
  count = 0;
  /** Records that the journal had to drop while it was written. */
  missing = 0;
  /** The first {@link GAPS_KEPT_MAX} gaps. */
  readonly gaps: JournalGap[] = [];
  /** Called when a file's header has been read and follows what was read before. */
  onSegment: (() => void) | null = null;
  onCheckpoint: ((checkpoint: FoundCheckpoint) => void) | null = null;
  /** Header of the first segment that is there; null before it is read. */
  first: SegmentHeader | null = null;
  /** SHA-256 of the run's last segment, once it has been read to its end without damage. */
  lastDigest: Uint8Array | null = null;
  readonly #retired: boolean;
  #current: SegmentReader | null = null;
  #nextSequence = 0;
  /** What was expected to be the first one of the file that is being read. */
  #fileSequence = 0;
  /** Where the last gap since the last checkpoint is, and the first sequence that is missing there. */
  #gap: JournalPlace | null = null;

  /**
   * @param runId the run to read; the latest one when left out
   * @param retired earlier segments may have been retired: reading begins with the first that is there
   * @throws BadInputError when there is no such run
   */
  constructor(directory: string, runId?: string, retired = false) {
    const runs = journalRuns(directory);
    const run = runId === undefined ? runs.at(-1) : runs.find((candidate) => candidate.runId === runId);
    if (run === undefined) {
      throw new BadInputError(
        directory,
        runId === undefined ? "no journal" : `no run ${runId}`,
        "segments of a run (keel-RUN-000001.kjl)",
      );
    }
    this.run = run;
    this.#retired = retired;
  }

  /** Every readable record. The payload is a view that holds until the next record is asked for. */
  *records(): Generator<JournalRecord> {
    this.damage = null;
    this.count = 0;
    this.missing = 0;
    this.gaps.length = 0;
    this.#nextSequence = 0;
    this.first = null;
    this.lastDigest = null;
    let segment = this.#retired ? (parseSegmentName(basename(this.run.files[0] ?? ""))?.segment ?? 1) : 1;
    let digest: Uint8Array | null = null;
    for (const file of this.run.files) {
      const reader = new SegmentReader(file);
      this.#current = reader;
      this.#gap = null;
      try {
        const header = reader.open();
        if (header === null || !this.#follows(reader, header, segment, digest)) {
          this.damage = this.#placed(reader.damage, header === null && file === this.run.files.at(-1));
          return;
        }
        if (this.first === null) {
          this.first = header;
          this.#nextSequence = header.firstSequence;
        }
        this.#fileSequence = this.#nextSequence;
        this.onSegment?.();
        let inSegment = 0;
        for (let record = reader.next(); record !== null; record = reader.next()) {
          if (record.type === CHECKPOINT && header.version > 1) {
            if (this.#checkpoint(reader, header, record, inSegment)) continue;
            break;
          }
          if (!this.#inOrder(record.sequence)) {
            this.#refuse(reader, record.sequence);
            break;
          }
          this.count += 1;
          inSegment += 1;
          yield record as JournalRecord;
        }
        if (reader.damage !== null) {
          this.damage = this.#placed(reader.damage, file === this.run.files.at(-1));
          return;
        }
        digest = reader.digest();
        this.lastDigest = file === this.run.files.at(-1) ? digest : null;
      } finally {
        reader.close();
      }
      segment += 1;
    }
  }

  /** @returns whether it is one */
  #checkpoint(reader: SegmentReader, header: SegmentHeader, record: AnyRecord, inSegment: number): boolean {
    const checkpoint = decodeCheckpoint(header.runId, header.segment, record.payload);
    if (checkpoint === null) {
      reader.refuse("a checkpoint that cannot be read");
      return false;
    }
    this.#gap = null;
    const { subject, timeUs, sequence } = record;
    const headAgrees =
      subject === 0 && timeUs === checkpoint.body.timeUs && sequence === this.#nextSequence - 1;
    this.onCheckpoint?.({ ...checkpoint, found: reader.digestBefore(), records: inSegment, headAgrees });
    return true;
  }

  #placed(damage: FileDamage | null, tail: boolean): JournalDamage | null {
    return damage === null ? null : { ...this.#place(damage), ...damage, tail };
  }

  /** Where the record begins that was given last. */
  position(): JournalPlace {
    return this.#place(this.#current?.position());
  }

  /** Where the one behind it begins. */
  behind(): JournalPlace {
    return this.#place(this.#current?.behind());
  }

  /** The header of the file that is being read. */
  header(): JournalPlace {
    return { ...this.position(), offset: 0, record: 0, sequence: this.#fileSequence };
  }

  #place(place: FilePlace = { file: "", offset: 0, record: 0 }): JournalPlace {
    return { ...place, sequence: this.first === null ? null : this.#nextSequence };
  }

  /** A record that should have come earlier: where it is missing lies the first one that is in the wrong place. */
  #refuse(reader: SegmentReader, sequence: number): void {
    reader.refuse(`sequence ${sequence} comes after ${this.#nextSequence - 1}`);
    const gap = this.#gap;
    if (gap === null || reader.damage === null || sequence < (gap.sequence ?? 0)) return;
    reader.damage = { ...reader.damage, ...gap };
  }

  #follows(
    reader: SegmentReader,
    header: SegmentHeader,
    segment: number,
    digest: Uint8Array | null,
  ): boolean {
    if (header.runId !== this.run.runId) reader.refuse(`the header belongs to run ${header.runId}`);
    else if (this.first !== null && header.version !== this.first.version)
      reader.refuse(`version ${header.version} in a run that was begun with version ${this.first.version}`);
    else if (header.segment !== segment)
      reader.refuse(`segment ${segment} is missing before segment ${header.segment}`);
    else if (digest !== null && Buffer.compare(digest, header.previousDigest) !== 0) {
      reader.refuse(UNLINKED);
    }
    return reader.damage === null;
  }

  #inOrder(sequence: number): boolean {
    const expected = this.#nextSequence;
    if (sequence < expected) return false;
    if (sequence > expected) {
      this.#gap = this.position();
      this.missing += sequence - expected;
      if (this.gaps.length < GAPS_KEPT_MAX)
        this.gaps.push({ fromSequence: expected, count: sequence - expected });
    }
    this.#nextSequence = sequence + 1;
    return true;
  }
}

/** A record of the desk or of the journal itself. */
type AnyRecord = Omit<JournalRecord, "type"> & { readonly type: RecordType | typeof CHECKPOINT };

type FilePlace = Omit<JournalPlace, "sequence">;

interface FileDamage extends FilePlace {
  readonly reason: string;
  readonly whole: boolean;
  readonly bytes: number;
}

/** A window of bytes that slides over one file. */
class SegmentReader {
  damage: FileDamage | null = null;
  readonly #path: string;
  readonly #hash = new Bun.CryptoHasher("sha256");
  #file = -1;
  #window: Buffer = Buffer.allocUnsafe(WINDOW_BYTES);
  #filled = 0;
  #at = 0;
  /** Where the record that was given last begins. */
  #recordAt = 0;
  /** Records given so far. */
  #given = 0;
  /** Up to here the window's bytes are in the digest. */
  #hashed = 0;
  /** Byte of the file at which the window begins. */
  #base = 0;
  #size = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** @returns null when the header is damaged. */
  open(): SegmentHeader | null {
    this.#file = openSync(this.#path, "r");
    this.#size = fstatSync(this.#file).size;
    const available = this.#fill(HEADER_BYTES + 1_024);
    const header = decodeHeader(this.#window.subarray(0, available));
    if (typeof header === "string") {
      this.damage = { ...this.position(), reason: header, whole: false, bytes: this.#size };
      return null;
    }
    this.#at = HEADER_BYTES + Buffer.byteLength(header.runId);
    return header;
  }

  /** @returns null at the end of the file and at damage. */
  next(): AnyRecord | null {
    const available = this.#fill(RECORD_BYTES);
    if (available === 0) return null;
    if (available < RECORD_BYTES) return this.stop(`a record's head ends after ${available} bytes`);
    const length = this.#window.readUInt32LE(this.#at);
    if (length > PAYLOAD_BYTES_MAX) return this.stop(`a record of ${length} bytes`);
    const whole = RECORD_BYTES + length;
    if (this.#base + this.#at + whole > this.#size) {
      const left = this.#size - this.#base - this.#at;
      return this.stop(`a record of ${whole} bytes ends after ${left}`);
    }
    this.#fill(whole);
    const window = this.#window;
    const at = this.#at;
    if (Bun.hash.crc32(window.subarray(at + CRC_FROM, at + whole)) !== window.readUInt32LE(at + 4)) {
      return this.stop("a record's CRC does not match");
    }
    this.#recordAt = at;
    this.#at += whole;
    this.#given += 1;
    return {
      type: window.readUInt32LE(at + 8) as AnyRecord["type"],
      subject: window.readInt32LE(at + 12),
      sequence: readU64(window, at + 16),
      timeUs: window.readDoubleLE(at + 24),
      payload: window.subarray(at + RECORD_BYTES, at + whole),
    };
  }

  /** What comes next cannot be read. */
  stop(reason: string): null {
    this.damage = { ...this.behind(), reason, whole: false, bytes: this.#size };
    return null;
  }

  /** What was given last, the header before there is a record, does not belong there. */
  refuse(reason: string): void {
    this.damage = { ...this.position(), reason, whole: true, bytes: this.#size };
  }

  position(): FilePlace {
    return { file: this.#path, offset: this.#base + this.#recordAt, record: this.#given };
  }

  behind(): FilePlace {
    return { file: this.#path, offset: this.#base + this.#at, record: this.#given + 1 };
  }

  /** SHA-256 of the file, once it has been read to its end. */
  digest(): Uint8Array {
    this.#hash.update(this.#window.subarray(this.#hashed, this.#filled));
    return this.#hash.digest();
  }

  /** Hex SHA-256 of everything before the record that was given last. */
  digestBefore(): string {
    this.#hash.update(this.#window.subarray(this.#hashed, this.#recordAt));
    this.#hashed = this.#recordAt;
    return this.#hash.copy().digest("hex");
  }

  close(): void {
    if (this.#file >= 0) closeSync(this.#file);
    this.#file = -1;
  }

  /** Makes `bytes` lie in the window from where it stands, if the file has them. @returns how many lie there. */
  #fill(bytes: number): number {
    let available = this.#filled - this.#at;
    if (available >= bytes) return available;
    if (this.#at > this.#hashed) {
      this.#hash.update(this.#window.subarray(this.#hashed, this.#at));
      this.#hashed = this.#at;
    }
    const window = bytes > this.#window.length ? Buffer.allocUnsafe(bytes) : this.#window;
    window.set(this.#window.subarray(this.#at, this.#filled));
    this.#window = window;
    this.#base += this.#at;
    this.#hashed -= this.#at;
    this.#recordAt = 0;
    this.#at = 0;
    this.#filled = available;
    while (available < bytes) {
      const left = this.#size - this.#base - this.#filled;
      const read = readSync(
        this.#file,
        window,
        this.#filled,
        Math.min(window.length - this.#filled, left),
        null,
      );
      if (read === 0) break;
      this.#filled += read;
      available += read;
    }
    return available;
  }
}
