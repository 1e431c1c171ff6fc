import { Rng } from "../core/rng.ts";
import { SIDE } from "../market/event-batch.ts";
import { PERPETUAL } from "./deribit-instruments.ts";
import {
  optionAmount,
  optionPrice,
  optionTicker,
  perpetualAmount,
  perpetualPrice,
  perpetualTicker,
} from "./deribit-ticker.ts";
import type { FrameSink } from "./frame-sink.ts";
import type { Actor } from "./market/event-queue.ts";
import { SIM } from "./market/instruments.ts";
import type { SimMarket } from "./market/market.ts";
import type { MarketSink } from "./market/market-sink.ts";
import { OPTION_LEVELS } from "./market/option-makers.ts";
import { NO_LEVEL } from "./market/sim-book.ts";

const KIND = { flush: 0, pulse: 1, index: 2 } as const;

const AGGREGATE_US = 100_000;
const PULSE_US = 50_000;
/** A ticker that has not been sent for this long is sent even if its instrument has not changed. */
const TICKER_IDLE_US = 1_000_000;
const INDEX_US = 1_000_000;
const FIRST_CHANGE_ID = 33_195_894_133;
const FIRST_TRADE_SEQ = 271_252_854;
const FIRST_TRADE_ID = 403_691_824;
const CHANGE_ID_SKIP = 20;
/** Listings and expiries: accepted and silent, for the simulated chain does not change. */
const LISTING_CHANNEL = /^instrument\.state\.(option|future|any)\.(BTC|any)$/;
const INDEX_CHANNEL = "deribit_price_index.btc_usd";

/** Levels changed since some moment: `2 × ticks + side` → lots at that moment. */
type Changes = Map<number, number>;

/** One instrument's channels and what they have told. */
interface Listed {
  readonly instrument: number;
  readonly symbol: string;
  readonly bookRaw: string;
  readonly bookAggregated: string;
  readonly tradesRaw: string;
  readonly tradesAggregated: string;
  readonly tickerRaw: string;
  readonly tickerAggregated: string;
  readonly rawChanges: Changes;
  readonly aggregatedChanges: Changes;
  readonly turnTrades: string[];
  readonly aggregatedTrades: string[];
  changeId: number;
  aggregatedId: number;
  changedUs: number;
  tradeSeq: number;
  lastTradeTicks: number;
  tickDirection: number;
  flushDue: boolean;
  tickerUs: number;
}

/**
 * Deribit's notifications of the simulated market: books (raw and 100 ms) with change ids, trades, tickers with IVs and Greeks,
 * and the price index. Pure: driven by the market's own event queue. What a channel says is the same for every listener, except
 * that a new listener begins with a snapshot.
 */
export class DeribitFrames implements MarketSink, Actor {
  readonly #market: SimMarket;
  readonly #sink: FrameSink;
  readonly #rng: Rng;
  readonly #actor: number;
  readonly #listed: readonly Listed[];
  readonly #byChannel = new Map<string, Listed>();
  /** Instruments touched in this turn. */
  readonly #touched: Listed[] = [];
  #changeId = FIRST_CHANGE_ID;
  #tradeId = FIRST_TRADE_ID;
  #pulseFrom = 0;

