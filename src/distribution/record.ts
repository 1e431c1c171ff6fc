/**
 * What goes from the desk's thread to the distribution's, through a ring. A record: kind (u32), subject (u32), local time in µs
 * (f64), then values as f64; for names a JSON text in their place.
 *
 * @module
 */

export const RECORD = {
  /** Describes an instrument, as `relaySpec` does. Subject: its number. */
  instrument: 0,
  /** Names an underlying: `{base}`. */
  underlying: 1,
  /** Exchange time, then bid price and size, ask price and size; NaN and 0 for an empty side. Subject: the instrument. */
  top: 2,
  /** Exchange time, side, price, size. */
  trade: 3,
  /** Exchange time, then the columns of `TICKER`. */
  ticker: 4,
  /** State and reason of the instrument's feed. */
  status: 5,
  /** See {@link QUOTE}. */
  quote: 6,
  cancelAll: 7,
  /** Status bits, then one probability per head. Subject: the underlying. */
  prediction: 8,
  /** The feature row. Subject: the underlying. */
  features: 9,
  /** An event as the desk took it in; see {@link FEED_EVENT}. Subject: the instrument. */
  feedEvent: 10,
} as const;
export type RecordKind = (typeof RECORD)[keyof typeof RECORD];

/** Columns of a quote's values; prices NaN where the side is not quoted. */
export const QUOTE = {
  quoteId: 0,
  level: 1,
  bidPrice: 2,
  bidSize: 3,
  askPrice: 4,
  askSize: 5,
  fair: 6,
  widenBp: 7,
  sizeFactor: 8,
  reasons: 9,
} as const;
export const QUOTE_VALUES = 10;

/** Columns of a feed event; side, ticks and lots of each level, or a ticker's values, follow. */
export const FEED_EVENT = {
  kind: 0,
  exchangeUs: 1,
  firstSequence: 2,
  lastSequence: 3,
  previousSequence: 4,
  /** Of a status: state and reason. Of a snapshot after a loss: the state that the book is in. */
  code: 5,
  reason: 6,
  /** 1: something was lost on the way to the ring, and this is the desk's own book. */
  afterLoss: 7,
} as const;
export const FEED_EVENT_VALUES = 8;
export const LEVEL_VALUES = 3;

export const HEAD_BYTES = 16;
