import { statfs } from "node:fs/promises";

/** Space left in folders, asked for off the line every few seconds. */
export class DiskSpace {
  readonly #folders: ReadonlyMap<string, string>;
  readonly #free = new Map<string, number>();

  /** @param folders what each is for, and its path */
  constructor(folders: ReadonlyMap<string, string>) {
    this.#folders = folders;
  }

  /** Asks anew. A folder that is not there, or cannot be asked, is unknown. */
  async refresh(): Promise<void> {
    for (const [purpose, path] of this.#folders) {
      try {
        const { bavail, bsize } = await statfs(path);
        this.#free.set(purpose, bavail * bsize);
      } catch {
        this.#free.delete(purpose);
      }
    }
  }

  /** Bytes by what the folder is for; NaN where it is not known. */
  *free(): Generator<readonly [purpose: string, bytes: number]> {
    for (const purpose of this.#folders.keys()) yield [purpose, this.#free.get(purpose) ?? Number.NaN];
  }
}
