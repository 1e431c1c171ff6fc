import { SIDE } from "../../market/event-batch.ts";
import { COARSE_FROM_TICKS, COARSE_TICKS, SIM } from "../market/instruments.ts";
import type { SimMarket } from "../market/market.ts";
import type { MarketSink } from "../market/market-sink.ts";
import { NO_LEVEL } from "../market/sim-book.ts";
import type { MmpGroup, SimAccount } from "./account.ts";
import { amountOf, priceOf, type SimOrder, type TradedInstrument } from "./orders.ts";
import type { Side } from "./trading-error.ts";

/** One side of a trade that was arranged off the book. */
export interface BlockPart {
  readonly id: number;
  readonly instrument: TradedInstrument;
  readonly side: Side;
  readonly lots: number;
  readonly ticks: number;
  readonly liquidity: "M" | "T";
  /** What a trade of a block has beside the others. */
  readonly extra: Readonly<Record<string, unknown>>;
}

/** Who is told what happens to accounts. */
export interface ExchangeEvents {
  onOrder(account: SimAccount, order: SimOrder): void;
  onTrade(account: SimAccount, symbol: string, json: Readonly<Record<string, unknown>>): void;
  onMmp(account: SimAccount, group: MmpGroup): void;
}

/** The only index that is traded here. */
export const INDEX = "btc_usd";
const OPTION_FEE_COIN = 0.000_3;
const OPTION_FEE_SHARE = 0.125;
const TAKER_FEE = 0.000_5;
const FIRST_TRADE = 700_000_001;
const REMEMBERED_ORDERS = 4_096;
const REMEMBERED_TRADES = 20_000;

/**
 * Matches the orders of accounts with the simulated market. An order that reaches the market's best opposite price takes from it;
 * what is left rests behind the lots that were there before it at its price. It is filled by trades of the market that come
 * through its price, by those at its price once its queue is used up, and by makers who move across it. Accounts do not trade
 * with each other, and the published books show the market without them.
 */
export class Exchange implements MarketSink {
  readonly instruments = new Map<string, TradedInstrument>();
  readonly #market: SimMarket;
  readonly #events: ExchangeEvents;
  /** Open orders by the market's number of their instrument. */
  readonly #resting = new Map<number, Set<SimOrder>>();
  readonly #accountOf = new WeakMap<SimOrder, SimAccount>();
  #nextTrade = FIRST_TRADE;
  #nextOrder = 80_000_001;
  /** The market's own words on what an order of an account takes are not to be matched again. */
  #taking = false;

