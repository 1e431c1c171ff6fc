import { SIDE } from "../market/event-batch.ts";
import { NO_LEVEL, type SimBook } from "./market/sim-book.ts";

/** Levels of one side as [ticks, lots], best first; 0 lots = gone. */
export type SideLevels = readonly (readonly [ticks: number, lots: number])[];
export type BothSides = readonly [bids: SideLevels, asks: SideLevels];

/**
 * The best levels of a simulated book as one channel tells them: what was shown last, and what has changed since. A level that
 * falls out of the depth is told as gone, one that comes up into it as new.
 */
export class DepthWindow {
  readonly #book: SimBook;
  readonly #depth: number;
  #shown: readonly [ReadonlyMap<number, number>, ReadonlyMap<number, number>];

  constructor(book: SimBook, depth: number) {
    this.#book = book;
    this.#depth = depth;
    this.#shown = this.#levels();
  }

  /** What was shown last. */
  get shown(): BothSides {
    return [[...this.#shown[SIDE.bid]], [...this.#shown[SIDE.ask]]];
  }

  /** Shows the book as it is now. @returns what has changed, null when nothing has */
  advance(): BothSides | null {
    const now = this.#levels();
    const changed = ([SIDE.bid, SIDE.ask] as const).map((side) => {
      const before = this.#shown[side];
      const fresh = [...now[side]].filter(([ticks, lots]) => before.get(ticks) !== lots);
      const gone = [...before.keys()].filter((ticks) => !now[side].has(ticks));
      return [...fresh, ...gone.map((ticks) => [ticks, 0] as const)];
    });
    this.#shown = now;
    const [bids, asks] = changed;
    return bids.length + asks.length === 0 ? null : [bids, asks];
  }

  #levels(): [Map<number, number>, Map<number, number>] {
    const sides: [Map<number, number>, Map<number, number>] = [new Map(), new Map()];
    for (const side of [SIDE.bid, SIDE.ask] as const) {
      const step = side === SIDE.bid ? -1 : 1;
      let level = this.#book.best(side);
      while (level !== NO_LEVEL && sides[side].size < this.#depth) {
        sides[side].set(level, this.#book.lotsAt(side, level));
        level = this.#book.outward(side, level + step);
      }
    }
    return sides;
  }
}
