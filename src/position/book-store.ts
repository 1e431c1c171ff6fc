import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { open, rename } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { z } from "zod";
import { BadInputError } from "../core/errors.ts";
import { fieldOf, refuseLater } from "../core/file-version.ts";
import { writeWhole } from "../core/write-whole.ts";
import { type BookChange, type BookSnapshot, bookChange, bookSnapshot } from "./snapshot.ts";

/** Name of the file in the state directory. */
export const BOOK_FILE = "positions.json";

/** 1 was without it. A log of changes is of the version of the books that it follows. */
export const BOOKS_VERSION = 2;

/** Changes are kept in a log of the generation that they follow. */
const storedBooks = bookSnapshot.extend({
  version: z.int().default(1),
  generation: z.int().nonnegative().default(0),
});
const EXPECTED = "the books as keel wrote them";

/**
 * Keeps the books across a restart: the whole of them in a file that is written now and then off the line, and every change since
 * in a log, a line each, which the system has before the next event and which so outlives the process whatever ends it. At the
 * edge: the desk never touches it.
 *
 * `positions.json` holds the books as of the beginning of its generation n; the changes are in `positions.json.n`. A new
 * generation's log is begun before its books are written, so that no change is in neither; where both logs are there the
 * older comes first, and a change names what it changed as a whole, so that one that is applied twice does no harm.
 */
