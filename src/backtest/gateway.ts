import { stepToNumber } from "../core/decimal.ts";
import { invariant } from "../core/invariant.ts";
import type { DeskPort } from "../desk/desk.ts";
import { type ExecutionDetail, type GatewayEvents, QUOTE_STATUS } from "../gateway/gateway.ts";
import type { EngineLostError } from "../inference/engine.ts";
import type { Instrument, InstrumentTable } from "../market/instrument.ts";
import { type FeeRates, feeOf } from "../position/fees.ts";
import type { ApprovedOrder, ApprovedQuotes } from "../risk/gate.ts";
import { ORDER_STATE, type OrderIntent, type OrderState } from "../risk/order.ts";
import type { Line } from "./latency.ts";
import type { Matching, VenueReports } from "./matching.ts";
import type { Player } from "./recording.ts";
import { TimedQueue } from "./timed-queue.ts";
import type { VenueOrder } from "./venue-order.ts";

/** Columns of a quote row on its way. */
const ROW = {
  instrument: 0,
  level: 1,
  quoteId: 2,
  bidTicks: 3,
  bidLots: 4,
  askTicks: 5,
  askLots: 6,
} as const;
const ROW_FIELDS = 7;

type Request =
  | { readonly ask: "quotes"; readonly rows: Float64Array }
  | { readonly ask: "cancelAll" }
  | { readonly ask: "order"; readonly intent: OrderIntent }
  | { readonly ask: "cancel" | "state"; readonly orderId: number };

type Report =
  | { readonly say: "ack"; readonly quoteId: number; readonly status: number; readonly text: string }
  | { readonly say: "fill"; readonly fill: VenueFill }
  | {
      readonly say: "order";
      readonly orderId: number;
      readonly state: OrderState;
      readonly leavesLots: number;
      readonly text: string;
    };

/** A fill as it happened at the venue. */
export interface VenueFill {
  readonly number: number;
  readonly instrument: number;
  readonly side: number;
  readonly priceTicks: number;
  readonly lots: number;
  readonly maker: boolean;
  /** In the settlement currency; negative = a rebate. */
  readonly fee: number;
  readonly counterparty: string;
  readonly orderId: number;
  readonly quoteId: number;
  readonly level: number;
  /** Time that our order had rested at its price, µs. */
  readonly restedUs: number;
  readonly timeUs: number;
}

export interface BacktestGatewayOptions {
  readonly player: Player<unknown>;
  /** The desk's instruments come with {@link BacktestGateway.attach}; these are the venue's. */
  readonly venueInstruments: InstrumentTable;
  readonly fees: FeeRates;
  /** To the venue, and back. */
  readonly orderLine: Line;
  readonly responseLine: Line;
  readonly onFill: (fill: VenueFill) => void;
}

/**
 * The desk's outside in a backtest: the recording in place of the feeds, the matching in place of the counterparty. What the
 * desk sends is under way for the order latency, what the venue answers for the response latency; nothing overtakes.
 */
export class BacktestGateway implements DeskPort, VenueReports {
  /** Messages that the desk has sent: mass quotes, orders, cancellations. */
  messages = 0;
  readonly #options: BacktestGatewayOptions;
  readonly #requests = new TimedQueue<Request>();
  readonly #reports = new TimedQueue<Report>();
  #matching: Matching | null = null;
  #deskInstruments: InstrumentTable | null = null;
  /** Desk's instrument number → the venue's, and back. */
  readonly #toVenue: number[] = [];
  readonly #toDesk: number[] = [];
  #fills = 0;

  constructor(options: BacktestGatewayOptions) {
    this.#options = options;
  }

  attach(matching: Matching, deskInstruments: InstrumentTable): void {
    this.#matching = matching;
    this.#deskInstruments = deskInstruments;
  }

  /** When the next request arrives at the venue, and the next report at the desk; Infinity when there is none. */
  get nextRequestUs(): number {
    return this.#requests.nextUs;
  }

  get nextReportUs(): number {
    return this.#reports.nextUs;
  }

  connect(feed: number): void {
    this.#options.player.connect(feed);
  }

  send(feed: number, text: string): void {
    this.#options.player.send(feed, text);
  }

  disconnect(feed: number, reason: string): void {
    this.#options.player.disconnect(feed, reason);
  }

  request(feed: number, request: number, path: string): void {
    this.#options.player.request(feed, request, path);
  }

  submit(_rows: number): void {
    invariant(false, "a backtest's engine answers in its turn");
  }

  engineLost(_step: number, error: EngineLostError): void {
    throw error;
  }

  killChanged(): void {}

  decidedRisk(): void {}

  decided(): void {}

  predicted(): void {}

  publish({ batch }: ApprovedQuotes, timeUs: number): void {
    const rows = new Float64Array(batch.count * ROW_FIELDS);
    for (let row = 0; row < batch.count; row += 1) {
      const at = row * ROW_FIELDS;
      rows[at + ROW.instrument] = this.#venueNumber(batch.instrument[row]);
      rows[at + ROW.level] = batch.level[row];
      rows[at + ROW.quoteId] = batch.quoteId[row];
      rows[at + ROW.bidTicks] = batch.bidTicks[row];
      rows[at + ROW.bidLots] = batch.bidLots[row];
      rows[at + ROW.askTicks] = batch.askTicks[row];
      rows[at + ROW.askLots] = batch.askLots[row];
    }
    this.#ask({ ask: "quotes", rows }, timeUs);
  }

  cancelAll(timeUs: number): void {
    this.#ask({ ask: "cancelAll" }, timeUs);
  }

  sendOrder({ intent }: ApprovedOrder, timeUs: number): void {
    this.#ask({ ask: "order", intent }, timeUs);
  }