  constructor(market: SimMarket, events: ExchangeEvents) {
    this.#market = market;
    this.#events = events;
    this.#list({
      number: SIM.deribitBtc,
      symbol: "BTC-PERPETUAL",
      kind: "future",
      expiryMs: Number.POSITIVE_INFINITY,
      tick: "0.5",
      lot: "10",
      coarseFrom: Number.POSITIVE_INFINITY,
      coarse: 1,
    });
    for (const { instrument: number, symbol, expiryMs } of market.options.chain) {
      const grid = { tick: "0.0001", lot: "0.1", coarseFrom: COARSE_FROM_TICKS, coarse: COARSE_TICKS };
      this.#list({ number, symbol, kind: "option", expiryMs, ...grid });
    }
    market.addSink(this);
  }

  get index(): string {
    return INDEX;
  }

  get timeUs(): number {
    return this.#market.timeUs;
  }

  get timeMs(): number {
    return Math.floor(this.#market.timeUs / 1_000);
  }

  nextTradeId(): number {
    const id = this.#nextTrade;
    this.#nextTrade += 1;
    return id;
  }

  /** Books one account's side of a block trade. */
  block(account: SimAccount, { id, instrument, side, lots, ticks, liquidity, extra }: BlockPart): void {
    account.fill(instrument, side, lots, ticks);
    const state = { order_id: `B-${id}`, state: "filled", mmp: false };
    this.#tellTrade(account, { id, instrument, side, lots, ticks, liquidity, extra: { ...state, ...extra } });
  }

  nextOrderId(): string {
    const id = this.#nextOrder;
    this.#nextOrder += 1;
    return String(id);
  }

  /** Value of the option, or of the perpetual, at which the venue marks positions, in ticks. */
  markTicks(instrument: TradedInstrument): number {
    if (instrument.kind === "future") return this.#market.reference.mark(1) * 2;
    return (this.#market.options.marks[instrument.number - SIM.firstOption]?.price ?? 0) * 10_000;
  }

  /** The market's best price of a side in ticks, −1 where there is none. */
  best(instrument: TradedInstrument, side: Side): number {
    return instrument.kind === "future"
      ? this.#market.follower.book.best(side)
      : this.#market.options.best(instrument.number - SIM.firstOption, side);
  }

  /** An order has been entered or changed: takes what it reaches, rests with what is left. @returns its trades */
  place(account: SimAccount, order: SimOrder, keepsPriority: boolean): Readonly<Record<string, unknown>>[] {
    account.orders.set(order.id, order);
    this.#accountOf.set(order, account);
    const trades = this.#take(account, order);
    if (order.filled >= order.lots) this.#close(account, order, "filled", "");
    else if (order.timeInForce === "immediate_or_cancel") this.#close(account, order, "cancelled", "");
    else {
      if (!keepsPriority) order.ahead = this.#lotsAt(order.instrument, order.side, order.ticks);
      const resting = this.#resting.get(order.instrument.number) ?? new Set();
      resting.add(order);
      this.#resting.set(order.instrument.number, resting);
      this.#events.onOrder(account, order);
    }
    account.forgetClosed(REMEMBERED_ORDERS);
    return trades;
  }

  cancel(account: SimAccount, order: SimOrder, reason: string): void {
    if (order.state === "open") this.#close(account, order, "cancelled", reason);
  }

  /** Somebody sends an order to the accounts' quotes alone: for rehearsals. @returns lots traded */
  hit(symbol: string, side: Side, lots: number): number {
    const instrument = this.instruments.get(symbol);
    if (instrument === undefined) return 0;
    let left = lots;
    for (const order of this.#sorted(instrument.number, side)) {
      if (left === 0) break;
      const traded = Math.min(left, order.lots - order.filled);
      this.#fill(order, traded, order.ticks, "M");
      left -= traded;
    }
    return lots - left;
  }

  onLevel(number: number, side: number, ticks: number, lots: number, _before: number): void {
    const resting = this.#resting.get(number);
    if (resting === undefined || resting.size === 0 || this.#taking) return;
    let left = lots;
    for (const order of this.#sorted(number, side === SIDE.bid ? 1 : 0)) {
      const crossed = order.side === 0 ? ticks <= order.ticks : ticks >= order.ticks;
      if (!crossed || left === 0) break;
      const traded = Math.min(left, order.lots - order.filled);
      this.#fill(order, traded, order.ticks, "M");
      left -= traded;
    }
    for (const order of resting) {
      if (order.side === side && order.ticks === ticks) order.ahead = Math.min(order.ahead, lots);
    }
  }

  onTrade(number: number, aggressor: number, ticks: number, lots: number): void {
    if (this.#taking || !this.#resting.has(number)) return;
    let left = lots;
    for (const order of this.#sorted(number, aggressor === SIDE.bid ? 1 : 0)) {
      const better = order.side === 0 ? order.ticks > ticks : order.ticks < ticks;
      if (!better && order.ticks !== ticks) break;
      if (!better) {
        const before = Math.min(order.ahead, left);
        order.ahead -= before;
        left -= before;
      }
      const traded = Math.min(left, order.lots - order.filled);
      if (traded > 0) this.#fill(order, traded, order.ticks, "M");
      left -= traded;
      if (left === 0) break;
    }
  }

  onTurn(): void {}

  #list(instrument: TradedInstrument): void {
    this.instruments.set(instrument.symbol, instrument);
  }

  /** Open orders of a side, the best price first, older before younger. */
  #sorted(number: number, side: Side): SimOrder[] {
    const sign = side === 0 ? -1 : 1;
    return [...(this.#resting.get(number) ?? [])]
      .filter((order) => order.side === side)
      .sort((a, b) => sign * (a.ticks - b.ticks) || Number(a.id) - Number(b.id));
  }

  #take(account: SimAccount, order: SimOrder): Readonly<Record<string, unknown>>[] {
    const trades: Readonly<Record<string, unknown>>[] = [];
    const { instrument, side } = order;
    const other = side === 0 ? 1 : 0;
    this.#taking = true;
    for (let left = order.lots - order.filled; left > 0; left = order.lots - order.filled) {
      const ticks = this.best(instrument, other);
      if (ticks === NO_LEVEL || (side === 0 ? ticks > order.ticks : ticks < order.ticks)) break;
      const traded =
        instrument.kind === "future"
          ? this.#market.follower.hit(other, Math.min(left, this.#lotsAt(instrument, other, ticks)), ticks)
          : this.#market.options.hit(instrument.number - SIM.firstOption, other, left);
      if (traded === 0) break;
      trades.push(this.#record(account, order, traded, ticks, "T"));
    }
    if (trades.length > 0) this.#market.endTurn();
    this.#taking = false;
    if (trades.length > 0) this.#afterTrades(account, order);
    return trades;
  }

  #fill(order: SimOrder, lots: number, ticks: number, liquidity: "M" | "T"): void {
    const account = this.#accountOf.get(order);
    if (account === undefined) return;
    this.#record(account, order, lots, ticks, liquidity);
    if (order.filled >= order.lots) this.#close(account, order, "filled", "");
    else this.#events.onOrder(account, order);
    this.#afterTrades(account, order);
  }

  #record(
    account: SimAccount,
    order: SimOrder,
    lots: number,
    ticks: number,
    liquidity: "M" | "T",
  ): Readonly<Record<string, unknown>> {
    const { instrument, side } = order;
    order.filled += lots;
    order.traded += lots * ticks;
    order.updatedMs = this.timeMs;
    account.fill(instrument, side, lots, ticks);
    const json = this.#tellTrade(account, {
      id: this.nextTradeId(),
      ...{ instrument, side, lots, ticks, liquidity },
      extra: {
        order_id: order.id,
        ...(order.label === "" ? {} : { label: order.label }),
        ...(order.mmpGroup === null ? {} : { quote_id: order.quoteId, quote_set_id: order.quoteSetId }),
        state: order.filled >= order.lots ? "filled" : "open",
        mmp: order.mmp,
      },
    });
    if (order.mmp) this.#protect(account, order, lots, ticks);
    return json;
  }

  #tellTrade(account: SimAccount, part: BlockPart): Readonly<Record<string, unknown>> {
    const { id, instrument, side, lots, ticks, liquidity, extra } = part;
    const amount = amountOf(instrument, lots);
    const price = priceOf(instrument, ticks);
    const fee =
      instrument.kind === "option"
        ? amount * Math.min(OPTION_FEE_COIN, OPTION_FEE_SHARE * price)
        : liquidity === "T"
          ? (amount / price) * TAKER_FEE
          : 0;
    const json = {
      trade_id: String(id),
      trade_seq: id - FIRST_TRADE + 1,
      timestamp: this.timeMs,
      instrument_name: instrument.symbol,
      direction: side === 0 ? "buy" : "sell",
      price,
      amount,
      contracts: instrument.kind === "future" ? lots : amount,
      order_type: "limit",
      liquidity,
      fee,
      fee_currency: "BTC",
      index_price: this.#market.reference.index,
      mark_price: priceOf(instrument, this.markTicks(instrument)),
      tick_direction: 0,
      matching_id: null,
      api: true,
      self_trade: false,
      post_only: false,
      reduce_only: false,
      risk_reducing: false,
      ...extra,
    };
    account.trades.push({ timestampMs: json.timestamp, symbol: instrument.symbol, side, lots, json });
    if (account.trades.length > REMEMBERED_TRADES) account.trades.shift();
    this.#events.onTrade(account, instrument.symbol, json);
    return json;
  }

  /** Counts a trade against the protection of its group; what trips it is acted on after the trade has been told. */
  #protect(account: SimAccount, order: SimOrder, lots: number, ticks: number): void {
    const group = account.groups.get(groupKey(INDEX, order.mmpGroup));
    if (group === undefined) return;
    const { instrument, side } = order;
    const nowUs = this.timeUs;
    if (!(nowUs < group.sinceUs + group.intervalUs)) {
      group.sinceUs = nowUs;
      group.quantity = 0;
      group.delta = 0;
      group.vega = 0;
    }
    const price = priceOf(instrument, ticks);
    const coins =
      instrument.kind === "future" ? amountOf(instrument, lots) / price : amountOf(instrument, lots);
    const mark = this.#market.options.marks[instrument.number - SIM.firstOption];
    const delta = instrument.kind === "future" || mark === undefined ? 1 : mark.delta - mark.price;
    const sign = side === 0 ? 1 : -1;
    group.quantity += coins;
    group.delta += sign * coins * delta;
    group.vega += sign * coins * (instrument.kind === "future" ? 0 : (mark?.vega ?? 0) / 100);
  }

  #afterTrades(account: SimAccount, order: SimOrder): void {
    const group = order.mmp ? account.groups.get(groupKey(INDEX, order.mmpGroup)) : undefined;
    if (group === undefined || this.timeUs < group.frozenUntilUs) return;
    const beyond =
      group.quantity > group.quantityLimit ||
      Math.abs(group.delta) > group.deltaLimit ||
      Math.abs(group.vega) > group.vegaLimit;
    if (!beyond) return;
    group.sinceUs = Number.NEGATIVE_INFINITY;
    group.frozenUntilUs = group.frozenUs === 0 ? Number.POSITIVE_INFINITY : this.timeUs + group.frozenUs;
    for (const open of account.openOrders()) {
      if (open.mmp && open.mmpGroup === group.name) this.#close(account, open, "cancelled", "mmp_trigger");
    }
    this.#events.onMmp(account, group);
  }

  #close(account: SimAccount, order: SimOrder, state: "filled" | "cancelled", reason: string): void {
    order.state = state;
    order.cancelReason = reason;
    order.updatedMs = this.timeMs;
    this.#resting.get(order.instrument.number)?.delete(order);
    this.#events.onOrder(account, order);
  }

  #lotsAt(instrument: TradedInstrument, side: Side, ticks: number): number {
    return instrument.kind === "future"
      ? this.#market.follower.book.lotsAt(side, ticks)
      : this.#market.options.lotsAt(instrument.number - SIM.firstOption, side, ticks);
  }
}

export function groupKey(index: string, name: string | null): string {
  return `${index} ${name ?? ""}`;
}
