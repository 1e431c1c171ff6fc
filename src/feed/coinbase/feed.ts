import { EVENT, type EventBatch, UNSOUND } from "../../market/event-batch.ts";
import type { InstrumentSpec } from "../../market/instrument.ts";
import { isObject, type JsonObject, parseJson } from "../decoder.ts";
import { type FeedOptions, FRAME, type FrameOutcome } from "../feed.ts";
import { CHANGED, type OrderJoin } from "../order-join.ts";
import { OrderList } from "../order-list.ts";
import { type BookRecovery, SnapshotFeed } from "../snapshot-feed.ts";
import { MAX_OLD_IN_A_ROW } from "../supervised-feed.ts";
import type { CoinbaseDecoder } from "./decoder.ts";
import { readProduct } from "./instruments.ts";
import { createCoinbaseDecoder } from "./native-decoder.ts";

const LEVEL_CHANNELS = ["level2_batch", "matches", "ticker", "heartbeat"];
const ORDER_CHANNELS = ["full", "ticker", "heartbeat"];

/** What one product's messages have told of their own completeness. */
class Watch {
  /** The last trade that came, NaN before the first is known. */
  tradeId = Number.NaN;
  /** What the last heartbeat said had been sent by then; it must have come when the next one does. */
  owedTradeId = Number.NaN;
  owedSequence = Number.NaN;
  /** A heartbeat has come: the subscription is in force. */
  isSubscribed = false;
  lastFrame = "";
  oldInARow = 0;
}

/**
 * Coinbase Exchange: products by REST. A book by level (`level2_batch`) has no sequence numbers; the venue guarantees its delivery, and
 * what was lost all the same shows in the trades: their ids count up by one, and the heartbeat tells the last one. A book by order
 * (`full`) is joined to the level-3 snapshot by the product's sequence number, which goes up by one with every message.
 */
export class CoinbaseFeed extends SnapshotFeed {
  protected readonly decoder: CoinbaseDecoder;
  readonly #watches: Watch[] = [];

  constructor(options: FeedOptions) {
    super(options);
    this.decoder = createCoinbaseDecoder(this.bySymbol, options.native);
  }

  protected connected(timeUs: number, out: EventBatch): void {
    for (const orders of [false, true]) {
      const some = this.recoveries.filter((recovery) => (recovery.orders !== null) === orders);
      if (some.length > 0) this.#send("subscribe", some, orders ? ORDER_CHANNELS : LEVEL_CHANNELS);
    }
    for (const recovery of this.recoveries) {
      this.#watches[recovery.instrument.id] = new Watch();
      this.expectBook(recovery, timeUs, out);
    }
  }

  protected admit(row: number, level: number, timeUs: number, out: EventBatch): FrameOutcome {
    const id = out.instrument[row];
    const recovery = this.recoveryOf(id);
    const { orders } = recovery;
    this.states.onData(id, timeUs);
    switch (out.kind[row]) {
      case EVENT.trade:
        if (orders === null) this.#onTrade(recovery, row, level, timeUs, out);
        else return this.#onOrder(recovery, orders, row, level, timeUs, out);
        return FRAME.ok;
      case EVENT.bookDelta:
        if (orders === null) this.#onLevels(id, row, level, out);
        else return this.#onOrder(recovery, orders, row, level, timeUs, out);
        return FRAME.ok;
      case EVENT.bookSnapshot:
        if (orders === null) this.toLive(recovery, timeUs, out);
        else out.rewind(row, level);
        return FRAME.ok;
      case EVENT.status:
        return this.offGrid(row, level, recovery.instrument.symbol, "its product", timeUs, out);
      default:
        return FRAME.ok;
    }
  }

  protected control(frame: string, timeUs: number, out: EventBatch): void {
    const message = parseJson(frame);
    if (!isObject(message)) return;
    if (message.type === "error") {
      this.problem = `coinbase: the venue answered ${JSON.stringify(message).slice(0, 200)}`;
      return;
    }
    const instrument = this.bySymbol.get(String(message.product_id));
    if (instrument === undefined) return;
    const watch = this.#watch(instrument.id);
    if (message.type === "heartbeat")
      this.#onHeartbeat(this.recoveryOf(instrument.id), watch, message, timeUs, out);
    else if (message.type === "last_match" && typeof message.trade_id === "number") {
      watch.tradeId = message.trade_id;
    }
  }

