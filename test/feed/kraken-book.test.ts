import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { APPLIED, KrakenBook } from "../../src/feed/kraken/depth-book.ts";
import { EVENT, EventBatch, SIDE } from "../../src/market/event-batch.ts";

const OPTIONS = { depth: 12, priceZeros: 1, sizeZeros: 2, tickMantissa: 5 };

/** One side as a map, best price first when it is read. */
class NaiveSide {
  readonly #sizes = new Map<number, number>();
  readonly #sign: number;

  constructor(sign: number) {
    this.#sign = sign;
  }

  get levels(): [ticks: number, lots: number][] {
    return [...this.#sizes].sort(([a], [b]) => this.#sign * (a - b));
  }

  clear(): void {
    this.#sizes.clear();
  }

  set(ticks: number, lots: number): void {
    if (lots > 0) this.#sizes.set(ticks, lots);
    else this.#sizes.delete(ticks);
  }

  /** @returns the prices of the levels beyond the depth, worst first, which are gone. */
  cut(depth: number): number[] {
    const beyond = this.levels.slice(depth).map(([ticks]) => ticks);
    for (const ticks of beyond) this.#sizes.delete(ticks);
    return beyond.toReversed();
  }
}

function naiveText(side: NaiveSide): string {
  return side.levels
    .slice(0, 10)
    .map(([ticks, lots]) => {
      const price = ticks === 0 ? "" : `${ticks * OPTIONS.tickMantissa}0`;
      return `${price}${lots}00`;
    })
    .join("");
}

const level = fc.record({
  isBid: fc.boolean(),
  distance: fc.nat(20),
  lots: fc.oneof(fc.constant(0), fc.nat(12), fc.integer({ min: 0, max: 2 ** 40 })),
});
const message = fc.record({
  isSnapshot: fc.nat(15).map((number) => number === 0),
  levels: fc.array(level, { maxLength: 12 }),
});

describe("Kraken's book", () => {
  test("has the checksum of a naive one after every message, whichever levels changed", () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 80 }), (messages) => {
        const book = new KrakenBook(OPTIONS);
        const bids = new NaiveSide(-1);
        const asks = new NaiveSide(1);
        const batch = new EventBatch(1, 64);
        for (const { isSnapshot, levels } of messages) {
          if (isSnapshot) {
            book.clear();
            bids.clear();
            asks.clear();
          }
          batch.clear();
          batch.begin(isSnapshot ? EVENT.bookSnapshot : EVENT.bookDelta, 0, 0);
          for (const { isBid, distance, lots } of levels) {
            const ticks = isBid ? 25 - distance : 26 + distance;
            batch.level(isBid ? SIDE.bid : SIDE.ask, ticks, lots);
            (isBid ? bids : asks).set(ticks, lots);
          }
          const beyond = [...bids.cut(OPTIONS.depth), ...asks.cut(OPTIONS.depth)];
          batch.checksum[0] = Bun.hash.crc32(naiveText(asks) + naiveText(bids));
          expect(book.apply(batch, 0)).not.toBe(APPLIED.mismatch);
          expect([...batch.priceTicks.subarray(levels.length, batch.levels)]).toEqual(beyond);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("is not proven by a size between two lots, nor wrong for good once that is gone", () => {
    const book = new KrakenBook(OPTIONS);
    const batch = new EventBatch(1, 8);
    const apply = (changes: readonly (readonly [ticks: number, lots: number])[]): number => {
      batch.clear();
      batch.begin(EVENT.bookDelta, 0, 0);
      for (const [ticks, lots] of changes) batch.level(SIDE.ask, ticks, lots);
      const rest = [...changes.filter(([, lots]) => lots > 0)];
      batch.checksum[0] = Bun.hash.crc32(rest.map(([ticks, lots]) => `${ticks * 5}0${lots}00`).join(""));
      return book.apply(batch, 0);
    };
    expect(
      apply([
        [1, 7],
        [2, 8],
        [3, 9],
      ]),
    ).toBe(APPLIED.changed);
    expect(
      apply([
        [4, 1],
        [5, 2],
        [6, 0.5],
      ]),
    ).toBe(APPLIED.mismatch);
    expect(book.checksum()).toBeNaN();
    expect(
      apply([
        [1, 7],
        [2, 8],
        [3, 9],
        [4, 0],
        [5, 0],
        [6, 0],
      ]),
    ).toBe(APPLIED.changed);
    expect(book.checksum()).toBe(batch.checksum[0]);
  });
});
