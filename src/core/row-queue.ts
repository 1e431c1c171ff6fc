import { invariant } from "./invariant.ts";

const ROWS = 16;

/**
 * Rows of numbers, first in, first out, in memory that grows to what is kept and is then written over. Where a sample is kept every
 * second, an object for each would lie for minutes among short-lived ones, and hold the blocks of the heap that those leave empty.
 */
export class RowQueue {
  readonly #width: number;
  #values: Float64Array<ArrayBuffer>;
  #first = 0;
  #size = 0;

  /** @param width numbers in a row */
  constructor(width: number) {
    this.#width = width;
    this.#values = new Float64Array(width * ROWS);
  }

  get size(): number {
    return this.#size;
  }

  push(...row: readonly number[]): void {
    invariant(row.length === this.#width, `a row has ${this.#width} numbers, got ${row.length}`);
    if (this.#size * this.#width === this.#values.length) this.#grow();
    this.#values.set(row, this.#offset(this.#size));
    this.#size += 1;
  }

  /** Takes the oldest row away. */
  shift(): void {
    invariant(this.#size > 0, "there is a row to take away");
    this.#first = (this.#first + 1) % (this.#values.length / this.#width);
    this.#size -= 1;
  }

  clear(): void {
    this.#first = 0;
    this.#size = 0;
  }

  /** @param row 0 is the oldest; −1 the latest, as of an array. @returns undefined where there is no such row */
  at(row: number, column: number): number | undefined {
    const index = row < 0 ? this.#size + row : row;
    return index < 0 || index >= this.#size ? undefined : this.#values[this.#offset(index) + column];
  }

  /** Copies of all rows, the oldest first. */
  rows(): number[][] {
    return Array.from({ length: this.#size }, (_, row) => {
      const offset = this.#offset(row);
      return [...this.#values.subarray(offset, offset + this.#width)];
    });
  }

  #offset(row: number): number {
    return ((this.#first + row) * this.#width) % this.#values.length;
  }

  #grow(): void {
    const values = new Float64Array(this.#values.length * 2);
    const first = this.#first * this.#width;
    values.set(this.#values.subarray(first));
    values.set(this.#values.subarray(0, first), this.#values.length - first);
    this.#values = values;
    this.#first = 0;
  }
}
