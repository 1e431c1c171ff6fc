import { closeSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { type KillState, NOT_TRIPPED } from "./kill-switch.ts";
import { REDUCING_LIMITS, type ReducingState } from "./trading-state.ts";

const fileForm = z.strictObject({
  tripped: z.boolean(),
  reason: z.string(),
  timeUs: z.number(),
  reducing: z
    .strictObject({ by: z.enum(REDUCING_LIMITS), reason: z.string(), timeUs: z.number() })
    .nullable()
    .default(null),
});

/** Name of the file in the state directory. */
export const KILL_SWITCH_FILE = "kill-switch.json";

/** What a restart must not forget. */
export interface SavedState {
  readonly kill: KillState;
  readonly reducing: ReducingState | null;
}

/**
 * Keeps the kill switch's state in a file, so that it stays tripped across a restart, and whether the desk only reduces. At the edge: the risk gate never touches
 * it. A save is on disk when it returns.
 */
export class KillSwitchStore {
  readonly #path: string;
  #synced: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Fails closed: a file that cannot be read or does not hold a state counts as tripped, with the cause in the reason. Only
   * a file that does not exist means that nothing was ever tripped.
   */
  load(timeUs: number): KillState {
    return this.loadState(timeUs).kill;
  }

  /** {@link load}, with whether the desk only reduces. */
  loadState(timeUs: number): SavedState {
    let text: string;
    try {
      text = readFileSync(this.#path, "utf8");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") {
        return { kill: NOT_TRIPPED, reducing: null };
      }
      return this.#unreadable(error instanceof Error ? error.message : String(error), timeUs);
    }
    try {
      const { reducing, ...kill } = fileForm.parse(JSON.parse(text));
      return { kill, reducing };
    } catch {
      return this.#unreadable('expected {"tripped":…,"reason":…,"timeUs":…}', timeUs);
    }
  }

  /**
   * Writes the state: when this returns it outlives the process, and some time later the host. The disk is not waited for, because that takes up to hundreds of milliseconds in which nothing could be cancelled. What a host that fails
   * meanwhile leaves is the old state, the new one, or a file that cannot be read and so counts as tripped.
   *
   * @param onUnsynced told when the disk did not take it
   * @throws Error of the file system when the state cannot be written; the old state is then still in place.
   */
  save(
    state: KillState,
    reducing: ReducingState | null = null,
    onUnsynced: (error: unknown) => void = () => {},
  ): void {
    const folder = dirname(this.#path);
    mkdirSync(folder, { recursive: true });
    const temporary = `${this.#path}.tmp`;
    const file = openSync(temporary, "w", 0o600);
    try {
      writeSync(file, `${JSON.stringify(reducing === null ? state : { ...state, reducing })}\n`);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, this.#path);
    this.#synced = this.#synced.then(() => sync([this.#path, folder])).catch(onUnsynced);
  }

  /** Fulfilled when the disk has taken or refused what was saved last. */
  get synced(): Promise<void> {
    return this.#synced;
  }

  #unreadable(cause: string, timeUs: number): SavedState {
    const reason = `state-unreadable: ${this.#path}: ${cause}`;
    return { kill: { tripped: true, reason, timeUs }, reducing: null };
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
