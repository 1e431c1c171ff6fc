import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { BadInputError } from "../core/errors.ts";
import { type BookSnapshot, bookSnapshot } from "./snapshot.ts";

/** Name of the file in the state directory. */
export const BOOK_FILE = "positions.json";

/** Keeps the books in a file across a restart. At the edge: the desk never touches it. */
export class BookStore {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Fails closed: only a file that does not exist means that nothing was ever traded.
   *
   * @throws BadInputError when the file cannot be read or does not hold books
   */
  load(): BookSnapshot | null {
    let text: string;
    try {
      text = readFileSync(this.#path, "utf8");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
      throw new BadInputError(this.#path, String(error), "readable books");
    }
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw new BadInputError(this.#path, "no JSON", "the books as keel wrote them");
    }
    const parsed = bookSnapshot.safeParse(value);
    if (parsed.success) return parsed.data;
    const [issue] = parsed.error.issues;
    throw new BadInputError(
      this.#path,
      `${issue?.path.join(".")}: ${issue?.message}`,
      "the books as keel wrote them",
    );
  }

  /**
   * The file holds either the old books or the new ones, whatever happens.
   *
   * @param sync waits until they are on disk, so that they outlive the host too
   * @throws Error of the file system; the old books are then still in place
   */
  save(snapshot: BookSnapshot, sync: boolean): void {
    mkdirSync(dirname(this.#path), { recursive: true });
    const temporary = `${this.#path}.tmp`;
    const file = openSync(temporary, "w", 0o600);
    try {
      writeSync(file, `${JSON.stringify(snapshot)}\n`);
      if (sync) fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, this.#path);
  }
}
