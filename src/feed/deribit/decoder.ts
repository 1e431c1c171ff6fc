import { numberToSteps } from "../../core/decimal.ts";
import {
  EVENT,
  type EventBatch,
  FEED_STATE,
  SIDE,
  TICKER,
  TICKER_FIELDS,
  UNSOUND,
} from "../../market/event-batch.ts";
import type { Instrument } from "../../market/instrument.ts";
import {
  isObject,
  type JsonObject,
  MAX_PRICE_TICKS,
  nearestSteps,
  parseJson,
  SymbolDecoder,
  stepsIn,
} from "../decoder.ts";
import { FRAME, type FrameOutcome } from "../feed.ts";

/** What adding levels came to. */
const LEVELS = { added: 0, malformed: 1, offGrid: 2, full: 3 } as const;
type LevelsOutcome = (typeof LEVELS)[keyof typeof LEVELS];

/**
 * Deribit's notifications `book.X.<interval>`, `trades.X.<interval>` and `ticker.X.<interval>`. A book's `change_id` becomes the last
 * sequence and `prev_change_id` the previous one. The reference decoder, by way of JSON.parse.
 */
export class DeribitDecoder extends SymbolDecoder {
  decode(frame: string, out: EventBatch): FrameOutcome {
    const root = parseJson(frame);
    if (!isObject(root)) return FRAME.unparsable;
    if ("id" in root || root.method === "heartbeat") return FRAME.control;
    if (root.method !== "subscription")
      return typeof root.method === "string" ? FRAME.ignored : FRAME.unparsable;
    const params = root.params;
    if (!isObject(params) || typeof params.channel !== "string") return FRAME.unparsable;
    if (params.channel.startsWith("instrument.state.")) return FRAME.control;
    const [topic, symbol] = params.channel.split(".", 2);
    const instrument = this.bySymbol.get(symbol ?? "");
    if (instrument === undefined) return FRAME.ignored;
    const data = params.data;
    if (topic === "trades")
      return Array.isArray(data) ? decodeTrades(data, instrument, out) : FRAME.unparsable;
    if (topic !== "book" && topic !== "ticker") return FRAME.ignored;
    if (!isObject(data)) return FRAME.unparsable;
    return topic === "book" ? decodeBook(data, instrument, out) : decodeTicker(data, instrument, out);
  }

  attribute(frame: string): number {
    const symbol = /"(?:channel":"(?:book|trades|ticker)\.|instrument_name":")([A-Z0-9a-z_-]+)[".]/.exec(
      frame,
    )?.[1];
    return this.idOf(symbol);
  }
}

function decodeBook(data: JsonObject, instrument: Instrument, out: EventBatch): FrameOutcome {
  const { type, change_id: last, prev_change_id: previous, bids, asks } = data;
  if (!Number.isSafeInteger(last) || typeof last !== "number") return FRAME.unparsable;
  const hasPrevious = typeof previous === "number" && Number.isSafeInteger(previous);
  const isSnapshot = type === "snapshot" || (type === undefined && !hasPrevious);
  if (!isSnapshot && !hasPrevious) return FRAME.unparsable;
  const kind = isSnapshot ? EVENT.bookSnapshot : EVENT.bookDelta;
  const row = out.begin(kind, instrument.id, timeOf(data));
  if (row < 0) return FRAME.overflow;
  out.setSequence(row, Number.NaN, last, hasPrevious ? previous : Number.NaN);
  let outcome = addLevels(SIDE.bid, bids, instrument, out);
  if (outcome === LEVELS.added) outcome = addLevels(SIDE.ask, asks, instrument, out);
  if (outcome === LEVELS.added) return FRAME.ok;
  out.rewind(row, out.levelStart[row]);
  if (outcome === LEVELS.malformed) return FRAME.unparsable;
  if (outcome === LEVELS.full) return FRAME.overflow;
  out.status(instrument.id, FEED_STATE.unsound, UNSOUND.offGrid, timeOf(data));
  return FRAME.ok;
}

