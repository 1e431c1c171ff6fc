import { type DecimalStep, decimalToSteps, numberToSteps } from "../../core/decimal.ts";
import { EVENT, type EventBatch, SIDE } from "../../market/event-batch.ts";
import type { Instrument } from "../../market/instrument.ts";
import {
  isObject,
  type JsonObject,
  MAX_PRICE_TICKS,
  nearestSteps,
  numeric,
  parseJson,
  SymbolDecoder,
  sizeToLots,
} from "../decoder.ts";
import { FRAME, type FrameOutcome } from "../feed.ts";
import { ORDER, ORDERS, OrderChange, type OrdersOutcome, type PlaceOrder } from "../order-change.ts";
import { addReachableLevels } from "../reachable-levels.ts";
import { LEVELS, takeBack } from "../text-levels.ts";

const CHANNEL = /^(order_book|diff_order_book|live_orders|live_trades)_([a-z0-9]+)$/;

/**
 * Bitstamp's WebSocket v2 messages: `diff_order_book` (`bookDelta`), `order_book` (`bookSnapshot`: the hundred best levels a side, which
 * the book is held against), `live_trades`, and `live_orders`, whose effect on an order stands in {@link order} afterwards; the event is
 * then a `bookDelta` without levels. `microtimestamp` is the sequence. The reference decoder, by way of JSON.parse.
 */
export class BitstampDecoder extends SymbolDecoder {
  readonly order = new OrderChange();
  decode(frame: string, out: EventBatch): FrameOutcome {
    const root = parseJson(frame);
    this.order.action = ORDER.pass;
    this.order.sequence = Number.NaN;
    if (!isObject(root) || typeof root.event !== "string") return FRAME.unparsable;
    const { event, channel, data } = root;
    if (event.startsWith("bts:")) return FRAME.control;
    if (typeof channel !== "string") return FRAME.unparsable;
    const match = CHANNEL.exec(channel);
    if (match === null) return FRAME.ignored;
    const instrument = this.bySymbol.get(match[2]);
    if (instrument === undefined) return FRAME.ignored;
    if (!isObject(data)) return FRAME.unparsable;
    switch (match[1]) {
      case "live_orders":
        return this.#decodeOrder(event, data, instrument, out);
      case "live_trades":
        return event === "trade" ? decodeTrade(data, instrument, out) : FRAME.ignored;
      case "diff_order_book":
        return decodeLevels(EVENT.bookDelta, data, instrument, out);
      default:
        return decodeLevels(EVENT.bookSnapshot, data, instrument, out);
    }
  }

  attribute(frame: string): number {
    const symbol = /"channel":\s?"[a-z_]+_([a-z0-9]+)"/.exec(frame)?.[1];
    return this.idOf(symbol);
  }

  /** Turns the body of a REST order book (`group=1`) into one snapshot event. */
  decodeSnapshot(body: string, instrument: Instrument, out: EventBatch): FrameOutcome {
    const data = parseJson(body);
    return isObject(data) ? decodeLevels(EVENT.bookSnapshot, data, instrument, out) : FRAME.unparsable;
  }

  /** The orders of a REST order book with ids (`group=2`), bids first, best first. */
  readOrders(data: JsonObject, instrument: Instrument, place: PlaceOrder): OrdersOutcome {
    const { key } = this.order;
    for (const [side, entries] of [data.bids, data.asks].entries()) {
      if (!Array.isArray(entries)) return ORDERS.malformed;
      for (let i = 0; i < entries.length; i += 1) {
        const entry: unknown = entries[i];
        if (!Array.isArray(entry)) return ORDERS.malformed;
        const priceTicks = toSteps(entry[0], instrument.tick);
        const sizeLots = toLots(entry[1], instrument);
        if (!setKey(key, entry[2]) || !(sizeLots >= 0)) return ORDERS.malformed;
        if (Number.isNaN(priceTicks))
          return Number.isNaN(numeric(entry[0])) ? ORDERS.malformed : ORDERS.offGrid;
        if (sizeLots === 0 || priceTicks > MAX_PRICE_TICKS) continue;
        if (!place(key, side, priceTicks, sizeLots)) return ORDERS.full;
      }
    }
    return ORDERS.read;
  }

