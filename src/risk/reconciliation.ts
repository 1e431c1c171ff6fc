import type { VenueName } from "../market/instrument.ts";

/** A position as the venue or the counterparty has it. */
export interface VenuePosition {
  readonly venue: VenueName;
  readonly symbol: string;
  /** Signed, in the instrument's units of size (as its lot is), a plain decimal with an optional sign. */
  readonly size: string;
  /** The same in lots, in place of the size: where whoever tells it does not know how large a lot is. */
  readonly lots?: number;
  /** Average price; null where the venue does not tell it. */
  readonly averagePrice: number | null;
}

/** An open order as the venue or the counterparty has it. */
export interface VenueOrder {
  readonly venue: VenueName;
  readonly symbol: string;
  /** The desk's own id; null for an order that is not this desk's. */
  readonly orderId: number | null;
  readonly side: 0 | 1;
  readonly leavesSize: string;
}

/** A quote as the venue or the counterparty has it. */
export interface VenueQuote {
  readonly venue: VenueName;
  readonly symbol: string;
  readonly bidSize: string;
  readonly askSize: string;
}

/**
 * What a gateway implements when the other side can be asked what it holds. Asked before the first quote of every session and
 * after every command whose outcome stayed unknown. Each call rejects with a KeelError when no sound answer came.
 */
export interface ReconciliationSource {
  positions(): Promise<readonly VenuePosition[]>;
  openOrders(): Promise<readonly VenueOrder[]>;
  quotes(): Promise<readonly VenueQuote[]>;
}

/** All three answers, taken together; an input of the desk, and journalled as such. */
export interface ReconciliationReport {
  readonly positions: readonly VenuePosition[];
  readonly openOrders: readonly VenueOrder[];
  readonly quotes: readonly VenueQuote[];
}

/**
 * What is done when a position at the venue is not the desk's own. `adopt`: the venue's is taken over and the difference
 * reported. `refuse`: nothing is quoted until an operator has the venue's adopted.
 */
export const MISMATCH_RULES = ["adopt", "refuse"] as const;
export type MismatchRule = (typeof MISMATCH_RULES)[number];

/** A position that differed. */
export interface PositionDifference {
  readonly instrument: number;
  readonly ownLots: number;
  readonly venueLots: number;
}

/** What a report came to. */
export interface ReconciliationResult {
  readonly differences: readonly PositionDifference[];
  /** Positions at the venue in instruments that the desk does not carry: `venue:symbol size`. */
  readonly foreign: readonly string[];
  /** The venue holds orders or quotes that the desk does not know: everything is to be cancelled there. */
  readonly strangers: boolean;
  readonly reconciled: boolean;
}
