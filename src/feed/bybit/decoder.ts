import { EVENT, type EventBatch, SIDE, TICKER, TICKER_FIELDS } from "../../market/event-batch.ts";
import type { Instrument } from "../../market/instrument.ts";
import {
  isObject,
  type JsonObject,
  MAX_PRICE_TICKS,
  nearestSteps,
  numeric,
  parseJson,
  SymbolDecoder,
} from "../decoder.ts";
import { FRAME, type FrameOutcome } from "../feed.ts";
import { fillLevels } from "../text-levels.ts";

/**
 * Bybit v5's topics `orderbook.<depth>.<symbol>`, `publicTrade.<symbol or coin>` and `tickers.<symbol>`. A book's update id `u` becomes the
 * first sequence, its cross sequence `seq` the last one. The reference decoder, by way of JSON.parse.
 */
export class BybitDecoder extends SymbolDecoder {
  decode(frame: string, out: EventBatch): FrameOutcome {
    const root = parseJson(frame);
    if (!isObject(root)) return FRAME.unparsable;
    const { topic, data } = root;
    if (typeof topic !== "string")
      return "op" in root || "success" in root || "ret_msg" in root ? FRAME.control : FRAME.unparsable;
    if (topic.startsWith("publicTrade.") || topic.startsWith("trade."))
      return Array.isArray(data) ? this.#decodeTrades(data, out) : FRAME.unparsable;
    const isBook = topic.startsWith("orderbook.");
    if (!isBook && !topic.startsWith("tickers.")) return FRAME.ignored;
    const instrument = this.bySymbol.get(topic.slice(topic.lastIndexOf(".") + 1));
    if (instrument === undefined) return FRAME.ignored;
    if (!isObject(data)) return FRAME.unparsable;
    return isBook ? decodeBook(root, data, instrument, out) : decodeTicker(root, data, instrument, out);
  }

  attribute(frame: string): number {
    const symbol = /"topic":"[a-zA-Z]+\.(?:\d+\.)?([A-Z0-9-]+)/.exec(frame)?.[1];
    return this.idOf(symbol);
  }

  /** Trades of instruments that are not carried, in a coin's common topic, are passed over. */
  #decodeTrades(trades: readonly unknown[], out: EventBatch): FrameOutcome {
    const firstRow = out.count;
    const firstLevel = out.levels;
    let outcome: FrameOutcome = trades.length === 0 ? FRAME.ok : FRAME.ignored;
    for (let i = 0; i < trades.length; i += 1) {
      const trade: unknown = trades[i];
      if (!isObject(trade) || typeof trade.s !== "string") outcome = FRAME.unparsable;
      else {
        const instrument = this.bySymbol.get(trade.s);
        if (instrument === undefined) continue;
        outcome = decodeTrade(trade, instrument, out);
      }
      if (outcome === FRAME.ok) continue;
      out.rewind(firstRow, firstLevel);
      return outcome;
    }
    return outcome;
  }
}

function decodeBook(
  root: JsonObject,
  data: JsonObject,
  instrument: Instrument,
  out: EventBatch,
): FrameOutcome {
  const { u, seq } = data;
  const isSnapshot = root.type === "snapshot";
  if (!isSnapshot && root.type !== "delta") return FRAME.unparsable;
  if (!isSequence(u) || !isSequence(seq) || data.s !== instrument.symbol) return FRAME.unparsable;
  const time = typeof root.cts === "number" ? root.cts : root.ts;
  const row = out.begin(isSnapshot ? EVENT.bookSnapshot : EVENT.bookDelta, instrument.id, timeOf(time));
  if (row < 0) return FRAME.overflow;
  out.setSequence(row, u, seq, Number.NaN);
  return fillLevels(row, data.b, data.a, instrument, out);
}

function decodeTrade(trade: JsonObject, instrument: Instrument, out: EventBatch): FrameOutcome {
  const { S, seq } = trade;
  if (S !== "Buy" && S !== "Sell") return FRAME.unparsable;
  const priceTicks = nearestSteps(numeric(trade.p), instrument.tick);
  const sizeLots = nearestSteps(numeric(trade.v), instrument.lot);
  if (!(priceTicks >= 0 && priceTicks <= MAX_PRICE_TICKS && sizeLots >= 0 && sizeLots < Infinity))
    return FRAME.unparsable;
  const row = out.begin(EVENT.trade, instrument.id, timeOf(trade.T));
  if (row < 0) return FRAME.overflow;
  const last = isSequence(seq) ? seq : Number.NaN;
  out.setSequence(row, last, last, Number.NaN);
  return out.level(S === "Buy" ? SIDE.bid : SIDE.ask, priceTicks, sizeLots) ? FRAME.ok : FRAME.overflow;
}

/** A delta carries what has changed. Volatilities are fractions here, and 0 where there is no bid or ask to imply one from. */
function decodeTicker(
  root: JsonObject,
  data: JsonObject,
  instrument: Instrument,
  out: EventBatch,
): FrameOutcome {
  if (root.type !== "snapshot" && root.type !== "delta") return FRAME.unparsable;
  const row = out.begin(EVENT.ticker, instrument.id, timeOf(root.ts));
  if (row < 0) return FRAME.overflow;
  const at = row * TICKER_FIELDS;
  const { values } = out;
  values[at + TICKER.markPrice] = finite(data.markPrice);
  values[at + TICKER.indexPrice] = finite(data.indexPrice ?? data.usdIndexPrice);
  values[at + TICKER.underlyingPrice] = finite(data.underlyingPrice);
  values[at + TICKER.markIv] = positive(data.markPriceIv);
  values[at + TICKER.bidIv] = positive(data.bidIv);
  values[at + TICKER.askIv] = positive(data.askIv);
  values[at + TICKER.delta] = finite(data.delta);
  values[at + TICKER.gamma] = finite(data.gamma);
  values[at + TICKER.vega] = finite(data.vega);
  values[at + TICKER.theta] = finite(data.theta);
  values[at + TICKER.fundingRate] = finite(data.fundingRate);
  values[at + TICKER.nextFundingMs] = positive(data.nextFundingTime);
  values[at + TICKER.openInterest] = finite(data.openInterest);
  values[at + TICKER.lastPrice] = finite(data.lastPrice);
  return FRAME.ok;
}

function positive(value: unknown): number {
  const number = finite(value);
  return number > 0 ? number : Number.NaN;
}

function finite(value: unknown): number {
  const number = numeric(value);
  return Number.isFinite(number) ? number : Number.NaN;
}

function timeOf(ms: unknown): number {
  return typeof ms === "number" ? ms * 1_000 : Number.NaN;
}

function isSequence(value: unknown): value is number {
  return Number.isSafeInteger(value);
}
