import {
  closeSync,
  fdatasyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { FileLock } from "../core/file-lock.ts";
import { isSynchronised, kernelClockErrorUs, readKernelClock } from "../core/kernel-clock.ts";
import { Signer } from "../core/signature.ts";
import { chainHead } from "./chain.ts";
import { CHECKPOINT, type CheckpointBody, encodeCheckpoint } from "./checkpoint.ts";
import { lockFolder } from "./folder-lock.ts";
import { CRC_FROM, DIGEST_BYTES, encodeHeader, RECORD_BYTES, segmentName, writeU64 } from "./format.ts";
import { type Retention, retire } from "./retention.ts";
import { recoverStaged, STAGING } from "./staging.ts";

/** What retention could not do is tried again after this long. */
const RETIRE_AGAIN_MS = 60_000;
/** Records gathered before they are handed to the file system. */
const BUFFER_BYTES = 1024 * 1024;

/** A new file; every write goes to its end. */
const APPEND_NEW = "ax";

/** When written records are forced to the disk. The process may crash without loss under each of them; power may not. */
const FSYNC = ["never", "interval", "always"] as const;
export type FsyncPolicy = (typeof FSYNC)[number];

export interface SegmentOptions {
  readonly directory: string;
  readonly runId: string;
  /** Size at which the next segment begins; a single larger record still gets one of its own. */
  readonly segmentBytes: number;
  /** `interval`: at most {@link fsyncIntervalMs} of records are lost with the power; `always`: with every write. */
  readonly fsync: FsyncPolicy;
  readonly fsyncIntervalMs: number;
  /** What was written is sworn to this often, and at every segment's end. */
  readonly checkpointMs: number;
  /** Ed25519 private key in PEM that signs checkpoints; null leaves them unsigned. */
  readonly signingKey: string | null;
  readonly retention: Retention;
  /** Segments lie in {@link STAGING} until {@link SegmentFiles.settle}. */
  readonly staged: boolean;
}

/** Appends encoded records to the segments of one run; belongs to the thread that drains the ring. */
export class SegmentFiles {
  segment = 0;
  /** Hex SHA-256 of the last segment that was finished; null before. */
  lastDigest: string | null = null;
  /** Bytes handed to the file system, headers included. */
  writtenBytes = 0;
  readonly #options: SegmentOptions;
  readonly #buffer: Buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #used = 0;
  #file = -1;
  #inSegment = 0;
  #digest = new Bun.CryptoHasher("sha256");
  #previousDigest: Uint8Array;
  #unsynced = false;
  #syncedMs = 0;
  readonly #signer: Signer | null;
  #staged: boolean;
  /** Null while the run is staged. */
  #lock: FileLock | null;
  /** Bytes of the file that is being written. */
  #fileBytes = 0;
  /** Records in this segment, and those of them that no checkpoint covers. */
  #records = 0;
  #unsworn = 0;
  #swornMs = Number.NEGATIVE_INFINITY;
  #lastSequence = 0;
  readonly #onUnretired: (why: string) => void;
  #retireAgainMs = Number.POSITIVE_INFINITY;

  /**
   * @param onUnretired called with the reason whenever files stay that retention should have removed
   * @throws what the file system throws, and KeelError when the signing key is none
   */
  constructor(options: SegmentOptions, onUnretired: (why: string) => void) {
    this.#options = options;
    this.#onUnretired = onUnretired;
    this.#signer = options.signingKey === null ? null : new Signer(options.signingKey, "journal");
    this.#staged = options.staged;
    mkdirSync(options.directory, { recursive: true });
    this.#lock = options.staged ? null : lockFolder(options.directory);
    recoverStaged(options.directory);
    if (this.#staged) mkdirSync(join(options.directory, STAGING), { recursive: true });
    this.#previousDigest = this.#staged ? new Uint8Array(DIGEST_BYTES) : chainHead(options.directory);
  }

  /** Appends one encoded record. @throws what the file system throws: full disk, no permission. */
  append(record: Uint8Array, sequence: number): void {
    if (this.#file < 0 || this.#inSegment + record.length > this.#options.segmentBytes) this.#next(sequence);
    if (record.length > this.#buffer.length - this.#used) this.flush();
    this.#take(record);
    this.#records += 1;
    this.#unsworn += 1;
    this.#lastSequence = sequence;
  }

  /** Hands everything gathered to the file system. */
  flush(): void {
    if (this.#used === 0) return;
    this.#write(this.#buffer.subarray(0, this.#used));
    this.#used = 0;
    if (this.#options.fsync === "always") this.#sync();
  }

  /** Swears, syncs and retires when the intervals have passed. `nowMs` is `performance.now()`. */
  tick(nowMs: number): void {
    if (nowMs >= this.#retireAgainMs) this.#retire();
    if (this.#unsworn > 0 && nowMs - this.#swornMs >= this.#options.checkpointMs) {
      this.#swornMs = nowMs;
      this.#checkpoint();
    }
    if (this.#options.fsync !== "interval" || !this.#unsynced) return;
    if (nowMs - this.#syncedMs < this.#options.fsyncIntervalMs) return;
    this.#syncedMs = nowMs;
    this.#sync();
  }

  /** The run whose place this one takes has ended: the segments so far, and those to come, lie in the folder itself. */
  settle(): void {
    if (!this.#staged) return;
    this.flush();
    this.#sync();
    this.#lock = lockFolder(this.#options.directory, true);
    this.#staged = false;
    const { directory, runId } = this.#options;
    for (let segment = 1; segment <= this.segment; segment += 1) {
      const name = segmentName(runId, segment);
      renameSync(join(directory, STAGING, name), join(directory, name));
    }
  }

  /** Nothing more is appended. */
  end(): void {
    this.close();
    if (this.#lock !== null) rmSync(this.#lock.path, { force: true });
    this.#lock?.release();
    this.#lock = null;
  }

  close(): void {
    if (this.#file < 0) return;
    if (this.#unsworn > 0) this.#checkpoint();
    this.flush();
    this.#sync();
    this.lastDigest = this.#digest.copy().digest("hex");
    closeSync(this.#file);
    this.#file = -1;
  }

  #next(sequence: number): void {
    if (this.#file >= 0) {
      this.close();
      this.#previousDigest = this.#digest.digest();
      this.#digest = new Bun.CryptoHasher("sha256");
    }
    const { directory, runId } = this.#options;
    const segment = this.segment + 1;
    const path = join(directory, ...(this.#staged ? [STAGING] : []), segmentName(runId, segment));
    const previousDigest = this.#previousDigest;
    const header = encodeHeader({ runId, segment, firstSequence: sequence, previousDigest });
    const file = openSync(path, APPEND_NEW);
    try {
      writeAll(file, header);
    } catch (error) {
      closeSync(file);
      unlinkSync(path);
      throw error;
    }
    this.#file = file;
    this.#fileBytes = 0;
    this.segment = segment;
    this.#inSegment = header.length;
    this.#records = 0;
    this.#wrote(header);
    if (!this.#staged) this.#retire();
  }

  /** A clean-up that fails must not end the recording. */
  #retire(): void {
    const { directory, runId, retention: keep } = this.#options;
    const writing = join(directory, segmentName(runId, this.segment));
    const isClockKept = (): boolean => !Number.isNaN(kernelClockErrorUs());
    let putOff: string | null;
    try {
      const options = { keep, writing, nowMs: Date.now(), isClockKept, signer: this.#signer };
      ({ putOff } = retire(directory, options));
    } catch (error) {
      putOff = error instanceof Error ? error.message : String(error);
    }
    this.#retireAgainMs = putOff === null ? Number.POSITIVE_INFINITY : performance.now() + RETIRE_AGAIN_MS;
    if (putOff !== null) this.#onUnretired(putOff);
  }

  #take(record: Uint8Array): void {
    this.#inSegment += record.length;
    if (record.length > this.#buffer.length) {
      this.#write(record);
    } else {
      this.#buffer.set(record, this.#used);
      this.#used += record.length;
    }
  }

  /** Swears to everything in the segment so far. */
  #checkpoint(): void {
    this.flush();
    const { runId } = this.#options;
    const timeUs = Date.now() * 1_000;
    const payload = encodeCheckpoint(
      runId,
      this.segment,
      { digest: this.#digest.copy().digest("hex"), records: this.#records, timeUs, clock: clockNow() },
      this.#signer,
    );
    this.#take(encodeRecord(this.#lastSequence, timeUs, payload));
    this.#unsworn = 0;
    this.flush();
  }

  /** Writes all of it or nothing, so that a full disk can be tried again. */
  #write(bytes: Uint8Array): void {
    try {
      writeAll(this.#file, bytes);
    } catch (error) {
      ftruncateSync(this.#file, this.#fileBytes);
      throw error;
    }
    this.#wrote(bytes);
  }

  #wrote(bytes: Uint8Array): void {
    this.#digest.update(bytes);
    this.#fileBytes += bytes.length;
    this.writtenBytes += bytes.length;
    this.#unsynced = true;
  }

  #sync(): void {
    if (!this.#unsynced) return;
    fdatasyncSync(this.#file);
    this.#unsynced = false;
  }
}

/** Appends at the file's end, wherever an attempt before it left the position. */
function writeAll(file: number, bytes: Uint8Array): void {
  let written = 0;
  while (written < bytes.length) written += writeSync(file, bytes, written);
}

/** A checkpoint as a record, in the layout of `format.ts`. */
function encodeRecord(sequence: number, timeUs: number, payload: string): Buffer {
  const bytes = Buffer.alloc(RECORD_BYTES + Buffer.byteLength(payload));
  bytes.writeUInt32LE(bytes.length - RECORD_BYTES, 0);
  bytes.writeUInt32LE(CHECKPOINT, 8);
  writeU64(bytes, 16, sequence);
  bytes.writeDoubleLE(timeUs, 24);
  bytes.write(payload, RECORD_BYTES, "utf8");
  bytes.writeUInt32LE(Bun.hash.crc32(bytes.subarray(CRC_FROM)), 4);
  return bytes;
}

/** How well the host's clock is kept; null where the kernel does not tell. */
function clockNow(): CheckpointBody["clock"] {
  try {
    const clock = readKernelClock();
    if (clock.state < 0) return null;
    return { synchronised: isSynchronised(clock), maxErrorUs: clock.maxErrorUs, offsetUs: clock.offsetUs };
  } catch {
    return null;
  }
}
