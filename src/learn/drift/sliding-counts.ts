import { invariant } from "../../core/invariant.ts";

/**
 * Counts over a sliding window in fixed memory: the window is cut into slices of time, each with its own counts, and the oldest
 * is given up when a new one begins. What is counted is within one slice of the window's length.
 */
export class SlidingCounts {
  /** Counts over the whole window. */
  readonly sums: Float64Array;
  readonly #cells: number;
  readonly #slices: Float64Array;
  readonly #sliceCount: number;
  readonly #sliceUs: number;
  #at = 0;
  #sliceEndUs = Number.NaN;
  #begunUs = Number.NaN;

  constructor(cells: number, windowUs: number, slices: number) {
    invariant(cells > 0 && slices > 1 && windowUs > 0, "a window of two slices and more");
    this.#cells = cells;
    this.#sliceCount = slices;
    this.#sliceUs = windowUs / slices;
    this.sums = new Float64Array(cells);
    this.#slices = new Float64Array(cells * slices);
  }

  /** Lets time pass. A clock that stepped back stands still. */
  advance(timeUs: number): void {
    if (Number.isNaN(this.#sliceEndUs)) {
      this.#begunUs = timeUs;
      this.#sliceEndUs = timeUs + this.#sliceUs;
    }
    if (timeUs - this.#sliceEndUs >= this.#sliceUs * this.#sliceCount) {
      this.clear();
      this.advance(timeUs);
      return;
    }
    while (timeUs >= this.#sliceEndUs) {
      this.#sliceEndUs += this.#sliceUs;
      this.#at = (this.#at + 1) % this.#sliceCount;
      const from = this.#at * this.#cells;
      for (let cell = 0; cell < this.#cells; cell += 1) {
        if (this.#slices[from + cell] === 0) continue;
        this.#slices[from + cell] = 0;
        // Summed anew, so that values that are no whole numbers leave no rest behind.
        this.sums[cell] = this.#total(cell);
      }
    }
  }

  /** Adds to a cell, `advance` first. */
  add(cell: number, value = 1): void {
    this.#slices[this.#at * this.#cells + cell] += value;
    this.sums[cell] += value;
  }

  /** Since when what is counted now has been gathered, µs; NaN before the first. */
  sinceUs(timeUs: number): number {
    return Math.max(this.#begunUs, timeUs - this.#sliceUs * this.#sliceCount);
  }

  clear(): void {
    this.sums.fill(0);
    this.#slices.fill(0);
    this.#at = 0;
    this.#sliceEndUs = Number.NaN;
    this.#begunUs = Number.NaN;
  }

  get memoryBytes(): number {
    return this.sums.byteLength + this.#slices.byteLength;
  }

  #total(cell: number): number {
    let sum = 0;
    for (let slice = 0; slice < this.#sliceCount; slice += 1) sum += this.#slices[slice * this.#cells + cell];
    return sum;
  }
}
