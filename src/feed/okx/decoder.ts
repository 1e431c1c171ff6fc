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
import { addLevel, fillAsksFirst, LEVELS, type LevelsOutcome, takeBack } from "../text-levels.ts";

/** Instruments by symbol, and those of each index; both may grow later. */
export interface OkxInstruments {
  readonly bySymbol: ReadonlyMap<string, Instrument>;
  readonly byIndex: ReadonlyMap<string, readonly Instrument[]>;
}

/**
 * OKX v5's channels `books`, `bbo-tbt`, `trades`, `tickers`, `mark-price`, `index-tickers`, `funding-rate`, `open-interest` and `opt-summary`. A
 * book's `seqId` becomes the last sequence, `prevSeqId` the previous one, both NaN where the frame has none. The reference
 * decoder, by way of JSON.parse.
 */
export class OkxDecoder extends SymbolDecoder {
  readonly #byIndex: ReadonlyMap<string, readonly Instrument[]>;

  constructor({ bySymbol, byIndex }: OkxInstruments) {
    super(bySymbol);
    this.#byIndex = byIndex;
  }

  decode(frame: string, out: EventBatch): FrameOutcome {
    if (frame === "pong") return FRAME.control;
    const root = parseJson(frame);
    if (!isObject(root)) return FRAME.unparsable;
    if (typeof root.event === "string") return FRAME.control;
    const { arg, data } = root;
    if (!isObject(arg) || typeof arg.channel !== "string" || !Array.isArray(data)) return FRAME.unparsable;
    if (arg.channel === "books" || arg.channel === "bbo-tbt") {
      const instrument = typeof arg.instId === "string" ? this.bySymbol.get(arg.instId) : undefined;
      if (instrument === undefined) return FRAME.ignored;
      const book: unknown = data[0];
      if (data.length !== 1 || !isObject(book)) return FRAME.unparsable;
      if (arg.channel === "bbo-tbt") return decodeTop(book, instrument, out);
      return decodeBook(root.action, book, instrument, out);
    }
    if (arg.channel === "index-tickers") return this.#decodeIndex(data, out);
    const decodeEntry = arg.channel === "trades" ? decodeTrade : TICKER_CHANNELS.get(arg.channel);
    return decodeEntry === undefined ? FRAME.ignored : this.#decodeEach(data, decodeEntry, out);
  }

  attribute(frame: string): number {
    const symbol = /"instId":"([A-Z0-9.-]+)"/.exec(frame)?.[1];
    return this.idOf(symbol);
  }

  /** Entries of instruments that are not carried, in a family's common channel, are passed over. */
  #decodeEach(data: readonly unknown[], decodeEntry: EntryDecoder, out: EventBatch): FrameOutcome {
    const firstRow = out.count;
    const firstLevel = out.levels;
    let outcome: FrameOutcome = data.length === 0 ? FRAME.ok : FRAME.ignored;
    for (let i = 0; i < data.length; i += 1) {
      const entry: unknown = data[i];
      if (!isObject(entry) || typeof entry.instId !== "string") outcome = FRAME.unparsable;
      else {
        const instrument = this.bySymbol.get(entry.instId);
        if (instrument === undefined) continue;
        outcome = decodeEntry(entry, instrument, out);
      }
      if (outcome === FRAME.ok) continue;
      out.rewind(firstRow, firstLevel);
      return outcome;
    }
    return outcome;
  }

  /** An index is one of all the instruments on it. */
  #decodeIndex(data: readonly unknown[], out: EventBatch): FrameOutcome {
    const firstRow = out.count;
    for (let i = 0; i < data.length; i += 1) {
      const entry: unknown = data[i];
      const price = isObject(entry) ? finite(entry.idxPx) : Number.NaN;
      if (!isObject(entry) || typeof entry.instId !== "string" || Number.isNaN(price)) {
        out.rewind(firstRow, out.levels);
        return FRAME.unparsable;
      }
      for (const { id } of this.#byIndex.get(entry.instId) ?? []) {
        const row = out.begin(EVENT.ticker, id, timeOf(entry));
        if (row < 0) {
          out.rewind(firstRow, out.levels);
          return FRAME.overflow;
        }
        out.values[row * TICKER_FIELDS + TICKER.indexPrice] = price;
      }
    }
    return out.count > firstRow ? FRAME.ok : FRAME.ignored;
  }
}

type EntryDecoder = (entry: JsonObject, instrument: Instrument, out: EventBatch) => FrameOutcome;

