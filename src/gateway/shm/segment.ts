import { chmodSync, closeSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { EXIT, KeelError } from "../../core/errors.ts";
import { HEADER, HEADER_BYTES, MAGIC, WRITER_STATE } from "./layout.ts";

/** Where Linux keeps POSIX shared memory: `shm_open("/name")` opens `name` here. */
export const SHM_DIR = "/dev/shm";

/** The owner writes, its group reads, others nothing. */
const MODE = 0o640;
/** Set aside at a time. */
const RESERVE_BYTES = 1 << 20;

/**
 * Makes a shared memory object of the given name and maps it. What stood under the name is replaced in one step, so readers
 * see the old one or a whole new one: `prepare` fills the memory before the name leads to it. It stays there when the process
 * has ended, for readers to see in which state.
 *
 * @throws KeelError when a living process writes under this name, or the memory cannot be had
 */
export function createSegment(
  name: string,
  totalBytes: number,
  prepare: (memory: ArrayBuffer) => void,
  directory = SHM_DIR,
): ArrayBuffer {
  const path = join(directory, name);
  const owner = writerOf(path);
  if (owner !== null && owner !== process.pid && alive(owner)) {
    throw new KeelError(
      "shm-in-use",
      `shared memory ${name} is written by process ${owner}: stop it or choose another name`,
      EXIT.badConfiguration,
    );
  }
  const fresh = `${path}.${process.pid}.new`;
  try {
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
    return memory.buffer;
  } catch (error) {
    rmSync(fresh, { force: true });
    const why = error instanceof Error ? error.message : String(error);
    throw new KeelError(
      "shm-failed",
      `shared memory ${name} of ${totalBytes} bytes cannot be made in ${directory}: ${why}`,
      EXIT.failed,
    );
  }
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

/** Process that writes what stands at the path, unless it has said that it stopped; null when nothing of ours stands there. */
function writerOf(path: string): number | null {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch {
    return null;
  }
  if (bytes.length < HEADER_BYTES || bytes.toString("latin1", 0, MAGIC.length) !== MAGIC) return null;
  if (bytes.readUInt32LE(HEADER.state) === WRITER_STATE.stopped) return null;
  return bytes.readUInt32LE(HEADER.pid);
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
