import { closeSync, openSync, readFileSync, renameSync } from "node:fs";
import { refuseLater } from "../../core/file-version.ts";
import { RecentTexts } from "../../core/recent-texts.ts";
import { writeWhole } from "../../core/write-whole.ts";

/** A file that could not be written is tried again after so many flushes. */
const RETRY_FLUSHES = 256;

/** 1 was without a line of it. */
export const SEEN_IDS_VERSION = 2;
/** The file's first line; no identifier begins so. */
const VERSION_LINE = /^# version (\d+)$/;

/**
 * Remembers the newest identifiers seen, up to a bound, so that an execution that comes twice counts once. With a file they
 * outlive the process: one line each with its CRC-32, appended when it is added; lines that a crash has torn are passed over.
 */
export class SeenIds {
  /** Lines of the file that were no whole records. */
  readonly skippedLines: number = 0;
  readonly #capacity: number;
  readonly #path: string | null;
  readonly #ids: RecentTexts;
  #file = -1;
  #lines = 0;
  /** The file lacks identifiers that are remembered. */
  #behind = false;
  #retryIn = 0;

  constructor(capacity: number, path: string | null = null) {
    this.#capacity = capacity;
    this.#ids = new RecentTexts(capacity);
    this.#path = path;
    if (path === null) return;
    for (const line of readLines(path)) {
      const id = line.slice(9);
      const [, version] = VERSION_LINE.exec(id) ?? [];
      if (version !== undefined) refuseLater(path, Number(version), SEEN_IDS_VERSION);
      else if (line === record(id)) this.#ids.add(id);
      else this.skippedLines += 1;
    }
    this.#rewrite(path);
  }

  has(id: string): boolean {
    return this.#ids.has(oneLine(id));
  }

  /** A line feed in an identifier counts as a space. @returns true when it is new. */
  add(identifier: string): boolean {
    const id = oneLine(identifier);
    if (!this.#ids.add(id)) return false;
    if (this.#file < 0 || this.#path === null) return true;
    this.#write(id, this.#path);
    return true;
  }

  /** Identifiers are remembered that the file lacks, because it could not be written; it is made up for once it can be. */
  get behind(): boolean {
    return this.#behind;
  }

  /** To be called at every turn of the timer: what the file lacks is written once it can be. */
  flush(): void {
    if (!this.#behind || this.#path === null) return;
    this.#retryIn -= 1;
    if (this.#retryIn <= 0) this.#catchUp(this.#path);
  }

  close(): void {
    if (this.#file < 0) return;
    if (this.#behind && this.#path !== null) this.#catchUp(this.#path);
    closeSync(this.#file);
    this.#file = -1;
  }

  #write(id: string, path: string): void {
    if (this.#behind) return;
    try {
      writeWhole(this.#file, `${record(id)}\n`);
      this.#lines += 1;
      if (this.#lines > this.#capacity * 2) this.#rewrite(path);
    } catch {
      this.#behind = true;
      this.#retryIn = RETRY_FLUSHES;
    }
  }

  #catchUp(path: string): void {
    try {
      this.#rewrite(path);
      this.#behind = false;
    } catch {
      this.#retryIn = RETRY_FLUSHES;
    }
  }

  /** Replaces the file by one that holds only what is remembered. A crash on the way leaves the old one. */
  #rewrite(path: string): void {
    const draft = openSync(`${path}.new`, "w", 0o600);
    let text = `${record(`# version ${SEEN_IDS_VERSION}`)}\n`;
    for (const id of this.#ids.latest(this.#capacity)) text += `${record(id)}\n`;
    try {
      writeWhole(draft, text);
      renameSync(`${path}.new`, path);
    } catch (error) {
      closeSync(draft);
      throw error;
    }
    if (this.#file >= 0) closeSync(this.#file);
    this.#file = draft;
    this.#lines = this.#ids.size;
  }
}

function oneLine(id: string): string {
  return id.replace(/[\r\n]/g, " ");
}

function record(id: string): string {
  return `${Bun.hash.crc32(id).toString(16).padStart(8, "0")} ${id}`;
}

function readLines(path: string): string[] {
  try {
    const lines = readFileSync(path, "utf8").split("\n");
    if (lines.at(-1) === "") lines.pop();
    return lines;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  }
}