  constructor(market: SimMarket, sink: FrameSink, seed: number) {
    this.#market = market;
    this.#sink = sink;
    this.#rng = new Rng(seed ^ 0x44455249);
    const symbols = [PERPETUAL, ...market.options.chain.map((option) => option.symbol)];
    this.#listed = symbols.map((symbol, i) => list(symbol, SIM.deribitBtc + i, market.timeUs));
    for (const listed of this.#listed) {
      for (const channel of channelsOf(listed)) this.#byChannel.set(channel, listed);
    }
    market.addSink(this);
    this.#actor = market.queue.register(this);
    market.queue.schedule(this.#actor, KIND.pulse, 0, PULSE_US);
    market.queue.schedule(this.#actor, KIND.index, 0, INDEX_US);
  }

  /** Whether there is such a channel. */
  has(channel: string): boolean {
    return channel === INDEX_CHANNEL || this.#byChannel.has(channel) || LISTING_CHANNEL.test(channel);
  }

  get channels(): string[] {
    return [...this.#byChannel.keys(), INDEX_CHANNEL];
  }

  /**
   * What a new listener of a channel gets first: `data` of the book's snapshot or of the ticker; null for other channels.
   * Changes that an aggregated channel still holds back go to its present listeners before.
   */
  first(channel: string): string | null {
    const listed = this.#byChannel.get(channel);
    if (listed === undefined) return null;
    if (channel === listed.tickerRaw || channel === listed.tickerAggregated) return this.#ticker(listed);
    if (channel !== listed.bookRaw && channel !== listed.bookAggregated) return null;
    if (channel === listed.bookRaw) return this.#snapshot(listed, listed.changeId);
    this.#flushBook(listed);
    return this.#snapshot(listed, listed.aggregatedId);
  }

  onLevel(instrument: number, side: number, priceTicks: number, _lots: number, before: number): void {
    const listed = this.#listed[instrument - SIM.deribitBtc];
    if (listed === undefined) return;
    this.#touch(listed);
    const key = priceTicks * 2 + side;
    if (!listed.rawChanges.has(key)) listed.rawChanges.set(key, before);
    if (!listed.aggregatedChanges.has(key)) listed.aggregatedChanges.set(key, before);
  }

  onTrade(instrument: number, side: number, priceTicks: number, lots: number): void {
    const listed = this.#listed[instrument - SIM.deribitBtc];
    if (listed === undefined) return;
    this.#touch(listed);
    listed.turnTrades.push(this.#trade(listed, side, priceTicks, lots));
  }

  onTurn(timeUs: number): void {
    for (const listed of this.#touched) {
      listed.changedUs = timeUs;
      if (listed.turnTrades.length > 0) this.#tellTrades(listed);
      if (listed.rawChanges.size > 0) this.#tellRawBook(listed);
      if (!listed.flushDue) {
        listed.flushDue = true;
        this.#market.queue.schedule(
          this.#actor,
          KIND.flush,
          listed.instrument - SIM.deribitBtc,
          AGGREGATE_US,
        );
      }
    }
    this.#touched.length = 0;
  }

  act(kind: number, argument: number, timeUs: number): void {
    if (kind === KIND.flush) {
      const listed = this.#listed[argument];
      if (listed !== undefined) this.#flush(listed, timeUs);
    } else if (kind === KIND.pulse) this.#pulse(timeUs);
    else this.#tellIndex(timeUs);
  }

  #touch(listed: Listed): void {
    if (listed.rawChanges.size === 0 && listed.turnTrades.length === 0) this.#touched.push(listed);
  }

  #tellRawBook(listed: Listed): void {
    this.#forgetUnchanged(listed, listed.rawChanges);
    if (listed.rawChanges.size === 0) return;
    const previousId = listed.changeId;
    this.#changeId += 1 + this.#rng.int(CHANGE_ID_SKIP);
    listed.changeId = this.#changeId;
    if (this.#sink.wanted(listed.bookRaw)) {
      this.#sink.emit(listed.bookRaw, this.#change(listed, listed.rawChanges, previousId));
    }
    listed.rawChanges.clear();
    if (this.#sink.wanted(listed.tickerRaw)) {
      listed.tickerUs = listed.changedUs;
      this.#sink.emit(listed.tickerRaw, this.#ticker(listed));
    }
  }

  #tellTrades(listed: Listed): void {
    if (this.#sink.wanted(listed.tradesRaw)) {
      this.#sink.emit(listed.tradesRaw, `[${listed.turnTrades.join(",")}]`);
    }
    if (this.#sink.wanted(listed.tradesAggregated)) listed.aggregatedTrades.push(...listed.turnTrades);
    listed.turnTrades.length = 0;
  }

  #flush(listed: Listed, timeUs: number): void {
    listed.flushDue = false;
    if (listed.aggregatedTrades.length > 0) {
      this.#sink.emit(listed.tradesAggregated, `[${listed.aggregatedTrades.join(",")}]`);
      listed.aggregatedTrades.length = 0;
    }
    this.#flushBook(listed);
    if (this.#sink.wanted(listed.tickerAggregated)) {
      listed.tickerUs = timeUs;
      this.#sink.emit(listed.tickerAggregated, this.#ticker(listed));
    }
  }

