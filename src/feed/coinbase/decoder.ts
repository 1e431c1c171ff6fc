import { EVENT, type EventBatch, SIDE, TICKER, TICKER_FIELDS } from "../../market/event-batch.ts";
import type { Instrument } from "../../market/instrument.ts";
import {
  isObject,
  type JsonObject,
  nearestSteps,
  numeric,
  parseJson,
  priceToTicks,
  SymbolDecoder,
  sizeToLots,
} from "../decoder.ts";
import { FRAME, type FrameOutcome } from "../feed.ts";
import {
  ORDER,
  ORDERS,
  type OrderAction,
  OrderChange,
  type OrdersOutcome,
  type PlaceOrder,
} from "../order-change.ts";
import { addReachableLevel, addReachableLevels, isUnreachable } from "../reachable-levels.ts";
import { rfc3339Us } from "../rfc3339.ts";
import { LEVELS, takeBack } from "../text-levels.ts";

/**
 * Coinbase Exchange's messages: `snapshot` and `l2update` of the level-2 channels, `match`, `ticker`, and the `full` channel's
 * `received`, `open`, `change`, `done` and `match`, whose effect on an order stands in {@link order} afterwards; the event is then a
 * `bookDelta` without levels, or the match's `trade`. The reference decoder, by way of JSON.parse.
 */
export class CoinbaseDecoder extends SymbolDecoder {
  readonly order = new OrderChange();
  decode(frame: string, out: EventBatch): FrameOutcome {
    const data = parseJson(frame);
    this.order.action = ORDER.pass;
    this.order.sequence = Number.NaN;
    if (!isObject(data) || typeof data.type !== "string") return FRAME.unparsable;
    const { type } = data;
    if (isControl(type)) return FRAME.control;
    if (typeof data.product_id !== "string") return isKnown(type) ? FRAME.unparsable : FRAME.ignored;
    const instrument = this.bySymbol.get(data.product_id);
    if (instrument === undefined) return FRAME.ignored;
    switch (type) {
      case "l2update":
        return decodeChanges(data, instrument, out);
      case "snapshot":
        return decodeSnapshot(data, instrument, out);
      case "match":
        return this.#match(data, instrument, out);
      case "ticker":
        return decodeTicker(data, instrument, out);
      case "received":
        return this.#begin(data, instrument, out) < 0 ? orderFailure(data) : FRAME.ok;
      case "open":
        return this.#open(data, instrument, out);
      case "change":
        return this.#change(data, instrument, out);
      case "done":
        return this.#done(data, instrument, out);
      default:
        return FRAME.ignored;
    }
  }

  attribute(frame: string): number {
    const symbol = /"product_id":"([A-Z0-9-]{1,40})"/.exec(frame)?.[1];
    return this.idOf(symbol);
  }

  /** The orders of a level-3 snapshot, bids first, best first. */
  readOrders(data: JsonObject, instrument: Instrument, place: PlaceOrder): OrdersOutcome {
    for (const [side, entries] of [data.bids, data.asks].entries()) {
      if (!Array.isArray(entries)) return ORDERS.malformed;
      for (let i = 0; i < entries.length; i += 1) {
        const entry: unknown = entries[i];
        if (!Array.isArray(entry)) return ORDERS.malformed;
        const outcome = this.#place(side, entry, instrument, place);
        if (outcome !== ORDERS.read) return outcome;
      }
    }
    return ORDERS.read;
  }

