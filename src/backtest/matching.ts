/**
 * The matching engine of a venue whose market is a recording: our orders rest between the recorded ones and trade against what
 * was recorded. What is assumed, and what is not known, stands in `docs/backtest.md`.
 *
 * @module
 */
import { invariant } from "../core/invariant.ts";
import { EVENT, EventBatch, SIDE, TICKER_FIELDS } from "../market/event-batch.ts";
import type { InstrumentTable } from "../market/instrument.ts";
import type { OrderIntent } from "../risk/order.ts";
import { ORDER_STATE, type OrderState } from "../risk/order.ts";
import { Admission, type Rejects } from "./admission.ts";
import { TransientImpact } from "./impact.ts";
import type { QueueModel } from "./queue.ts";
import { ORDER_EVENT, ORDER_FIELD, type Tape } from "./tape.ts";
import { VenueMarket } from "./venue-market.ts";
import { newOrder, quoteKey, reaches, type VenueOrder } from "./venue-order.ts";

export interface MatchingOptions {
  readonly queue: QueueModel;
  /** What a trade beyond our price fills: of our lots as many as have `traded`, or all of them (`full`). */
  readonly through: "traded" | "full";
  /** What becomes of a quote that would trade at once: it is refused (post-only), or takes. */
  readonly crossing: "reject" | "take";
  /** Time in which the book recovers from what we took out of it, ms. */
  readonly impactRecoveryMs: number;
  /** Quotes, orders and cancellations that the venue takes; null = as many as come. */
  readonly rate: { readonly perSecond: number; readonly burst: number } | null;
}

export const DEFAULT_MATCHING: Omit<MatchingOptions, "queue"> = {
  through: "traded",
  crossing: "reject",
  impactRecoveryMs: 1_000,
  rate: null,
};

/** What the venue tells, at the moment at which it happens there. */
export interface VenueReports {
  onFill(
    order: VenueOrder,
    priceTicks: number,
    lots: number,
    maker: boolean,
    counterparty: string,
    timeUs: number,
  ): void;
  onOrderState(orderId: number, state: OrderState, leavesLots: number, text: string, timeUs: number): void;
}

export interface MatchingCounters {
  /** Recorded events that were matched against. */
  events: number;
  trades: number;
  fills: number;
  rejects: Rejects;
  /** Quotes and orders that came for something already gone: filled, or cancelled, while they were under way. */
  late: number;
}

/** Levels of a book that one taking order goes through at most. */
const SWEEP_LEVELS = 64;
const FORGET_EVERY = 65_536;
const EPSILON_LOTS = 1e-9;

export class Matching {
  readonly markets: VenueMarket[] = [];
  readonly counters: MatchingCounters;
  readonly #instruments: InstrumentTable;
  readonly #options: MatchingOptions;
  readonly #reports: VenueReports;
  readonly #admission: Admission;
  /** Ours, by instrument, in the order in which they came to stand. */
  readonly #resting: VenueOrder[][] = [];
  readonly #impact: TransientImpact[] = [];
  readonly #orders = new Map<number, VenueOrder>();
  /** By {@link quoteKey}. */
  readonly #quotes = new Map<number, VenueOrder>();
  /** Instruments recorded by order: their queue is known, not estimated. */
  readonly #exact = new Set<number>();
  readonly #scratch = new EventBatch(1, 65_536);
  readonly #prices = new Int32Array(SWEEP_LEVELS);
  readonly #sizes = new Float64Array(SWEEP_LEVELS);
  readonly #before: number[] = [];

  constructor(instruments: InstrumentTable, options: MatchingOptions, reports: VenueReports) {
    this.#instruments = instruments;
    this.#options = options;
    this.#reports = reports;
    this.#admission = new Admission(options.rate);
    const { rejects } = this.#admission;
    this.counters = { events: 0, trades: 0, fills: 0, rejects, late: 0 };
  }

