/**
 * The matching by itself, with a simple strategy in the desk's place: for comparing it with other backtesters on the same data.
 *
 * @module
 */
import { EventBatch, SIDE } from "../market/event-batch.ts";
import type { InstrumentTable } from "../market/instrument.ts";
import { ORDER_STATE, type OrderState } from "../risk/order.ts";
import { Line } from "./latency.ts";
import { Matching, type MatchingOptions, type VenueReports } from "./matching.ts";
import type { Tape } from "./tape.ts";
import { TimedQueue } from "./timed-queue.ts";
import { VenueMarket } from "./venue-market.ts";
import type { VenueOrder } from "./venue-order.ts";

/** Quotes one order a side at a fixed distance from the middle, and moves it when that has moved. */
export interface FixedOffset {
  readonly offsetTicks: number;
  readonly lots: number;
  readonly everyUs: number;
}

export interface PlainOptions {
  readonly instruments: InstrumentTable;
  /** The recording by venue time, and the same by local time; both are used up. */
  readonly venue: Tape;
  readonly local: Tape;
  readonly matching: MatchingOptions;
  readonly strategy: FixedOffset;
  readonly orderUs: number;
  readonly responseUs: number;
}

export interface PlainFill {
  readonly timeUs: number;
  /** When the strategy sent the order. */
  readonly sentUs: number;
  readonly side: number;
  readonly priceTicks: number;
  readonly lots: number;
}

type Request = { readonly order: Working } | { readonly cancel: number };
type Report =
  | { readonly state: OrderState; readonly orderId: number }
  | { readonly fill: PlainFill; readonly orderId: number };

interface Working {
  readonly orderId: number;
  readonly side: 0 | 1;
  readonly priceTicks: number;
  lots: number;
  /** The venue has said that it stands, and nothing is on its way to it. */
  steady: boolean;
}

/** One instrument, number 0 of the table. */
export class PlainBacktest implements VenueReports {
  readonly fills: PlainFill[] = [];
  position = 0;
  /** Σ −signed lots × price in ticks. */
  cash = 0;
  submitted = 0;
  readonly matching: Matching;
  readonly book: VenueMarket;
  readonly #options: PlainOptions;
  readonly #requests = new TimedQueue<Request>();
  readonly #reports = new TimedQueue<Report>();
  readonly #orderLine: Line;
  readonly #responseLine: Line;
  readonly #scratch = new EventBatch(1, 65_536);
  /** By order id, from 1 on. */
  readonly #sentUs: number[] = [];
  readonly #working: [Working | null, Working | null] = [null, null];

  constructor(options: PlainOptions) {
    this.#options = options;
    this.matching = new Matching(options.instruments, options.matching, this);
    this.book = new VenueMarket(options.instruments.get(0));
    this.#orderLine = new Line(options.orderUs, 0, 1);
    this.#responseLine = new Line(options.responseUs, 0, 1);
  }

  run(): void {
    const { venue, local, strategy } = this.#options;
    let stepUs = local.nextUs + strategy.everyUs;
    for (;;) {
      const venueUs = venue.nextUs;
      const localUs = local.nextUs;
      if (venueUs === Infinity && localUs === Infinity) return;
      const requestUs = this.#requests.nextUs;
      const reportUs = this.#reports.nextUs;
      const dueUs = Math.min(venueUs, requestUs, reportUs, localUs, stepUs);
      if (venueUs <= dueUs) {
        const slot = venue.take();
        this.matching.onEvent(venue, slot, venueUs);
        venue.release(slot);
      } else if (requestUs <= dueUs) this.#deliver(requestUs);
      else if (localUs <= dueUs) {
        const slot = local.take();
        this.book.apply(local, slot, this.#scratch);
        local.release(slot);
      } else if (reportUs <= dueUs) this.#hear();
      else {
        this.#quote(stepUs);
        stepUs += strategy.everyUs;
      }
    }
  }

  onFill(
    order: VenueOrder,
    priceTicks: number,
    lots: number,
    _maker: boolean,
    _by: string,
    timeUs: number,
  ): void {
    const { side, orderId } = order;
    const fill = { timeUs, sentUs: this.#sentUs[orderId - 1] ?? Number.NaN, side, priceTicks, lots };
    this.fills.push(fill);
    this.position += side === SIDE.bid ? lots : -lots;
    this.cash += (side === SIDE.bid ? -lots : lots) * priceTicks;
    this.#reports.push({ fill, orderId }, this.#responseLine.arrivalUs(timeUs));
  }

  onOrderState(orderId: number, state: OrderState, _leaves: number, _text: string, timeUs: number): void {
    this.#reports.push({ orderId, state }, this.#responseLine.arrivalUs(timeUs));
  }

  #quote(timeUs: number): void {
    const { bestBidTicks, bestAskTicks } = this.book.book;
    if (!this.book.live || bestBidTicks < 0 || bestAskTicks <= bestBidTicks) return;
    const middle = (bestBidTicks + bestAskTicks) / 2;
    const { offsetTicks } = this.#options.strategy;
    this.#side(SIDE.bid, Math.floor(middle - offsetTicks), timeUs);
    this.#side(SIDE.ask, Math.ceil(middle + offsetTicks), timeUs);
  }

  #side(side: 0 | 1, priceTicks: number, timeUs: number): void {
    const working = this.#working[side];
    if (working !== null) {
      if (!working.steady || working.priceTicks === priceTicks) return;
      working.steady = false;
      this.#requests.push({ cancel: working.orderId }, this.#orderLine.arrivalUs(timeUs));
    }
    this.submitted += 1;
    const { lots } = this.#options.strategy;
    const order: Working = {
      orderId: this.submitted,
      ...{ side, priceTicks, lots, steady: false },
    };
    this.#sentUs.push(timeUs);
    this.#working[side] = order;
    this.#requests.push({ order }, this.#orderLine.arrivalUs(timeUs));
  }

  #deliver(timeUs: number): void {
    const request = this.#requests.shift();
    if (request === undefined) return;
    if ("cancel" in request) {
      this.matching.cancel(request.cancel, timeUs);
      return;
    }
    const { orderId, side, priceTicks, lots } = request.order;
    const intent = {
      orderId,
      instrument: 0,
      side,
      priceTicks,
      sizeLots: lots,
      fair: 0,
      delta: 1,
      hedge: false,
    };
    this.matching.order({ ...intent, timeInForce: "day" }, 0, timeUs, true);
  }

  #hear(): void {
    const report = this.#reports.shift();
    if (report === undefined) return;
    const side = this.#working.findIndex((order) => order?.orderId === report.orderId);
    const working = this.#working[side === 1 ? 1 : 0];
    if (side < 0 || working === null || working === undefined) return;
    if ("fill" in report) {
      working.lots -= report.fill.lots;
      if (working.lots <= 0) this.#working[working.side] = null;
    } else if (report.state === ORDER_STATE.done) this.#working[working.side] = null;
    else working.steady = true;
  }
}
