import { EVENT, type EventBatch, UNSOUND } from "../../market/event-batch.ts";
import type { InstrumentSpec } from "../../market/instrument.ts";
import { BOOK_SHAPE, L2Book } from "../../market/l2-book.ts";
import { RecentOrders } from "../../market/recent-orders.ts";
import { DepthJoin, DIFF, JOINED } from "../binance/depth-join.ts";
import type { SequenceRule } from "../binance/venue.ts";
import { isObject, numeric, parseJson } from "../decoder.ts";
import { type FeedOptions, FRAME, type FrameOutcome } from "../feed.ts";
import { ORDER } from "../order-change.ts";
import { CHANGED, type OrderJoin } from "../order-join.ts";
import { OrderList } from "../order-list.ts";
import { type BookRecovery, SnapshotFeed } from "../snapshot-feed.ts";
import { BookAudit } from "./audit.ts";
import type { BitstampDecoder } from "./decoder.ts";
import { readMarket } from "./instruments.ts";
import { createBitstampDecoder } from "./native-decoder.ts";

/** Changes have times and no numbers: a later one is the next one. */
const BY_TIME: SequenceRule = {
  isOld: (u, book) => u <= book,
  joins: (_U, u, _pu, book) => u > book,
  follows: (_U, u, _pu, book) => u > book,
};

/** The venue drops a connection without a sign of life. */
const HEARTBEAT_US = 20_000_000;

/** Orders whose deletion is remembered; messages of one order come out of turn by some 10 ms. */
const RECENT_ORDERS = 1_024;

/** What is kept of one market beside its recovery. */
class MarketState {
  readonly audit = new BookAudit();
  /** The book by level and its joining; not used by subscriptions of orders. */
  readonly join = new DepthJoin(BY_TIME);
  readonly levels = new L2Book(BOOK_SHAPE.spot);
  /** Orders deleted lately: their deletion may be repeated, or come before their creation. */
  readonly deleted: RecentOrders;
  /** Time of the first change since the subscription. */
  firstSequence = Number.NaN;
  /** Time of the snapshot that the book by order was joined on. */
  snapshotSequence = Number.NaN;
  lastFrame = "";

  constructor(seed: number) {
    this.deleted = new RecentOrders(RECENT_ORDERS, seed);
  }
}

/**
 * Bitstamp: markets by REST, books from REST snapshots and `diff_order_book`, or by order from `live_orders`. There are no sequence
 * numbers: changes carry `microtimestamp`. A lost change is noticed by comparing with the full books of the channel `order_book`
 * beside it, and, by order, by changes of orders that are not known.
 */
export class BitstampFeed extends SnapshotFeed {
  protected readonly decoder: BitstampDecoder;
  readonly #states: MarketState[] = [];
  #nextHeartbeatUs = 0;

  constructor(options: FeedOptions) {
    super(options);
    this.decoder = createBitstampDecoder(this.bySymbol, options.native);
  }

  protected connected(timeUs: number, out: EventBatch): void {
    this.#nextHeartbeatUs = timeUs + HEARTBEAT_US;
    for (const recovery of this.recoveries) {
      for (const channel of channelsOf(recovery)) this.#send("bts:subscribe", channel);
      this.expectBook(recovery, timeUs, out);
    }
  }

  protected admit(row: number, level: number, timeUs: number, out: EventBatch): FrameOutcome {
    const id = out.instrument[row];
    const recovery = this.recoveryOf(id);
    const { orders } = recovery;
    switch (out.kind[row]) {
      case EVENT.bookDelta:
        this.states.onData(id, timeUs);
        if (orders === null) this.#onDiff(recovery, row, level, timeUs, out);
        else return this.#onOrder(recovery, orders, row, level, timeUs, out);
        return FRAME.ok;
      case EVENT.bookSnapshot:
        this.#onFullBook(recovery, row, level, timeUs, out);
        return FRAME.ok;
      case EVENT.status:
        return this.offGrid(row, level, recovery.instrument.symbol, "its market", timeUs, out);
      default:
        this.states.onData(id, timeUs);
        return FRAME.ok;
    }
  }

  protected control(frame: string, timeUs: number, out: EventBatch): void {
    const message = parseJson(frame);
    if (!isObject(message)) return;
    if (message.event === "bts:request_reconnect") {
      this.abandon("the venue asked for a new connection", UNSOUND.disconnect, timeUs, out);
    } else if (message.event === "bts:error") {
      this.problem = `bitstamp: the venue answered ${JSON.stringify(message.data).slice(0, 200)}`;
    }
  }

