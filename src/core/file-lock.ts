import { dlopen, FFIType } from "bun:ffi";
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  writeSync,
} from "node:fs";

/** flock(2). */
const LOCK_EX = 2;
const LOCK_NB = 4;
/** What stands under the name and leads elsewhere is not followed: the folder may be one that others write to. */
const OPEN = constants.O_RDWR | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW;

const LIBC = { flock: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 } } as const;
let libc: ReturnType<typeof dlopen<typeof LIBC>> | undefined;

/**
 * A lock on a file that one process of the host has at most, and that the kernel lets go of whatever ends it: nobody has to judge
 * whether a holder still lives, and of two that try at the same time one gets it.
 */
export class FileLock {
  readonly path: string;
  #file: number;

  private constructor(path: string, file: number) {
    this.path = path;
    this.#file = file;
  }

  /**
   * @param note makes what is written into the file for those that find it taken, of what the last holder wrote
   * @returns null while somebody else has it
   * @throws Error of the file system
   */
  static take(path: string, note: (before: string) => string): FileLock | null {
    libc ??= dlopen("libc.so.6", LIBC);
    for (;;) {
      const file = openSync(path, OPEN, 0o600);
      if (libc.symbols.flock(file, LOCK_EX | LOCK_NB) !== 0) {
        closeSync(file);
        return null;
      }
      // A file that was removed meanwhile is locked for nobody.
      if (statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(file).ino) {
        const text = note(readFileSync(path, "utf8"));
        ftruncateSync(file, 0);
        writeSync(file, text);
        return new FileLock(path, file);
      }
      closeSync(file);
    }
  }

  /** What the last holder wrote into it; empty where there is none. */
  static note(path: string): string {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return "";
    }
  }

  /** Lets go of it; the file stays. */
  release(): void {
    if (this.#file < 0) return;
    closeSync(this.#file);
    this.#file = -1;
  }
}
