import { stepToNumber } from "../core/decimal.ts";
import type { Book } from "../market/book.ts";
import type { Instrument } from "../market/instrument.ts";
import type { QuoteParameters } from "./parameters.ts";
import { REASON } from "./quote-batch.ts";

const REFERENCE = { none: 0, live: 1, down: 2 } as const;

/**
 * Microprice of a book's best prices: each weighted by the size on the other side (S. Stoikov, "The micro-price", 2018, its
 * first-order form).
 *
 * @returns in ticks; NaN when a side is empty or the book is crossed
 */
export function micropriceTicks(book: Book): number {
  const { bestBidTicks, bestBidLots, bestAskTicks, bestAskLots } = book;
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
  readonly #referenceState: Uint8Array;
  readonly #referenceReasons: Int32Array;
  readonly #referenceUs: Float64Array;

  constructor(capacity: number, underlyings: number, parameters: QuoteParameters) {
    this.#parameters = parameters;
    this.bestBidTicks = new Int32Array(capacity).fill(-1);
    this.bestAskTicks = new Int32Array(capacity).fill(-1);
    this.#live = new Uint8Array(capacity);
    this.#feedReasons = new Int32Array(capacity).fill(REASON.bookUnsound);
    this.referencePrice = new Float64Array(underlyings).fill(Number.NaN);
    this.exchangeOffsetUs = new Float64Array(underlyings);
    this.#referenceState = new Uint8Array(underlyings);
    this.#referenceReasons = new Int32Array(underlyings);
    this.#referenceUs = new Float64Array(underlyings).fill(Number.NEGATIVE_INFINITY);
  }

  onBook(instrument: number, book: Book): void {
    this.bestBidTicks[instrument] = book.bestBidTicks;
    this.bestAskTicks[instrument] = book.bestAskTicks;
  }

  onReference(underlying: number, book: Book, instrument: Instrument, timeUs: number): void {
    this.referencePrice[underlying] = micropriceTicks(book) * stepToNumber(instrument.tick);
    this.#referenceUs[underlying] = timeUs;
  }

  onExchangeTime(underlying: number, exchangeTimeUs: number, timeUs: number): void {
    if (exchangeTimeUs > 0) this.exchangeOffsetUs[underlying] = exchangeTimeUs - timeUs;
  }

  onFeedState(instrument: number, live: boolean, reasonMask: number): void {
    this.#live[instrument] = live ? 1 : 0;
    this.#feedReasons[instrument] = reasonMask === 0 ? REASON.bookUnsound : reasonMask;
    if (live) return;
    this.bestBidTicks[instrument] = -1;
    this.bestAskTicks[instrument] = -1;
  }

  onReferenceState(underlying: number, live: boolean, reasonMask: number): void {
    this.#referenceState[underlying] = live ? REFERENCE.live : REFERENCE.down;
    this.#referenceReasons[underlying] = reasonMask === 0 ? REASON.bookUnsound : reasonMask;
    if (!live) this.referencePrice[underlying] = Number.NaN;
  }

  /** The underlying has a reference market, live or not. */
  hasReference(underlying: number): boolean {
    return this.#referenceState[underlying] !== REFERENCE.none;
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
      if (this.hasReference(underlying)) {
        const down = this.#referenceState[underlying] === REFERENCE.down;
        if (down) reasons |= this.#referenceReasons[underlying];
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
