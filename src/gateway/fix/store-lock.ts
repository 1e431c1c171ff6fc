import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { KeelError } from "../../core/errors.ts";

const heldHere = new Set<string>();

/** When a process was started, in clock ticks since boot (proc(5), field 22); empty where the host does not say. */
function startedAt(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}

/** The living process, other than this one, that has the store open; null when there is none. */
export function lockHolder(path: string): number | null {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return null;
  }
  const [pid, started] = text.trim().split(" ");
  const alive = Number(pid) !== process.pid && started !== "" && startedAt(Number(pid)) === started;
  return alive ? Number(pid) : null;
}

/**
 * Takes a session's store for this process: two writers would use the same sequence numbers. A lock left by a process that
 * no longer lives is taken over.
 *
 * @throws KeelError when another living process, or another session of this one, has the store open.
 */
export function lockStore(path: string): () => void {
  if (heldHere.has(path) || lockHolder(path) !== null) {
    throw new KeelError(
      "store-locked",
      `FIX session store: ${path} is held by a running process; stop it first`,
    );
  }
  writeFileSync(path, `${process.pid} ${startedAt(process.pid)}\n`);
  heldHere.add(path);
  return () => {
    heldHere.delete(path);
    rmSync(path, { force: true });
  };
}
