import type { MessageBuilder } from "../builder.ts";
import { type FixVersion, TAG } from "../tags.ts";
import type { DecimalText, FieldTree } from "./field-tree.ts";
import {
  type InstrumentName,
  readInstrument,
  readSide,
  SIDE,
  type Side,
  writeInstrument,
} from "./instrument-fields.ts";

/** A limit or market order: NewOrderSingle (35=D), or with `origClOrdId` OrderCancelReplaceRequest (35=G). */
export interface Order extends InstrumentName {
  readonly clOrdId: string;
  /** The order it replaces; undefined = a new one. */
  readonly origClOrdId: string | undefined;
  readonly side: Side;
  readonly quantity: DecimalText;
  /** Undefined = a market order. */
  readonly price: DecimalText | undefined;
  /** MinQty (110): least quantity of an execution. */
  readonly minQuantity: DecimalText | undefined;
  readonly timeInForce: keyof typeof TIME_IN_FORCE;
  /** The quote that the order takes; undefined = none. */
  readonly quoteId: string | undefined;
  readonly account: string | undefined;
}

export const TIME_IN_FORCE = { day: "0", gtc: "1", ioc: "3", fok: "4" } as const;
const AUTOMATED_PRIVATE = "1";
const MARKET = "1";
const LIMIT = "2";

/** @returns a text saying what is missing or wrong, in place of half a message. */
export function readOrder(tree: FieldTree): Order | string {
  const clOrdId = tree.text(TAG.clOrdId);
  if (clOrdId === undefined) return "ClOrdID (11) is missing";
  const wrong = (what: string): string => `order ${clOrdId}: ${what}`;
  const instrument = readInstrument(tree);
  if (instrument === undefined) return wrong("Symbol (55) is missing");
  const side = readSide(tree.text(TAG.side));
  if (side === null) return wrong("Side (54) is neither 1 nor 2");
  const quantity = tree.decimal(TAG.orderQty);
  if (quantity === undefined || !(Number(quantity) > 0)) return wrong("OrderQty (38) is no positive number");
  const type = tree.text(TAG.ordType);
  if (type !== MARKET && type !== LIMIT) return wrong("OrdType (40) is neither 1 nor 2");
  const price = tree.decimal(TAG.price);
  if (type === LIMIT && price === undefined) return wrong("a limit order without Price (44)");
  const code = tree.text(TAG.timeInForce) ?? TIME_IN_FORCE.day;
  const timeInForce = (["day", "gtc", "ioc", "fok"] as const).find((known) => TIME_IN_FORCE[known] === code);
  if (timeInForce === undefined) return wrong(`TimeInForce (59) ${code} is not supported`);
  return {
    ...instrument,
    clOrdId,
    origClOrdId: tree.text(TAG.origClOrdId),
    side,
    quantity,
    price: type === LIMIT ? price : undefined,
    minQuantity: tree.decimal(TAG.minQty),
    timeInForce,
    quoteId: tree.text(TAG.quoteId),
    account: tree.text(TAG.account),
  };
}

export function writeOrder(builder: MessageBuilder, order: Order, version: FixVersion, timeUs: number): void {
  if (order.origClOrdId !== undefined) builder.text(TAG.origClOrdId, order.origClOrdId);
  builder.text(TAG.clOrdId, order.clOrdId);
  if (order.account !== undefined) builder.text(TAG.account, order.account);
  if (version === "4.2") builder.text(TAG.handlInst, AUTOMATED_PRIVATE);
  if (order.minQuantity !== undefined) builder.text(TAG.minQty, order.minQuantity);
  writeInstrument(builder, order);
  builder.text(TAG.side, SIDE[order.side]).time(TAG.transactTime, timeUs).text(TAG.orderQty, order.quantity);
  builder.text(TAG.ordType, order.price === undefined ? MARKET : LIMIT);
  if (order.price !== undefined) builder.text(TAG.price, order.price);
  if (order.quoteId !== undefined && order.origClOrdId === undefined)
    builder.text(TAG.quoteId, order.quoteId);
  builder.text(TAG.timeInForce, TIME_IN_FORCE[order.timeInForce]);
}

/** An OrderCancelRequest (35=F). */
export interface OrderCancel extends InstrumentName {
  readonly clOrdId: string;
  readonly origClOrdId: string;
  readonly side: Side;
  readonly quantity: DecimalText | undefined;
}

/** @returns a text saying what is missing, in place of half a message. */
export function readOrderCancel(tree: FieldTree): OrderCancel | string {
  const clOrdId = tree.text(TAG.clOrdId);
  const origClOrdId = tree.text(TAG.origClOrdId);
  const instrument = readInstrument(tree);
  const side = readSide(tree.text(TAG.side));
  if (clOrdId === undefined || origClOrdId === undefined)
    return "ClOrdID (11) or OrigClOrdID (41) is missing";
  if (instrument === undefined || side === null)
    return `cancel ${clOrdId}: Symbol (55) or Side (54) is missing`;
  return { ...instrument, clOrdId, origClOrdId, side, quantity: tree.decimal(TAG.orderQty) };
}

export function writeOrderCancel(builder: MessageBuilder, cancel: OrderCancel, timeUs: number): void {
  builder.text(TAG.origClOrdId, cancel.origClOrdId).text(TAG.clOrdId, cancel.clOrdId);
  writeInstrument(builder, cancel);
  builder.text(TAG.side, SIDE[cancel.side]).time(TAG.transactTime, timeUs);
  if (cancel.quantity !== undefined) builder.text(TAG.orderQty, cancel.quantity);
}

