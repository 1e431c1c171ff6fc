import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { type KillState, NOT_TRIPPED } from "./kill-switch.ts";

const fileForm = z.strictObject({ tripped: z.boolean(), reason: z.string(), timeUs: z.number() });

/** Name of the file in the state directory. */
export const KILL_SWITCH_FILE = "kill-switch.json";

/**
 * Keeps the kill switch's state in a file, so that it stays tripped across a restart. At the edge: the risk gate never touches
 * it. A save is on disk when it returns.
 */
export class KillSwitchStore {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Fails closed: a file that cannot be read or does not hold a state counts as tripped, with the cause in the reason. Only
   * a file that does not exist means that nothing was ever tripped.
   */
  load(timeUs: number): KillState {
    let text: string;
    try {
      text = readFileSync(this.#path, "utf8");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return NOT_TRIPPED;
      return this.#unreadable(error instanceof Error ? error.message : String(error), timeUs);
    }
    try {
      return fileForm.parse(JSON.parse(text));
    } catch {
      return this.#unreadable('expected {"tripped":…,"reason":…,"timeUs":…}', timeUs);
    }
  }

  /** @throws Error of the file system when the state cannot be written; the old state is then still in place. */
  save(state: KillState): void {
    const folder = dirname(this.#path);
    mkdirSync(folder, { recursive: true });
    const temporary = `${this.#path}.tmp`;
    const file = openSync(temporary, "w", 0o600);
    try {
      writeSync(file, `${JSON.stringify(state)}\n`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, this.#path);
    const handle = openSync(folder, "r");
    try {
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
  }

  #unreadable(cause: string, timeUs: number): KillState {
    return { tripped: true, reason: `state-unreadable: ${this.#path}: ${cause}`, timeUs };
  }
}