  #place(side: number, entry: readonly unknown[], instrument: Instrument, place: PlaceOrder): OrdersOutcome {
    const [price, size, id] = entry;
    if (typeof price !== "string" || typeof size !== "string" || typeof id !== "string")
      return ORDERS.malformed;
    const { key } = this.order;
    const sizeLots = sizeToLots(size, instrument.lot);
    if (!(sizeLots > 0) || !key.setUuid(id)) return ORDERS.malformed;
    if (side === SIDE.ask && isUnreachable(price, instrument)) return ORDERS.read;
    const priceTicks = priceToTicks(price, instrument.tick);
    if (Number.isNaN(priceTicks)) return Number.isNaN(numeric(price)) ? ORDERS.malformed : ORDERS.offGrid;
    return place(key, side, priceTicks, sizeLots) ? ORDERS.read : ORDERS.full;
  }

  /** `side` is the resting order's; the aggressor's is the other one. */
  #match(data: JsonObject, instrument: Instrument, out: EventBatch): FrameOutcome {
    const { side, trade_id: id, maker_order_id: maker, size } = data;
    const priceTicks = nearestSteps(numeric(data.price), instrument.tick);
    const tradedLots = nearestSteps(numeric(size), instrument.lot);
    if (side !== "buy" && side !== "sell") return FRAME.unparsable;
    if (!isCount(id) || !isCount(data.sequence) || !(priceTicks >= 0 && tradedLots >= 0))
      return FRAME.unparsable;
    const makerLots = typeof size === "string" ? sizeToLots(size, instrument.lot) : Number.NaN;
    if (typeof maker !== "string" || !this.order.key.setUuid(maker) || !(makerLots > 0))
      return FRAME.unparsable;
    const row = out.begin(EVENT.trade, instrument.id, rfc3339Us(data.time));
    if (row < 0) return FRAME.overflow;
    out.setSequence(row, id, id, Number.NaN);
    this.order.sequence = data.sequence;
    if (!out.level(side === "buy" ? SIDE.ask : SIDE.bid, priceTicks, tradedLots)) {
      out.rewind(row, out.levelStart[row]);
      return FRAME.overflow;
    }
    return this.#does(ORDER.reduce, side, 0, makerLots, true);
  }

  #open(data: JsonObject, instrument: Instrument, out: EventBatch): FrameOutcome {
    const { side, price, remaining_size: size, order_id: id } = data;
    const row = this.#begin(data, instrument, out);
    if (row < 0) return orderFailure(data);
    const sizeLots = typeof size === "string" ? sizeToLots(size, instrument.lot) : Number.NaN;
    const isKeyed = typeof id === "string" && this.order.key.setUuid(id);
    if (!isKeyed || !(sizeLots > 0) || typeof price !== "string") return malformed(row, out);
    if (side !== "buy" && side !== "sell") return malformed(row, out);
    if (side === "sell" && isUnreachable(price, instrument)) return FRAME.ok;
    const priceTicks = priceToTicks(price, instrument.tick);
    if (Number.isNaN(priceTicks)) {
      return Number.isNaN(numeric(price)) ? malformed(row, out) : takeBack(row, LEVELS.offGrid, out);
    }
    return this.#does(ORDER.add, side, priceTicks, sizeLots, false);
  }

  /** An order that was received and does not rest yet may change too; `new_price` comes with modified orders. */
  #change(data: JsonObject, instrument: Instrument, out: EventBatch): FrameOutcome {
    const { side, order_id: id, new_size: size, new_price: price } = data;
    const row = this.#begin(data, instrument, out);
    if (row < 0) return orderFailure(data);
    if (typeof id !== "string" || !this.order.key.setUuid(id)) return malformed(row, out);
    // Orders by funds have none.
    if (size === undefined) return FRAME.ok;
    const sizeLots = typeof size === "string" ? sizeToLots(size, instrument.lot) : Number.NaN;
    if (!(sizeLots >= 0) || (side !== "buy" && side !== "sell")) return malformed(row, out);
    if (price === undefined || sizeLots === 0) return this.#does(ORDER.resize, side, 0, sizeLots, false);
    if (typeof price !== "string") return malformed(row, out);
    if (side === "sell" && isUnreachable(price, instrument))
      return this.#does(ORDER.remove, side, 0, 0, false);
    const priceTicks = priceToTicks(price, instrument.tick);
    if (Number.isNaN(priceTicks)) {
      return Number.isNaN(numeric(price)) ? malformed(row, out) : takeBack(row, LEVELS.offGrid, out);
    }
    const isSame = typeof data.old_price === "string" && data.old_price === price;
    return this.#does(isSame ? ORDER.resize : ORDER.move, side, priceTicks, sizeLots, false);
  }

  /** Orders that never rested are done too. */
  #done(data: JsonObject, instrument: Instrument, out: EventBatch): FrameOutcome {
    const { order_id: id } = data;
    const row = this.#begin(data, instrument, out);
    if (row < 0) return orderFailure(data);
    if (typeof id !== "string" || !this.order.key.setUuid(id)) return malformed(row, out);
    return this.#does(ORDER.remove, "buy", 0, 0, false);
  }

  /** Opens the event of an order's message: a change of the book whose levels the feed knows. @returns its row, −1 when it failed. */
  #begin(data: JsonObject, instrument: Instrument, out: EventBatch): number {
    const { sequence } = data;
    if (!isCount(sequence)) return -1;
    const row = out.begin(EVENT.bookDelta, instrument.id, rfc3339Us(data.time));
    if (row >= 0) out.setSequence(row, sequence, sequence, sequence - 1);
    this.order.sequence = sequence;
    return row;
  }

  #does(
    action: OrderAction,
    side: "buy" | "sell",
    priceTicks: number,
    lots: number,
    mustRest: boolean,
  ): FrameOutcome {
    const { order } = this;
    order.action = action;
    order.side = side === "buy" ? SIDE.bid : SIDE.ask;
    order.priceTicks = priceTicks;
    order.sizeLots = lots;
    order.mustRest = mustRest;
    return FRAME.ok;
  }
}