export class BookStore {
  readonly #path: string;
  #generation = 0;
  #log = -1;
  /** Changes are missing from the log: nothing is on disk of what came since, until the books are written as a whole. */
  #behind = false;
  #saving: Promise<void> | null = null;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Fails closed: only a file that does not exist means that nothing was ever traded. A log's last line may be cut off, as what
   * ended the process left it.
   *
   * @throws BadInputError when a file cannot be read or does not hold books
   */
  load(): BookSnapshot | null {
    const text = readText(this.#path);
    let books: BookSnapshot | null = null;
    if (text !== null) {
      const { generation, version: _version, ...stored } = read(storedBooks, text, this.#path);
      this.#generation = generation;
      books = stored;
    }
    for (const generation of this.#generations()) {
      if (generation < this.#generation) continue;
      const path = this.#logPath(generation);
      books = withChanges(books ?? EMPTY, readText(path) ?? "", path);
      this.#generation = generation;
    }
    return books;
  }

  /** Changes could not be written; the next {@link save} that succeeds makes up for them. */
  get behind(): boolean {
    return this.#behind;
  }

  /**
   * Writes changes behind what was saved. One system call, without waiting for the disk. Does nothing while the log is {@link behind}.
   *
   * @throws Error of the file system; the log then ends with the last whole line
   */
  append(changes: readonly BookChange[]): void {
    if (changes.length === 0 || this.#behind) return;
    let text = "";
    for (const change of changes) {
      const line = JSON.stringify(change);
      text += `${checksum(line)} ${line}\n`;
    }
    let size = Number.NaN;
    try {
      if (this.#log < 0) this.#openLog();
      size = fstatSync(this.#log).size;
      writeWhole(this.#log, text);
    } catch (error) {
      this.#behind = true;
      if (!Number.isNaN(size)) ftruncateSync(this.#log, size);
      throw error;
    }
  }

  /**
   * Writes the whole books, off the event loop's thread as far as the disk goes; a call during another one does nothing.
   *
   * @throws (as a rejection) Error of the file system; the old books and their log are then still in place
   */
  save(snapshot: BookSnapshot): Promise<void> {
    if (this.#saving !== null) return this.#saving;
    const generation = this.#begin();
    const text = this.#text(snapshot, generation);
    this.#saving = this.#write(text, generation)
      .catch((error: unknown) => {
        this.#behind = true;
        throw error;
      })
      .finally(() => {
        this.#saving = null;
      });
    return this.#saving;
  }

  /**
   * Writes the whole books and waits until they are on disk, so that they outlive the host too. A {@link save} under way must
   * have ended.
   *
   * @throws Error of the file system; the old books are then still in place
   */
  saveSync(snapshot: BookSnapshot): void {
    const generation = this.#begin();
    const temporary = `${this.#path}.tmp`;
    const file = openSync(temporary, "w", 0o600);
    try {
      writeWhole(file, this.#text(snapshot, generation));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, this.#path);
    this.#dropLogs(generation);
  }

  /** A save that is under way. */
  get saving(): Promise<void> | null {
    return this.#saving;
  }

  close(): void {
    if (this.#log >= 0) closeSync(this.#log);
    this.#log = -1;
  }

  /** From now on changes go to the log of another generation. @returns it */
  #begin(): number {
    this.#generation += 1;
    this.close();
    this.#openLog();
    this.#behind = false;
    return this.#generation;
  }

  #openLog(): void {
    mkdirSync(dirname(this.#path), { recursive: true });
    this.#log = openSync(this.#logPath(this.#generation), "a", 0o600);
  }

  async #write(text: string, generation: number): Promise<void> {
    const temporary = `${this.#path}.tmp`;
    const file = await open(temporary, "w", 0o600);
    try {
      await file.writeFile(text);
    } finally {
      await file.close();
    }
    await rename(temporary, this.#path);
    this.#dropLogs(generation);
  }

  #text(snapshot: BookSnapshot, generation: number): string {
    return `${JSON.stringify({ version: BOOKS_VERSION, ...snapshot, generation })}\n`;
  }

  #logPath(generation: number): string {
    return `${this.#path}.${generation}`;
  }

  /** Generations that have a log, in order. */
  #generations(): number[] {
    const prefix = `${basename(this.#path)}.`;
    let names: string[];
    try {
      names = readdirSync(dirname(this.#path));
    } catch {
      return [];
    }
    return names
      .filter((name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)))
      .map((name) => Number(name.slice(prefix.length)))
      .sort((a, b) => a - b);
  }

  #dropLogs(below: number): void {
    for (const generation of this.#generations()) {
      if (generation < below) rmSync(this.#logPath(generation));
    }
  }
}

const EMPTY: BookSnapshot = { positions: {}, sums: {}, executionIds: [], day: -1, dayStart: 0, dayPeak: 0 };

function withChanges(books: BookSnapshot, text: string, path: string): BookSnapshot {
  // What follows the last line feed was cut off with the process.
  const lines = text.split("\n").slice(0, -1);
  const positions = { ...books.positions };
  const sums = { ...books.sums };
  const executionIds = new Set(books.executionIds);
  let { day, dayStart, dayPeak } = books;
  for (const [at, line] of lines.entries()) {
    const json = line.slice(9);
    if (line[8] !== " " || checksum(json) !== line.slice(0, 8))
      throw new BadInputError(`${path}, line ${at + 1}`, "a line whose checksum is wrong", EXPECTED);
    const change = read(bookChange, json, `${path}, line ${at + 1}`);
    positions[change.instrument] = change.position;
    if (change.sum !== null) sums[change.sum.key] = change.sum.value;
    if (change.executionId !== null) executionIds.add(change.executionId);
    ({ day, dayStart, dayPeak } = change);
  }
  return { positions, sums, executionIds: [...executionIds], day, dayStart, dayPeak };
}

function checksum(text: string): string {
  return Bun.hash.crc32(text).toString(16).padStart(8, "0");
}

/** @returns null where there is no such file */
function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw new BadInputError(path, String(error), "readable books");
  }
}

function read<T>(schema: z.ZodType<T>, text: string, where: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new BadInputError(where, "no JSON", EXPECTED);
  }
  refuseLater(where, fieldOf(value, "version"), BOOKS_VERSION);
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new BadInputError(where, `${issue?.path.join(".")}: ${issue?.message}`, EXPECTED);
}
