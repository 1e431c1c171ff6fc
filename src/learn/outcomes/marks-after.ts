import { HORIZON_NAMES, HORIZONS_MS } from "./table.ts";

/** A row that waits for the marks of its instrument. */
export type MarkedRow = Record<`mark_${(typeof HORIZON_NAMES)[number]}`, number>;

interface Waiting<R> {
  readonly instrument: number;
  readonly timeUs: number;
  readonly row: R;
}

/**
 * Looks at an instrument's mark 10 and 100 ms, 1, 10 and 60 s after a row: the last one known at that time, itself included. Rows
 * come in the order of their times. Bounded: beyond the capacity the oldest row is handed over with what is known, and counted.
 */
export class MarksAfter<R extends MarkedRow> {
  /** Rows handed over before their last horizon for want of room. */
  cutShort = 0;
  readonly #capacity: number;
  readonly #mark: (instrument: number) => number;
  readonly #done: (row: R) => void;
  readonly #ring: (Waiting<R> | undefined)[];
  readonly #next = new Float64Array(HORIZONS_MS.length);
  #end = 0;
  /** Before this time no horizon ends, µs. */
  #dueUs = Number.POSITIVE_INFINITY;

  /** @param mark of an instrument as of the last event before the time given to {@link settle} */
  constructor(capacity: number, mark: (instrument: number) => number, done: (row: R) => void) {
    this.#capacity = capacity;
    this.#mark = mark;
    this.#done = done;
    this.#ring = new Array<Waiting<R> | undefined>(capacity).fill(undefined);
  }

  get waiting(): number {
    return this.#end - this.#next[HORIZONS_MS.length - 1];
  }

  add(instrument: number, timeUs: number, row: R): void {
    if (this.waiting === this.#capacity) {
      this.cutShort += 1;
      this.#release();
    }
    this.#ring[this.#end % this.#capacity] = { instrument, timeUs, row };
    this.#end += 1;
    this.#dueUs = Math.min(this.#dueUs, timeUs + HORIZONS_MS[0] * 1_000);
  }

  /** To be called with the time of an event before it is applied: marks are as they were at every horizon before it. */
  settle(timeUs: number): void {
    if (timeUs <= this.#dueUs) return;
    this.#dueUs = Number.POSITIVE_INFINITY;
    for (const [horizon, horizonMs] of HORIZONS_MS.entries()) {
      const isLast = horizon === HORIZONS_MS.length - 1;
      while (this.#next[horizon] < this.#end) {
        const waiting = this.#ring[this.#next[horizon] % this.#capacity];
        if (waiting === undefined) break;
        const dueUs = waiting.timeUs + horizonMs * 1_000;
        if (dueUs >= timeUs) {
          this.#dueUs = Math.min(this.#dueUs, dueUs);
          break;
        }
        waiting.row[`mark_${HORIZON_NAMES[horizon] ?? "60s"}`] = this.#mark(waiting.instrument);
        if (isLast) this.#release();
        else this.#next[horizon] += 1;
      }
    }
  }

  /** The end: rows are handed over with the marks of the horizons that have passed. */
  finish(timeUs: number): void {
    this.settle(timeUs);
    while (this.waiting > 0) this.#release();
  }

  #release(): void {
    const last = HORIZONS_MS.length - 1;
    const at = this.#next[last] % this.#capacity;
    const waiting = this.#ring[at];
    this.#ring[at] = undefined;
    this.#next[last] += 1;
    for (let horizon = 0; horizon < last; horizon += 1) {
      this.#next[horizon] = Math.max(this.#next[horizon], this.#next[last]);
    }
    if (waiting !== undefined) this.#done(waiting.row);
  }
}
