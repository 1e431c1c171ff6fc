import { statfs } from "node:fs/promises";

interface Answer {
  readonly bytes: number;
  readonly ns: number;
}

/** An answer older than this no longer tells what is free. */
const STALE_NS = 30e9;

/** Space left in folders, asked for off the line every few seconds. */
export class DiskSpace {
  readonly #folders: ReadonlyMap<string, string>;
  readonly #nowNs: () => number;
  readonly #freeBytes: (path: string) => Promise<number>;
  readonly #free = new Map<string, Answer>();
  readonly #asking = new Set<string>();

  /**
   * @param folders what each is for, and its path
   * @param nowNs monotonic
   * @param freeBytes what this process may still write there; rejects where that cannot be told
   */
  constructor(folders: ReadonlyMap<string, string>, nowNs: () => number, freeBytes = freeBytesAt) {
    this.#folders = folders;
    this.#nowNs = nowNs;
    this.#freeBytes = freeBytes;
  }

  /**
   * Asks anew. A folder that is not there, or cannot be asked, is unknown; one that has not answered yet (a mount that hangs) is not asked
   * a second time, since each question holds a thread of the engine, and its old answer is soon unknown, too.
   */
  async refresh(): Promise<void> {
    await Promise.all(Array.from(this.#folders, ([purpose, path]) => this.#ask(purpose, path)));
  }

  /** Bytes by what the folder is for; NaN where it is not known. */
  *free(): Generator<readonly [purpose: string, bytes: number]> {
    const nowNs = this.#nowNs();
    for (const purpose of this.#folders.keys()) {
      const answer = this.#free.get(purpose);
      const isKnown = answer !== undefined && nowNs - answer.ns <= STALE_NS;
      yield [purpose, isKnown ? answer.bytes : Number.NaN];
    }
  }

  async #ask(purpose: string, path: string): Promise<void> {
    if (this.#asking.has(purpose)) return;
    this.#asking.add(purpose);
    try {
      this.#free.set(purpose, { bytes: await this.#freeBytes(path), ns: this.#nowNs() });
    } catch {
      this.#free.delete(purpose);
    } finally {
      this.#asking.delete(purpose);
    }
  }
}

async function freeBytesAt(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}
