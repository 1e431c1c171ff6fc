import { SIDE } from "../market/event-batch.ts";
import { OrderKey } from "../market/order-key.ts";

/** What a message does to one order. */
export const ORDER = {
  /** Nothing: the message only counts. */
  pass: 0,
  /** A new order rests: `sizeLots` at `priceTicks`. */
  add: 1,
  /** `sizeLots` of a resting order have traded. */
  reduce: 2,
  /** The order has another size, `sizeLots`. */
  resize: 3,
  /** The order has another price, `priceTicks`, and the size `sizeLots`. */
  move: 4,
  remove: 5,
} as const;
export type OrderAction = (typeof ORDER)[keyof typeof ORDER];

/** The change of one order that the last frame told of. One instance is written anew for every frame. */
export class OrderChange {
  action: OrderAction = ORDER.pass;
  readonly key = new OrderKey();
  side: number = SIDE.bid;
  priceTicks = 0;
  sizeLots = 0;
  /** The message's own sequence number, NaN where the venue has none. */
  sequence = Number.NaN;
  /** The order must be resting: that it is not known means that something was lost. */
  mustRest = false;
}

/**
 * Sees each change before it is applied, with the lots that its order has until then and the price that it stands at, −1 where it
 * does not stand; valid during the call only.
 */
export type OrderWatcher = (
  instrument: number,
  change: OrderChange,
  beforeLots: number,
  beforeTicks: number,
) => void;

/** What reading a level-3 snapshot came to. */
export const ORDERS = { read: 0, malformed: 1, offGrid: 2, full: 3 } as const;
export type OrdersOutcome = (typeof ORDERS)[keyof typeof ORDERS];

/** Puts one order of a snapshot where it belongs; the key is valid during the call only. @returns false when there is no room. */
export type PlaceOrder = (key: OrderKey, side: number, priceTicks: number, sizeLots: number) => boolean;