  protected override disconnected(): void {
    super.disconnected();
    this.#watches.length = 0;
  }

  protected override resync(instrument: number, reason: number, timeUs: number): void {
    super.resync(instrument, reason, timeUs);
    const recovery = this.recoveryOf(instrument);
    const watch = this.#watch(instrument);
    watch.lastFrame = "";
    watch.oldInARow = 0;
    watch.owedSequence = Number.NaN;
    if (this.connection.open && reason === UNSOUND.silence && recovery.orders !== null)
      this.resubscribe(recovery);
  }

  protected descriptionPath(symbol: string): string {
    return `/products/${symbol}`;
  }

  protected readDescription(body: string): InstrumentSpec {
    return readProduct(body);
  }

  protected snapshotPath({ instrument, orders }: BookRecovery): string | null {
    return orders === null ? null : `/products/${instrument.symbol}/book?level=3`;
  }

  protected isReady({ instrument, orders }: BookRecovery): boolean {
    return (orders !== null && orders.kept > 0) || this.#watch(instrument.id).isSubscribed;
  }

  /** The book's channel alone; trades, ticker and heartbeats go on. */
  protected resubscribe(recovery: BookRecovery): void {
    const channels = [recovery.orders === null ? "level2_batch" : "full"];
    this.#send("unsubscribe", [recovery], channels);
    this.#send("subscribe", [recovery], channels);
  }

  protected onSnapshot(recovery: BookRecovery, body: string, timeUs: number, out: EventBatch): void {
    const { instrument, orders } = recovery;
    if (orders === null || orders.live) return;
    const list = new OrderList(body);
    const sequence = list.rest?.sequence;
    if (typeof sequence !== "number" || !Number.isSafeInteger(sequence)) {
      this.failSnapshot(recovery, UNSOUND.unparsable, timeUs, out);
      return;
    }
    if (orders.firstSequence > sequence + 1) {
      this.problem = `coinbase: the snapshot of ${instrument.symbol} at ${sequence} is older than the messages`;
      this.retry(recovery, timeUs);
      return;
    }
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

  #joinOrders(
    recovery: BookRecovery,
    orders: OrderJoin,
    sequence: number,
    timeUs: number,
    out: EventBatch,
  ): void {
    const { book } = orders;
    const { order } = this.decoder;
    book.lastSequence = sequence;
    const isWhole = this.replayOrders(orders, () => {
      if (order.sequence <= book.lastSequence) return true;
      if (order.sequence !== book.lastSequence + 1) return false;
      const changed = orders.apply(order, timeUs, out, -1);
      book.lastSequence = order.sequence;
      return changed === CHANGED.told || changed === CHANGED.nothing;
    });
    if (isWhole) this.tellOrders(recovery, orders, timeUs, out);
    else this.failSnapshot(recovery, UNSOUND.gap, timeUs, out);
  }

