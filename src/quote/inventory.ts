import type { Instrument } from "../market/instrument.ts";
import { lotNotional } from "./exposure.ts";

/** Positions as the quoter sees them, for skew and size. The limits that protect the desk are the risk gate's own. */
export class Inventory {
  /** Lots held, negative when short. */
  readonly positionLots: Float64Array;
  /** Notional of one lot: `lotFixed + lotPerPrice × price of the underlying`. */
  readonly lotFixed: Float64Array;
  readonly lotPerPrice: Float64Array;
  #held = 0;

  constructor(capacity: number) {
    this.positionLots = new Float64Array(capacity);
    this.lotFixed = new Float64Array(capacity);
    this.lotPerPrice = new Float64Array(capacity);
  }

  /** Number of instruments with a position. */
  get held(): number {
    return this.#held;
  }

  add(instrument: Instrument): void {
    const { fixed, perPrice } = lotNotional(instrument);
    this.lotFixed[instrument.id] = fixed;
    this.lotPerPrice[instrument.id] = perPrice;
  }

  setPosition(instrument: number, lots: number): void {
    this.#held += (lots !== 0 ? 1 : 0) - (this.positionLots[instrument] !== 0 ? 1 : 0);
    this.positionLots[instrument] = lots;
  }

  /** Notional of one lot in quote currency at a price of the underlying. */
  notionalPerLot(instrument: number, price: number): number {
    return this.lotFixed[instrument] + this.lotPerPrice[instrument] * price;
  }

  /** Notional of the position, signed; 0 when there is none. */
  positionNotional(instrument: number, price: number): number {
    const lots = this.positionLots[instrument];
    return lots === 0 ? 0 : lots * this.notionalPerLot(instrument, price);
  }

  /**
   * Net delta of the given instruments in quote currency: Σ position × delta × notional. A position without a known delta
   * counts as 0 here; the risk gate counts it in full.
   */
  netDeltaNotional(
    instruments: Int32Array,
    count: number,
    delta: Float64Array,
    forward: Float64Array,
  ): number {
    if (this.#held === 0) return 0;
    let net = 0;
    for (let i = 0; i < count; i += 1) {
      const instrument = instruments[i];
      if (this.positionLots[instrument] === 0) continue;
      const exposure = delta[instrument] * this.positionNotional(instrument, forward[instrument]);
      if (!Number.isNaN(exposure)) net += exposure;
    }
    return net;
  }
}
