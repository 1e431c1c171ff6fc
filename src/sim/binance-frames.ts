import { Rng } from "../core/rng.ts";
import { SIDE } from "../market/event-batch.ts";
import type { FrameSink } from "./frame-sink.ts";
import type { Actor } from "./market/event-queue.ts";
import { BINANCE_LOTS_PER_COIN, BINANCE_TICKS_PER_USD, SIM } from "./market/instruments.ts";
import type { SimMarket } from "./market/market.ts";
import type { MarketSink } from "./market/market-sink.ts";
import { nextFundingMs } from "./market/reference.ts";
import { NO_LEVEL } from "./market/sim-book.ts";

const KIND = { markPrice: 15 } as const;

/** Depth streams by the suffix of their names. `@0ms` flushes about every 52 ms, as the real one does. */
const DEPTH_STREAMS = [
  { suffix: "@depth@0ms", everyUs: 50_000, jitterUs: 2_500 },
  { suffix: "@depth@100ms", everyUs: 100_000, jitterUs: 2_000 },
  { suffix: "@depth", everyUs: 250_000, jitterUs: 2_000 },
  { suffix: "@depth@500ms", everyUs: 500_000, jitterUs: 2_000 },
] as const;

const MARK_PRICE_US = 1_000_000;
const FIRST_UPDATE_ID = 5_123_107_831_937;
const FIRST_TRADE_ID = 5_266_583_935;
/** Update ids also count what happens in other symbols: they skip by up to this many. */
const UPDATE_ID_SKIP = 30;

/** One depth stream: what has changed since its last frame. */
interface DepthStream {
  readonly channel: string;
  readonly everyUs: number;
  readonly jitterUs: number;
  /** `2 × ticks + side` of the changed levels. */
  readonly changed: Set<number>;
  firstId: number;
  previousId: number;
}

/**
 * Binance USD-M frames of the simulated BTCUSDT, byte for byte in the exchange's form: depth diffs with U, u and pu, book
 * tickers, trades and mark prices, and the REST depth snapshot that joins them. Pure: driven by the market's own event queue.
 */
export class BinanceFrames implements MarketSink, Actor {
  readonly symbol = "BTCUSDT";
  readonly #market: SimMarket;
  readonly #sink: FrameSink;
  readonly #rng: Rng;
  readonly #actor: number;
  readonly #depth: readonly DepthStream[];
  readonly #tickerChannel: string;
  readonly #tradeChannel: string;
  readonly #markChannels: readonly [string, string];
  readonly #trades: { side: number; priceTicks: number; lots: number }[] = [];
  #updateId = FIRST_UPDATE_ID;
  #tradeId = FIRST_TRADE_ID;
  #touched = false;
  #shownBid = NO_LEVEL;
  #shownBidLots = 0;
  #shownAsk = NO_LEVEL;
  #shownAskLots = 0;
  #lastChangeUs: number;
  #markCount = 0;