  #onOrder(
    recovery: BookRecovery,
    orders: OrderJoin,
    row: number,
    level: number,
    timeUs: number,
    out: EventBatch,
  ): FrameOutcome {
    const { instrument } = recovery;
    const { order } = this.decoder;
    const { sequence } = order;
    const isTrade = out.kind[row] === EVENT.trade;
    if (!orders.live) {
      if (!isTrade) out.rewind(row, level);
      this.#keep(recovery, orders, sequence, timeUs);
      return FRAME.ok;
    }
    const { book } = orders;
    const watch = this.#watch(instrument.id);
    if (sequence === book.lastSequence + 1) {
      watch.oldInARow = 0;
      const changed = this.applyOrder(recovery, orders, order, row, timeUs, out);
      if (changed === CHANGED.told || changed === CHANGED.nothing) book.lastSequence = sequence;
      return changed === CHANGED.full ? FRAME.overflow : FRAME.ok;
    }
    const isOld = sequence <= book.lastSequence;
    if (isOld || !isTrade) out.rewind(row, level);
    if (isOld) {
      watch.oldInARow += 1;
      if (watch.oldInARow <= MAX_OLD_IN_A_ROW) return FRAME.ok;
    }
    this.counters.gaps += 1;
    this.problem = `coinbase: ${instrument.symbol} goes from sequence ${book.lastSequence} to ${sequence}`;
    this.distrust(instrument.id, UNSOUND.gap, timeUs, out);
    this.#keep(recovery, orders, sequence, timeUs);
    return FRAME.ok;
  }

  /**
   * Keeps a message for the snapshot; what was kept before a break in the sequence is of no use to it. A single older one is a repetition:
   * were the newer ones dropped for it, a snapshot older than those would do.
   */
  #keep(recovery: BookRecovery, orders: OrderJoin, sequence: number, timeUs: number): void {
    const watch = this.#watch(recovery.instrument.id);
    if (orders.kept > 0 && sequence <= orders.lastSequence) {
      watch.oldInARow += 1;
      if (watch.oldInARow <= MAX_OLD_IN_A_ROW) return;
    }
    watch.oldInARow = 0;
    if (orders.kept > 0 && sequence !== orders.lastSequence + 1) {
      orders.restart();
      this.stopPlacing(recovery);
    }
    this.keepOrder(recovery, orders, sequence, timeUs);
  }

  #onLevels(id: number, row: number, level: number, out: EventBatch): void {
    const watch = this.#watch(id);
    if (this.states.isLive(id) && this.frame !== watch.lastFrame) watch.lastFrame = this.frame;
    else out.rewind(row, level);
  }

  /** The trade stands, but what came between it and the last one may have changed the book. */
  #onTrade({ instrument }: BookRecovery, row: number, level: number, timeUs: number, out: EventBatch): void {
    const watch = this.#watch(instrument.id);
    const tradeId = out.lastSequence[row];
    const last = watch.tradeId;
    if (tradeId <= last) {
      out.rewind(row, level);
      return;
    }
    watch.tradeId = tradeId;
    if (Number.isNaN(last) || tradeId === last + 1 || !this.states.isLive(instrument.id)) return;
    this.counters.gaps += 1;
    this.problem = `coinbase: the trades of ${instrument.symbol} go from ${last} to ${tradeId}`;
    this.distrust(instrument.id, UNSOUND.gap, timeUs, out);
  }

  /** What one heartbeat says was sent may come right after it, but not after the next one. */
  #onHeartbeat(
    { instrument, orders }: BookRecovery,
    watch: Watch,
    message: JsonObject,
    timeUs: number,
    out: EventBatch,
  ): void {
    const { sequence, last_trade_id: tradeId } = message;
    watch.isSubscribed = true;
    if (typeof sequence !== "number" || typeof tradeId !== "number") return;
    const lostTrade = orders === null && watch.owedTradeId > watch.tradeId;
    const lostOrder = orders?.live === true && watch.owedSequence > orders.book.lastSequence;
    if (this.states.isLive(instrument.id) && (lostTrade || lostOrder)) {
      this.counters.gaps += 1;
      this.problem = lostTrade
        ? `coinbase: trade ${watch.owedTradeId} of ${instrument.symbol} did not come, only ${watch.tradeId}`
        : `coinbase: sequence ${watch.owedSequence} of ${instrument.symbol} did not come`;
      this.distrust(instrument.id, UNSOUND.gap, timeUs, out);
    }
    if (lostTrade) watch.tradeId = watch.owedTradeId;
    else if (Number.isNaN(watch.tradeId)) watch.tradeId = tradeId;
    watch.owedTradeId = tradeId;
    watch.owedSequence = sequence;
  }

  #watch(id: number): Watch {
    const known = this.#watches[id];
    if (known !== undefined) return known;
    const watch = new Watch();
    this.#watches[id] = watch;
    return watch;
  }

  #send(
    type: "subscribe" | "unsubscribe",
    recoveries: readonly BookRecovery[],
    channels: readonly string[],
  ): void {
    const product_ids = recoveries.map(({ instrument }) => instrument.symbol);
    this.options.port.send(this.id, JSON.stringify({ type, product_ids, channels }));
  }
}
