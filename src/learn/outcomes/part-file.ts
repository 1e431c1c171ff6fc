import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import {
  CRC_FROM,
  DIGEST_BYTES,
  encodeHeader,
  RECORD_BYTES,
  segmentName,
  TWO_32,
} from "../../journal/format.ts";

/** Records gathered before they are handed to the file system. */
const BUFFER_BYTES = 256 * 1024;
/** What the loss of power can take. */
const SYNC_MS = 1_000;

/** One file in the journal's format that stands by itself: the only segment of its run id. Calls wait for the file system. */
export class PartFile {
  /** Of the file, once everything is flushed. */
  bytes = 0;
  readonly #file: number;
  readonly #buffer: Buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #used = 0;
  #sequence = 0;
  #syncedMs = 0;
  #unsynced = false;

  /** @throws what the file system throws: the file is there already, no permission */
  constructor(directory: string, runId: string) {
    this.#file = openSync(join(directory, segmentName(runId, 1)), "wx");
    const header = encodeHeader({
      runId,
      segment: 1,
      firstSequence: 0,
      previousDigest: new Uint8Array(DIGEST_BYTES),
    });
    this.bytes = header.length;
    this.#write(header);
  }

  append(type: number, timeUs: number, payload: Uint8Array): void {
    const length = RECORD_BYTES + payload.length;
    const record = length <= BUFFER_BYTES - this.#used ? this.#take(length) : this.#flushed(length);
    record.writeUInt32LE(payload.length, 0);
    record.writeUInt32LE(type, 8);
    record.writeInt32LE(0, 12);
    record.writeUInt32LE(this.#sequence % TWO_32, 16);
    record.writeUInt32LE(Math.floor(this.#sequence / TWO_32), 20);
    record.writeDoubleLE(timeUs, 24);
    record.set(payload, RECORD_BYTES);
    record.writeUInt32LE(Bun.hash.crc32(record.subarray(CRC_FROM)), 4);
    if (record.buffer !== this.#buffer.buffer) this.#write(record);
    this.#sequence += 1;
    this.bytes += length;
  }

  flush(): void {
    if (this.#used === 0) return;
    this.#write(this.#buffer.subarray(0, this.#used));
    this.#used = 0;
  }

  /** Syncs when its interval has passed. `nowMs` is any monotonic clock. */
  tick(nowMs: number): void {
    if (!this.#unsynced || nowMs - this.#syncedMs < SYNC_MS) return;
    this.#syncedMs = nowMs;
    this.#sync();
  }

  close(): void {
    this.flush();
    this.#sync();
    closeSync(this.#file);
  }

  #take(length: number): Buffer {
    this.#used += length;
    return this.#buffer.subarray(this.#used - length, this.#used);
  }

  /** Room for a record after everything before it was written; one that is larger than the buffer gets its own. */
  #flushed(length: number): Buffer {
    this.flush();
    return length <= BUFFER_BYTES ? this.#take(length) : Buffer.alloc(length);
  }

  #write(bytes: Uint8Array): void {
    let written = 0;
    while (written < bytes.length) written += writeSync(this.#file, bytes, written);
    this.#unsynced = true;
  }

  #sync(): void {
    if (!this.#unsynced) return;
    fdatasyncSync(this.#file);
    this.#unsynced = false;
  }
}
