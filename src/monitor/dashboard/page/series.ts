/** Samples over time of a fixed number of values, the oldest of which fall off. */
export class Series {
  readonly #columns: (number | null)[][];
  readonly #most: number;

  constructor(values: number, most: number) {
    this.#columns = Array.from({ length: values + 1 }, () => []);
    this.#most = most;
  }

  get lastSeconds(): number {
    return this.#columns[0]?.at(-1) ?? Number.NEGATIVE_INFINITY;
  }

  get size(): number {
    return this.#columns[0]?.length ?? 0;
  }

  push(seconds: number, values: readonly (number | null)[]): void {
    if (seconds <= this.lastSeconds) return;
    for (const [at, column] of this.#columns.entries()) {
      column.push(at === 0 ? seconds : (values[at - 1] ?? null));
      if (column.length > this.#most) column.shift();
    }
  }

  clear(): void {
    for (const column of this.#columns) column.length = 0;
  }

  /** As uPlot takes it. */
  get data(): [number[], ...(number | null)[][]] {
    const [seconds = [], ...rest] = this.#columns;
    return [seconds.map((value) => value ?? 0), ...rest];
  }
}
