import { readFileSync } from "node:fs";
import { z } from "zod";
import { fieldOf, LaterVersionError, refuseLater } from "../core/file-version.ts";
import { StateFile } from "../core/state-file.ts";
import { type KillState, NOT_TRIPPED } from "./kill-switch.ts";
import { REDUCING_LIMITS, type ReducingState } from "./trading-state.ts";

/** 1 was without it. */
export const KILL_SWITCH_VERSION = 2;

const fileForm = z.strictObject({
  version: z.int().default(1),
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
 * Keeps the kill switch's state in a file, so that it stays tripped across a restart, and whether the desk only reduces. At the
 * edge: the risk gate never touches it.
 */
export class KillSwitchStore {
  readonly #file: StateFile;

  constructor(path: string) {
    this.#file = new StateFile(path);
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
      text = readFileSync(this.#file.path, "utf8");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") {
        return { kill: NOT_TRIPPED, reducing: null };
      }
      return this.#unreadable(error instanceof Error ? error.message : String(error), timeUs);
    }
    try {
      const value: unknown = JSON.parse(text);
      refuseLater(this.#file.path, fieldOf(value, "version"), KILL_SWITCH_VERSION);
      const { version: _version, reducing, ...kill } = fileForm.parse(value);
      return { kill, reducing };
    } catch (error) {
      if (error instanceof LaterVersionError) return this.#unreadable(error.message, timeUs);
      return this.#unreadable('expected {"tripped":…,"reason":…,"timeUs":…}', timeUs);
    }
  }

  /**
   * Writes the state, as {@link StateFile} does. A host that fails before the disk has taken it may leave a file that cannot be read,
   * and so counts as tripped.
   *
   * @param onUnsynced told when the disk did not take it
   * @throws Error of the file system when the state cannot be written; the old state is then still in place.
   */
  save(state: KillState, reducing: ReducingState | null = null, onUnsynced?: (error: unknown) => void): void {
    const told = { version: KILL_SWITCH_VERSION, ...state };
    const whole = reducing === null ? told : { ...told, reducing };
    this.#file.save(`${JSON.stringify(whole)}\n`, onUnsynced);
  }

  /** Fulfilled when the disk has taken or refused what was saved last. */
  get synced(): Promise<void> {
    return this.#file.synced;
  }

  #unreadable(cause: string, timeUs: number): SavedState {
    const reason = `state-unreadable: ${this.#file.path}: ${cause}`;
    return { kill: { tripped: true, reason, timeUs }, reducing: null };
  }
}
