import type { QueuePlace } from "./queue.ts";

/** An order or one side of a quote of ours that rests in the recorded market. */
export interface VenueOrder extends QueuePlace {
  readonly instrument: number;
  /** 0 = bid. */
  readonly side: number;
  readonly priceTicks: number;
  /** What can still trade. */
  lots: number;
  /** When it came to stand where it stands, venue time. */
  readonly enteredUs: number;
  /** The desk's order id; 0 = a side of a quote. */
  readonly orderId: number;
  /** The quote's id and level; 0 for an order. */
  readonly quoteId: number;
  readonly level: number;
}