  protected override tick(timeUs: number, out: EventBatch): void {
    super.tick(timeUs, out);
    if (!this.connection.open || timeUs < this.#nextHeartbeatUs) return;
    this.#nextHeartbeatUs = timeUs + HEARTBEAT_US;
    this.options.port.send(this.id, '{"event":"bts:heartbeat"}');
  }

  protected override disconnected(): void {
    super.disconnected();
    for (const { instrument } of this.recoveries) this.#restart(instrument.id);
  }

  protected override resync(instrument: number, reason: number, timeUs: number): void {
    if (!this.connection.open) return;
    super.resync(instrument, reason, timeUs);
    this.#restart(instrument);
    if (reason === UNSOUND.silence) this.resubscribe(this.recoveryOf(instrument));
  }

  /** One answer describes all markets. */
  protected descriptionPath(): string {
    return "/api/v2/markets/";
  }

  protected readDescription(body: string, symbol: string): InstrumentSpec | undefined {
    return readMarket(body, symbol);
  }

  protected snapshotPath({ instrument, orders }: BookRecovery): string {
    return `/api/v2/order_book/${instrument.symbol}/?group=${orders === null ? 1 : 2}`;
  }

  protected isReady({ instrument, orders }: BookRecovery): boolean {
    return orders === null ? this.#state(instrument.id).join.buffered > 0 : orders.kept > 0;
  }

  protected resubscribe(recovery: BookRecovery): void {
    for (const channel of channelsOf(recovery)) {
      this.#send("bts:unsubscribe", channel);
      this.#send("bts:subscribe", channel);
    }
  }

  protected onSnapshot(recovery: BookRecovery, body: string, timeUs: number, out: EventBatch): void {
    const { instrument, orders } = recovery;
    const state = this.#state(instrument.id);
    if (orders === null ? state.join.live : orders.live) return;
    const first = orders === null ? state.firstSequence : orders.firstSequence;
    const list = new OrderList(body);
    const sequence = numeric(list.rest?.microtimestamp);
    if (!Number.isSafeInteger(sequence)) {
      this.failSnapshot(recovery, UNSOUND.unparsable, timeUs, out);
    } else if (!(sequence >= first)) {
      this.problem = `bitstamp: the snapshot of ${instrument.symbol} at ${sequence} is older than the changes`;
      this.retry(recovery, timeUs);
    } else if (orders === null) {
      this.#joinLevels(recovery, state, body, timeUs, out);
    } else {
      this.placeOrders(
        recovery,
        orders,
        list,
        (part, place) => this.decoder.readOrders(part, instrument, place),
        (wholeUs, into) => this.#joinOrders(recovery, orders, sequence, wholeUs, into),
        timeUs,
        out,
      );
    }
  }

  #joinLevels(
    recovery: BookRecovery,
    state: MarketState,
    body: string,
    timeUs: number,
    out: EventBatch,
  ): void {
    const row = out.count;
    const level = out.levels;
    const outcome = this.decoder.decodeSnapshot(body, recovery.instrument, out);
    if (outcome !== FRAME.ok || out.kind[row] !== EVENT.bookSnapshot) {
      out.rewind(row, level);
      const reason = outcome === FRAME.overflow ? UNSOUND.overflow : UNSOUND.unparsable;
      this.failSnapshot(recovery, outcome === FRAME.ok ? UNSOUND.offGrid : reason, timeUs, out);
      return;
    }
    if (state.join.join(out.lastSequence[row], out) !== JOINED.done) {
      out.rewind(row, level);
      this.failSnapshot(recovery, UNSOUND.overflow, timeUs, out);
      return;
    }
    state.levels.applySnapshot(out, row);
    for (let at = row + 1; at < out.count; at += 1) state.levels.applyDelta(out, at);
    this.toLive(recovery, timeUs, out);
  }

