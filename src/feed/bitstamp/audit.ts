import type { BookView } from "../../market/book.ts";
import { type EventBatch, SIDE } from "../../market/event-batch.ts";

/** Levels a side that the venue's full books hold. */
const LEVELS = 100;
/** The two channels run beside each other: only a difference that the next full book confirms is one. */
const FAILURES = 2;

const prices = new Int32Array(LEVELS);
const sizes = new Float64Array(LEVELS);

/**
 * Holds a book that is kept by changes against the full books that the venue sends beside them, the hundred best levels a side: the
 * one way to notice a lost message on a venue without sequence numbers. A full book is compared when the own book stands at its
 * time: at once, or before the first change that is later.
 */
export class BookAudit {
  /** Time of the full book that waits to be compared, µs; NaN when none does. */
  dueUs = Number.NaN;
  /** What differed last, for people. */
  difference = "";
  readonly #counts = [0, 0];
  readonly #prices = [new Int32Array(LEVELS), new Int32Array(LEVELS)];
  readonly #sizes = [new Float64Array(LEVELS), new Float64Array(LEVELS)];
  #failures = 0;

  restart(): void {
    this.dueUs = Number.NaN;
    this.#failures = 0;
  }

  /** Takes the full book of a batch's event, instead of one that still waits. */
  take(batch: EventBatch, row: number): void {
    this.dueUs = batch.lastSequence[row];
    this.#counts.fill(0);
    const start = batch.levelStart[row];
    for (let at = start; at < start + batch.levelCount[row]; at += 1) {
      const side = batch.side[at] === SIDE.bid ? 0 : 1;
      const count = this.#counts[side];
      if (count === LEVELS || batch.sizeLots[at] === 0) continue;
      this.#prices[side][count] = batch.priceTicks[at];
      this.#sizes[side][count] = batch.sizeLots[at];
      this.#counts[side] = count + 1;
    }
  }

  /** Compares a book that stands at the time of the one that waits. @returns false when it has differed twice in a row. */
  holds(book: BookView): boolean {
    this.dueUs = Number.NaN;
    this.difference = this.#compare(book, SIDE.bid) || this.#compare(book, SIDE.ask);
    this.#failures = this.difference === "" ? 0 : this.#failures + 1;
    return this.#failures < FAILURES;
  }

  #compare(book: BookView, side: number): string {
    const expected = this.#counts[side];
    const count = book.top(side, LEVELS, prices, sizes);
    const name = side === SIDE.bid ? "bid" : "ask";
    if (expected < LEVELS && count !== expected) return `${count} ${name} levels, expected ${expected}`;
    for (let i = 0; i < expected; i += 1) {
      if (i < count && prices[i] === this.#prices[side][i] && sizes[i] === this.#sizes[side][i]) continue;
      return `${name} ${i} is ${prices[i]} × ${sizes[i]}, expected ${this.#prices[side][i]} × ${this.#sizes[side][i]}`;
    }
    return "";
  }
}
