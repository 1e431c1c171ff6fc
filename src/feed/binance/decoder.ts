import { EVENT, type EventBatch, SIDE, TICKER, TICKER_FIELDS } from "../../market/event-batch.ts";
import type { Instrument } from "../../market/instrument.ts";
import {
  isObject,
  type JsonObject,
  nearestSteps,
  numeric,
  parseJson,
  type SnapshotDecoder,
  SymbolDecoder,
} from "../decoder.ts";
import { FRAME, type FrameOutcome } from "../feed.ts";
import { addLevel, fillLevels, LEVELS, takeBack } from "../text-levels.ts";

/**
 * Binance's streams, combined (`{"stream":…,"data":…}`) or bare, of all three venues: `depthUpdate`, `bookTicker` (spot's has
 * no `e`), `trade`, `markPriceUpdate`. The reference decoder, by way of JSON.parse.
 */
export class BinanceDecoder extends SymbolDecoder implements SnapshotDecoder {
  decode(frame: string, out: EventBatch): FrameOutcome {
    const root = parseJson(frame);
    if (!isObject(root)) return FRAME.unparsable;
    if ("result" in root || "error" in root || ("code" in root && "msg" in root)) return FRAME.control;
    const data = "stream" in root ? root.data : root;
    if (!isObject(data)) return FRAME.unparsable;
    const kind = data.e;
    if (kind !== undefined && typeof kind !== "string") return FRAME.unparsable;
    if (typeof data.s !== "string") return kind === undefined ? FRAME.unparsable : FRAME.ignored;
    const instrument = this.bySymbol.get(data.s);
    if (instrument === undefined) return FRAME.ignored;
    switch (kind) {
      case "depthUpdate":
        return decodeDepth(data, instrument, out);
      case "bookTicker":
      case undefined:
        return decodeTop(data, instrument, out);
      case "trade":
        return decodeTrade(data, instrument, out);
      case "markPriceUpdate":
        return decodeMark(data, instrument, out);
      default:
        return FRAME.ignored;
    }
  }

  decodeSnapshot(body: string, instrument: Instrument, out: EventBatch): FrameOutcome {
    const data = parseJson(body);
    if (!isObject(data)) return FRAME.unparsable;
    const { lastUpdateId } = data;
    if (!isSequence(lastUpdateId)) return FRAME.unparsable;
    const row = out.begin(EVENT.bookSnapshot, instrument.id, timeOf(data));
    if (row < 0) return FRAME.overflow;
    out.setSequence(row, lastUpdateId, lastUpdateId, Number.NaN);
    return fillLevels(row, data.bids, data.asks, instrument, out);
  }

  /** Turns the body of a REST premium index answer (COIN-M wraps it in an array) into one ticker event. */
  decodePremiumIndex(body: string, instrument: Instrument, out: EventBatch): FrameOutcome {
    const answer = parseJson(body);
    const data: unknown = Array.isArray(answer) ? answer[0] : answer;
    if (!isObject(data)) return FRAME.unparsable;
    const { markPrice: p, indexPrice: i, lastFundingRate: r, nextFundingTime: T, time: E } = data;
    return decodeMark({ p, i, r, T, E }, instrument, out);
  }

  /** Turns the body of a REST answer with the marks of all options into a ticker event of each one that is carried. */
  decodeOptionMarks(body: string, out: EventBatch): FrameOutcome {
    const answer = parseJson(body);
    if (!Array.isArray(answer)) return FRAME.unparsable;
    for (let i = 0; i < answer.length; i += 1) {
      const mark: unknown = answer[i];
      const instrument =
        isObject(mark) && typeof mark.symbol === "string" ? this.bySymbol.get(mark.symbol) : undefined;
      if (instrument === undefined || !isObject(mark)) continue;
      const row = out.begin(EVENT.ticker, instrument.id, Number.NaN);
      if (row < 0) return FRAME.overflow;
      const at = row * TICKER_FIELDS;
      const { values } = out;
      values[at + TICKER.markPrice] = numeric(mark.markPrice);
      values[at + TICKER.markIv] = positive(mark.markIV);
      values[at + TICKER.bidIv] = positive(mark.bidIV);
      values[at + TICKER.askIv] = positive(mark.askIV);
      values[at + TICKER.delta] = numeric(mark.delta);
      values[at + TICKER.gamma] = numeric(mark.gamma);
      values[at + TICKER.vega] = numeric(mark.vega);
      values[at + TICKER.theta] = numeric(mark.theta);
      values[at + TICKER.interestRate] = numeric(mark.riskFreeInterest);
    }
    return FRAME.ok;
  }