/** MassCancelRequestType (530) of an OrderMassCancelRequest (35=q), as far as keel takes it. FIX 4.4 only. */
const MASS_CANCEL = { symbol: "1", all: "7" } as const;

export interface MassCancel {
  readonly clOrdId: string;
  /** Undefined = everything. */
  readonly instrument: InstrumentName | undefined;
}

/** @returns a text saying what is missing or not taken, in place of half a message. */
export function readMassCancel(tree: FieldTree): MassCancel | string {
  const clOrdId = tree.text(TAG.clOrdId);
  if (clOrdId === undefined) return "ClOrdID (11) is missing";
  const type = tree.text(TAG.massCancelRequestType);
  if (type === MASS_CANCEL.all) return { clOrdId, instrument: undefined };
  const instrument = readInstrument(tree);
  if (type !== MASS_CANCEL.symbol)
    return `mass cancel ${clOrdId}: MassCancelRequestType (530) is neither 1 nor 7`;
  return instrument === undefined
    ? `mass cancel ${clOrdId}: Symbol (55) is missing`
    : { clOrdId, instrument };
}

export function writeMassCancel(
  builder: MessageBuilder,
  { clOrdId, instrument }: MassCancel,
  timeUs: number,
): void {
  builder.text(TAG.clOrdId, clOrdId);
  builder.text(TAG.massCancelRequestType, instrument === undefined ? MASS_CANCEL.all : MASS_CANCEL.symbol);
  if (instrument !== undefined) writeInstrument(builder, instrument);
  builder.time(TAG.transactTime, timeUs);
}

/** Body of an OrderMassCancelReport (35=r). `affected` null = refused, with the reason as text. */
export function writeMassCancelReport(
  builder: MessageBuilder,
  request: MassCancel,
  orderId: string,
  affected: number | null,
  text: string,
): void {
  const type = request.instrument === undefined ? MASS_CANCEL.all : MASS_CANCEL.symbol;
  builder.text(TAG.clOrdId, request.clOrdId).text(TAG.orderId, orderId).text(TAG.massCancelRequestType, type);
  builder.text(TAG.massCancelResponse, affected === null ? "0" : type);
  if (affected === null) builder.uint(TAG.massCancelRejectReason, 99);
  else builder.uint(TAG.totalAffectedOrders, affected);
  if (request.instrument !== undefined) writeInstrument(builder, request.instrument);
  if (text !== "") builder.text(TAG.text, text);
}

/** Body of an OrderCancelReject (35=9). `replaced` = the request was a replace. */
export function writeCancelReject(
  builder: MessageBuilder,
  reject: { readonly orderId: string; readonly clOrdId: string; readonly origClOrdId: string },
  ordStatus: string,
  replaced: boolean,
  text: string,
): void {
  builder.text(TAG.orderId, reject.orderId).text(TAG.clOrdId, reject.clOrdId);
  builder.text(TAG.origClOrdId, reject.origClOrdId).text(TAG.ordStatus, ordStatus);
  builder.text(TAG.cxlRejResponseTo, replaced ? "2" : "1").text(TAG.text, text);
}

/** OrdStatus (39) = ExecType (150) of reports that are no trades. */
export const ORDER_STATE = { new: "0", cancelled: "4", replaced: "5", rejected: "8", expired: "C" } as const;

/** An ExecutionReport (35=8): a trade when there is a `last`, else a change of the order's state. */
export interface Execution extends InstrumentName {
  readonly orderId: string;
  readonly executionId: string;
  readonly clOrdId: string | undefined;
  readonly side: Side;
  readonly state: keyof typeof ORDER_STATE | "trade";
  readonly last: { readonly price: DecimalText; readonly quantity: DecimalText } | undefined;
  readonly leaves: DecimalText;
  readonly cumulative: DecimalText;
  readonly averagePrice: DecimalText;
  readonly text: string;
}

/** Body of an ExecutionReport. 4.2 has ExecTransType (20), and a trade is there a partial fill or a fill (150 = 1 or 2). */
export function writeExecution(
  builder: MessageBuilder,
  report: Execution,
  version: FixVersion,
  timeUs: number,
): void {
  const filled = Number(report.leaves) === 0 ? "2" : "1";
  const trade = report.state === "trade";
  const status =
    report.state === "trade" ? filled : report.state === "replaced" ? "0" : ORDER_STATE[report.state];
  builder.text(TAG.orderId, report.orderId);
  if (report.clOrdId !== undefined) builder.text(TAG.clOrdId, report.clOrdId);
  builder.text(TAG.execId, report.executionId);
  if (version === "4.2") builder.uint(TAG.execTransType, 0);
  const type = report.state === "trade" ? (version === "4.2" ? filled : "F") : ORDER_STATE[report.state];
  builder
    .text(TAG.execType, type)
    .text(TAG.ordStatus, version === "4.2" && report.state === "replaced" ? "5" : status);
  writeInstrument(builder, report);
  builder.text(TAG.side, SIDE[report.side]);
  if (trade && report.last !== undefined) {
    builder.text(TAG.lastQty, report.last.quantity).text(TAG.lastPx, report.last.price);
  }
  builder
    .text(TAG.leavesQty, report.leaves)
    .text(TAG.cumQty, report.cumulative)
    .text(TAG.avgPx, report.averagePrice);
  builder.time(TAG.transactTime, timeUs);
  if (report.text !== "") builder.text(TAG.text, report.text);
}
