import { LEVELS_MAX } from "../quote/quote-batch.ts";

/**
 * Our own quotes that may stand at the counterparty: as approved last, until pulled, filled, cancelled or the session is over.
 * Orders are held against their prices, so that the desk never trades with itself, and the levels of an instrument against each
 * other's sizes, because all of them may be filled.
 */
export class StandingQuotes {
  /** The best of each side over all levels; −1 where the side is not quoted. */
  readonly bidTicks: Int32Array;
  readonly askTicks: Int32Array;
  readonly #capacity: number;
  /** By side, level and instrument. */
  readonly #ticks: Int32Array;
  readonly #lots: Float64Array;
  /** Levels seen so far. */
  #levels = 1;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.bidTicks = new Int32Array(capacity).fill(-1);
    this.askTicks = new Int32Array(capacity).fill(-1);
    this.#ticks = new Int32Array(2 * LEVELS_MAX * capacity).fill(-1);
    this.#lots = new Float64Array(2 * LEVELS_MAX * capacity);
  }

  set(
    instrument: number,
    level: number,
    bidTicks: number,
    bidLots: number,
    askTicks: number,
    askLots: number,
  ): void {
    if (level >= this.#levels) this.#levels = level + 1;
    const bid = this.#at(instrument, level, 0);
    const ask = this.#at(instrument, level, 1);
    this.#ticks[bid] = bidTicks;
    this.#lots[bid] = bidLots;
    this.#ticks[ask] = askTicks;
    this.#lots[ask] = askLots;
    this.#findBest(instrument);
  }

  /** Lots of a side on the instrument's other levels. @param side 0 = bid */
  otherLots(instrument: number, level: number, side: number): number {
    let lots = 0;
    for (let other = 0; other < this.#levels; other += 1) {
      if (other !== level) lots += this.#lots[this.#at(instrument, other, side)];
    }
    return lots;
  }

  /** A fill of the quote at that price takes its lots away; at a price at which none stands nothing is known to be gone. */
  onFill(instrument: number, side: number, priceTicks: number, lots: number): void {
    for (let level = 0; level < this.#levels; level += 1) {
      const at = this.#at(instrument, level, side);
      if (this.#ticks[at] !== priceTicks) continue;
      this.#lots[at] = Math.max(this.#lots[at] - lots, 0);
      if (this.#lots[at] === 0) this.#ticks[at] = -1;
      this.#findBest(instrument);
      return;
    }
  }

  /** Nothing stands any more. */
  clear(): void {
    this.bidTicks.fill(-1);
    this.askTicks.fill(-1);
    this.#ticks.fill(-1);
    this.#lots.fill(0);
  }

  #at(instrument: number, level: number, side: number): number {
    return (2 * level + side) * this.#capacity + instrument;
  }

  #findBest(instrument: number): void {
    let bid = -1;
    let ask = -1;
    for (let level = 0; level < this.#levels; level += 1) {
      bid = Math.max(bid, this.#ticks[this.#at(instrument, level, 0)]);
      const offered = this.#ticks[this.#at(instrument, level, 1)];
      if (offered >= 0 && (ask < 0 || offered < ask)) ask = offered;
    }
    this.bidTicks[instrument] = bid;
    this.askTicks[instrument] = ask;
  }
}
