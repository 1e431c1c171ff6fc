import { KeelError } from "../core/errors.ts";
import { Rng } from "../core/rng.ts";
import { EVENT, EventBatch, UNSOUND } from "../market/event-batch.ts";
import type { Instrument, InstrumentSpec } from "../market/instrument.ts";
import { L3, type L3Book } from "../market/l3-book.ts";
import type { JsonObject } from "./decoder.ts";
import { type FeedOptions, FRAME, type FrameOutcome } from "./feed.ts";
import { ORDERS, type OrderChange, type OrdersOutcome, type PlaceOrder } from "./order-change.ts";
import { CHANGED, type Changed, OrderJoin } from "./order-join.ts";
import type { OrderList } from "./order-list.ts";
import { RestRequests } from "./rest.ts";
import { SupervisedFeed } from "./supervised-feed.ts";
import { Backoff } from "./supervisor.ts";

const RETRY = { baseMs: 250, capMs: 30_000 } as const;
/** A book that was live this long is asked for anew without delay. */
const SETTLED_US = 5_000_000;
const SCAN_US = 50_000;
/** A book that has not come live for this long after it was asked for is asked for again. */
const SNAPSHOT_WAIT_US = 10_000_000;

/** One instrument's way to a live book and back to it. */
export interface BookRecovery {
  readonly instrument: Instrument;
  /** Its orders where the subscription is one of orders, null where it is one of levels. */
  readonly orders: OrderJoin | null;
  readonly backoff: Backoff;
  /** The book is not asked for before; `Infinity` when it is live. */
  dueUs: number;
  /** A REST snapshot is under way, or being placed. */
  inFlight: boolean;
  /** Null while no snapshot is being placed. */
  placing: Placing | null;
}

/** Orders of a snapshot that are placed part by part, so that no turn takes long. */
interface Placing {
  readonly list: OrderList;
  readonly read: (part: JsonObject, place: PlaceOrder) => OrdersOutcome;
  /** When the snapshot came: since when its orders are known. */
  readonly timeUs: number;
  /** All of them are placed. */
  readonly whole: (timeUs: number, out: EventBatch) => void;
}

/** What a subscription means: a symbol, by level or by order. */
export interface SpotSubscription {
  readonly symbol: string;
  readonly orders: boolean;
}

const ORDERS_PREFIX = "orders:";

/** Reads `BTC-USD` or `orders:BTC-USD`. */
export function readSpotSubscription(text: string): SpotSubscription {
  const orders = text.startsWith(ORDERS_PREFIX);
  return { symbol: orders ? text.slice(ORDERS_PREFIX.length) : text, orders };
}

type Subject =
  | { readonly purpose: "description"; readonly wanted: SpotSubscription }
  | { readonly purpose: "snapshot"; readonly recovery: BookRecovery };

/**
 * A spot venue whose instruments are described by REST, one path each, before the WebSocket is opened, and whose books, some or all
 * of them, begin with a REST snapshot. What a venue adds: paths, subscriptions, sequence rule.
 */
export abstract class SnapshotFeed extends SupervisedFeed {
  protected readonly recoveries: BookRecovery[] = [];
  protected readonly bySymbol = new Map<string, Instrument>();
  readonly #recoveryOf: Int32Array;
  readonly #rng: Rng;
  readonly #rest: RestRequests<Subject>;
  /** What frames that were kept are decoded into again. */
  readonly #scratch = new EventBatch(8, 4_096);
  /** The frame being taken. */
  protected frame = "";
  #undescribed: SpotSubscription[] = [];
  #describeDueUs = 0;
  #nextScanUs = 0;

  constructor(options: FeedOptions) {
    super(options);
    this.#rng = new Rng(options.seed ^ 0x50a7);
    this.#rest = new RestRequests(options.id, options.port, this.#rng);
    this.#recoveryOf = new Int32Array(options.instruments.capacity).fill(-1);
  }

  start(timeUs: number): void {
    this.#undescribed = this.options.subscriptions.map(readSpotSubscription);
    this.#describe(timeUs);
  }

