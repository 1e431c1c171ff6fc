import { SIDE } from "../market/event-batch.ts";
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

/** One of the orders is at a price or beyond it. */
export function reaches(orders: readonly VenueOrder[], side: number, priceTicks: number): boolean {
  for (let i = 0; i < orders.length; i += 1) {
    const order = orders[i];
    if (order.side !== side) continue;
    if (side === SIDE.bid ? order.priceTicks >= priceTicks : order.priceTicks <= priceTicks) return true;
  }
  return false;
}

/** Number of one side of one level of an instrument; levels are below `LEVELS_MAX` = 8. */
export function quoteKey(instrument: number, level: number, side: number): number {
  return (instrument * 8 + level) * 2 + side;
}

/** An order that has not rested yet. */
export function newOrder(
  instrument: number,
  side: number,
  priceTicks: number,
  lots: number,
  owner: { readonly orderId: number; readonly quoteId: number; readonly level: number },
  enteredUs: number,
): VenueOrder {
  return { instrument, side, priceTicks, lots, enteredUs, ahead: 0, traded: 0, ...owner };
}
