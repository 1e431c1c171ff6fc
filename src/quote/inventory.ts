import type { Instrument } from "../market/instrument.ts";
import { lotNotional } from "./exposure.ts";
import type { FairValues } from "./fair-value.ts";

/** Positions as the quoter sees them, for skew and size. The limits that protect the desk are the risk gate's own. */
export class Inventory {
  /** Lots held, negative when short. */
  readonly positionLots: Float64Array;
  /** Notional of one lot: `lotFixed + lotPerPrice × price of the underlying`. */
  readonly lotFixed: Float64Array;
  readonly lotPerPrice: Float64Array;
  /** Of one underlying after {@link sumGreeks}: delta notional, its change for a move of 1 %, and vega for one volatility point. */
  netDelta = 0;
  netGamma = 0;
  netVega = 0;
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
   * Sums the Greeks held in the given instruments into {@link netDelta}, {@link netGamma} and {@link netVega}. A position without
   * known Greeks counts as 0 here; the risk gate counts it in full.
   */
  sumGreeks(instruments: Int32Array, count: number, values: FairValues): void {
    this.netDelta = 0;
    this.netGamma = 0;
    this.netVega = 0;
    if (this.#held === 0) return;
    for (let i = 0; i < count; i += 1) {
      const instrument = instruments[i];
      const lots = this.positionLots[instrument];
      if (lots === 0) continue;
      const forward = values.forward[instrument];
      const delta = lots * this.deltaPerLot(instrument, values.delta[instrument], forward);
      if (Number.isNaN(delta)) continue;
      this.netDelta += delta;
      this.netGamma += lots * this.gammaPerLot(instrument, values.gamma[instrument], forward);
      this.netVega += lots * this.vegaPerLot(instrument, values.vega[instrument]);
    }
  }

  /** Delta of one lot as notional in quote currency. */
  deltaPerLot(instrument: number, delta: number, forward: number): number {
    return delta * this.notionalPerLot(instrument, forward);
  }

  /** Change of the delta notional of one lot for a move of the underlying by 1 %. */
  gammaPerLot(instrument: number, gamma: number, forward: number): number {
    return gamma * 0.01 * forward * forward * this.lotPerPrice[instrument];
  }

  /** Quote currency for one volatility point of one lot. */
  vegaPerLot(instrument: number, vega: number): number {
    return 0.01 * vega * this.lotPerPrice[instrument];
  }
}