  onResponse(
    request: number,
    status: number,
    body: string,
    retryAfterMs: number,
    timeUs: number,
    out: EventBatch,
  ): void {
    this.states.settle(out);
    const subject = this.#rest.take(request);
    if (subject === undefined) return;
    if (status === 429 || status === 503 || retryAfterMs > 0) {
      this.connection.holdUntil(this.#rest.hold(retryAfterMs, timeUs));
    }
    if (status === 200) this.#rest.succeeded();
    else {
      const answer = status === 0 ? "nothing" : `HTTP ${status}`;
      this.problem = `${this.venue}: REST answered ${answer} ${body.slice(0, 120)}`.trim();
    }
    if (subject.purpose === "snapshot") {
      subject.recovery.inFlight = false;
      if (status === 200) this.onSnapshot(subject.recovery, body, timeUs, out);
      else this.retry(subject.recovery, timeUs);
    } else if (status === 200) {
      this.#onDescription(subject.wanted, body, timeUs);
    } else if (status === 404 || status === 400) {
      this.#refuse(subject.wanted);
      this.#connectWhenDescribed(timeUs);
    } else {
      this.#describeDueUs = Math.max(this.#describeDueUs, timeUs + this.#rest.retryDelayUs());
    }
  }

  /** An instrument's book by order, for queue positions and ages; null when it is subscribed by level. To be read while it is live. */
  orderBook(instrument: number): L3Book | null {
    return this.states.carries(instrument) ? (this.recoveryOf(instrument).orders?.book ?? null) : null;
  }

  override onFrame(frame: string, timeUs: number, out: EventBatch): FrameOutcome {
    this.frame = frame;
    return super.onFrame(frame, timeUs, out);
  }

  /** Where an instrument is described. */
  protected abstract descriptionPath(symbol: string): string;

  /** @throws BadInputError when the body does not describe it; undefined when it says that there is none. */
  protected abstract readDescription(body: string, symbol: string): InstrumentSpec | undefined;

  /** Where a book's snapshot is; null when it comes by the WebSocket. */
  protected abstract snapshotPath(recovery: BookRecovery): string | null;

  /** Whether a snapshot asked for now can be joined to what has come since the subscription. */
  protected abstract isReady(recovery: BookRecovery): boolean;

  protected abstract onSnapshot(recovery: BookRecovery, body: string, timeUs: number, out: EventBatch): void;

  /** Subscribes an instrument's channels anew. */
  protected abstract resubscribe(recovery: BookRecovery): void;

  protected recoveryOf(instrument: number): BookRecovery {
    return this.recoveries[this.#recoveryOf[instrument]];
  }

  protected tick(timeUs: number, out: EventBatch): void {
    const overdue = this.#rest.overdue(timeUs);
    if (overdue >= 0) this.onResponse(overdue, 0, "within the time for it", Number.NaN, timeUs, out);
    const placing = this.recoveries.find((recovery) => recovery.placing !== null);
    if (placing !== undefined) this.#placePart(placing, timeUs, out);
    if (this.#undescribed.length > 0) this.#describe(timeUs);
    if (!this.connection.open || timeUs < this.#nextScanUs) return;
    this.#nextScanUs = timeUs + SCAN_US;
    for (const recovery of this.recoveries) this.askBook(recovery, timeUs);
  }

  protected disconnected(): void {
    for (const recovery of this.recoveries) {
      recovery.orders?.restart();
      recovery.inFlight = false;
      recovery.placing = null;
      recovery.dueUs = Number.POSITIVE_INFINITY;
    }
    this.#rest.giveUp(({ purpose }) => purpose === "snapshot");
  }

  protected resync(instrument: number, _reason: number, timeUs: number): void {
    if (!this.connection.open) return;
    const recovery = this.recoveryOf(instrument);
    recovery.orders?.restart();
    this.stopPlacing(recovery);
    if (timeUs - this.states.liveSinceUs(instrument) >= SETTLED_US) recovery.backoff.reset();
    const delayUs = recovery.backoff.attempts === 0 ? 0 : recovery.backoff.nextUs();
    if (delayUs === 0) recovery.backoff.nextUs();
    recovery.dueUs = timeUs + delayUs;
    this.#nextScanUs = Math.min(this.#nextScanUs, timeUs);
  }

  /** The connection is open and subscribed: the book may be asked for, or waited for. */
  protected expectBook(recovery: BookRecovery, timeUs: number, out: EventBatch): void {
    this.states.toSnapshot(recovery.instrument.id, out);
    recovery.dueUs = this.snapshotPath(recovery) === null ? timeUs + SNAPSHOT_WAIT_US : timeUs;
  }

  /** Asks for a book whose time has come: by REST, or by subscribing it anew. */
  protected askBook(recovery: BookRecovery, timeUs: number): void {
    if (timeUs < recovery.dueUs || recovery.inFlight) return;
    const path = this.snapshotPath(recovery);
    if (path === null) {
      recovery.dueUs = timeUs + SNAPSHOT_WAIT_US + recovery.backoff.nextUs();
      this.resubscribe(recovery);
    } else if (this.isReady(recovery) && this.#rest.isFree(timeUs)) {
      recovery.inFlight = true;
      this.#rest.send(path, { purpose: "snapshot", recovery }, timeUs);
    }
  }

  /** The snapshot could not be used: another one, later. */
  protected retry(recovery: BookRecovery, timeUs: number): void {
    recovery.dueUs = timeUs + recovery.backoff.nextUs();
  }

  protected toLive(recovery: BookRecovery, timeUs: number, out: EventBatch): void {
    recovery.dueUs = Number.POSITIVE_INFINITY;
    this.states.toLive(recovery.instrument.id, timeUs, out);
  }

  /**
   * Applies a change of an order to a live book: the event of `row`, if it is one of the book, gets its levels or is taken back when
   * nothing came of it; a trade is followed by an event of the book.
   *
   * @returns `told` or `nothing`; after `lost` and `full` the book is unsound.
   */
  protected applyOrder(
    recovery: BookRecovery,
    orders: OrderJoin,
    change: OrderChange,
    row: number,
    timeUs: number,
    out: EventBatch,
  ): Changed {
    const { id, symbol } = recovery.instrument;
    const level = out.levels;
    const isTrade = out.kind[row] === EVENT.trade;
    const bookRow = isTrade ? out.begin(EVENT.bookDelta, id, out.exchangeTimeUs[row]) : row;
    const start = isTrade ? level : out.levelStart[row];
    const changed = bookRow < 0 ? CHANGED.full : orders.apply(change, timeUs, out, bookRow);
    if (changed === CHANGED.told) {
      out.setSequence(bookRow, change.sequence, change.sequence, Number.NaN);
      return changed;
    }
    if (bookRow >= 0) out.rewind(bookRow, start);
    if (changed === CHANGED.nothing) return changed;
    if (changed === CHANGED.full) {
      this.counters.overflows += 1;
      this.problem = `${this.venue}: no room for the orders of ${symbol}`;
    } else {
      this.counters.gaps += 1;
      this.problem = `${this.venue}: a message of ${symbol} is about an order that is not known`;
    }
    this.distrust(id, changed === CHANGED.full ? UNSOUND.overflow : UNSOUND.gap, timeUs, out);
    return changed;
  }

  /** Keeps the frame being taken until there is a snapshot for it. */
  protected keepOrder(recovery: BookRecovery, orders: OrderJoin, sequence: number, timeUs: number): void {
    if (!orders.keep(this.frame, sequence)) this.counters.overflows += 1;
    this.askBook(recovery, timeUs);
  }

  /**
   * Fills an empty book with a snapshot's orders: a part now, the others with the timer. What comes in meanwhile is kept.
   *
   * @param read places the orders of a part
   * @param whole all orders are there; left out when the instrument became unsound, or lost its connection, before
   */
  protected placeOrders(
    recovery: BookRecovery,
    orders: OrderJoin,
    list: OrderList,
    read: Placing["read"],
    whole: Placing["whole"],
    timeUs: number,
    out: EventBatch,
  ): void {
    orders.book.clear();
    recovery.inFlight = true;
    recovery.placing = { list, read, timeUs, whole };
    this.#placePart(recovery, timeUs, out);
  }

  #placePart(recovery: BookRecovery, timeUs: number, out: EventBatch): void {
    const { orders, placing } = recovery;
    if (orders === null || placing === null) return;
    const { book } = orders;
    let isUnique = true;
    const part = placing.list.next();
    const outcome =
      part === null
        ? ORDERS.malformed
        : placing.read(part, (key, side, priceTicks, sizeLots) => {
            const added = book.add(key, side, priceTicks, sizeLots, placing.timeUs);
            if (added === L3.duplicate) isUnique = false;
            return added === L3.done;
          });
    if (outcome === ORDERS.read && !placing.list.isRead) return;
    this.stopPlacing(recovery);
    if (outcome === ORDERS.read) placing.whole(timeUs, out);
    else if (outcome === ORDERS.offGrid) this.failSnapshot(recovery, UNSOUND.offGrid, timeUs, out);
    else if (outcome === ORDERS.full && isUnique) this.failSnapshot(recovery, UNSOUND.overflow, timeUs, out);
    else this.failSnapshot(recovery, UNSOUND.unparsable, timeUs, out);
  }

  /** A snapshot is not being placed any more; another one may be asked for. */
  protected stopPlacing(recovery: BookRecovery): void {
    if (recovery.placing === null) return;
    recovery.placing = null;
    recovery.inFlight = false;
  }

  /** The snapshot cannot be used: says why and asks for another one later. */
  protected failSnapshot(recovery: BookRecovery, reason: number, timeUs: number, out: EventBatch): void {
    if (reason === UNSOUND.overflow) this.counters.overflows += 1;
    else if (reason === UNSOUND.unparsable) this.counters.unparsable += 1;
    else if (reason === UNSOUND.gap) this.counters.gaps += 1;
    this.problem = `${this.venue}: the snapshot of ${recovery.instrument.symbol} cannot be used`;
    recovery.orders?.book.clear();
    this.states.toUnsound(recovery.instrument.id, reason, timeUs, out);
    this.retry(recovery, timeUs);
  }

  /** Decodes the frames kept for an instrument again, one after the other, until `take` has had enough. */
  protected replayOrders(orders: OrderJoin, take: () => boolean): boolean {
    for (const frame of orders.takeFrames()) {
      this.#scratch.clear();
      if (this.decoder.decode(frame, this.#scratch) === FRAME.ok && !take()) return false;
    }
    return true;
  }

  /** Tells a joined book and makes it live. */
  protected tellOrders(recovery: BookRecovery, orders: OrderJoin, timeUs: number, out: EventBatch): void {
    if (!orders.tell(orders.book.lastSequence, Number.NaN, out)) {
      this.failSnapshot(recovery, UNSOUND.overflow, timeUs, out);
      return;
    }
    orders.live = true;
    this.toLive(recovery, timeUs, out);
  }

  #describe(timeUs: number): void {
    if (timeUs < this.#describeDueUs) return;
    for (const wanted of this.#undescribed) {
      if (!this.#rest.isFree(timeUs)) return;
      const isAsking = (subject: Subject): boolean =>
        subject.purpose === "description" && subject.wanted === wanted;
      if (this.#rest.isAsking(isAsking)) continue;
      this.#rest.send(this.descriptionPath(wanted.symbol), { purpose: "description", wanted }, timeUs);
    }
  }

  #onDescription(wanted: SpotSubscription, body: string, timeUs: number): void {
    try {
      const spec = this.readDescription(body, wanted.symbol);
      if (spec === undefined) this.#refuse(wanted);
      else this.#carry(wanted, spec);
    } catch (error) {
      if (!(error instanceof KeelError)) throw error;
      this.#refuse(wanted);
      this.problem = error.message;
    }
    this.#describe(timeUs);
    this.#connectWhenDescribed(timeUs);
  }

  #carry(wanted: SpotSubscription, spec: InstrumentSpec): void {
    this.#undescribed = this.#undescribed.filter((other) => other !== wanted);
    const instrument = this.options.instruments.add(spec);
    if (instrument === undefined) {
      this.counters.overflows += 1;
      this.problem = `${this.venue}: no room for ${wanted.symbol} among ${this.options.instruments.capacity} instruments`;
      return;
    }
    if (!this.states.carry(instrument)) return;
    this.bySymbol.set(instrument.symbol, instrument);
    this.#recoveryOf[instrument.id] = this.recoveries.length;
    this.recoveries.push({
      instrument,
      orders: wanted.orders ? new OrderJoin(instrument, this.options.seed, this.options.onOrder) : null,
      backoff: new Backoff(this.#rng, RETRY),
      dueUs: Number.POSITIVE_INFINITY,
      inFlight: false,
      placing: null,
    });
  }

  #refuse(wanted: SpotSubscription): void {
    this.counters.ignored += 1;
    this.problem = `${this.venue}: the venue does not list ${wanted.symbol}`;
    this.#undescribed = this.#undescribed.filter((other) => other !== wanted);
  }

  #connectWhenDescribed(timeUs: number): void {
    if (this.#undescribed.length === 0 && this.recoveries.length > 0) this.connection.start(timeUs);
  }
}
