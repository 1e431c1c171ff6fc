import { join } from "node:path";
import { KeelError } from "../core/errors.ts";
import { FileLock } from "../core/file-lock.ts";

/** Name of the file in the journal's folder. */
const FOLDER_LOCK_FILE = "journal.lock";

/**
 * The journal's folder is one process's at a time: of two that write there each would link to the same run, and the chain would say
 * that somebody had taken one away.
 *
 * @param follows the process takes the place of one that may still be about to end: that it has the folder refuses nobody
 * @returns null where the file cannot be written, as on a disk without room: nothing keeps another process away then
 * @throws KeelError naming the process that has it
 */
export function lockFolder(directory: string, follows = false): FileLock | null {
  const path = join(directory, FOLDER_LOCK_FILE);
  let lock: FileLock | null;
  try {
    lock = FileLock.take(path, () => String(process.pid));
  } catch {
    return null;
  }
  if (lock !== null || follows) return lock;
  const holder = FileLock.note(path);
  throw new KeelError(
    "journal-taken",
    `${holder === "" ? "another process" : `process ${holder}`} writes there; expected a folder of its own for every desk`,
  );
}
