/** Book events of an instrument that are remembered; a power of two. */
const KEPT = 256;
const MASK = KEPT - 1;

/**
 * When a book came to each of its last numbers, and by which line: what a line that brings a number later is compared with. Numbers
 * ascend. Memory is taken with an instrument's first event.
 */
export class RecentEvents {
  readonly #of = new Map<number, Kept>();

  /** The book of an instrument has come to `number` by a line. */
  note(instrument: number, number: number, line: number, timeUs: number): void {
    let kept = this.#of.get(instrument);
    if (kept === undefined) {
      kept = new Kept();
      this.#of.set(instrument, kept);
    }
    kept.note(number, line, timeUs);
  }

  /**
   * How much later than another a line brings a number, µs: the time since the book included it; since the oldest that is remembered
   * when it was before that. NaN when the line itself had brought it, or nothing is known.
   */
  lagUs(instrument: number, number: number, line: number, timeUs: number): number {
    return this.#of.get(instrument)?.lagUs(number, line, timeUs) ?? Number.NaN;
  }

  /** The book begins anew, perhaps with other numbers. */
  forget(instrument: number): void {
    this.#of.get(instrument)?.forget();
  }
}

class Kept {
  readonly #number = new Float64Array(KEPT);
  readonly #timeUs = new Float64Array(KEPT);
  readonly #line = new Uint8Array(KEPT);
  /** Events noted since the book began. */
  #count = 0;

  note(number: number, line: number, timeUs: number): void {
    const at = this.#count & MASK;
    this.#number[at] = number;
    this.#timeUs[at] = timeUs;
    this.#line[at] = line;
    this.#count += 1;
  }

  lagUs(number: number, line: number, timeUs: number): number {
    let low = Math.max(0, this.#count - KEPT);
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#number[middle & MASK] < number) low = middle + 1;
      else high = middle;
    }
    if (low === this.#count || this.#line[low & MASK] === line) return Number.NaN;
    return timeUs - this.#timeUs[low & MASK];
  }

  forget(): void {
    this.#count = 0;
  }
}