/** Levels are `["new" | "change" | "delete", price, amount]`. */
function addLevels(side: number, levels: unknown, instrument: Instrument, out: EventBatch): LevelsOutcome {
  if (!Array.isArray(levels)) return LEVELS.malformed;
  for (let i = 0; i < levels.length; i += 1) {
    const level: unknown = levels[i];
    if (!Array.isArray(level)) return LEVELS.malformed;
    const action: unknown = level[0];
    const price: unknown = level[1];
    const amount: unknown = level[2];
    if (action !== "new" && action !== "change" && action !== "delete") return LEVELS.malformed;
    if (typeof price !== "number" || typeof amount !== "number") return LEVELS.malformed;
    const priceTicks = numberToSteps(price, instrument.tick);
    const sizeLots = action === "delete" ? 0 : amountToLots(amount, instrument);
    if (!(sizeLots >= 0)) return LEVELS.malformed;
    if (!(priceTicks <= MAX_PRICE_TICKS)) return LEVELS.offGrid;
    if (!out.level(side, priceTicks, sizeLots)) return LEVELS.full;
  }
  return LEVELS.added;
}

/** An amount that is not on the lot grid is kept as a fraction of a lot. */
function amountToLots(amount: number, instrument: Instrument): number {
  const lots = numberToSteps(amount, instrument.lot);
  return Number.isNaN(lots) && Number.isFinite(amount) ? stepsIn(amount, instrument.lot) : lots;
}

/** Block and combo trades print between the book's prices: they are put on the nearest tick and lot. */
function decodeTrades(trades: readonly unknown[], instrument: Instrument, out: EventBatch): FrameOutcome {
  const firstRow = out.count;
  const firstLevel = out.levels;
  for (let i = 0; i < trades.length; i += 1) {
    const outcome = decodeTrade(trades[i], instrument, out);
    if (outcome === FRAME.ok) continue;
    out.rewind(firstRow, firstLevel);
    return outcome;
  }
  return FRAME.ok;
}

function decodeTrade(trade: unknown, instrument: Instrument, out: EventBatch): FrameOutcome {
  if (!isObject(trade)) return FRAME.unparsable;
  const { price, amount, direction, trade_seq: sequence } = trade;
  if (typeof price !== "number" || typeof amount !== "number") return FRAME.unparsable;
  if (direction !== "buy" && direction !== "sell") return FRAME.unparsable;
  const priceTicks = nearestSteps(price, instrument.tick);
  const sizeLots = nearestSteps(amount, instrument.lot);
  if (!(priceTicks >= 0 && priceTicks <= MAX_PRICE_TICKS && sizeLots >= 0)) return FRAME.unparsable;
  const row = out.begin(EVENT.trade, instrument.id, timeOf(trade));
  if (row < 0) return FRAME.overflow;
  const last = typeof sequence === "number" ? sequence : Number.NaN;
  out.setSequence(row, last, last, Number.NaN);
  return out.level(direction === "buy" ? SIDE.bid : SIDE.ask, priceTicks, sizeLots)
    ? FRAME.ok
    : FRAME.overflow;
}

function decodeTicker(data: JsonObject, instrument: Instrument, out: EventBatch): FrameOutcome {
  if (Number.isNaN(finite(data.mark_price))) return FRAME.unparsable;
  const row = out.begin(EVENT.ticker, instrument.id, timeOf(data));
  if (row < 0) return FRAME.overflow;
  const at = row * TICKER_FIELDS;
  const { values } = out;
  values[at + TICKER.markPrice] = finite(data.mark_price);
  values[at + TICKER.indexPrice] = finite(data.index_price);
  values[at + TICKER.underlyingPrice] = finite(data.underlying_price);
  values[at + TICKER.markIv] = volatility(data.mark_iv);
  values[at + TICKER.bidIv] = volatility(data.bid_iv);
  values[at + TICKER.askIv] = volatility(data.ask_iv);
  const greeks = isObject(data.greeks) ? data.greeks : {};
  values[at + TICKER.delta] = finite(greeks.delta);
  values[at + TICKER.gamma] = finite(greeks.gamma);
  values[at + TICKER.vega] = finite(greeks.vega);
  values[at + TICKER.theta] = finite(greeks.theta);
  values[at + TICKER.fundingRate] = finite(data.current_funding);
  values[at + TICKER.openInterest] = finite(data.open_interest);
  values[at + TICKER.lastPrice] = finite(data.last_price);
  values[at + TICKER.interestRate] = finite(data.interest_rate);
  return FRAME.ok;
}

/** Percent to a fraction; Deribit sends 0 where there is no bid or ask to imply a volatility from. */
function volatility(percent: unknown): number {
  return typeof percent === "number" && percent > 0 ? percent / 100 : Number.NaN;
}

function finite(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? value : Number.NaN;
}

function timeOf(data: JsonObject): number {
  return typeof data.timestamp === "number" ? data.timestamp * 1_000 : Number.NaN;
}