  #decodeOrder(event: string, data: JsonObject, instrument: Instrument, out: EventBatch): FrameOutcome {
    const { order } = this;
    const created = event === "order_created";
    const deleted = event === "order_deleted";
    if (!created && !deleted && event !== "order_changed") return FRAME.ignored;
    const { order_type: type } = data;
    const price = data.price_str ?? data.price;
    const sizeLots = toLots(data.amount_str ?? data.amount, instrument);
    const priceTicks = toSteps(price, instrument.tick);
    const sequence = numeric(data.microtimestamp);
    if ((type !== 0 && type !== 1) || !setKey(order.key, data.id_str ?? data.id)) return FRAME.unparsable;
    if (!(sizeLots >= 0) || !Number.isSafeInteger(sequence)) return FRAME.unparsable;
    if (Number.isNaN(numeric(price))) return FRAME.unparsable;
    const row = out.begin(EVENT.bookDelta, instrument.id, sequence);
    if (row < 0) return FRAME.overflow;
    out.setSequence(row, sequence, sequence, Number.NaN);
    order.sequence = sequence;
    // Market orders pass through at prices that nobody could ask, or at none.
    const rests = priceTicks > 0 && priceTicks <= MAX_PRICE_TICKS;
    if (created && Number.isNaN(priceTicks)) return takeBack(row, LEVELS.offGrid, out);
    if (!rests) return FRAME.ok;
    order.side = type === 0 ? SIDE.bid : SIDE.ask;
    order.priceTicks = priceTicks;
    order.sizeLots = sizeLots;
    order.mustRest = !created;
    if (created) order.action = sizeLots > 0 ? ORDER.add : ORDER.pass;
    else order.action = deleted || sizeLots === 0 ? ORDER.remove : ORDER.resize;
    return FRAME.ok;
  }
}

function decodeLevels(kind: number, data: JsonObject, instrument: Instrument, out: EventBatch): FrameOutcome {
  const sequence = numeric(data.microtimestamp);
  if (!Number.isSafeInteger(sequence)) return FRAME.unparsable;
  const row = out.begin(kind, instrument.id, sequence);
  if (row < 0) return FRAME.overflow;
  out.setSequence(row, sequence, sequence, Number.NaN);
  let outcome = addReachableLevels(SIDE.bid, data.bids, instrument, out);
  if (outcome === LEVELS.added) outcome = addReachableLevels(SIDE.ask, data.asks, instrument, out);
  return outcome === LEVELS.added ? FRAME.ok : takeBack(row, outcome, out);
}

function decodeTrade(data: JsonObject, instrument: Instrument, out: EventBatch): FrameOutcome {
  const { type, id } = data;
  const priceTicks = nearestSteps(numeric(data.price_str ?? data.price), instrument.tick);
  const sizeLots = nearestSteps(numeric(data.amount_str ?? data.amount), instrument.lot);
  if ((type !== 0 && type !== 1) || typeof id !== "number" || !Number.isSafeInteger(id))
    return FRAME.unparsable;
  if (!(priceTicks >= 0 && priceTicks <= MAX_PRICE_TICKS && sizeLots >= 0)) return FRAME.unparsable;
  const row = out.begin(EVENT.trade, instrument.id, numeric(data.microtimestamp));
  if (row < 0) return FRAME.overflow;
  out.setSequence(row, id, id, Number.NaN);
  if (out.level(type === 0 ? SIDE.bid : SIDE.ask, priceTicks, sizeLots)) return FRAME.ok;
  out.rewind(row, out.levelStart[row]);
  return FRAME.overflow;
}

/** Whole steps of a decimal string or JSON number, also beyond what a book holds; NaN when off the grid or none. */
function toSteps(value: unknown, step: DecimalStep): number {
  if (typeof value === "string") return decimalToSteps(value, step);
  return typeof value === "number" ? numberToSteps(value, step) : Number.NaN;
}

function toLots(value: unknown, { lot }: Instrument): number {
  if (typeof value === "string") return sizeToLots(value, lot);
  return typeof value === "number" ? numberToSteps(value, lot) : Number.NaN;
}

function setKey(key: OrderChange["key"], id: unknown): boolean {
  if (typeof id === "string") return key.setDecimal(id);
  return typeof id === "number" && key.setNumber(id);
}
