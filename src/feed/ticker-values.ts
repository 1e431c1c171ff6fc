import { type EventBatch, TICKER, TICKER_FIELDS } from "../market/event-batch.ts";

/**
 * The last known values of each instrument's ticker, for venues that tell them in parts: changed fields only, or mark price, index
 * and volatilities by channels of their own.
 */
export class TickerValues {
  readonly #values: Float64Array;

  /** @param capacity that of the instrument table. */
  constructor(capacity: number) {
    this.#values = new Float64Array(capacity * TICKER_FIELDS).fill(Number.NaN);
  }

  /** Gives a ticker event the values that it does not carry itself. Volatilities of bid and ask go with that of the mark. */
  complete(batch: EventBatch, row: number): void {
    const from = row * TICKER_FIELDS;
    const to = batch.instrument[row] * TICKER_FIELDS;
    const { values } = batch;
    const known = this.#values;
    if (!Number.isNaN(values[from + TICKER.markIv])) {
      known[to + TICKER.bidIv] = Number.NaN;
      known[to + TICKER.askIv] = Number.NaN;
    }
    for (let field = 0; field < TICKER_FIELDS; field += 1) {
      const value = values[from + field];
      if (Number.isNaN(value)) values[from + field] = known[to + field];
      else known[to + field] = value;
    }
  }

  clear(): void {
    this.#values.fill(Number.NaN);
  }
}
