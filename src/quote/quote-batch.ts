import { TERMS } from "./term.ts";

/**
 * Why a quote has the price and size it has; a bit mask. Every quote carries at least `base`.
 * The names are what `reasons` in reports, metrics and `keel explain` show.
 */
export const REASON = {
  base: 1 << 0,
  /** Wider because the model sees a price move. */
  modelMove: 1 << 1,
  /** Smaller because the model sees depth being withdrawn. */
  modelWithdraw: 1 << 2,
  /** Wider because the model sees a volatility spike. */
  modelVolatility: 1 << 3,
  /** Skewed or cut by the position held. */
  inventory: 1 << 4,
  /** A tightening is waiting: the quote has not lived its minimum life, or the improvement is below the threshold. */
  held: 1 << 5,
  /** Static defensive spread, because … */
  defensive: 1 << 6,
  modelMissing: 1 << 7,
  modelLate: 1 << 8,
  modelWarming: 1 << 9,
  inputUnsound: 1 << 10,
  engineLost: 1 << 11,
  /** Sides not quoted, because … */
  pulled: 1 << 12,
  bookUnsound: 1 << 13,
  stale: 1 << 14,
  riskLimit: 1 << 15,
  killed: 1 << 16,
  sessionDown: 1 << 17,
  /** No fair value: no IV, expired, or no underlying price. */
  noFair: 1 << 18,
  shutdown: 1 << 19,
  expiring: 1 << 20,
  /** The counterparty rejected the quote; it is tried again after a pause. */
  rejected: 1 << 21,
  /** One side only, or only what reduces a position, because the desk was told so. */
  sides: 1 << 22,
  /** Wider and smaller, or defensive, because the model's input or what comes of its predictions is no longer what it was made for. */
  drift: 1 << 23,
  /** Wider and smaller, or pulled, because more comes in than the desk can take. */
  overload: 1 << 24,
} as const;
export type ReasonName = keyof typeof REASON;

/** Names of the bits set in a mask, in bit order. */
export function reasonNames(mask: number): ReasonName[] {
  return (Object.keys(REASON) as ReasonName[]).filter((name) => (mask & REASON[name]) !== 0);
}

/** Levels a side can be quoted on. */
export const LEVELS_MAX = 8;

/**
 * Quotes decided in one turn, one row per instrument and level. A size of 0 pulls that side (its price is then −1).
 * Reused for every turn.
 */
export class QuoteBatch {
  readonly capacity: number;
  count = 0;
  readonly instrument: Int32Array;
  /** 0 for the quote nearest to the market, then outwards; below {@link LEVELS_MAX}. */
  readonly level: Uint8Array;
  /** Increases by one with every quote of the process; the wire's QuoteEntryID. */
  readonly quoteId: Float64Array;
  readonly bidTicks: Int32Array;
  readonly bidLots: Float64Array;
  readonly askTicks: Int32Array;
  readonly askLots: Float64Array;
  readonly reasons: Int32Array;
  /** Fair value in the instrument's price unit, and what the policy added to the half-spread (bp of the underlying per unit of |delta|). */
  readonly fair: Float64Array;
  readonly widenBp: Float64Array;
  readonly sizeFactor: Float64Array;
  /** Greeks at the time of the quote: delta as a fraction, vega in quote currency for 1.00 of volatility (0 unless an option). */
  readonly delta: Float64Array;
  readonly vega: Float64Array;
  /** 1 where some side of the instrument's level stands at the counterparty before this row is sent. */
  readonly standing: Uint8Array;
  /** What the update is worth in quote currency: the edge that it offers anew × size; Infinity when it must leave now. */
  readonly value: Float64Array;
  /** What the quote was made of, by row and column of `TERM`. */
  readonly terms: Float32Array;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.instrument = new Int32Array(capacity);
    this.level = new Uint8Array(capacity);
    this.quoteId = new Float64Array(capacity);
    this.bidTicks = new Int32Array(capacity);
    this.bidLots = new Float64Array(capacity);
    this.askTicks = new Int32Array(capacity);
    this.askLots = new Float64Array(capacity);
    this.reasons = new Int32Array(capacity);
    this.fair = new Float64Array(capacity);
    this.widenBp = new Float64Array(capacity);
    this.sizeFactor = new Float64Array(capacity);
    this.delta = new Float64Array(capacity);
    this.vega = new Float64Array(capacity);
    this.standing = new Uint8Array(capacity);
    this.value = new Float64Array(capacity);
    this.terms = new Float32Array(capacity * TERMS);
  }

  clear(): void {
    this.count = 0;
  }

  /** Moves a row over another one; `to` ≤ `from`. */
  move(from: number, to: number): void {
    if (from === to) return;
    this.instrument[to] = this.instrument[from];
    this.level[to] = this.level[from];
    this.quoteId[to] = this.quoteId[from];
    this.bidTicks[to] = this.bidTicks[from];
    this.bidLots[to] = this.bidLots[from];
    this.askTicks[to] = this.askTicks[from];
    this.askLots[to] = this.askLots[from];
    this.reasons[to] = this.reasons[from];
    this.fair[to] = this.fair[from];
    this.widenBp[to] = this.widenBp[from];
    this.sizeFactor[to] = this.sizeFactor[from];
    this.delta[to] = this.delta[from];
    this.vega[to] = this.vega[from];
    this.standing[to] = this.standing[from];
    this.value[to] = this.value[from];
    this.terms.copyWithin(to * TERMS, from * TERMS, (from + 1) * TERMS);
  }
}