  constructor(market: SimMarket, sink: FrameSink, seed: number) {
    this.#market = market;
    this.#sink = sink;
    this.#rng = new Rng(seed ^ 0x42494e41);
    this.#lastChangeUs = market.timeUs;
    const name = this.symbol.toLowerCase();
    this.#tickerChannel = `${name}@bookTicker`;
    this.#tradeChannel = `${name}@trade`;
    this.#markChannels = [`${name}@markPrice@1s`, `${name}@markPrice`];
    this.#depth = DEPTH_STREAMS.map(({ suffix, everyUs, jitterUs }) => ({
      channel: name + suffix,
      everyUs,
      jitterUs,
      changed: new Set<number>(),
      firstId: Number.NaN,
      previousId: FIRST_UPDATE_ID,
    }));
    market.addSink(this);
    this.#actor = market.queue.register(this);
    for (const [number, stream] of this.#depth.entries()) this.#scheduleDepth(stream, number);
    market.queue.schedule(this.#actor, KIND.markPrice, 0, MARK_PRICE_US);
  }

  /** Sequence number of the book's last change. */
  get updateId(): number {
    return this.#updateId;
  }

  onLevel(instrument: number, side: number, priceTicks: number, _lots: number, _before: number): void {
    if (instrument !== SIM.binanceBtc) return;
    this.#updateId += 1 + this.#rng.int(UPDATE_ID_SKIP);
    this.#touched = true;
    for (const stream of this.#depth) {
      if (stream.changed.size === 0) stream.firstId = this.#updateId;
      stream.changed.add(priceTicks * 2 + side);
    }
  }

  onTrade(instrument: number, side: number, priceTicks: number, lots: number): void {
    if (instrument === SIM.binanceBtc) this.#trades.push({ side, priceTicks, lots });
  }

  onTurn(timeUs: number): void {
    if (!this.#touched) return;
    this.#touched = false;
    this.#lastChangeUs = timeUs;
    const ms = Math.floor(timeUs / 1_000);
    if (this.#trades.length > 0) this.#emitTrades(ms);
    this.#emitTicker(ms);
  }

  act(kind: number, _argument: number, timeUs: number): void {
    if (kind === KIND.markPrice) {
      this.#emitMarkPrice(Math.floor(timeUs / 1_000));
      return;
    }
    const stream = this.#depth[kind];
    if (stream === undefined) return;
    this.#scheduleDepth(stream, kind);
    if (stream.changed.size > 0) this.#emitDepth(stream, timeUs);
  }

  /** Answer of `GET /fapi/v1/depth`. */
  snapshot(limit: number): string {
    const ms = Math.floor(this.#market.timeUs / 1_000);
    const changedMs = Math.floor(this.#lastChangeUs / 1_000);
    return `{"lastUpdateId":${this.#updateId},"E":${ms},"T":${changedMs},"bids":${this.#levels(SIDE.bid, limit)},"asks":${this.#levels(SIDE.ask, limit)}}`;
  }

  /** Answer of `GET /fapi/v1/premiumIndex`. */
  premiumIndex(): string {
    const { reference, timeUs } = this.#market;
    const ms = Math.floor(timeUs / 1_000);
    return `{"symbol":"${this.symbol}","markPrice":"${reference.mark(0).toFixed(8)}","indexPrice":"${reference.index.toFixed(8)}","estimatedSettlePrice":"${reference.index.toFixed(8)}","lastFundingRate":"${reference.fundingRate.toFixed(8)}","interestRate":"0.00010000","nextFundingTime":${nextFundingMs(ms)},"time":${ms}}`;
  }

  #levels(side: number, limit: number): string {
    const book = this.#market.leader.book;
    const step = side === SIDE.bid ? -1 : 1;
    const parts: string[] = [];
    let level = book.best(side);
    while (level !== NO_LEVEL && parts.length < limit) {
      parts.push(levelText(level, book.lotsAt(side, level)));
      level = book.outward(side, level + step);
    }
    return `[${parts.join(",")}]`;
  }

  #scheduleDepth(stream: DepthStream, number: number): void {
    const delayUs = stream.everyUs + this.#rng.exponential(stream.jitterUs);
    this.#market.queue.schedule(this.#actor, number, 0, delayUs);
  }

  #emitDepth(stream: DepthStream, timeUs: number): void {
    const changed = Float64Array.from(stream.changed).sort();
    stream.changed.clear();
    const firstId = stream.firstId;
    const previousId = stream.previousId;
    stream.previousId = this.#updateId;
    if (!this.#sink.wanted(stream.channel)) return;
    const book = this.#market.leader.book;
    const sides: [string[], string[]] = [[], []];
    for (const key of changed) {
      const side = key & 1 ? SIDE.ask : SIDE.bid;
      const ticks = Math.floor(key / 2);
      sides[side].push(levelText(ticks, book.lotsAt(side, ticks)));
    }
    const eventMs = Math.floor(timeUs / 1_000);
    const changedMs = Math.floor(this.#lastChangeUs / 1_000);
    this.#sink.emit(
      stream.channel,
      `{"e":"depthUpdate","E":${eventMs},"T":${changedMs},"s":"${this.symbol}","U":${firstId},"u":${this.#updateId},"pu":${previousId},"b":[${sides[0].join(",")}],"a":[${sides[1].join(",")}]}`,
    );
  }

  #emitTrades(ms: number): void {
    const wanted = this.#sink.wanted(this.#tradeChannel);
    for (const { side, priceTicks, lots } of this.#trades) {
      this.#tradeId += 1;
      if (!wanted) continue;
      this.#sink.emit(
        this.#tradeChannel,
        `{"e":"trade","E":${ms},"T":${ms},"s":"${this.symbol}","t":${this.#tradeId},"p":"${priceText(priceTicks)}","q":"${lotsText(lots)}","X":"MARKET","m":${side === SIDE.ask}}`,
      );
    }
    this.#trades.length = 0;
  }

  #emitTicker(ms: number): void {
    const book = this.#market.leader.book;
    const bid = book.best(SIDE.bid);
    const ask = book.best(SIDE.ask);
    const bidLots = book.bestLots(SIDE.bid);
    const askLots = book.bestLots(SIDE.ask);
    const same =
      bid === this.#shownBid &&
      ask === this.#shownAsk &&
      bidLots === this.#shownBidLots &&
      askLots === this.#shownAskLots;
    if (same || bid === NO_LEVEL || ask === NO_LEVEL) return;
    this.#shownBid = bid;
    this.#shownAsk = ask;
    this.#shownBidLots = bidLots;
    this.#shownAskLots = askLots;
    if (!this.#sink.wanted(this.#tickerChannel)) return;
    this.#sink.emit(
      this.#tickerChannel,
      `{"e":"bookTicker","u":${this.#updateId},"s":"${this.symbol}","b":"${priceText(bid)}","B":"${lotsText(bidLots)}","a":"${priceText(ask)}","A":"${lotsText(askLots)}","T":${ms},"E":${ms}}`,
    );
  }

  #emitMarkPrice(ms: number): void {
    this.#market.queue.schedule(this.#actor, KIND.markPrice, 0, MARK_PRICE_US);
    const { reference } = this.#market;
    const mark = reference.mark(0).toFixed(8);
    const data = `{"e":"markPriceUpdate","E":${ms},"s":"${this.symbol}","p":"${mark}","P":"${reference.index.toFixed(8)}","i":"${reference.index.toFixed(8)}","r":"${reference.fundingRate.toFixed(8)}","T":${nextFundingMs(ms)}}`;
    this.#markCount += 1;
    const [everySecond, everyThree] = this.#markChannels;
    if (this.#sink.wanted(everySecond)) this.#sink.emit(everySecond, data);
    if (this.#markCount % 3 === 0 && this.#sink.wanted(everyThree)) this.#sink.emit(everyThree, data);
  }
}

function levelText(ticks: number, lots: number): string {
  return `["${priceText(ticks)}","${lotsText(lots)}"]`;
}

/** Prices carry two decimals on USD-M although the tick is 0.1. */
function priceText(ticks: number): string {
  const whole = Math.floor(ticks / BINANCE_TICKS_PER_USD);
  return `${whole}.${ticks - whole * BINANCE_TICKS_PER_USD}0`;
}

function lotsText(lots: number): string {
  const whole = Math.floor(lots / BINANCE_LOTS_PER_COIN);
  return `${whole}.${String(lots - whole * BINANCE_LOTS_PER_COIN).padStart(3, "0")}`;
}
