import { QuoteBatch } from "../../quote/quote-batch.ts";

const REPLACED = -1;
/** Replaced rows are taken out when there are so many of them, and when the queue is full. */
const SWEEP = 1_024;

/**
 * Quotes that wait for the venue's rate: the newest of each instrument and level, in the order of their ids. Bounded by
 * instruments × levels.
 */
export class WaitingQuotes {
  readonly #batch: QuoteBatch;
  readonly #instruments: number;
  /** Row + 1 of each instrument and level, 0 = it does not wait. */
  readonly #rowOf: Int32Array;
  #first = 0;
  #replaced = 0;
  /** Quotes replaced by a newer one before they could be sent. */
  conflated = 0;

  constructor(instruments: number, levels: number) {
    this.#instruments = instruments;
    this.#batch = new QuoteBatch(instruments * levels + SWEEP);
    this.#rowOf = new Int32Array(instruments * levels);
  }

  get count(): number {
    return this.#batch.count - this.#first - this.#replaced;
  }

  /** The waiting quotes, from row {@link first} on; rows of instrument −1 were replaced and do not count. */
  get batch(): QuoteBatch {
    return this.#batch;
  }

  get first(): number {
    return this.#first;
  }

  /** A quote of the instrument and level waits. */
  has(instrument: number, level: number): boolean {
    return this.#rowOf[level * this.#instruments + instrument] !== 0;
  }

  add(from: QuoteBatch, row: number): void {
    const batch = this.#batch;
    const slot = from.level[row] * this.#instruments + from.instrument[row];
    const before = this.#rowOf[slot] - 1;
    if (before >= 0) {
      batch.instrument[before] = REPLACED;
      this.#replaced += 1;
      this.conflated += 1;
    }
    if (batch.count === batch.capacity) this.#sweep();
    const to = batch.count;
    batch.instrument[to] = from.instrument[row];
    batch.level[to] = from.level[row];
    batch.quoteId[to] = from.quoteId[row];
    batch.bidTicks[to] = from.bidTicks[row];
    batch.bidLots[to] = from.bidLots[row];
    batch.askTicks[to] = from.askTicks[row];
    batch.askLots[to] = from.askLots[row];
    batch.count = to + 1;
    this.#rowOf[slot] = to + 1;
  }

  /** Everything before the row has been taken. */
  takenTo(row: number): void {
    const batch = this.#batch;
    for (let at = this.#first; at < row; at += 1) {
      if (batch.instrument[at] === REPLACED) this.#replaced -= 1;
      else this.#rowOf[batch.level[at] * this.#instruments + batch.instrument[at]] = 0;
    }
    this.#first = row;
    if (this.#first === batch.count) {
      batch.clear();
      this.#first = 0;
      this.#replaced = 0;
    }
  }

  clear(): void {
    this.#rowOf.fill(0);
    this.#batch.clear();
    this.#first = 0;
    this.#replaced = 0;
  }

  #sweep(): void {
    const batch = this.#batch;
    let to = 0;
    for (let row = this.#first; row < batch.count; row += 1) {
      if (batch.instrument[row] === REPLACED) continue;
      batch.move(row, to);
      to += 1;
      this.#rowOf[batch.level[to - 1] * this.#instruments + batch.instrument[to - 1]] = to;
    }
    batch.count = to;
    this.#first = 0;
    this.#replaced = 0;
  }
}
