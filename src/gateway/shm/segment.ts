import { chmodSync, closeSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { EXIT, KeelError } from "../../core/errors.ts";
import { FileLock } from "../../core/file-lock.ts";

/** Where Linux keeps POSIX shared memory: `shm_open("/name")` opens `name` here. */
export const SHM_DIR = "/dev/shm";

/** The owner writes, its group reads, others nothing. */
const MODE = 0o640;
/** Set aside at a time. */
const RESERVE_BYTES = 1 << 20;

/** A shared memory object that this process alone writes. */
export interface Segment {
  readonly memory: ArrayBuffer;
  /** Lets others write under the name. What was written stays. */
  release(): void;
}

/**
 * Makes a shared memory object of the given name and maps it. What stood under the name is replaced in one step, so readers
 * see the old one or a whole new one: `prepare` fills the memory before the name leads to it. It stays there when the process
 * has ended, for readers to see in which state.
 *
 * The name is taken by a lock on a file beside it that readers cannot open. Its end with the process, whatever ends that, is the
 * kernel's doing, so neither a number that another process was given since nor a reader can keep the writer out.
 *
 * @throws KeelError when another writes under this name, or the memory cannot be had
 */
export function createSegment(
  name: string,
  totalBytes: number,
  prepare: (memory: ArrayBuffer) => void,
  directory = SHM_DIR,
): Segment {
  const path = join(directory, name);
  const failed = (error: unknown): KeelError =>
    new KeelError(
      "shm-failed",
      `shared memory ${name} of ${totalBytes} bytes cannot be made in ${directory}: ${error instanceof Error ? error.message : String(error)}`,
      EXIT.failed,
    );
  const release = own(`${path}.lock`, name, failed);
  const fresh = `${path}.new`;
  try {
    rmSync(fresh, { force: true });
    const file = openSync(fresh, "wx+", MODE);
    try {
      reserve(file, totalBytes);
    } finally {
      closeSync(file);
    }
    chmodSync(fresh, MODE);
    const memory = Bun.mmap(fresh, { shared: true });
    prepare(memory.buffer);
    renameSync(fresh, path);
    return { memory: memory.buffer, release };
  } catch (error) {
    rmSync(fresh, { force: true });
    release();
    throw failed(error);
  }
}

function own(path: string, name: string, failed: (error: unknown) => KeelError): () => void {
  let lock: FileLock | null;
  try {
    lock = FileLock.take(path, () => `${process.pid}\n`);
  } catch (error) {
    throw failed(error);
  }
  if (lock === null) {
    throw new KeelError(
      "shm-in-use",
      `shared memory ${name} is written by process ${FileLock.note(path).trim()}: stop it or choose another name`,
      EXIT.badConfiguration,
    );
  }
  const held = lock;
  return () => {
    rmSync(path, { force: true });
    held.release();
  };
}

/**
 * Makes a file that long and has the host set its memory aside now. A file that is only said to be so long gets its pages when
 * they are first written, and where none are left (a container's `/dev/shm` has 64 MiB) that write kills the process.
 */
function reserve(file: number, totalBytes: number): void {
  const zeros = new Uint8Array(Math.min(totalBytes, RESERVE_BYTES));
  for (let at = 0; at < totalBytes; ) {
    at += writeSync(file, zeros, 0, Math.min(zeros.length, totalBytes - at), at);
  }
}
