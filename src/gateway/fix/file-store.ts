import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { BadInputError, KeelError } from "../../core/errors.ts";
import { refuseLater } from "../../core/file-version.ts";
import type { SessionIdentity } from "./builder.ts";
import { sessionFolder } from "./session-folder.ts";
import {
  DEFAULT_RETENTION,
  RetainedMessages,
  type RetentionOptions,
  type SessionStore,
  type StoredMessage,
} from "./store.ts";
import { lockStore } from "./store-lock.ts";
import { PAYLOAD_AT, recordBytes, STORE_RECORD, STORE_VERSION, scanLog, sealRecord } from "./store-log.ts";

/** Outgoing numbers are reserved in blocks of this many, so that a message costs no write. */
export const RESERVE_BLOCK = 1_024;
/** The log and the lock in a session's folder. */
export const LOG_NAME = "session.log";
export const LOCK_NAME = "session.lock";
/** A log that could not be written is tried again after so many flushes. */
const RETRY_FLUSHES = 256;
const COMPACT_ABOVE_BYTES = 16 << 20;

/**
 * A session's store in one append-only log, each record with a CRC-32.
 *
 * Guarantee when the process dies at any point: no outgoing number is used twice. A number is handed out only when a
 * reservation that covers it has been written to the file; after a crash the session goes on at the reservation's end, and the
 * peer's resend request for the unused numbers is answered with a gap fill. An orderly close writes the exact number.
 * The incoming number is written after the messages of a chunk have been handled: after a crash the last of them may come
 * again as possible duplicates, none is lost.
 *
 * A disk that takes nothing more ends none of that: a reservation then goes over the first one, in room that the log has, the incoming
 * number and kept messages stay in memory, and {@link failures} and {@link behind} tell; what is missing is written once there is room.
 *
 * When the host loses power the same holds for numbers whose reservation had reached the disk: it is synced at start, at
 * reset and at close, and while running in the background whenever half a block is used up, well before it is needed.
 */
export class FileStore implements SessionStore {
  readonly path: string;
  /** Damage found when the log was opened, in bytes. */
  readonly skippedBytes: number;
  nextOutgoing = 1;
  nextIncoming = 1;
  startedUs = Number.NaN;
  /** Times that the log could not be written. */
  failures = 0;
  readonly #messages: RetainedMessages;
  readonly #release: () => void;
  readonly #number = new Uint8Array(recordBytes(8));
  readonly #numberView = new DataView(this.#number.buffer);
  #reserved = 1;
  #incomingWritten = 1;
  #file = -1;
  #fileBytes = 0;
  /** The log lacks something that is kept in memory. */
  #behind = false;
  #flushes = 0;
  /** Where the log's first reservation stands. */
  #reservationAt = 0;

