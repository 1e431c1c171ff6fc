import { type EventBatch, TICKER_FIELDS } from "../market/event-batch.ts";
import type { OrderAction, OrderChange } from "./order-change.ts";

/** Where the change of an order stands in the values of its event; `ffi/decode_orders.h` has the same numbers. */
const AT = { action: 0, key: 1, side: 5, ticks: 6, lots: 7, mustRest: 8, sequence: 9 } as const;

/** Copies the change of an order from the event that a native decoder has written. */
export function takeOrder({ values }: EventBatch, row: number, order: OrderChange): void {
  const at = row * TICKER_FIELDS;
  order.action = values[at + AT.action] as OrderAction;
  order.key.w0 = values[at + AT.key];
  order.key.w1 = values[at + AT.key + 1];
  order.key.w2 = values[at + AT.key + 2];
  order.key.w3 = values[at + AT.key + 3];
  order.side = values[at + AT.side];
  order.priceTicks = values[at + AT.ticks];
  order.sizeLots = values[at + AT.lots];
  order.mustRest = values[at + AT.mustRest] === 1;
  order.sequence = values[at + AT.sequence];
}
