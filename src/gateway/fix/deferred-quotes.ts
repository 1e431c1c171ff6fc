import { LEVELS_MAX, QuoteBatch } from "../../quote/quote-batch.ts";

const REPLACED = -1;

/**
 * Quotes that wait because the socket does not drain: the newest of each level of each instrument, in the order of their ids.
 * Bounded by the number of instruments and levels.
 */
export class DeferredQuotes {
  readonly #batch: QuoteBatch;
  /** Row + 1 of each instrument's level, 0 = it does not wait. */
  readonly #rowOf: Int32Array;
  #replaced = 0;
  /** Quotes replaced by a newer one of the same instrument and level before they could be sent. */
  conflated = 0;

  constructor(instruments: number, levels = 1) {
    this.#batch = new QuoteBatch(instruments * levels * 2);
    this.#rowOf = new Int32Array(instruments * LEVELS_MAX);
  }

  get count(): number {
    return this.#batch.count - this.#replaced;
  }

  /** The waiting quotes, ids ascending; read before the next call. */
  get batch(): QuoteBatch {
    if (this.#replaced > 0) this.#remove(0);
    return this.#batch;
  }

  add(from: QuoteBatch, row: number): void {
    const batch = this.#batch;
    const slot = slotOf(from, row);
    const before = this.#rowOf[slot] - 1;
    if (before >= 0) {
      batch.instrument[before] = REPLACED;
      this.#replaced += 1;
      this.conflated += 1;
    }
    if (batch.count === batch.capacity) this.#remove(0);
    this.#copy(from, row, batch.count);
    batch.count += 1;
    this.#rowOf[slot] = batch.count;
  }

  /** The first `count` rows of {@link batch} have been sent. */
  remove(count: number): void {
    for (let row = 0; row < count; row += 1) this.#rowOf[slotOf(this.#batch, row)] = 0;
    this.#remove(count);
  }

  clear(): void {
    this.#rowOf.fill(0);
    this.#batch.clear();
    this.#replaced = 0;
  }

  #remove(first: number): void {
    const batch = this.#batch;
    let to = 0;
    for (let row = first; row < batch.count; row += 1) {
      if (batch.instrument[row] === REPLACED) continue;
      this.#copy(batch, row, to);
      to += 1;
      this.#rowOf[slotOf(batch, to - 1)] = to;
    }
    batch.count = to;
    this.#replaced = 0;
  }

  #copy(from: QuoteBatch, row: number, to: number): void {
    const batch = this.#batch;
    batch.instrument[to] = from.instrument[row];
    batch.level[to] = from.level[row];
    batch.quoteId[to] = from.quoteId[row];
    batch.bidTicks[to] = from.bidTicks[row];
    batch.bidLots[to] = from.bidLots[row];
    batch.askTicks[to] = from.askTicks[row];
    batch.askLots[to] = from.askLots[row];
  }
}

function slotOf(batch: QuoteBatch, row: number): number {
  return batch.instrument[row] * LEVELS_MAX + batch.level[row];
}
