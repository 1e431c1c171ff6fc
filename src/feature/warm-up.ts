/** An instrument's features may be used once it has seen this many events … */
export const WARM_UP_EVENTS = 100;
/** … over at least this long. */
export const WARM_UP_US = 2_000_000;

/** A clock that steps back by less is taken to stand still; by more, the state moves to the new time. */
export const CLOCK_JITTER_US = 1_000_000;

/**
 * Time and warm-up of slots whose windows are kept elsewhere, on a GPU or on another thread: by the rules of `FeatureState`, so it
 * says the same of the same events. Times are the local receive clock, µs.
 */
export class WarmUp {
  readonly #timeUs: Float64Array;
  readonly #firstUs: Float64Array;
  readonly #events: Float64Array;
  readonly #seenBook: Uint8Array;
  readonly #twoSided: Uint8Array;

  constructor(slotCount: number) {
    this.#timeUs = new Float64Array(slotCount).fill(Number.NaN);
    this.#firstUs = new Float64Array(slotCount).fill(Number.NaN);
    this.#events = new Float64Array(slotCount);
    this.#seenBook = new Uint8Array(slotCount);
    this.#twoSided = new Uint8Array(slotCount);
  }

  /** Forgets everything about a slot. */
  reset(slot: number): void {
    this.#timeUs[slot] = Number.NaN;
    this.#seenBook[slot] = 0;
    this.#twoSided[slot] = 0;
    this.restart(slot);
  }

  /** Counts anew; what is known of the book stays. */
  restart(slot: number): void {
    this.#firstUs[slot] = Number.NaN;
    this.#events[slot] = 0;
  }

  /** An event has moved the slot to its time by {@link advance}. */
  count(slot: number): void {
    if (Number.isNaN(this.#firstUs[slot])) this.#firstUs[slot] = this.#timeUs[slot];
    this.#events[slot] += 1;
  }

  /** The book has been seen. */
  book(slot: number): void {
    this.#seenBook[slot] = 1;
  }

  /** Best prices, ticks; −1 where a side is empty. */
  top(slot: number, bidTicks: number, askTicks: number): void {
    this.#twoSided[slot] = bidTicks >= 0 && askTicks >= 0 ? 1 : 0;
  }

  ready(slot: number, timeUs: number): boolean {
    return (
      this.#events[slot] >= WARM_UP_EVENTS &&
      timeUs - this.#firstUs[slot] >= WARM_UP_US &&
      this.#seenBook[slot] === 1 &&
      this.#twoSided[slot] === 1
    );
  }

  /** Moves the slot to `timeUs`. @returns by how much its windows forget, µs */
  advance(slot: number, timeUs: number): number {
    const before = this.#timeUs[slot];
    const delta = timeUs - before;
    if (delta > 0 && timeUs < Infinity) {
      this.#timeUs[slot] = timeUs;
      return delta;
    }
    if (delta < -CLOCK_JITTER_US && timeUs > -Infinity) {
      this.#timeUs[slot] = timeUs;
      this.#firstUs[slot] += delta;
    } else if (Number.isNaN(before) && Math.abs(timeUs) < Infinity) {
      this.#timeUs[slot] = timeUs;
    }
    return 0;
  }
}
