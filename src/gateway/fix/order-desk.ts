import { decimalToSteps, stepsToDecimal } from "../../core/decimal.ts";
import type { InstrumentTable } from "../../market/instrument.ts";
import { ORDER_STATE, type OrderIntent, type OrderState } from "../../risk/order.ts";
import { SIDE } from "./application/instrument-fields.ts";
import { writeOrder, writeOrderCancel } from "./application/order.ts";
import type { FixMessage } from "./message.ts";
import type { FixSession } from "./session.ts";
import { type FixVersion, MSG, TAG } from "./tags.ts";

/** Orders whose messages are remembered, for rejects that name only the number, and for cancellations. */
const REMEMBERED = 1_024;
/** OrdStatus (39): what it says of an order. A fill's own report tells of fills. */
const STATE_OF: Readonly<Record<string, OrderState>> = {
  "0": ORDER_STATE.working,
  "1": ORDER_STATE.working,
  "5": ORDER_STATE.working,
  "3": ORDER_STATE.done,
  "4": ORDER_STATE.done,
  "8": ORDER_STATE.done,
  C: ORDER_STATE.done,
};
const CLORDID = /^K(\d{1,16})(?:-\d+)?$/;
const COMMISSION_ABSOLUTE = 0x33;

/** Number of the desk's order in a ClOrdID (11) or OrigClOrdID (41); 0 when it is not one of the desk's. */
export function orderIdOf(clOrdId: string | undefined): number {
  const digits = clOrdId === undefined ? undefined : CLORDID.exec(clOrdId)?.[1];
  return digits === undefined ? 0 : Number(digits);
}

/** Commission (12) of an execution where it is an amount (13=3); undefined otherwise. */
export function commissionOf(message: FixMessage): number | undefined {
  if (message.char(TAG.commType) !== COMMISSION_ABSOLUTE) return undefined;
  const text = message.text(TAG.commission);
  const amount = text === undefined || text === "" ? Number.NaN : Number(text);
  return Number.isFinite(amount) ? amount : undefined;
}

/** What an ExecutionReport (35=8) or OrderCancelReject (35=9) says of an order. */
export interface OrderWord {
  readonly orderId: number;
  readonly state: OrderState;
  /** Infinity where it is not told. */
  readonly leavesLots: number;
  readonly text: string;
}

/**
 * The orders of a FIX session: NewOrderSingle (35=D), OrderCancelRequest (35=F), OrderStatusRequest (35=H) out; what comes back is
 * read here. Orders are never resent: one that has been overtaken must not go live.
 */
export class OrderDesk {
  readonly #session: FixSession;
  readonly #version: FixVersion;
  readonly #instruments: InstrumentTable;
  readonly #sent = new Map<number, { readonly intent: OrderIntent; readonly seq: number; cancels: number }>();
  readonly counters = { orders: 0, orderCancels: 0, orderQuestions: 0 };

  constructor(session: FixSession, version: FixVersion, instruments: InstrumentTable) {
    this.#session = session;
    this.#version = version;
    this.#instruments = instruments;
  }

  send(intent: OrderIntent, timeUs: number): boolean {
    const instrument = this.#instruments.get(intent.instrument);
    const builder = this.#session.begin(MSG.newOrder, timeUs);
    const seq = this.#session.store.nextOutgoing - 1;
    writeOrder(
      builder,
      {
        clOrdId: `K${intent.orderId}`,
        origClOrdId: undefined,
        symbol: instrument.symbol,
        exchange: instrument.venue,
        side: intent.side === 0 ? "buy" : "sell",
        quantity: stepsToDecimal(intent.sizeLots, instrument.lot),
        price: stepsToDecimal(intent.priceTicks, instrument.tick),
        minQuantity: undefined,
        timeInForce: intent.timeInForce,
        quoteId: undefined,
        account: undefined,
      },
      this.#version,
      timeUs,
    );
    if (!this.#session.send(false)) return false;
    this.counters.orders += 1;
    if (this.#sent.size === REMEMBERED) {
      const oldest = this.#sent.keys().next().value;
      if (oldest !== undefined) this.#sent.delete(oldest);
    }
    this.#sent.set(intent.orderId, { intent, seq, cancels: 0 });
    return true;
  }

  cancel(orderId: number, timeUs: number): boolean {
    const sent = this.#sent.get(orderId);
    if (sent === undefined) return false;
    sent.cancels += 1;
    const instrument = this.#instruments.get(sent.intent.instrument);
    const builder = this.#session.begin(MSG.orderCancel, timeUs);
    writeOrderCancel(
      builder,
      {
        clOrdId: `K${orderId}-${sent.cancels}`,
        origClOrdId: `K${orderId}`,
        symbol: instrument.symbol,
        exchange: instrument.venue,
        side: sent.intent.side === 0 ? "buy" : "sell",
        quantity: stepsToDecimal(sent.intent.sizeLots, instrument.lot),
      },
      timeUs,
    );
    this.counters.orderCancels += 1;
    return this.#session.send(false);
  }

  ask(orderId: number, timeUs: number): boolean {
    const sent = this.#sent.get(orderId);
    if (sent === undefined) return false;
    const instrument = this.#instruments.get(sent.intent.instrument);
    const builder = this.#session.begin(MSG.orderStatusRequest, timeUs);
    builder.text(TAG.clOrdId, `K${orderId}`);
    builder.text(TAG.symbol, instrument.symbol).text(TAG.securityExchange, instrument.venue);
    builder.text(TAG.side, SIDE[sent.intent.side === 0 ? "buy" : "sell"]);
    this.counters.orderQuestions += 1;
    return this.#session.send(false);
  }

  /** The order whose message had this number; 0 when it was none. */
  orderOfSeq(seq: number): number {
    for (const [orderId, sent] of this.#sent) if (sent.seq === seq) return orderId;
    return 0;
  }

  /** Reads an ExecutionReport that is no fill. @returns null when it is not of one of the desk's orders or says nothing new */
  read(message: FixMessage): OrderWord | null {
    const orderId = orderIdOf(message.text(TAG.origClOrdId)) || orderIdOf(message.text(TAG.clOrdId));
    const state = STATE_OF[message.text(TAG.ordStatus) ?? ""];
    if (orderId === 0 || state === undefined) return null;
    const sent = this.#sent.get(orderId);
    const leaves = message.text(TAG.leavesQty);
    const lots =
      sent === undefined || leaves === undefined
        ? Number.NaN
        : decimalToSteps(leaves, this.#instruments.get(sent.intent.instrument).lot);
    const leavesLots = Number.isNaN(lots) ? Number.POSITIVE_INFINITY : lots;
    return { orderId, state, leavesLots, text: message.text(TAG.text) ?? "" };
  }

  /** Reads an OrderCancelReject. What it does not settle stays unknown, and is asked for. */
  readCancelReject(message: FixMessage): OrderWord | null {
    const orderId = orderIdOf(message.text(TAG.origClOrdId)) || orderIdOf(message.text(TAG.clOrdId));
    if (orderId === 0) return null;
    const status = message.text(TAG.ordStatus) ?? "";
    const working = STATE_OF[status] === ORDER_STATE.working;
    const state = working ? ORDER_STATE.working : ORDER_STATE.unknown;
    return { orderId, state, leavesLots: Number.POSITIVE_INFINITY, text: message.text(TAG.text) ?? "" };
  }
}
