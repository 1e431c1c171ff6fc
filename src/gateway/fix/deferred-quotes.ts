import { QuoteBatch } from "../../quote/quote-batch.ts";

const REPLACED = -1;

/**
 * Quotes that wait because the socket does not drain: the newest of each instrument, in the order of their ids. Bounded by
 * the number of instruments.
 */
export class DeferredQuotes {
  readonly #batch: QuoteBatch;
  /** Row + 1 of each instrument, 0 = it does not wait. */
  readonly #rowOf: Int32Array;
  #replaced = 0;
  /** Quotes replaced by a newer one of the same instrument before they could be sent. */
  conflated = 0;

  constructor(instruments: number) {
    this.#batch = new QuoteBatch(instruments * 2);
    this.#rowOf = new Int32Array(instruments);
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
    const instrument = from.instrument[row];
    const before = this.#rowOf[instrument] - 1;
    if (before >= 0) {
      batch.instrument[before] = REPLACED;
      this.#replaced += 1;
      this.conflated += 1;
    }
    if (batch.count === batch.capacity) this.#remove(0);
    this.#copy(from, row, batch.count);
    batch.count += 1;
    this.#rowOf[instrument] = batch.count;
  }

  /** The first `count` rows of {@link batch} have been sent. */
  remove(count: number): void {
    for (let row = 0; row < count; row += 1) this.#rowOf[this.#batch.instrument[row]] = 0;
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
      this.#rowOf[batch.instrument[to - 1]] = to;
    }
    batch.count = to;
    this.#replaced = 0;
  }

  #copy(from: QuoteBatch, row: number, to: number): void {
    const batch = this.#batch;
    batch.instrument[to] = from.instrument[row];
    batch.quoteId[to] = from.quoteId[row];
    batch.bidTicks[to] = from.bidTicks[row];
    batch.bidLots[to] = from.bidLots[row];
    batch.askTicks[to] = from.askTicks[row];
    batch.askLots[to] = from.askLots[row];
  }
}
