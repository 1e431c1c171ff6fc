import type { Instrument } from "../market/instrument.ts";
import { lotNotional } from "../quote/exposure.ts";

/**
 * Positions in lots and what they are worth, as the risk gate counts them: by fills, independent of the quoter. Deltas are the
 * latest seen on a quote; until there is one, an option counts with a delta of ±1, the worst it can be.
 */
export class Positions {
  readonly #lots: Float64Array;
  readonly #delta: Float64Array;
  readonly #fixed: Float64Array;
  readonly #perPrice: Float64Array;
  readonly #underlying: Int32Array;
  readonly #held: Int32Array;
  readonly #heldAt: Int32Array;
  #heldCount = 0;

  constructor(capacity: number) {
    this.#lots = new Float64Array(capacity);
    this.#delta = new Float64Array(capacity).fill(Number.NaN);
    this.#fixed = new Float64Array(capacity);
    this.#perPrice = new Float64Array(capacity);
    this.#underlying = new Int32Array(capacity).fill(-1);
    this.#held = new Int32Array(capacity);
    this.#heldAt = new Int32Array(capacity).fill(-1);
  }

  add(instrument: Instrument, underlying: number): void {
    const { fixed, perPrice } = lotNotional(instrument);
    this.#fixed[instrument.id] = fixed;
    this.#perPrice[instrument.id] = perPrice;
    this.#underlying[instrument.id] = underlying;
    if (instrument.kind !== "option") this.#delta[instrument.id] = 1;
  }

  lots(instrument: number): number {
    return this.#lots[instrument];
  }

  /** Sets a position, as reconciliation does. */
  set(instrument: number, lots: number): void {
    this.#lots[instrument] = lots;
    const at = this.#heldAt[instrument];
    if (lots !== 0 && at < 0) {
      this.#held[this.#heldCount] = instrument;
      this.#heldAt[instrument] = this.#heldCount;
      this.#heldCount += 1;
    } else if (lots === 0 && at >= 0) {
      this.#heldCount -= 1;
      const last = this.#held[this.#heldCount];
      this.#held[at] = last;
      this.#heldAt[last] = at;
      this.#heldAt[instrument] = -1;
    }
  }

  /** A fill. @param side side of our quote: 0 = our bid was hit, we bought */
  onFill(instrument: number, side: number, lots: number): void {
    this.set(instrument, this.#lots[instrument] + (side === 0 ? lots : -lots));
  }

  onDelta(instrument: number, delta: number): void {
    if (delta >= -1 && delta <= 1) this.#delta[instrument] = delta;
  }

  /** Latest delta; NaN while an option's is not known. */
  delta(instrument: number): number {
    return this.#delta[instrument];
  }

  /** Notional of one lot in quote currency. */
  notionalPerLot(instrument: number, price: number): number {
    return this.#fixed[instrument] + this.#perPrice[instrument] * price;
  }

  /**
   * Net delta of an underlying in quote currency. Positions whose delta is not known are added with the sign that makes the
   * sum larger in absolute value.
   */
  netDeltaNotional(underlying: number, price: number): number {
    let net = 0;
    let unknown = 0;
    for (let i = 0; i < this.#heldCount; i += 1) {
      const instrument = this.#held[i];
      if (this.#underlying[instrument] !== underlying) continue;
      const notional = this.#lots[instrument] * this.notionalPerLot(instrument, price);
      const delta = this.#delta[instrument];
      if (Number.isNaN(delta)) unknown += Math.abs(notional);
      else net += notional * delta;
    }
    return net >= 0 ? net + unknown : net - unknown;
  }

  /** Σ |position| over all instruments in quote currency, at the prices of their underlyings. */
  grossNotional(prices: Float64Array): number {
    let gross = 0;
    for (let i = 0; i < this.#heldCount; i += 1) {
      const instrument = this.#held[i];
      const price = prices[this.#underlying[instrument]];
      gross += Math.abs(this.#lots[instrument]) * this.notionalPerLot(instrument, price);
    }
    return gross;
  }
}
