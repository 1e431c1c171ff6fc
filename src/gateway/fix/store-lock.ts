import { readFileSync, rmSync } from "node:fs";
import { KeelError } from "../../core/errors.ts";
import { FileLock } from "../../core/file-lock.ts";

/** When a process was started, in clock ticks since boot (proc(5), field 22); empty where the host does not say. */
function startedAt(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}

/** The living process, other than this one, that says it has the store open; null when there is none. For people: the lock itself decides. */
export function lockHolder(path: string): number | null {
  const [pid, started] = FileLock.note(path).trim().split(" ");
  const alive = Number(pid) !== process.pid && started !== "" && startedAt(Number(pid)) === started;
  return alive ? Number(pid) : null;
}

/**
 * Takes a session's store for this process: two writers would use the same sequence numbers. The kernel lets go of the lock of a
 * process that ends, however it ends, and gives it to one only of those that try at the same time, from whatever container.
 *
 * @throws KeelError when another process, or another session of this one, has the store open.
 */
export function lockStore(path: string): () => void {
  const lock = FileLock.take(path, () => `${process.pid} ${startedAt(process.pid)}\n`);
  if (lock === null) {
    const holder = lockHolder(path);
    throw new KeelError(
      "store-locked",
      `FIX session store: ${path} is held by a running process${holder === null ? "" : `, ${holder}`}; stop it first`,
    );
  }
  return () => {
    rmSync(path, { force: true });
    lock.release();
  };
}