  #flushBook(listed: Listed): void {
    this.#forgetUnchanged(listed, listed.aggregatedChanges);
    if (listed.aggregatedChanges.size === 0) return;
    const previousId = listed.aggregatedId;
    listed.aggregatedId = listed.changeId;
    if (this.#sink.wanted(listed.bookAggregated)) {
      this.#sink.emit(listed.bookAggregated, this.#change(listed, listed.aggregatedChanges, previousId));
    }
    listed.aggregatedChanges.clear();
  }

  /** Tickers of instruments that have long said nothing, a few at a time. */
  #pulse(timeUs: number): void {
    this.#market.queue.schedule(this.#actor, KIND.pulse, 0, PULSE_US);
    const share = Math.ceil((this.#listed.length * PULSE_US) / TICKER_IDLE_US);
    for (let i = 0; i < share; i += 1) {
      const listed = this.#listed[this.#pulseFrom];
      this.#pulseFrom = (this.#pulseFrom + 1) % this.#listed.length;
      if (listed === undefined || timeUs - listed.tickerUs < TICKER_IDLE_US) continue;
      listed.tickerUs = timeUs;
      for (const channel of [listed.tickerRaw, listed.tickerAggregated]) {
        if (this.#sink.wanted(channel)) this.#sink.emit(channel, this.#ticker(listed));
      }
    }
  }

  #tellIndex(timeUs: number): void {
    this.#market.queue.schedule(this.#actor, KIND.index, 0, INDEX_US);
    if (!this.#sink.wanted(INDEX_CHANNEL)) return;
    const price = this.#market.reference.index.toFixed(2);
    this.#sink.emit(
      INDEX_CHANNEL,
      `{"timestamp":${Math.floor(timeUs / 1_000)},"price":${price},"index_name":"btc_usd"}`,
    );
  }

  #ticker(listed: Listed): string {
    const timeUs = this.#market.queue.nowUs;
    return listed.instrument === SIM.deribitBtc
      ? perpetualTicker(this.#market, timeUs)
      : optionTicker(this.#market, listed.instrument - SIM.firstOption, timeUs);
  }

  #change(listed: Listed, changes: Changes, previousId: number): string {
    const sides: [string[], string[]] = [[], []];
    for (const [key, before] of changes) {
      const side = key & 1 ? SIDE.ask : SIDE.bid;
      const ticks = Math.floor(key / 2);
      const lots = this.#lotsAt(listed, side, ticks);
      const action = lots === 0 ? "delete" : before === 0 ? "new" : "change";
      sides[side].push(levelText(listed, action, ticks, lots));
    }
    return `{"type":"change","timestamp":${Math.floor(listed.changedUs / 1_000)},"prev_change_id":${previousId},"instrument_name":"${listed.symbol}","change_id":${listed.changeId},"bids":[${sides[0].join(",")}],"asks":[${sides[1].join(",")}]}`;
  }

  /** A level that is back where it was has not changed. */
  #forgetUnchanged(listed: Listed, changes: Changes): void {
    for (const [key, before] of changes) {
      if (this.#lotsAt(listed, key & 1, Math.floor(key / 2)) === before) changes.delete(key);
    }
  }

  #snapshot(listed: Listed, changeId: number): string {
    const sides = [SIDE.bid, SIDE.ask].map((side) => {
      const parts: string[] = [];
      this.#eachLevel(listed, side, (ticks, lots) => parts.push(levelText(listed, "new", ticks, lots)));
      return `[${parts.join(",")}]`;
    });
    return `{"type":"snapshot","timestamp":${Math.floor(listed.changedUs / 1_000)},"instrument_name":"${listed.symbol}","change_id":${changeId},"bids":${sides[0]},"asks":${sides[1]}}`;
  }

  #trade(listed: Listed, side: number, ticks: number, lots: number): string {
    const { reference, options } = this.#market;
    if (ticks !== listed.lastTradeTicks) listed.tickDirection = ticks > listed.lastTradeTicks ? 0 : 2;
    else if (listed.tickDirection % 2 === 0) listed.tickDirection += 1;
    listed.lastTradeTicks = ticks;
    listed.tradeSeq += 1;
    this.#tradeId += 1;
    const perpetual = listed.instrument === SIM.deribitBtc;
    const mark = options.marks[listed.instrument - SIM.firstOption];
    const values =
      perpetual || mark === undefined
        ? `"price":${perpetualPrice(ticks)},"amount":${perpetualAmount(lots)},"mark_price":${reference.mark(1).toFixed(2)},"contracts":${lots}.0`
        : `"iv":${(mark.volatility * 100).toFixed(2)},"price":${optionPrice(ticks)},"amount":${optionAmount(lots)},"mark_price":${mark.price.toFixed(8)},"contracts":${optionAmount(lots)}`;
    const timestamp = Math.floor(this.#market.queue.nowUs / 1_000);
    return `{"timestamp":${timestamp},${values},"direction":"${side === SIDE.bid ? "buy" : "sell"}","index_price":${reference.index.toFixed(2)},"instrument_name":"${listed.symbol}","trade_seq":${listed.tradeSeq},"tick_direction":${listed.tickDirection},"trade_id":"${this.#tradeId}"}`;
  }

  #lotsAt(listed: Listed, side: number, ticks: number): number {
    if (listed.instrument === SIM.deribitBtc) return this.#market.follower.book.lotsAt(side, ticks);
    return this.#market.options.lotsAt(listed.instrument - SIM.firstOption, side, ticks);
  }

  #eachLevel(listed: Listed, side: number, visit: (ticks: number, lots: number) => void): void {
    if (listed.instrument !== SIM.deribitBtc) {
      const option = listed.instrument - SIM.firstOption;
      for (let level = 0; level < OPTION_LEVELS; level += 1) {
        const ticks = this.#market.options.levelTicks(option, side, level);
        if (ticks !== NO_LEVEL) visit(ticks, this.#market.options.levelLots(option, side, level));
      }
      return;
    }
    const { book } = this.#market.follower;
    const step = side === SIDE.bid ? -1 : 1;
    for (let ticks = book.best(side); ticks !== NO_LEVEL; ticks = book.outward(side, ticks + step)) {
      visit(ticks, book.lotsAt(side, ticks));
    }
  }
}