  /** Where a message and the snapshot overlap the snapshot is right: what it holds already, or not any more, is passed over. */
  #joinOrders(
    recovery: BookRecovery,
    orders: OrderJoin,
    sequence: number,
    timeUs: number,
    out: EventBatch,
  ): void {
    const { book } = orders;
    const { order } = this.decoder;
    if (orders.firstSequence > sequence) {
      // Too many changes came while it was placed to keep them all.
      this.failSnapshot(recovery, UNSOUND.overflow, timeUs, out);
      return;
    }
    book.lastSequence = sequence;
    this.#state(recovery.instrument.id).snapshotSequence = sequence;
    const isWhole = this.replayOrders(orders, () => {
      if (order.sequence <= sequence) return true;
      this.#settle(orders, this.#state(recovery.instrument.id));
      book.lastSequence = Math.max(book.lastSequence, order.sequence);
      return orders.apply(order, timeUs, out, -1) !== CHANGED.full;
    });
    if (isWhole) this.tellOrders(recovery, orders, timeUs, out);
    else this.failSnapshot(recovery, UNSOUND.overflow, timeUs, out);
  }

  #onDiff(recovery: BookRecovery, row: number, level: number, timeUs: number, out: EventBatch): void {
    const { instrument } = recovery;
    const state = this.#state(instrument.id);
    const sequence = out.lastSequence[row];
    if (!state.join.live) {
      if (Number.isNaN(state.firstSequence)) state.firstSequence = sequence;
      if (!state.join.keep(out, row)) {
        this.counters.overflows += 1;
        state.firstSequence = sequence;
      }
      out.rewind(row, level);
      this.askBook(recovery, timeUs);
      return;
    }
    if (!this.#isAudited(recovery, state, state.levels, sequence, row, level, timeUs, out)) return;
    const verdict = state.join.judge(out, row);
    if (verdict === DIFF.next) {
      state.levels.applyDelta(out, row);
      return;
    }
    out.rewind(row, level);
    if (verdict === DIFF.old) return;
    this.counters.gaps += 1;
    this.problem = `bitstamp: the changes of ${instrument.symbol} go back from ${state.join.bookSequence} to ${sequence}`;
    this.distrust(instrument.id, UNSOUND.gap, timeUs, out);
  }

  #onOrder(
    recovery: BookRecovery,
    orders: OrderJoin,
    row: number,
    level: number,
    timeUs: number,
    out: EventBatch,
  ): FrameOutcome {
    const state = this.#state(recovery.instrument.id);
    const { order } = this.decoder;
    const isRepeated = this.frame === state.lastFrame;
    state.lastFrame = this.frame;
    if (isRepeated) {
      out.rewind(row, level);
      return FRAME.ok;
    }
    if (!orders.live) {
      out.rewind(row, level);
      this.keepOrder(recovery, orders, order.sequence, timeUs);
      return FRAME.ok;
    }
    // A slow connection brings messages that the snapshot, which came another way, holds already.
    if (order.sequence <= state.snapshotSequence) {
      out.rewind(row, level);
      return FRAME.ok;
    }
    const { book } = orders;
    if (!this.#isAudited(recovery, state, book, order.sequence, row, level, timeUs, out)) return FRAME.ok;
    this.#settle(orders, state);
    const changed = this.applyOrder(recovery, orders, order, row, timeUs, out);
    if (changed === CHANGED.lost) this.keepOrder(recovery, orders, order.sequence, timeUs);
    else if (changed !== CHANGED.full) book.lastSequence = Math.max(book.lastSequence, order.sequence);
    return changed === CHANGED.full ? FRAME.overflow : FRAME.ok;
  }

  /**
   * Makes of the order's message what it means here and now. A changed order may have another price: a taker moves on from level to level.
   * A deletion may come twice, and before the creation.
   */
  #settle({ book }: OrderJoin, { deleted }: MarketState): void {
    const { order } = this.decoder;
    const { key } = order;
    if (order.action === ORDER.remove) {
      order.mustRest = false;
      deleted.add(key);
    } else if (deleted.has(key)) {
      order.action = ORDER.pass;
    } else if (order.action === ORDER.resize) {
      const priceTicks = book.priceTicksOf(key);
      if (priceTicks >= 0 && priceTicks !== order.priceTicks) order.action = ORDER.move;
    }
  }

  #onFullBook(recovery: BookRecovery, row: number, level: number, timeUs: number, out: EventBatch): void {
    const { instrument, orders } = recovery;
    const state = this.#state(instrument.id);
    const book = orders === null ? state.levels : orders.book;
    if (this.states.isLive(instrument.id) && out.lastSequence[row] >= book.lastSequence)
      state.audit.take(out, row);
    out.rewind(row, level);
    if (state.audit.dueUs === book.lastSequence && !state.audit.holds(book)) {
      this.#onDifference(recovery, state, timeUs, out);
    }
  }

  /** Compares with the full book that is due before a change later than it is applied. @returns whether the book may go on */
  #isAudited(
    recovery: BookRecovery,
    state: MarketState,
    book: L2Book | OrderJoin["book"],
    sequence: number,
    row: number,
    level: number,
    timeUs: number,
    out: EventBatch,
  ): boolean {
    if (!(sequence > state.audit.dueUs) || state.audit.holds(book)) return true;
    out.rewind(row, level);
    this.#onDifference(recovery, state, timeUs, out);
    return false;
  }

  #onDifference({ instrument }: BookRecovery, state: MarketState, timeUs: number, out: EventBatch): void {
    this.counters.gaps += 1;
    this.problem = `bitstamp: the book of ${instrument.symbol} is not the venue's: ${state.audit.difference}`;
    this.distrust(instrument.id, UNSOUND.gap, timeUs, out);
  }

  #restart(id: number): void {
    const state = this.#state(id);
    state.join.restart();
    state.levels.clear();
    state.audit.restart();
    state.deleted.clear();
    state.firstSequence = Number.NaN;
    state.snapshotSequence = Number.NaN;
    state.lastFrame = "";
  }

  #state(id: number): MarketState {
    const known = this.#states[id];
    if (known !== undefined) return known;
    const state = new MarketState(this.options.seed);
    this.#states[id] = state;
    return state;
  }

  #send(event: "bts:subscribe" | "bts:unsubscribe", channel: string): void {
    this.options.port.send(this.id, JSON.stringify({ event, data: { channel } }));
  }
}

/** The book's channel, the full books beside it, and the trades. */
function channelsOf({ instrument, orders }: BookRecovery): readonly string[] {
  const { symbol } = instrument;
  const book = orders === null ? "diff_order_book" : "live_orders";
  return [`${book}_${symbol}`, `order_book_${symbol}`, `live_trades_${symbol}`];
}