  market(instrument: number): VenueMarket {
    while (this.markets.length <= instrument) {
      this.markets.push(new VenueMarket(this.#instruments.get(this.markets.length)));
      this.#resting.push([]);
      this.#impact.push(new TransientImpact(this.#options.impactRecoveryMs));
    }
    const market = this.markets[instrument];
    invariant(market !== undefined, `instrument ${instrument} has a market`);
    return market;
  }

  /** Ours that rest in an instrument. */
  resting(instrument: number): readonly VenueOrder[] {
    return this.#resting[instrument] ?? [];
  }

  /** Something happened in the recorded market. */
  onEvent(tape: Tape, slot: number, timeUs: number): void {
    const instrument = tape.instrument[slot];
    const kind = tape.kind[slot];
    this.counters.events += 1;
    const market = this.market(instrument);
    if (kind === EVENT.trade) {
      this.counters.trades += 1;
      if (this.#exact.has(instrument)) return;
      const at = tape.levelStart[slot] & (tape.side.length - 1);
      this.#onTrade(market, tape.side[at], tape.priceTicks[at], tape.sizeLots[at], timeUs);
      return;
    }
    if (kind === ORDER_EVENT) {
      this.#onOrderChange(market, tape.values, slot * TICKER_FIELDS, timeUs);
      return;
    }
    const resting = this.#resting[instrument];
    if (resting.length === 0 || kind === EVENT.ticker || kind === EVENT.status) {
      market.apply(tape, slot, this.#scratch);
    } else {
      this.#resize(market, resting, tape, slot);
      this.#onCross(market, SIDE.bid, timeUs);
      this.#onCross(market, SIDE.ask, timeUs);
    }
    if (this.counters.events % FORGET_EVERY === 0) for (const impact of this.#impact) impact.forget(timeUs);
  }

  /**
   * One row of a mass quote: both sides of one level stand as it says from now on.
   *
   * @returns why it was refused, with nothing of the level left standing; empty when it was taken
   */
  quote(
    instrument: number,
    level: number,
    quoteId: number,
    bidTicks: number,
    bidLots: number,
    askTicks: number,
    askLots: number,
    timeUs: number,
  ): string {
    const market = this.market(instrument);
    const refused =
      this.#admission.message(bidLots > 0 || askLots > 0, timeUs) ||
      this.#refusal(market, SIDE.bid, bidTicks, bidLots) ||
      this.#refusal(market, SIDE.ask, askTicks, askLots);
    if (refused !== "") {
      this.#pull(quoteKey(instrument, level, SIDE.bid));
      this.#pull(quoteKey(instrument, level, SIDE.ask));
      return refused;
    }
    this.#place(market, level, quoteId, SIDE.bid, bidTicks, bidLots, timeUs);
    this.#place(market, level, quoteId, SIDE.ask, askTicks, askLots, timeUs);
    return "";
  }

  /** Every quote is gone; orders stay. */
  cancelQuotes(): void {
    for (const key of [...this.#quotes.keys()]) this.#pull(key);
  }

  /** A new order; its fate is reported. @param postOnly it is refused where it would trade at once */
  order(intent: OrderIntent, instrument: number, timeUs: number, postOnly = false): void {
    const market = this.market(instrument);
    const { orderId, side, priceTicks, sizeLots, timeInForce } = intent;
    const done = (text: string): void =>
      this.#reports.onOrderState(orderId, ORDER_STATE.done, 0, text, timeUs);
    const refused =
      this.#admission.message(true, timeUs) ||
      this.#admission.form(market, priceTicks, sizeLots) ||
      (postOnly ? this.#admission.crossing(market, side, priceTicks) : "");
    if (refused !== "") {
      done(refused);
      return;
    }
    const order = newOrder(instrument, side, priceTicks, sizeLots, { orderId, quoteId: 0, level: 0 }, timeUs);
    this.#take(market, order, timeUs);
    if (order.lots <= EPSILON_LOTS) return;
    if (timeInForce === "ioc") {
      done("what did not trade at once is cancelled");
      return;
    }
    this.#options.queue.join(order, market.shownLots(side, priceTicks));
    this.#resting[instrument].push(order);
    this.#orders.set(orderId, order);
    this.#reports.onOrderState(orderId, ORDER_STATE.working, order.lots, "", timeUs);
  }

  /** A cancellation; one that comes too late changes nothing. */
  cancel(orderId: number, timeUs: number): void {
    const order = this.#orders.get(orderId);
    const refused = this.#admission.message(false, timeUs);
    if (order === undefined) this.counters.late += 1;
    else this.#remove(order);
    this.#reports.onOrderState(
      orderId,
      ORDER_STATE.done,
      0,
      order === undefined ? "no such order at work" : refused,
      timeUs,
    );
  }

  /** What became of an order. */
  ask(orderId: number, timeUs: number): void {
    const order = this.#orders.get(orderId);
    if (order === undefined) this.#reports.onOrderState(orderId, ORDER_STATE.done, 0, "", timeUs);
    else this.#reports.onOrderState(orderId, ORDER_STATE.working, order.lots, "", timeUs);
  }

  /** A counterparty beyond the recording trades with one of ours. @returns the lots traded */
  hit(order: VenueOrder, lots: number, counterparty: string, timeUs: number): number {
    const filled = Math.min(order.lots, lots);
    if (filled > 0) this.#fill(order, order.priceTicks, filled, true, counterparty, timeUs);
    return filled;
  }

  #onTrade(market: VenueMarket, aggressor: number, priceTicks: number, lots: number, timeUs: number): void {
    const side = 1 - aggressor;
    if (!reaches(this.#resting[market.instrument.id], side, priceTicks)) return;
    let left = lots;
    for (const order of this.#byPrice(market.instrument.id, side)) {
      const beyond = side === SIDE.bid ? order.priceTicks - priceTicks : priceTicks - order.priceTicks;
      if (beyond < 0) return;
      const reach = beyond > 0 ? left : Math.min(this.#options.queue.trade(order, lots), left);
      const full = beyond > 0 && this.#options.through === "full";
      const filled = Math.min(order.lots, full ? Infinity : reach);
      if (filled <= EPSILON_LOTS) continue;
      this.#fill(order, order.priceTicks, filled, true, "market", timeUs);
      if (!full) left -= filled;
    }
  }

  /** Recorded by order: what leaves from before us brings us forward; what trades behind us would have been ours. */
  #onOrderChange(market: VenueMarket, values: Float64Array, at: number, timeUs: number): void {
    const { id } = market.instrument;
    this.#exact.add(id);
    const side = values[at + ORDER_FIELD.side];
    const priceTicks = values[at + ORDER_FIELD.priceTicks];
    const lots = values[at + ORDER_FIELD.lots];
    const enteredUs = values[at + ORDER_FIELD.enteredUs];
    const traded = values[at + ORDER_FIELD.traded] === 1;
    if (lots <= 0) return;
    let left = lots;
    for (const order of this.#byPrice(id, side)) {
      const beyond = side === SIDE.bid ? order.priceTicks - priceTicks : priceTicks - order.priceTicks;
      if (beyond < 0) return;
      if (beyond === 0 && enteredUs < order.enteredUs) {
        order.ahead = Math.max(0, order.ahead - lots);
        continue;
      }
      if (!traded) continue;
      const filled = Math.min(order.lots, left);
      if (filled <= EPSILON_LOTS) continue;
      this.#fill(order, order.priceTicks, filled, true, "market", timeUs);
      left -= filled;
    }
  }

  /** Applies a change of the book and tells the queue estimates what became of their levels. */
  #resize(market: VenueMarket, resting: readonly VenueOrder[], tape: Tape, slot: number): void {
    const before = this.#before;
    for (let i = 0; i < resting.length; i += 1)
      before[i] = market.shownLots(resting[i].side, resting[i].priceTicks);
    market.apply(tape, slot, this.#scratch);
    if (!market.live || this.#exact.has(market.instrument.id)) return;
    const { queue } = this.#options;
    for (let i = 0; i < resting.length; i += 1) {
      const order = resting[i];
      const after = market.shownLots(order.side, order.priceTicks);
      const told = after !== before[i] || (order.traded > 0 && isTold(tape, slot, order));
      if (told) queue.resize(order, before[i], after);
    }
  }

  /** The recorded opposite side has come to our prices: it would have met us. */
  #onCross(market: VenueMarket, side: number, timeUs: number): void {
    if (!market.live) return;
    const opposite = 1 - side;
    const best = market.bestTicks(opposite);
    if (best < 0 || !reaches(this.#resting[market.instrument.id], side, best)) return;
    for (const order of this.#byPrice(market.instrument.id, side)) {
      const reached = side === SIDE.bid ? order.priceTicks >= best : order.priceTicks <= best;
      if (!reached) return;
      if (this.#options.through === "full") {
        this.#fill(order, order.priceTicks, order.lots, true, "market", timeUs);
        continue;
      }
      this.#sweep(market, order, order.priceTicks, true, timeUs);
    }
  }

  /** Trades an order at once against the book, at the book's prices. */
  #take(market: VenueMarket, order: VenueOrder, timeUs: number): void {
    this.#sweep(market, order, -1, false, timeUs);
  }

  /** @param atTicks the price of the trades; −1 = each level's own */
  #sweep(market: VenueMarket, order: VenueOrder, atTicks: number, maker: boolean, timeUs: number): void {
    const opposite = 1 - order.side;
    const impact = this.#impact[order.instrument];
    const count = market.book.top(opposite, SWEEP_LEVELS, this.#prices, this.#sizes);
    const best = market.bestTicks(opposite);
    let swept = false;
    for (let i = -1; i < count && order.lots > EPSILON_LOTS; i += 1) {
      // The best price first: the faster stream may show one that the levels do not hold.
      const ticks = i < 0 ? best : this.#prices[i];
      if (ticks < 0 || (i >= 0 && ticks === best)) continue;
      if (i >= 0 && (opposite === SIDE.bid ? ticks > best : ticks < best)) continue;
      if (order.side === SIDE.bid ? ticks > order.priceTicks : ticks < order.priceTicks) {
        if (swept) break;
        continue;
      }
      swept = true;
      const there = Math.floor(
        impact.available(opposite, ticks, market.shownLots(opposite, ticks), timeUs) + EPSILON_LOTS,
      );
      const lots = Math.min(order.lots, there);
      if (lots <= 0) continue;
      impact.take(opposite, ticks, lots, timeUs);
      this.#fill(order, atTicks < 0 ? ticks : atTicks, lots, maker, "market", timeUs);
    }
  }

  /** Ours on one side, best price first, then as they came. A copy: fills take orders out. */
  #byPrice(instrument: number, side: number): VenueOrder[] {
    const all = this.#resting[instrument];
    const found: VenueOrder[] = [];
    for (const order of all) if (order.side === side) found.push(order);
    if (found.length > 1) {
      found.sort((a, b) => (side === SIDE.bid ? b.priceTicks - a.priceTicks : a.priceTicks - b.priceTicks));
    }
    return found;
  }

  #fill(
    order: VenueOrder,
    priceTicks: number,
    lots: number,
    maker: boolean,
    counterparty: string,
    timeUs: number,
  ): void {
    order.lots -= lots;
    if (order.lots <= EPSILON_LOTS) this.#remove(order);
    this.counters.fills += 1;
    this.#reports.onFill(order, priceTicks, lots, maker, counterparty, timeUs);
  }

  #place(
    market: VenueMarket,
    level: number,
    quoteId: number,
    side: number,
    priceTicks: number,
    lots: number,
    timeUs: number,
  ): void {
    const instrument = market.instrument.id;
    const key = quoteKey(instrument, level, side);
    const standing = this.#quotes.get(key);
    if (standing !== undefined && standing.priceTicks === priceTicks && lots > 0 && lots <= standing.lots) {
      standing.lots = lots;
      return;
    }
    if (standing !== undefined) this.#pull(key);
    if (!(lots > 0)) return;
    const order = newOrder(instrument, side, priceTicks, lots, { orderId: 0, quoteId, level }, timeUs);
    if (this.#options.crossing === "take") this.#take(market, order, timeUs);
    if (order.lots <= EPSILON_LOTS) return;
    this.#options.queue.join(order, market.shownLots(side, priceTicks));
    this.#quotes.set(key, order);
    this.#resting[instrument].push(order);
  }

  #pull(key: number): void {
    const order = this.#quotes.get(key);
    if (order !== undefined) this.#remove(order);
  }

  #remove(order: VenueOrder): void {
    const resting = this.#resting[order.instrument];
    const at = resting.indexOf(order);
    if (at >= 0) resting.splice(at, 1);
    if (order.orderId > 0) this.#orders.delete(order.orderId);
    else this.#quotes.delete(quoteKey(order.instrument, order.level, order.side));
  }

  #refusal(market: VenueMarket, side: number, priceTicks: number, lots: number): string {
    if (!(lots > 0)) return "";
    const wrong = this.#admission.form(market, priceTicks, lots);
    if (wrong !== "" || this.#options.crossing === "take") return wrong;
    return this.#admission.crossing(market, side, priceTicks);
  }
}

/** The event names the order's level, changed or not: what traded there is in its size from now on. */
function isTold(tape: Tape, slot: number, { side, priceTicks }: VenueOrder): boolean {
  const start = tape.levelStart[slot];
  const mask = tape.side.length - 1;
  for (let i = 0; i < tape.levelCount[slot]; i += 1) {
    const at = (start + i) & mask;
    if (tape.priceTicks[at] === priceTicks && tape.side[at] === side) return true;
  }
  return false;
}
