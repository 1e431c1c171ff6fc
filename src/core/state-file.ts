import { closeSync, mkdirSync, openSync, renameSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { writeWhole } from "./write-whole.ts";

/** A small file that holds a state as a whole, old or new, whenever the process ends. */
export class StateFile {
  readonly path: string;
  #synced: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.path = path;
  }

  /**
   * Writes the text in place of what is there: when this returns it outlives the process, and some time later the host. The disk
   * is not waited for, because that takes up to hundreds of milliseconds of an event loop. What a host that fails meanwhile leaves
   * is the old text, the new one, or a part of it.
   *
   * @param onUnsynced told when the disk did not take it
   * @throws Error of the file system when it cannot be written; the old text is then still in place.
   */
  save(text: string, onUnsynced: (error: unknown) => void = () => {}): void {
    const folder = dirname(this.path);
    mkdirSync(folder, { recursive: true });
    const temporary = `${this.path}.tmp`;
    const file = openSync(temporary, "w", 0o600);
    try {
      writeWhole(file, text);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, this.path);
    this.#synced = this.#synced.then(() => sync([this.path, folder])).catch(onUnsynced);
  }

  /** Fulfilled when the disk has taken or refused what was saved last. */
  get synced(): Promise<void> {
    return this.#synced;
  }
}

async function sync(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const handle = await open(path, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}
