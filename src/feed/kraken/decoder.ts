import { EVENT, type EventBatch, SIDE, TICKER, TICKER_FIELDS } from "../../market/event-batch.ts";
import type { Instrument } from "../../market/instrument.ts";
import { isObject, type JsonObject, nearestSteps, numeric, parseJson, SymbolDecoder } from "../decoder.ts";
import { FRAME, type FrameOutcome } from "../feed.ts";
import { addReachableLevel } from "../reachable-levels.ts";
import { rfc3339Us } from "../rfc3339.ts";
import { LEVELS, type LevelsOutcome, takeBack } from "../text-levels.ts";

/** Prices and sizes as JSON numbers, where the digits that were sent count: a double would lose those beyond the sixteenth. */
const AMOUNTS = /"(price|qty)":(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?=[,}\s])/g;
const MAX_CHECKSUM = 0xffff_ffff;

/**
 * Kraken's WebSocket v2 messages of the channels `book`, `trade` and `ticker`. Books carry a checksum and no sequence numbers. The reference
 * decoder, by way of JSON.parse.
 */
export class KrakenDecoder extends SymbolDecoder {
  decode(frame: string, out: EventBatch): FrameOutcome {
    const isExact = frame.startsWith('{"channel":"book"') || frame.startsWith('{"channel":"trade"');
    const root = parseJson(isExact ? frame.replace(AMOUNTS, '"$1":"$2"') : frame);
    if (!isObject(root)) return FRAME.unparsable;
    const { channel, data, type } = root;
    if (typeof channel !== "string")
      return typeof root.method === "string" ? FRAME.control : FRAME.unparsable;
    if (channel === "heartbeat" || channel === "status" || channel === "instrument") return FRAME.control;
    if (channel !== "book" && channel !== "trade" && channel !== "ticker") return FRAME.ignored;
    if (!Array.isArray(data) || (type !== "snapshot" && type !== "update")) return FRAME.unparsable;
    if (channel === "trade") return this.#trades(data, type, out);
    const only: unknown = data[0];
    if (data.length !== 1 || !isObject(only) || typeof only.symbol !== "string") return FRAME.unparsable;
    const instrument = this.bySymbol.get(only.symbol);
    if (instrument === undefined) return FRAME.ignored;
    return channel === "book" ? decodeBook(only, type, instrument, out) : decodeTicker(only, instrument, out);
  }

  attribute(frame: string): number {
    const symbol = /"symbol":"([^"]{1,40})"/.exec(frame)?.[1];
    return this.idOf(symbol);
  }

  /** The last trades before the subscription are no news. */
  #trades(trades: readonly unknown[], type: string, out: EventBatch): FrameOutcome {
    if (type === "snapshot") return FRAME.control;
    const firstRow = out.count;
    const firstLevel = out.levels;
    for (let i = 0; i < trades.length; i += 1) {
      const trade: unknown = trades[i];
      const instrument =
        isObject(trade) && typeof trade.symbol === "string" ? this.bySymbol.get(trade.symbol) : null;
      if (instrument === undefined) continue;
      const outcome =
        instrument === null || !isObject(trade) ? FRAME.unparsable : decodeTrade(trade, instrument, out);
      if (outcome === FRAME.ok) continue;
      out.rewind(firstRow, firstLevel);
      return outcome;
    }
    return out.count > firstRow ? FRAME.ok : FRAME.ignored;
  }
}

function decodeBook(data: JsonObject, type: string, instrument: Instrument, out: EventBatch): FrameOutcome {
  const { checksum, bids, asks, timestamp } = data;
  if (typeof checksum !== "number" || !Number.isInteger(checksum)) return FRAME.unparsable;
  if (checksum < 0 || checksum > MAX_CHECKSUM) return FRAME.unparsable;
  const kind = type === "snapshot" ? EVENT.bookSnapshot : EVENT.bookDelta;
  const row = out.begin(kind, instrument.id, rfc3339Us(timestamp));
  if (row < 0) return FRAME.overflow;
  out.checksum[row] = checksum;
  let outcome = addLevels(SIDE.bid, bids, instrument, out);
  if (outcome === LEVELS.added) outcome = addLevels(SIDE.ask, asks, instrument, out);
  return outcome === LEVELS.added ? FRAME.ok : takeBack(row, outcome, out);
}

/** An update may leave a side out on which nothing has changed. */
function addLevels(side: number, levels: unknown, instrument: Instrument, out: EventBatch): LevelsOutcome {
  if (levels === undefined) return LEVELS.added;
  if (!Array.isArray(levels)) return LEVELS.malformed;
  for (let i = 0; i < levels.length; i += 1) {
    const level: unknown = levels[i];
    if (!isObject(level)) return LEVELS.malformed;
    const outcome = addReachableLevel(
      side,
      plainDecimal(level.price),
      plainDecimal(level.qty),
      instrument,
      out,
    );
    if (outcome !== LEVELS.added) return outcome;
  }
  return LEVELS.added;
}

function decodeTrade(trade: JsonObject, instrument: Instrument, out: EventBatch): FrameOutcome {
  const { price, qty, side, trade_id: id, timestamp } = trade;
  const priceTicks = nearestSteps(numeric(price), instrument.tick);
  const sizeLots = nearestSteps(numeric(qty), instrument.lot);
  if (side !== "buy" && side !== "sell") return FRAME.unparsable;
  if (!(priceTicks >= 0 && sizeLots >= 0) || typeof id !== "number" || !Number.isSafeInteger(id)) {
    return FRAME.unparsable;
  }
  const row = out.begin(EVENT.trade, instrument.id, rfc3339Us(timestamp));
  if (row < 0) return FRAME.overflow;
  out.setSequence(row, id, id, Number.NaN);
  return out.level(side === "buy" ? SIDE.bid : SIDE.ask, priceTicks, sizeLots) ? FRAME.ok : FRAME.overflow;
}

function decodeTicker(data: JsonObject, instrument: Instrument, out: EventBatch): FrameOutcome {
  const last = numeric(data.last);
  if (Number.isNaN(last)) return FRAME.unparsable;
  const row = out.begin(EVENT.ticker, instrument.id, rfc3339Us(data.timestamp));
  if (row < 0) return FRAME.overflow;
  out.values[row * TICKER_FIELDS + TICKER.lastPrice] = last;
  return FRAME.ok;
}

/** Writes a JSON number with an exponent, such as `4.2e-7`, without one, digit for digit; anything else stays as it is. */
function plainDecimal(value: unknown): unknown {
  if (typeof value !== "string") return value;
  const match = /^(\d+)(?:\.(\d+))?[eE]([+-]?\d{1,2})$/.exec(value);
  if (match === null) return value;
  const fraction = match[2] ?? "";
  const digits = match[1] + fraction;
  const point = match[1].length + Number(match[3]);
  if (point <= 0) return `0.${"0".repeat(-point)}${digits}`;
  if (point >= digits.length) return digits + "0".repeat(point - digits.length);
  return `${digits.slice(0, point)}.${digits.slice(point)}`;
}
