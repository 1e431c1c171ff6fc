import { stepToNumber } from "../core/decimal.ts";
import type { Instrument } from "../market/instrument.ts";
import { lotNotional } from "../quote/exposure.ts";

/** A position as it is kept across a restart. */
export interface LedgerEntry {
  readonly lots: number;
  readonly flow: number;
  readonly average: number;
  readonly fees: number;
  readonly bought: number;
  readonly sold: number;
}

/**
 * Positions and money by instrument, by average cost.
 *
 * Each instrument is kept in a price measure in which its profit is linear: the price in ticks for everything linear and for
 * options (also those paid in coin), −1/price for inverse futures and perpetuals. With it, in the settlement currency,
 *
 * - profit = unit × (flow + lots × measure of the mark) − fees, where flow = −Σ signed lots × measure of the fills;
 * - unrealised = unit × lots × (measure of the mark − average), realised = unit × (flow + lots × average).
 *
 * A fill that adds moves the average, one that reduces does not, one that turns the position starts a new average. Where the
 * measure is ticks, flows are whole numbers and exact up to 2⁵³.
 */
export class Ledger {
  readonly lots: Float64Array;
  readonly flow: Float64Array;
  /** In the instrument's measure; 0 without a position. */
  readonly average: Float64Array;
  /** In the settlement currency, as all amounts. */
  readonly fees: Float64Array;
  /** Lots bought and sold in all. */
  readonly bought: Float64Array;
  readonly sold: Float64Array;
  /** Profit of one lot for one unit of the measure. */
  readonly unit: Float64Array;
  readonly #inverse: Uint8Array;
  readonly #tick: Float64Array;

  constructor(capacity: number) {
    this.lots = new Float64Array(capacity);
    this.flow = new Float64Array(capacity);
    this.average = new Float64Array(capacity);
    this.fees = new Float64Array(capacity);
    this.bought = new Float64Array(capacity);
    this.sold = new Float64Array(capacity);
    this.unit = new Float64Array(capacity);
    this.#inverse = new Uint8Array(capacity);
    this.#tick = new Float64Array(capacity);
  }

  add(instrument: Instrument): void {
    const { fixed, perPrice } = lotNotional(instrument);
    const tick = stepToNumber(instrument.tick);
    this.#tick[instrument.id] = tick;
    this.#inverse[instrument.id] = instrument.inverse && instrument.kind !== "option" ? 1 : 0;
    this.unit[instrument.id] = fixed > 0 ? fixed : perPrice * tick;
  }

  /** The measure of a price in the instrument's price unit. */
  measure(instrument: number, price: number): number {
    return this.#inverse[instrument] === 1 ? -1 / price : price / this.#tick[instrument];
  }

  /** The price, in the instrument's unit, that has a measure. */
  priceOf(instrument: number, measure: number): number {
    return this.#inverse[instrument] === 1 ? -1 / measure : measure * this.#tick[instrument];
  }

  /** @param side 0 = bought */
  onFill(instrument: number, side: number, priceTicks: number, lots: number, fee: number): void {
    const measure = this.#inverse[instrument] === 1 ? -1 / (priceTicks * this.#tick[instrument]) : priceTicks;
    const before = this.lots[instrument];
    const signed = side === 0 ? lots : -lots;
    const after = before + signed;
    this.flow[instrument] -= signed * measure;
    this.fees[instrument] += fee;
    (side === 0 ? this.bought : this.sold)[instrument] += lots;
    this.lots[instrument] = after;
    if (after === 0) this.average[instrument] = 0;
    else if (before * signed >= 0) {
      this.average[instrument] = (before * this.average[instrument] + signed * measure) / after;
    } else if (before * after < 0) this.average[instrument] = measure;
  }

  /** Takes over a position that is the counterparty's truth: the difference comes in at the given price, without a fee. */
  adopt(instrument: number, lots: number, price: number): void {
    const difference = lots - this.lots[instrument];
    if (difference === 0) return;
    const measure = this.measure(instrument, price);
    this.flow[instrument] -= difference * measure;
    const before = this.lots[instrument];
    if (before * difference >= 0) {
      this.average[instrument] = (before * this.average[instrument] + difference * measure) / lots;
    } else if (lots === 0 || before * lots < 0) this.average[instrument] = lots === 0 ? 0 : measure;
    this.lots[instrument] = lots;
  }

  /** Profit without fees at a mark in the instrument's price unit, in the settlement currency. */
  gross(instrument: number, mark: number): number {
    const lots = this.lots[instrument];
    const open = lots === 0 ? 0 : lots * this.measure(instrument, mark);
    return this.unit[instrument] * (this.flow[instrument] + open);
  }

  realised(instrument: number): number {
    return this.unit[instrument] * (this.flow[instrument] + this.lots[instrument] * this.average[instrument]);
  }

  unrealised(instrument: number, mark: number): number {
    const lots = this.lots[instrument];
    if (lots === 0) return 0;
    return this.unit[instrument] * lots * (this.measure(instrument, mark) - this.average[instrument]);
  }

  /** Premiums paid and received, less fees, of an option; realised profit less fees of a perpetual or future. */
  cash(instrument: Instrument): number {
    const id = instrument.id;
    const traded = instrument.kind === "option" ? this.unit[id] * this.flow[id] : this.realised(id);
    return traded - this.fees[id];
  }

  entry(instrument: number): LedgerEntry {
    return {
      lots: this.lots[instrument],
      flow: this.flow[instrument],
      average: this.average[instrument],
      fees: this.fees[instrument],
      bought: this.bought[instrument],
      sold: this.sold[instrument],
    };
  }

  restore(instrument: number, entry: LedgerEntry): void {
    this.lots[instrument] = entry.lots;
    this.flow[instrument] = entry.flow;
    this.average[instrument] = entry.average;
    this.fees[instrument] = entry.fees;
    this.bought[instrument] = entry.bought;
    this.sold[instrument] = entry.sold;
  }
}