/** Which field of an entry is which value of a ticker, by channel. */
const TICKER_CHANNELS: ReadonlyMap<string, EntryDecoder> = new Map([
  ["tickers", tickerOf([["last", TICKER.lastPrice]])],
  ["mark-price", tickerOf([["markPx", TICKER.markPrice]])],
  ["open-interest", tickerOf([["oi", TICKER.openInterest]])],
  [
    "funding-rate",
    tickerOf([
      ["fundingRate", TICKER.fundingRate],
      ["fundingTime", TICKER.nextFundingMs],
    ]),
  ],
  [
    "opt-summary",
    tickerOf([
      ["fwdPx", TICKER.underlyingPrice],
      ["markVol", TICKER.markIv],
      ["bidVol", TICKER.bidIv],
      ["askVol", TICKER.askIv],
      ["deltaBS", TICKER.delta],
      ["gammaBS", TICKER.gamma],
      ["vegaBS", TICKER.vega],
      ["thetaBS", TICKER.theta],
    ]),
  ],
]);

const VOLATILITIES: readonly number[] = [TICKER.markIv, TICKER.bidIv, TICKER.askIv];

function tickerOf(fields: readonly (readonly [name: string, field: number])[]): EntryDecoder {
  return (entry, instrument, out) => {
    const row = out.begin(EVENT.ticker, instrument.id, timeOf(entry));
    if (row < 0) return FRAME.overflow;
    for (let i = 0; i < fields.length; i += 1) {
      const [name, field] = fields[i];
      const value = finite(entry[name]);
      // An empty side has no volatility: it is 0 or empty.
      out.values[row * TICKER_FIELDS + field] =
        VOLATILITIES.includes(field) && !(value > 0) ? Number.NaN : value;
    }
    return FRAME.ok;
  };
}

function decodeBook(
  action: unknown,
  book: JsonObject,
  instrument: Instrument,
  out: EventBatch,
): FrameOutcome {
  const { seqId = Number.NaN, prevSeqId = Number.NaN, checksum = Number.NaN } = book;
  if (action !== "snapshot" && action !== "update") return FRAME.unparsable;
  if (typeof seqId !== "number" || typeof prevSeqId !== "number" || typeof checksum !== "number")
    return FRAME.unparsable;
  const kind = action === "snapshot" ? EVENT.bookSnapshot : EVENT.bookDelta;
  const row = out.begin(kind, instrument.id, timeOf(book));
  if (row < 0) return FRAME.overflow;
  out.setSequence(row, Number.NaN, seqId, prevSeqId);
  // Since June 2026 the venue sends 0 for a checksum that it does not take any more.
  if (checksum !== 0) out.checksum[row] = Number.isNaN(checksum) ? Number.NaN : checksum >>> 0;
  return fillAsksFirst(row, book.bids, book.asks, instrument, out);
}

function decodeTop(book: JsonObject, instrument: Instrument, out: EventBatch): FrameOutcome {
  const { seqId } = book;
  if (typeof seqId !== "number" || !Number.isSafeInteger(seqId)) return FRAME.unparsable;
  const row = out.begin(EVENT.top, instrument.id, timeOf(book));
  if (row < 0) return FRAME.overflow;
  out.setSequence(row, seqId, seqId, Number.NaN);
  let outcome = addBest(SIDE.bid, book.bids, instrument, out);
  if (outcome === LEVELS.added) outcome = addBest(SIDE.ask, book.asks, instrument, out);
  return outcome === LEVELS.added ? FRAME.ok : takeBack(row, outcome, out);
}

function addBest(side: number, levels: unknown, instrument: Instrument, out: EventBatch): LevelsOutcome {
  if (!Array.isArray(levels) || levels.length > 1) return LEVELS.malformed;
  if (levels.length === 0) return out.level(side, 0, 0) ? LEVELS.added : LEVELS.full;
  const level: unknown = levels[0];
  return Array.isArray(level) ? addLevel(side, level[0], level[1], instrument, out) : LEVELS.malformed;
}

function decodeTrade(trade: JsonObject, instrument: Instrument, out: EventBatch): FrameOutcome {
  const { side, tradeId } = trade;
  if (side !== "buy" && side !== "sell") return FRAME.unparsable;
  const priceTicks = nearestSteps(numeric(trade.px), instrument.tick);
  const sizeLots = nearestSteps(numeric(trade.sz), instrument.lot);
  if (!(priceTicks >= 0 && priceTicks <= MAX_PRICE_TICKS && sizeLots >= 0 && sizeLots < Infinity))
    return FRAME.unparsable;
  const row = out.begin(EVENT.trade, instrument.id, timeOf(trade));
  if (row < 0) return FRAME.overflow;
  const id = numeric(tradeId);
  const last = Number.isSafeInteger(id) ? id : Number.NaN;
  out.setSequence(row, last, last, Number.NaN);
  return out.level(side === "buy" ? SIDE.bid : SIDE.ask, priceTicks, sizeLots) ? FRAME.ok : FRAME.overflow;
}

function finite(value: unknown): number {
  const number = numeric(value);
  return Number.isFinite(number) ? number : Number.NaN;
}

function timeOf(data: JsonObject): number {
  return typeof data.ts === "string" ? numeric(data.ts) * 1_000 : Number.NaN;
}
