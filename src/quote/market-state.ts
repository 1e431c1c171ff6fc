import type { Instrument } from "../market/instrument.ts";
import type { QuoteParameters } from "./parameters.ts";
import { REASON } from "./quote-batch.ts";

/**
 * Microprice of a book: each weighted by the size on the other side (S. Stoikov, "The micro-price", 2018, its
 * first-order form).
 *
 * @returns in ticks; NaN when a side is empty or the book is crossed
 */
export function micropriceTicks(
  bestBidTicks: number,
  bestBidLots: number,
  bestAskTicks: number,
  bestAskLots: number,
): number {
  const lots = bestBidLots + bestAskLots;
  if (bestBidTicks < 0 || bestAskTicks <= bestBidTicks || !(lots > 0)) return Number.NaN;
  return (bestBidTicks * bestAskLots + bestAskTicks * bestBidLots) / lots;
}

/** What the quoter knows of the state of feeds, own books and reference markets. */
export class MarketState {
  /** Best prices of each instrument's own book; −1 for an empty side. */
  readonly bestBidTicks: Int32Array;
  readonly bestAskTicks: Int32Array;
  /** Microprice of each underlying's reference book in quote currency; NaN while there is none. */
  readonly referencePrice: Float64Array;
  /** Exchange time minus local time, as of the underlying's latest event. */
  readonly exchangeOffsetUs: Float64Array;

  readonly #parameters: QuoteParameters;
  readonly #live: Uint8Array;
  readonly #feedReasons: Int32Array;
  /** Instrument whose book leads each underlying, and the underlying that each instrument leads; −1 where none. */
  readonly #reference: Int32Array;
  readonly #leads: Int32Array;
  readonly #referenceUs: Float64Array;

  constructor(capacity: number, underlyings: number, parameters: QuoteParameters) {
    this.#parameters = parameters;
    this.bestBidTicks = new Int32Array(capacity).fill(-1);
    this.bestAskTicks = new Int32Array(capacity).fill(-1);
    this.#live = new Uint8Array(capacity);
    this.#feedReasons = new Int32Array(capacity).fill(REASON.bookUnsound);
    this.referencePrice = new Float64Array(underlyings).fill(Number.NaN);
    this.exchangeOffsetUs = new Float64Array(underlyings);
    this.#reference = new Int32Array(underlyings).fill(-1);
    this.#leads = new Int32Array(capacity).fill(-1);
    this.#referenceUs = new Float64Array(underlyings).fill(Number.NEGATIVE_INFINITY);
  }

  setReference(underlying: number, instrument: number): void {
    const before = this.#reference[underlying];
    if (before === instrument) return;
    if (before >= 0) this.#leads[before] = -1;
    this.#reference[underlying] = instrument;
    this.#leads[instrument] = underlying;
    this.referencePrice[underlying] = Number.NaN;
  }

  onBook(instrument: number, bestBidTicks: number, bestAskTicks: number): void {
    this.bestBidTicks[instrument] = bestBidTicks;
    this.bestAskTicks[instrument] = bestAskTicks;
  }

  onReference(underlying: number, price: number, timeUs: number): void {
    this.referencePrice[underlying] = price;
    this.#referenceUs[underlying] = timeUs;
  }

  onExchangeTime(underlying: number, exchangeTimeUs: number, timeUs: number): void {
    if (exchangeTimeUs > 0) this.exchangeOffsetUs[underlying] = exchangeTimeUs - timeUs;
  }

  /** @returns the underlying that the instrument leads, −1 when it leads none. */
  onFeedState(instrument: number, live: boolean, reasonMask: number): number {
    this.#live[instrument] = live ? 1 : 0;
    this.#feedReasons[instrument] = reasonMask === 0 ? REASON.bookUnsound : reasonMask;
    const underlying = this.#leads[instrument];
    if (live) return underlying;
    this.bestBidTicks[instrument] = -1;
    this.bestAskTicks[instrument] = -1;
    if (underlying >= 0) this.referencePrice[underlying] = Number.NaN;
    return underlying;
  }

  /** The underlying has a reference market, live or not. */
  hasReference(underlying: number): boolean {
    return this.#reference[underlying] >= 0;
  }

  /**
   * Why the market does not allow an instrument to be quoted, as {@link REASON} bits; 0 when it does.
   *
   * @param sourceUs local time of the data its value rests on
   */
  obstacles(instrument: Instrument, underlying: number, sourceUs: number, timeUs: number): number {
    const parameters = this.#parameters;
    let reasons = this.#live[instrument.id] === 0 ? this.#feedReasons[instrument.id] : 0;
    const ageUs = timeUs - sourceUs;
    if (instrument.kind === "option") {
      const reference = this.#reference[underlying];
      if (reference >= 0) {
        if (this.#live[reference] === 0) reasons |= this.#feedReasons[reference];
        else if (timeUs - this.#referenceUs[underlying] > parameters.underlyingMaxAgeMs * 1_000) {
          reasons |= REASON.stale;
        }
        if (!(this.referencePrice[underlying] > 0)) reasons |= REASON.noFair;
      }
      if (ageUs > parameters.tickerMaxAgeMs * 1_000) reasons |= REASON.stale;
    } else if (ageUs > parameters.underlyingMaxAgeMs * 1_000) {
      reasons |= REASON.stale;
    }
    const exchangeTimeUs = timeUs + this.exchangeOffsetUs[underlying];
    if (instrument.expiryMs * 1_000 - exchangeTimeUs <= parameters.expiryCutoffMs * 1_000) {
      reasons |= REASON.expiring;
    }
    return reasons;
  }
}