function isControl(type: string): boolean {
  return type === "subscriptions" || type === "heartbeat" || type === "error" || type === "last_match";
}

function isKnown(type: string): boolean {
  return /^(l2update|snapshot|match|ticker|received|open|change|done)$/.test(type);
}

/** Why the event of an order's message could not be opened. */
function orderFailure(data: JsonObject): FrameOutcome {
  return isCount(data.sequence) ? FRAME.overflow : FRAME.unparsable;
}

function malformed(row: number, out: EventBatch): FrameOutcome {
  out.rewind(row, out.levelStart[row]);
  return FRAME.unparsable;
}

function decodeSnapshot(data: JsonObject, instrument: Instrument, out: EventBatch): FrameOutcome {
  const row = out.begin(EVENT.bookSnapshot, instrument.id, rfc3339Us(data.time));
  if (row < 0) return FRAME.overflow;
  let outcome = addReachableLevels(SIDE.bid, data.bids, instrument, out);
  if (outcome === LEVELS.added) outcome = addReachableLevels(SIDE.ask, data.asks, instrument, out);
  return outcome === LEVELS.added ? FRAME.ok : takeBack(row, outcome, out);
}

/** `changes` are `["buy" | "sell", price, size]`. */
function decodeChanges(data: JsonObject, instrument: Instrument, out: EventBatch): FrameOutcome {
  const { changes } = data;
  if (!Array.isArray(changes)) return FRAME.unparsable;
  const row = out.begin(EVENT.bookDelta, instrument.id, rfc3339Us(data.time));
  if (row < 0) return FRAME.overflow;
  for (let i = 0; i < changes.length; i += 1) {
    const change: unknown = changes[i];
    if (!Array.isArray(change) || (change[0] !== "buy" && change[0] !== "sell")) return malformed(row, out);
    const side = change[0] === "buy" ? SIDE.bid : SIDE.ask;
    const outcome = addReachableLevel(side, change[1], change[2], instrument, out);
    if (outcome !== LEVELS.added) return takeBack(row, outcome, out);
  }
  return FRAME.ok;
}

function decodeTicker(data: JsonObject, instrument: Instrument, out: EventBatch): FrameOutcome {
  const last = numeric(data.price);
  if (Number.isNaN(last)) return FRAME.unparsable;
  const row = out.begin(EVENT.ticker, instrument.id, rfc3339Us(data.time));
  if (row < 0) return FRAME.overflow;
  out.values[row * TICKER_FIELDS + TICKER.lastPrice] = last;
  return FRAME.ok;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value);
}