  cancelOrder(orderId: number, timeUs: number): void {
    this.#ask({ ask: "cancel", orderId }, timeUs);
  }

  askOrder(orderId: number, timeUs: number): void {
    this.#ask({ ask: "state", orderId }, timeUs);
  }

  /** The next request arrives at the venue. */
  deliverRequest(): void {
    const timeUs = this.#requests.nextUs;
    const request = this.#requests.shift();
    const matching = this.#matching;
    if (request === undefined || matching === null) return;
    switch (request.ask) {
      case "quotes":
        this.#quote(matching, request.rows, timeUs);
        break;
      case "cancelAll":
        matching.cancelQuotes();
        break;
      case "order":
        matching.order(request.intent, this.#venueNumber(request.intent.instrument), timeUs);
        break;
      case "cancel":
        matching.cancel(request.orderId, timeUs);
        break;
      case "state":
        matching.ask(request.orderId, timeUs);
        break;
    }
  }

  /** The next report arrives at the desk. */
  deliverReport(desk: GatewayEvents): void {
    const timeUs = this.#reports.nextUs;
    const report = this.#reports.shift();
    if (report === undefined) return;
    switch (report.say) {
      case "ack":
        desk.onQuoteAck(report.quoteId, report.status, report.text, timeUs);
        break;
      case "order":
        desk.onOrderState?.(report.orderId, report.state, report.leavesLots, report.text, timeUs);
        break;
      case "fill": {
        const { number, instrument, side, priceTicks, lots, maker, fee, counterparty, orderId } = report.fill;
        const detail: ExecutionDetail = {
          ...(orderId > 0 ? { orderId } : {}),
          counterparty,
          liquidity: maker ? "maker" : "taker",
          fee,
        };
        const id = this.#deskNumber(instrument);
        desk.onExecution(`B${number}`, id, side, priceTicks, lots, timeUs, detail);
        break;
      }
    }
  }

  onFill(
    order: VenueOrder,
    priceTicks: number,
    lots: number,
    maker: boolean,
    counterparty: string,
    timeUs: number,
  ): void {
    const { instrument, side, orderId, quoteId, level, enteredUs } = order;
    this.#fills += 1;
    const fill: VenueFill = {
      number: this.#fills,
      ...{ instrument, side, priceTicks, lots, maker, counterparty, orderId, quoteId, level, timeUs },
      fee: this.#fee(instrument, lots, priceTicks, maker),
      restedUs: timeUs - enteredUs,
    };
    this.#options.onFill(fill);
    this.#say({ say: "fill", fill }, timeUs);
    if (orderId > 0 && order.lots <= 0)
      this.#say({ say: "order", orderId, state: ORDER_STATE.done, leavesLots: 0, text: "filled" }, timeUs);
  }

  onOrderState(orderId: number, state: OrderState, leavesLots: number, text: string, timeUs: number): void {
    this.#say({ say: "order", orderId, state, leavesLots, text }, timeUs);
  }

  /** Rows in order; what the venue refuses is told apart from what it takes. */
  #quote(matching: Matching, rows: Float64Array, timeUs: number): void {
    const count = rows.length / ROW_FIELDS;
    let accepted = 0;
    for (let row = 0; row < count; row += 1) {
      const at = row * ROW_FIELDS;
      const quoteId = rows[at + ROW.quoteId];
      const refused = matching.quote(
        rows[at + ROW.instrument],
        rows[at + ROW.level],
        quoteId,
        rows[at + ROW.bidTicks],
        rows[at + ROW.bidLots],
        rows[at + ROW.askTicks],
        rows[at + ROW.askLots],
        timeUs,
      );
      if (refused === "") {
        accepted = quoteId;
        continue;
      }
      if (accepted > 0) this.#ack(accepted, QUOTE_STATUS.accepted, "", timeUs);
      accepted = 0;
      this.#ack(quoteId, QUOTE_STATUS.rejected, refused, timeUs);
    }
    if (accepted > 0) this.#ack(accepted, QUOTE_STATUS.accepted, "", timeUs);
  }

  #ack(quoteId: number, status: number, text: string, timeUs: number): void {
    this.#say({ say: "ack", quoteId, status, text }, timeUs);
  }

  #ask(request: Request, timeUs: number): void {
    this.messages += 1;
    this.#requests.push(request, this.#options.orderLine.arrivalUs(timeUs));
  }

  #say(report: Report, timeUs: number): void {
    this.#reports.push(report, this.#options.responseLine.arrivalUs(timeUs));
  }

  #fee(id: number, lots: number, priceTicks: number, maker: boolean): number {
    const instrument = this.#options.venueInstruments.get(id);
    const price = priceTicks * stepToNumber(instrument.tick);
    const underlying = this.#matching?.market(id).underlyingPrice ?? Number.NaN;
    return feeOf(this.#options.fees, instrument, lots, price, underlying > 0 ? underlying : price, maker);
  }

  #venueNumber(id: number): number {
    const known = this.#toVenue[id];
    if (known !== undefined) return known;
    return this.#pair(this.#deskInstruments?.get(id), this.#options.venueInstruments, this.#toVenue);
  }

  #deskNumber(id: number): number {
    const known = this.#toDesk[id];
    if (known !== undefined) return known;
    return this.#pair(this.#options.venueInstruments.get(id), this.#deskInstruments, this.#toDesk);
  }

  #pair(from: Instrument | undefined, to: InstrumentTable | null, into: number[]): number {
    const there = from === undefined ? undefined : to?.find(from.venue, from.symbol);
    invariant(from !== undefined && there !== undefined, "both sides know an instrument that is traded");
    into[from.id] = there.id;
    return there.id;
  }
}
