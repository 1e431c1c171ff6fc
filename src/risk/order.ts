/** An order that the desk wants to send, as the gate is asked for it. */
export interface OrderIntent {
  /** Larger than every earlier one of this desk; the ClOrdID on the wire is made from it. */
  readonly orderId: number;
  readonly instrument: number;
  /** 0 = buy, 1 = sell. */
  readonly side: 0 | 1;
  readonly priceTicks: number;
  readonly sizeLots: number;
  /** `ioc` trades at once or not at all; `day` rests. */
  readonly timeInForce: "day" | "ioc";
  /** Fair value in the instrument's price unit, and ∂ value / ∂ underlying as a fraction. */
  readonly fair: number;
  readonly delta: number;
  /** It is sent to bring the underlying's net delta nearer to zero. */
  readonly hedge: boolean;
}

/** Where an order stands. What is `unknown` counts as at work, in full, until the counterparty says what became of it. */
export const ORDER_STATE = { pending: 0, working: 1, cancelling: 2, unknown: 3, done: 4 } as const;
export type OrderState = (typeof ORDER_STATE)[keyof typeof ORDER_STATE];
export const ORDER_STATE_NAMES = ["pending", "working", "cancelling", "unknown", "done"] as const;

/** One leg of a structure. */
export interface StructureLeg {
  readonly instrument: number;
  /** Whole number; + = bought, − = sold by whoever buys the structure. Of `lots` of the structure the leg has `ratio × lots`. */
  readonly ratio: number;
  /** Fair value in the instrument's price unit; delta as a fraction; vega in quote currency for 1.00 of volatility. */
  readonly fair: number;
  readonly delta: number;
  readonly vega: number;
}

/**
 * An answer to a request for quotes: one or several legs of one underlying at one price, Σ ratio × price of the leg in the legs'
 * price unit (negative where the sold legs are worth more). null = the side is not quoted.
 */
export interface StructureQuote {
  /** Larger than every earlier one of this desk. */
  readonly structureId: number;
  readonly legs: readonly StructureLeg[];
  /** Lots of a leg with ratio 1. */
  readonly lots: number;
  readonly bid: number | null;
  readonly ask: number | null;
}
