import type { Book } from "../../src/market/book.ts";

/** Both sides of a book, in ticks and lots, as text: equal exactly where the books are. */
export function stateOf(sides: readonly ReadonlyMap<number, number>[]): string {
  return sides.map((levels) => [...levels].toSorted(([a], [b]) => a - b).join(" ")).join("|");
}

/** {@link stateOf} all levels of a book. */
export function bookState(book: Book): string {
  const sides = [0, 1].map((side) => {
    const count = book.levels(side);
    const ticks = new Int32Array(count);
    const lots = new Float64Array(count);
    book.top(side, count, ticks, lots);
    return new Map([...ticks].map((price, i) => [price, lots[i]] as const));
  });
  return stateOf(sides);
}
