import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { KeelError } from "../core/errors.ts";
import { FileLock } from "../core/file-lock.ts";
import type { Logger } from "../core/log.ts";

/** Name of the file in the state directory. */
const RUN_LOCK_FILE = "run.lock";

const note = z.object({ pid: z.int(), token: z.int().nonnegative() });

/**
 * The state directory is one process's at a time: two that share it would quote with the same books, write the same files and use the
 * same sequence numbers. Each that takes it has a higher token than the one before.
 */
export class RunLock {
  readonly token: number;
  readonly #lock: FileLock | null;

  private constructor(lock: FileLock | null, token: number) {
    this.#lock = lock;
    this.token = token;
  }

  /**
   * Where the file cannot be written, as nothing in the directory then can, the process runs without it and says so.
   *
   * @throws KeelError naming the process that has it
   */
  static take(stateDir: string, log: Logger): RunLock {
    const path = join(stateDir, RUN_LOCK_FILE);
    let token = 1;
    try {
      mkdirSync(stateDir, { recursive: true });
      const lock = FileLock.take(path, (before) => {
        token = (read(before)?.token ?? 0) + 1;
        return `${JSON.stringify({ pid: process.pid, token })}\n`;
      });
      if (lock !== null) return new RunLock(lock, token);
    } catch (error) {
      log.error("the state directory cannot be locked: nothing keeps another process from it", { error });
      return new RunLock(null, token);
    }
    const holder = lockHolder(stateDir);
    throw new KeelError(
      "already-running",
      `${stateDir}: ${holder === null ? "another process" : `process ${holder}`} runs with this state directory; keel run --handover takes its place`,
    );
  }

  release(): void {
    this.#lock?.release();
  }
}

/** The process that has, or last had, the state directory; null when none ever had. */
export function lockHolder(stateDir: string): number | null {
  return read(FileLock.note(join(stateDir, RUN_LOCK_FILE)))?.pid ?? null;
}

/** The process that has the state directory now; null when none is known to. Nothing is locked to find out. */
export function runningHolder(stateDir: string): number | null {
  const pid = lockHolder(stateDir);
  if (pid === null) return null;
  try {
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM" ? pid : null;
  }
}

function read(text: string): z.infer<typeof note> | null {
  try {
    return note.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}
