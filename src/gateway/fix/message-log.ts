import { closeSync, existsSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";
import { EQUALS, SOH, ZERO } from "./ascii.ts";
import type { SessionIdentity } from "./builder.ts";
import { sessionFolder } from "./session-folder.ts";
import { TIMESTAMP_LENGTH, TimestampBytes } from "./timestamp.ts";

/** Told of every message on the wire. The bytes may be overwritten when a call returns. */
export interface MessageLog {
  incoming(bytes: Uint8Array, start: number, end: number, timeUs: number): void;
  outgoing(bytes: Uint8Array, start: number, end: number, timeUs: number): void;
  /** Bytes that were passed over, and why. */
  garbled(problem: string, bytes: Uint8Array, start: number, end: number, timeUs: number): void;
  /** Writes what has been gathered. */
  flush(): void;
  close(): void;
}

export interface MessageLogOptions {
  /** A file that has grown beyond this is put aside and a new one begun. */
  readonly maxFileBytes: number;
  /** Files kept, the one being written included. */
  readonly maxFiles: number;
}

const MESSAGE_LOG_DEFAULTS: MessageLogOptions = { maxFileBytes: 64 << 20, maxFiles: 8 };

const GATHERED_BYTES = 256 << 10;
const LONGEST_GARBLED = 512;
const LINE_FEED = 10;
const SPACE = 32;
const BAR = 124;
const STAR = 42;
const DOT = 46;

const RAW_DATA_LENGTH = 95;
const RAW_DATA = 96;
/** Fields whose values are never written: RawData, Password, NewPassword. */
const SECRET_TAGS = [RAW_DATA, 554, 925];

const IN = Buffer.from(" in  ");
const OUT = Buffer.from(" out ");

/**
 * A session's messages as readable lines, `time in|out 8=FIX.4.4|9=…`, fields separated by `|`, secrets replaced by `***`. Lines
 * are gathered and written when the buffer is full and on every flush; files are turned over by size, and the oldest is dropped.
 * Nothing is allocated per message.
 */
export class FileMessageLog implements MessageLog {
  readonly path: string;
  /** Bytes that could not be written, a full disk for one. The session goes on. */
  lostBytes = 0;
  readonly #options: MessageLogOptions;
  readonly #folder: string;
  readonly #gathered = new Uint8Array(GATHERED_BYTES);
  readonly #time = new TimestampBytes();
  #at = 0;
  #file: number;
  #fileBytes: number;

  constructor(folder: string, options: MessageLogOptions = MESSAGE_LOG_DEFAULTS) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.#folder = folder;
    this.#options = options;
    this.path = join(folder, "messages.log");
    this.#file = openSync(this.path, "a", 0o600);
    this.#fileBytes = fstatSync(this.#file).size;
  }

  incoming(bytes: Uint8Array, start: number, end: number, timeUs: number): void {
    this.#line(IN, bytes, start, end, timeUs);
  }

  outgoing(bytes: Uint8Array, start: number, end: number, timeUs: number): void {
    this.#line(OUT, bytes, start, end, timeUs);
  }

  garbled(problem: string, bytes: Uint8Array, start: number, end: number, timeUs: number): void {
    const length = Math.min(end - start, LONGEST_GARBLED);
    this.#line(Buffer.from(` in  garbled (${problem}) `), bytes, start, start + length, timeUs);
  }

  flush(): void {
    if (this.#at === 0) return;
    try {
      let from = 0;
      while (from < this.#at) from += writeSync(this.#file, this.#gathered, from, this.#at - from);
      this.#fileBytes += this.#at;
      if (this.#fileBytes >= this.#options.maxFileBytes) this.#turnOver();
    } catch {
      this.lostBytes += this.#at;
    }
    this.#at = 0;
  }

  close(): void {
    if (this.#file < 0) return;
    this.flush();
    closeSync(this.#file);
    this.#file = -1;
  }

  #line(direction: Uint8Array, bytes: Uint8Array, start: number, end: number, timeUs: number): void {
    const most = TIMESTAMP_LENGTH + direction.length + (end - start) + SECRET_TAGS.length * 3 + 1;
    if (this.#at + most > GATHERED_BYTES) this.flush();
    if (most > GATHERED_BYTES) {
      this.lostBytes += end - start;
      return;
    }
    const to = this.#gathered;
    this.#time.update(timeUs);
    to.set(this.#time.bytes, this.#at);
    this.#at += TIMESTAMP_LENGTH;
    to.set(direction, this.#at);
    this.#at = this.#fields(bytes, start, end, this.#at + direction.length);
    to[this.#at] = LINE_FEED;
    this.#at += 1;
  }

  #fields(bytes: Uint8Array, start: number, end: number, at: number): number {
    const to = this.#gathered;
    let tag = 0;
    let inTag = true;
    let secret = false;
    /** RawData may hold separators: where it ends, by the RawDataLength before it. */
    let rawEnd = start;
    let rawLength = 0;
    for (let i = start; i < end; i += 1) {
      const code = bytes[i];
      if (code === SOH && i >= rawEnd) {
        to[at] = BAR;
        inTag = true;
        secret = false;
        tag = 0;
      } else if (secret) continue;
      else {
        to[at] = code >= SPACE && code < 127 ? code : DOT;
        if (inTag && code === EQUALS) {
          inTag = false;
          if (SECRET_TAGS.includes(tag)) {
            secret = true;
            if (tag === RAW_DATA) rawEnd = i + 1 + rawLength;
            to.fill(STAR, at + 1, at + 4);
            at += 3;
          }
        } else if (inTag) {
          tag = tag * 10 + code - ZERO;
          rawLength = tag === RAW_DATA_LENGTH ? 0 : rawLength;
        } else if (tag === RAW_DATA_LENGTH) rawLength = rawLength * 10 + code - ZERO;
      }
      at += 1;
    }
    return at;
  }

  #turnOver(): void {
    closeSync(this.#file);
    const aside = (number: number): string => join(this.#folder, `messages.${number}.log`);
    for (let number = this.#options.maxFiles - 2; number >= 1; number -= 1) {
      if (existsSync(aside(number))) renameSync(aside(number), aside(number + 1));
    }
    if (this.#options.maxFiles > 1) renameSync(this.path, aside(1));
    this.#file = openSync(this.path, "w", 0o600);
    this.#fileBytes = 0;
  }
}

/** The message log of a session, in the session's own folder under `directory`. */
export function openMessageLog(
  directory: string,
  identity: SessionIdentity,
  options: MessageLogOptions = MESSAGE_LOG_DEFAULTS,
): FileMessageLog {
  return new FileMessageLog(join(directory, sessionFolder(identity)), options);
}