function list(symbol: string, instrument: number, timeUs: number): Listed {
  return {
    instrument,
    symbol,
    bookRaw: `book.${symbol}.raw`,
    bookAggregated: `book.${symbol}.100ms`,
    tradesRaw: `trades.${symbol}.raw`,
    tradesAggregated: `trades.${symbol}.100ms`,
    tickerRaw: `ticker.${symbol}.raw`,
    tickerAggregated: `ticker.${symbol}.100ms`,
    rawChanges: new Map(),
    aggregatedChanges: new Map(),
    turnTrades: [],
    aggregatedTrades: [],
    changeId: FIRST_CHANGE_ID,
    aggregatedId: FIRST_CHANGE_ID,
    changedUs: timeUs,
    tradeSeq: FIRST_TRADE_SEQ,
    lastTradeTicks: 0,
    tickDirection: 0,
    flushDue: false,
    tickerUs: timeUs,
  };
}

function channelsOf(listed: Listed): string[] {
  const { bookRaw, bookAggregated, tradesRaw, tradesAggregated, tickerRaw, tickerAggregated } = listed;
  return [bookRaw, bookAggregated, tradesRaw, tradesAggregated, tickerRaw, tickerAggregated];
}

function levelText(listed: Listed, action: string, ticks: number, lots: number): string {
  return listed.instrument === SIM.deribitBtc
    ? `["${action}",${perpetualPrice(ticks)},${perpetualAmount(lots)}]`
    : `["${action}",${optionPrice(ticks)},${optionAmount(lots)}]`;
}
