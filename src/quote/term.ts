/**
 * Columns of what a quote was made of, in the order in which batches, standing quotes and journals hold them. Prices are in the
 * instrument's price unit.
 *
 * bid = fair + shift − base − counterparty − volatilityJump − moveBid − levelBid, ask accordingly, before rounding, where the
 * shift is the sum of the four skews; a side's size is the full size × predicted × room.
 */
export const TERM = {
  /** Price of the underlying in quote currency, and the implied volatility (a fraction; 0 unless an option). */
  forward: 0,
  impliedVolatility: 1,
  delta: 2,
  /** ∂ delta / ∂ forward. */
  gamma: 3,
  /** Quote currency for 1.00 of volatility. */
  vega: 4,
  base: 5,
  counterparty: 6,
  /** vega × E[volatility jump]. */
  volatilityJump: 7,
  /** |delta| × E[adverse move]. */
  moveBid: 8,
  moveAsk: 9,
  /** Distance of this level behind the first. */
  levelBid: 10,
  levelAsk: 11,
  /** Shifts of both sides against the net delta, gamma and vega of the underlying and the position in the instrument. */
  skewDelta: 12,
  skewGamma: 13,
  skewVega: 14,
  skewPosition: 15,
  /** Share of the full size that the predicted withdrawal leaves. */
  predictedBid: 16,
  predictedAsk: 17,
  /** Share of that which the position and the room for delta, gamma and vega leave. */
  roomBid: 18,
  roomAsk: 19,
} as const;
export type TermName = keyof typeof TERM;

export const TERM_NAMES = Object.keys(TERM) as readonly TermName[];
export const TERMS = TERM_NAMES.length;

/** The terms of one quote by name. Allocates. */
export function namedTerms(terms: Float32Array, offset: number): Record<TermName, number> {
  return Object.fromEntries(TERM_NAMES.map((name, column) => [name, terms[offset + column]])) as Record<
    TermName,
    number
  >;
}
