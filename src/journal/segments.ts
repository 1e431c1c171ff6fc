import { closeSync, fdatasyncSync, mkdirSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { DIGEST_BYTES, encodeHeader, segmentName } from "./format.ts";

/** Records gathered before they are handed to the file system. */
const BUFFER_BYTES = 1024 * 1024;

/** When written records are forced to the disk. The process may crash without loss under each of them; power may not. */
export const FSYNC = ["never", "interval", "always"] as const;
export type FsyncPolicy = (typeof FSYNC)[number];

export interface SegmentOptions {
  readonly directory: string;
  readonly runId: string;
  /** Size at which the next segment begins; a single larger record still gets one of its own. */
  readonly segmentBytes: number;
  /** `interval`: at most {@link fsyncIntervalMs} of records are lost with the power; `always`: with every write. */
  readonly fsync: FsyncPolicy;
  readonly fsyncIntervalMs: number;
}

/** Appends encoded records to the segments of one run; belongs to the thread that drains the ring. */
export class SegmentFiles {
  segment = 0;
  /** Bytes handed to the file system, headers included. */
  writtenBytes = 0;
  readonly #options: SegmentOptions;
  readonly #buffer: Buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #used = 0;
  #file = -1;
  #inSegment = 0;
  #digest = new Bun.CryptoHasher("sha256");
  #previousDigest: Uint8Array = new Uint8Array(DIGEST_BYTES);
  #unsynced = false;
  #syncedMs = 0;

  constructor(options: SegmentOptions) {
    this.#options = options;
    mkdirSync(options.directory, { recursive: true });
  }

  /** Appends one encoded record. @throws what the file system throws: full disk, no permission. */
  append(record: Uint8Array, sequence: number): void {
    if (this.#file < 0 || this.#inSegment + record.length > this.#options.segmentBytes) this.#next(sequence);
    if (record.length > this.#buffer.length - this.#used) this.flush();
    this.#inSegment += record.length;
    if (record.length > this.#buffer.length) {
      this.#write(record);
    } else {
      this.#buffer.set(record, this.#used);
      this.#used += record.length;
    }
  }

  /** Hands everything gathered to the file system. */
  flush(): void {
    if (this.#used === 0) return;
    this.#write(this.#buffer.subarray(0, this.#used));
    this.#used = 0;
    if (this.#options.fsync === "always") this.#sync();
  }

  /** Syncs when the policy's interval has passed. `nowMs` is any monotonic clock. */
  tick(nowMs: number): void {
    if (this.#options.fsync !== "interval" || !this.#unsynced) return;
    if (nowMs - this.#syncedMs < this.#options.fsyncIntervalMs) return;
    this.#syncedMs = nowMs;
    this.#sync();
  }

  close(): void {
    if (this.#file < 0) return;
    this.flush();
    this.#sync();
    closeSync(this.#file);
    this.#file = -1;
  }

  #next(sequence: number): void {
    if (this.#file >= 0) {
      this.close();
      this.#previousDigest = this.#digest.digest();
      this.#digest = new Bun.CryptoHasher("sha256");
    }
    this.segment += 1;
    const { directory, runId } = this.#options;
    this.#file = openSync(join(directory, segmentName(runId, this.segment)), "wx");
    const header = encodeHeader({
      runId,
      segment: this.segment,
      firstSequence: sequence,
      previousDigest: this.#previousDigest,
    });
    this.#inSegment = header.length;
    this.#write(header);
  }

  #write(bytes: Uint8Array): void {
    let written = 0;
    while (written < bytes.length) written += writeSync(this.#file, bytes, written);
    this.#digest.update(bytes);
    this.writtenBytes += bytes.length;
    this.#unsynced = true;
  }

  #sync(): void {
    if (!this.#unsynced) return;
    fdatasyncSync(this.#file);
    this.#unsynced = false;
  }
}
