import type { BookView } from "../market/book.ts";
import { SIDE } from "../market/event-batch.ts";

/** Levels that the withdrawal labels look at. */
const DEPTH_LEVELS = 10;

/** Knows the sizes of the ten best levels of both sides of a slot's document. */
export interface Depths {
  depths(slot: number, out: Float64Array): void;
}

/** What a prediction was made from, of a book, for those who follow a desk: its levels are read once, and only when somebody asks. */
export class SeenBook {
  readonly #prices = new Int32Array(DEPTH_LEVELS);
  readonly #sizes = new Float64Array(DEPTH_LEVELS);
  readonly #depths = new Float64Array(2);
  #book: BookView | undefined;
  #features: Depths | null = null;
  #slot = 0;
  #isRead = false;

  /**
   * The book of the next prediction.
   *
   * @param book undefined when its underlying has none
   * @param features who keeps the depths of its document at hand, and for which slot; null where nobody does
   * @returns this
   */
  look(book: BookView | undefined, features: Depths | null = null, slot = 0): this {
    this.#book = book;
    this.#features = features;
    this.#slot = slot;
    this.#isRead = false;
    return this;
  }

  get exists(): boolean {
    return this.#book !== undefined;
  }

  /** Of the best prices, any overlay included, in ticks; NaN without a book. */
  get midTicks(): number {
    const book = this.#book;
    return book === undefined ? Number.NaN : (book.bestBidTicks + book.bestAskTicks) / 2;
  }

  /** Sizes of the ten best levels of a side, in lots. */
  depth(side: number): number {
    if (!this.#isRead) this.#read();
    return this.#depths[side];
  }

  #read(): void {
    this.#isRead = true;
    if (this.#features !== null && this.#book !== undefined) {
      this.#features.depths(this.#slot, this.#depths);
      return;
    }
    for (let side = SIDE.bid; side <= SIDE.ask; side += 1) {
      const levels = this.#book?.top(side, DEPTH_LEVELS, this.#prices, this.#sizes) ?? 0;
      let depth = 0;
      for (let level = 0; level < levels; level += 1) depth += this.#sizes[level];
      this.#depths[side] = depth;
    }
  }
}
