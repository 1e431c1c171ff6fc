/** A memory that the invocations of a workgroup share. */
export type Memory = "scratch" | "levels" | "state" | "parts";

/** Elements of a shared memory that an operation touches. */
export interface Touched {
  readonly memory: Memory;
  readonly from: number;
  readonly length: number;
  /** Invocation `i` touches elements `from + i`, `from + i + workgroup size` and so on, and no others. */
  readonly linear: boolean;
}

/**
 * Knows where a barrier is needed: before an operation that touches what other invocations have written, or writes what they
 * have read, since the last one.
 */
export class Hazards {
  #reads: Touched[] = [];
  #writes: Touched[] = [];

  /** Takes note of an operation. @returns whether a barrier must come before it. */
  enter(reads: readonly Touched[], writes: readonly Touched[]): boolean {
    const meets = (touched: readonly Touched[], past: readonly Touched[]): boolean =>
      touched.some((one) => past.some((other) => meet(one, other)));
    const needed = meets(reads, this.#writes) || meets(writes, this.#reads) || meets(writes, this.#writes);
    if (needed) this.clear();
    this.add(reads, writes);
    return needed;
  }

  /** Takes note of what was touched since the last barrier. */
  add(reads: readonly Touched[], writes: readonly Touched[]): void {
    this.#reads.push(...reads);
    this.#writes.push(...writes);
  }

  /** There has been a barrier. */
  clear(): void {
    this.#reads = [];
    this.#writes = [];
  }
}

function meet(one: Touched, other: Touched): boolean {
  if (one.memory !== other.memory) return false;
  if (one.from + one.length <= other.from || other.from + other.length <= one.from) return false;
  return !(one.linear && other.linear && one.from === other.from);
}