  /** @throws BadInputError when the log exists but holds no valid record, or is of a later version; KeelError when another process has it open. */
  constructor(directory: string, retention: RetentionOptions = DEFAULT_RETENTION) {
    makeFolder(resolve(directory));
    this.path = join(directory, LOG_NAME);
    this.#messages = new RetainedMessages(retention);
    this.#release = lockStore(join(directory, LOCK_NAME));
    try {
      this.skippedBytes = this.#recover();
      this.#rewrite();
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  /** What a restart would have to know is in memory alone. */
  get behind(): boolean {
    return this.#behind;
  }

  /** @throws Error of the file system when no number may be handed out */
  claimOutgoing(): number {
    const seq = this.nextOutgoing;
    if (seq >= this.#reserved) this.#reserve(seq + RESERVE_BLOCK);
    this.nextOutgoing = seq + 1;
    return seq;
  }

  /** For a number agreed with the peer by other means: a lower one than was used breaks the promise of {@link SessionStore}. */
  setNextOutgoing(next: number): void {
    this.nextOutgoing = next;
    this.#try(() => this.#rewrite());
  }

  /** Lower numbers may have been used by another process of the session: this one goes on there, after a crash, too. Writes a record at most. */
  advanceOutgoing(next: number): void {
    if (next <= this.nextOutgoing) return;
    this.nextOutgoing = next;
    this.#try(() => this.flush());
  }

  setNextIncoming(next: number): void {
    this.nextIncoming = next;
  }

  keep(seq: number, sendingTimeUs: number, bytes: Uint8Array, start: number, end: number): void {
    const message: StoredMessage = { seq, sendingTimeUs, bytes: bytes.slice(start, end) };
    this.#messages.add(message);
    this.#try(() => this.#append(messageRecord(message)));
  }

  find(seq: number): StoredMessage | undefined {
    return this.#messages.find(seq);
  }

  nextKept(from: number, to: number): number {
    return this.#messages.nextKept(from, to);
  }

  reset(timeUs: number): void {
    this.nextOutgoing = 1;
    this.nextIncoming = 1;
    this.startedUs = timeUs;
    this.#messages.clear();
    this.#try(() => this.#rewrite());
  }

  flush(): void {
    if (this.#file < 0) return;
    if (this.#behind) this.#retry();
    if (this.nextIncoming !== this.#incomingWritten && !this.#behind) {
      this.#try(() => {
        this.#appendNumber(STORE_RECORD.incoming, this.nextIncoming);
        this.#incomingWritten = this.nextIncoming;
      });
    }
    if (this.#fileBytes > COMPACT_ABOVE_BYTES && !this.#behind) this.#try(() => this.#rewrite());
    if (this.#reserved - this.nextOutgoing < RESERVE_BLOCK / 2) {
      this.#reserve(this.nextOutgoing + RESERVE_BLOCK);
      fdatasync(this.#file, () => {});
    }
  }

  #try(write: () => void): void {
    try {
      write();
    } catch {
      this.#fell();
    }
  }

  /** Writes the whole log anew, now and then: that makes up for everything it lacks. */
  #retry(): void {
    this.#flushes += 1;
    if (this.#flushes % RETRY_FLUSHES === 0) this.#try(() => this.#rewrite());
  }

  #fell(): void {
    this.failures += 1;
    this.#behind = true;
  }

  close(): void {
    if (this.#file < 0) return;
    this.flush();
    this.#try(() => {
      if (this.#behind) this.#rewrite();
      this.#appendNumber(STORE_RECORD.outgoingExact, this.nextOutgoing);
      fdatasyncSync(this.#file);
    });
    closeSync(this.#file);
    this.#file = -1;
    this.#release();
  }

  #recover(): number {
    let bytes: Uint8Array;
    try {
      bytes = readFileSync(this.path);
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return 0;
      throw error;
    }
    const scan = scanLog(bytes, (kind, payload, view) => {
      const value = view.getFloat64(0, true);
      if (kind === STORE_RECORD.version) refuseLater(this.path, value, STORE_VERSION);
      else if (kind === STORE_RECORD.incoming) this.nextIncoming = value;
      else if (kind === STORE_RECORD.started) this.startedUs = value;
      else if (kind === STORE_RECORD.message) {
        this.#messages.add({
          seq: value,
          sendingTimeUs: view.getFloat64(8, true),
          bytes: payload.slice(16),
        });
        if (value >= this.nextOutgoing) this.nextOutgoing = value + 1;
      } else if (kind === STORE_RECORD.outgoingExact) this.nextOutgoing = value;
      // The first one may have been written over by a later one.
      else this.nextOutgoing = Math.max(this.nextOutgoing, value);
    });
    if (scan.records === 0) {
      throw new BadInputError(
        this.path,
        `${bytes.length} bytes without a valid record`,
        "a session log; to start the session at 1, agree a reset with the peer and remove the file",
      );
    }
    return scan.skippedBytes;
  }

  /** Replaces the log by one that holds only the present state. A crash or an error on the way leaves the old log. */
  #rewrite(): void {
    const [file, fileBytes, incoming, at, reserved] = [
      this.#file,
      this.#fileBytes,
      this.#incomingWritten,
      this.#reservationAt,
      this.#reserved,
    ];
    try {
      this.#writeAnew();
      this.#behind = false;
    } catch (error) {
      if (this.#file !== file) closeSync(this.#file);
      this.#file = file;
      this.#fileBytes = fileBytes;
      this.#incomingWritten = incoming;
      this.#reservationAt = at;
      this.#reserved = reserved;
      throw error;
    }
    syncFolder(dirname(this.path));
  }

  #writeAnew(): void {
    const draft = `${this.path}.new`;
    const before = this.#file;
    this.#file = openSync(draft, "w", 0o600);
    this.#fileBytes = 0;
    this.#appendNumber(STORE_RECORD.version, STORE_VERSION);
    const end = this.nextOutgoing + RESERVE_BLOCK;
    this.#reservationAt = this.#fileBytes;
    this.#appendNumber(STORE_RECORD.outgoingReserved, end);
    this.#reserved = end;
    this.#appendNumber(STORE_RECORD.incoming, this.nextIncoming);
    this.#incomingWritten = this.nextIncoming;
    if (!Number.isNaN(this.startedUs)) this.#appendNumber(STORE_RECORD.started, this.startedUs);
    for (const message of this.#messages.all()) this.#append(messageRecord(message));
    fdatasyncSync(this.#file);
    renameSync(draft, this.path);
    if (before >= 0) closeSync(before);
  }

  #reserve(end: number): void {
    try {
      this.#appendNumber(STORE_RECORD.outgoingReserved, end);
    } catch {
      this.#fell();
      this.#overwriteReservation();
    }
    this.#reserved = end;
  }

  /** Writes what the record holds over the log's first reservation, for which no room is needed. @throws Error of the file system */
  #overwriteReservation(): void {
    const record = this.#number;
    if (writeSync(this.#file, record, 0, record.length, this.#reservationAt) !== record.length)
      throw new KeelError("fix-store", `${this.path}: a reservation of sequence numbers cannot be written`);
  }

  #appendNumber(kind: number, value: number): void {
    this.#numberView.setFloat64(PAYLOAD_AT, value, true);
    sealRecord(this.#number, kind, 8);
    this.#append(this.#number);
  }

  #append(record: Uint8Array): void {
    let written = 0;
    while (written < record.length) {
      written += writeSync(this.#file, record, written, record.length - written);
    }
    this.#fileBytes += record.length;
  }
}

/** Makes a folder and those above it that are not there, so that a loss of power does not take their names away. */
function makeFolder(directory: string): void {
  const first = mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let folder = directory; folder !== dirname(first); folder = dirname(folder))
    syncFolder(dirname(folder));
}

/** What a file is called is on the disk once its folder is. */
function syncFolder(folder: string): void {
  const file = openSync(folder, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function messageRecord(message: StoredMessage): Uint8Array {
  const payloadBytes = 16 + message.bytes.length;
  const record = new Uint8Array(recordBytes(payloadBytes));
  const view = new DataView(record.buffer);
  view.setFloat64(PAYLOAD_AT, message.seq, true);
  view.setFloat64(PAYLOAD_AT + 8, message.sendingTimeUs, true);
  record.set(message.bytes, PAYLOAD_AT + 16);
  sealRecord(record, STORE_RECORD.message, payloadBytes);
  return record;
}

/** Opens the store of a session under `storeDir`, in a folder named after the version and both comp ids. */
export function openSessionStore(
  storeDir: string,
  identity: SessionIdentity,
  retention: RetentionOptions = DEFAULT_RETENTION,
): FileStore {
  return new FileStore(join(storeDir, sessionFolder(identity)), retention);
}