  /** The index of an underlying is one of all its options, whose underlying it is as well; the venue knows no forwards. */
  decodeIndex(body: string, options: readonly Instrument[], out: EventBatch): FrameOutcome {
    const answer = parseJson(body);
    const index = isObject(answer) ? numeric(answer.indexPrice) : Number.NaN;
    if (!isObject(answer) || !(index > 0)) return FRAME.unparsable;
    for (const { id } of options) {
      const row = out.begin(EVENT.ticker, id, numeric(answer.time) * 1_000);
      if (row < 0) return FRAME.overflow;
      out.values[row * TICKER_FIELDS + TICKER.indexPrice] = index;
      out.values[row * TICKER_FIELDS + TICKER.underlyingPrice] = index;
    }
    return FRAME.ok;
  }

  attribute(frame: string): number {
    const symbol =
      /"stream":"([a-z0-9_.-]+)@/.exec(frame)?.[1]?.toUpperCase() ?? /"s":"([A-Z0-9_.-]+)"/.exec(frame)?.[1];
    return this.idOf(symbol);
  }
}

function decodeDepth(data: JsonObject, instrument: Instrument, out: EventBatch): FrameOutcome {
  const { U, u, pu } = data;
  if (!isSequence(U) || !isSequence(u) || !(pu === undefined || isSequence(pu))) return FRAME.unparsable;
  const row = out.begin(EVENT.bookDelta, instrument.id, timeOf(data));
  if (row < 0) return FRAME.overflow;
  out.setSequence(row, U, u, pu ?? Number.NaN);
  return fillLevels(row, data.b, data.a, instrument, out);
}

function decodeTop(data: JsonObject, instrument: Instrument, out: EventBatch): FrameOutcome {
  const { u } = data;
  if (!isSequence(u)) return FRAME.unparsable;
  const row = out.begin(EVENT.top, instrument.id, timeOf(data));
  if (row < 0) return FRAME.overflow;
  out.setSequence(row, u, u, Number.NaN);
  let outcome = addLevel(SIDE.bid, data.b, data.B, instrument, out);
  if (outcome === LEVELS.added) outcome = addLevel(SIDE.ask, data.a, data.A, instrument, out);
  return outcome === LEVELS.added ? FRAME.ok : takeBack(row, outcome, out);
}

/** Trades of the insurance fund and of deleveraging (`X` other than `MARKET`) are no trades of the market. */
function decodeTrade(data: JsonObject, instrument: Instrument, out: EventBatch): FrameOutcome {
  const { t, m, X } = data;
  if (X !== undefined && X !== "MARKET") return FRAME.ignored;
  const priceTicks = nearestSteps(numeric(data.p), instrument.tick);
  const sizeLots = nearestSteps(numeric(data.q), instrument.lot);
  if (!isSequence(t) || typeof m !== "boolean" || !(priceTicks >= 0) || !(sizeLots >= 0))
    return FRAME.unparsable;
  const row = out.begin(EVENT.trade, instrument.id, timeOf(data));
  if (row < 0) return FRAME.overflow;
  out.setSequence(row, t, t, Number.NaN);
  if (out.level(m ? SIDE.ask : SIDE.bid, priceTicks, sizeLots)) return FRAME.ok;
  out.rewind(row, out.levels);
  return FRAME.overflow;
}

function decodeMark(data: JsonObject, instrument: Instrument, out: EventBatch): FrameOutcome {
  const markPrice = numeric(data.p);
  if (Number.isNaN(markPrice)) return FRAME.unparsable;
  const row = out.begin(EVENT.ticker, instrument.id, timeOf({ E: data.E }));
  if (row < 0) return FRAME.overflow;
  const at = row * TICKER_FIELDS;
  out.values[at + TICKER.markPrice] = markPrice;
  out.values[at + TICKER.indexPrice] = numeric(data.i);
  out.values[at + TICKER.fundingRate] = numeric(data.r);
  const nextFundingMs = numeric(data.T);
  if (nextFundingMs > 0) out.values[at + TICKER.nextFundingMs] = nextFundingMs;
  return FRAME.ok;
}

/** Volatilities are fractions, −1 where there is no bid or ask to imply one from. */
function positive(value: unknown): number {
  const number = numeric(value);
  return number > 0 ? number : Number.NaN;
}

/** Time of the matching engine (`T`) where the frame has one, of the message (`E`) otherwise; µs. */
function timeOf(data: JsonObject): number {
  const ms = typeof data.T === "number" ? data.T : data.E;
  return typeof ms === "number" ? ms * 1_000 : Number.NaN;
}

function isSequence(value: unknown): value is number {
  return Number.isSafeInteger(value);
}
