import { dlopen, FFIType } from "bun:ffi";

/** PRIO_PROCESS of setpriority(2); with 0 it is the calling thread, as Linux understands it. */
const PRIO_PROCESS = 0;
const NICE = 10;

/**
 * For a thread beside the line: where processors are fewer than threads, the host gives the quoting thread one first.
 *
 * @returns false where the host has no such thing
 */
export function yieldToLine(): boolean {
  try {
    const { symbols, close } = dlopen("libc.so.6", {
      setpriority: { args: [FFIType.i32, FFIType.u32, FFIType.i32], returns: FFIType.i32 },
    });
    const isLower = symbols.setpriority(PRIO_PROCESS, 0, NICE) === 0;
    close();
    return isLower;
  } catch {
    return false;
  }
}

/**
 * Has the engine collect the garbage of the line's thread beside it, at regular times. By itself it waits until there is a good part more
 * than what lives, and counts the rings to the other threads as living: minutes, in which the process grows by tens of MB. The thread
 * stops as long as it would for any collection that the engine begins itself, some milliseconds at most.
 */
export class RegularCollection {
  readonly #interval: ReturnType<typeof setInterval> | undefined;

  /** @param everySeconds 0 leaves it to the engine */
  constructor(everySeconds: number) {
    if (everySeconds === 0) return;
    this.#interval = setInterval(() => Bun.gc(false), everySeconds * 1_000);
    this.#interval.unref();
  }

  stop(): void {
    clearInterval(this.#interval);
  }
}

/**
 * Collects a thread's garbage by the work that it has done. By itself the engine lets a thread with a small heap grow for minutes, to
 * some 90 MB, before it looks: in a process that is watched for leaks that is one.
 */
export class Collector {
  readonly #every: number;
  #since = 0;

  /** @param every pieces of work after which garbage is collected, some milliseconds long */
  constructor(every: number) {
    this.#every = every;
  }

  /** To be called between two pieces of work that do not follow one another closely. */
  worked(pieces: number): void {
    this.#since += pieces;
    if (this.#since < this.#every) return;
    this.#since = 0;
    Bun.gc(true);
  }
}
