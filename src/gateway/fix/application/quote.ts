import type { MessageBuilder } from "../builder.ts";
import { type FixVersion, MSG, TAG } from "../tags.ts";
import type { DecimalText, FieldTree } from "./field-tree.ts";
import {
  type InstrumentName,
  readInstrument,
  readSide,
  SIDE,
  type Side,
  writeInstrument,
} from "./instrument-fields.ts";

/** A Quote (35=S). A side that is not quoted has neither price nor size. */
export interface Quote extends InstrumentName {
  readonly quoteId: string;
  /** The request it answers; undefined = unsolicited. */
  readonly requestId: string | undefined;
  readonly bidPx: DecimalText | undefined;
  readonly bidSize: DecimalText | undefined;
  readonly offerPx: DecimalText | undefined;
  readonly offerSize: DecimalText | undefined;
  /** µs since the epoch; NaN = good till cancelled. */
  readonly validUntilUs: number;
}

const QUOTE_PRICES = [
  ["bidPx", TAG.bidPx],
  ["offerPx", TAG.offerPx],
  ["bidSize", TAG.bidSize],
  ["offerSize", TAG.offerSize],
] as const;

/** @returns a text saying what is missing or wrong, in place of half a message. */
export function readQuote(tree: FieldTree): Quote | string {
  const quoteId = tree.text(TAG.quoteId);
  const instrument = readInstrument(tree);
  if (quoteId === undefined) return "QuoteID (117) is missing";
  if (instrument === undefined) return `quote ${quoteId}: Symbol (55) is missing`;
  for (const [, tag] of QUOTE_PRICES) {
    if (tree.text(tag) !== undefined && tree.decimal(tag) === undefined)
      return `quote ${quoteId}: tag ${tag} is no number`;
  }
  return {
    ...instrument,
    quoteId,
    requestId: tree.text(TAG.quoteReqId),
    bidPx: tree.decimal(TAG.bidPx),
    bidSize: tree.decimal(TAG.bidSize),
    offerPx: tree.decimal(TAG.offerPx),
    offerSize: tree.decimal(TAG.offerSize),
    validUntilUs: tree.timeUs(TAG.validUntilTime),
  };
}

export function writeQuote(builder: MessageBuilder, quote: Quote, timeUs: number): void {
  if (quote.requestId !== undefined) builder.text(TAG.quoteReqId, quote.requestId);
  builder.text(TAG.quoteId, quote.quoteId);
  writeInstrument(builder, quote);
  for (const [name, tag] of QUOTE_PRICES) {
    const value = quote[name];
    if (value !== undefined) builder.text(tag, value);
  }
  if (!Number.isNaN(quote.validUntilUs)) builder.time(TAG.validUntilTime, quote.validUntilUs);
  builder.time(TAG.transactTime, timeUs);
}

/** QuoteRequestRejectReason (658) of 4.4, volume 6; 4.2 sends the same as QuoteRejectReason (300), as far as it has it. */
export const QUOTE_REQUEST_REJECT = {
  unknownSymbol: 1,
  exchangeClosed: 2,
  exceedsLimit: 3,
  tooLate: 4,
  invalidPrice: 5,
  notAuthorised: 6,
  noMatch: 7,
  noMarket: 8,
  noInventory: 9,
  pass: 10,
  other: 99,
} as const;

/** 658 → 300 of FIX 4.2, where the two differ. */
const REASON_42: Readonly<Record<number, number>> = { 5: 8, 6: 9 };
const LAST_REASON_42 = 9;
const REJECTED_42 = 5;

export interface QuoteRequestReject extends InstrumentName {
  readonly requestId: string;
  readonly reason: number;
  readonly text: string;
}

/** Type of the message that refuses a request: 4.2 has none of its own and takes the QuoteAcknowledgement. */
export function quoteRequestRejectType(version: FixVersion): number {
  return version === "4.2" ? MSG.massQuoteAck : MSG.quoteRequestReject;
}

/** Body of a QuoteRequestReject (35=AG), in 4.2 of a QuoteAcknowledgement (35=b) with QuoteAckStatus 5. */
export function writeQuoteRequestReject(
  builder: MessageBuilder,
  reject: QuoteRequestReject,
  version: FixVersion,
): void {
  builder.text(TAG.quoteReqId, reject.requestId);
  if (version === "4.2") {
    builder.text(TAG.quoteId, reject.requestId).uint(TAG.quoteStatus, REJECTED_42);
    const reason = REASON_42[reject.reason] ?? reject.reason;
    if (reason <= LAST_REASON_42) builder.uint(TAG.quoteRejectReason, reason);
    builder.text(TAG.text, reject.text);
    return;
  }
  builder.uint(TAG.quoteRequestRejectReason, reject.reason).uint(TAG.noRelatedSym, 1);
  writeInstrument(builder, reject);
  builder.text(TAG.text, reject.text);
}

/** QuoteStatus (297) values of FIX 4.4 that an RFQ needs. 4.2 has those up to 5. */
export const QUOTE_REPORT = { accepted: 0, rejected: 5, expired: 7, pass: 11, cancelledAll: 4 } as const;

export interface QuoteStatusReport extends InstrumentName {
  readonly quoteId: string;
  readonly requestId: string | undefined;
  /** QuoteRespID (693) of the response that it answers; undefined = none. 4.4 only. */
  readonly responseId: string | undefined;
  readonly status: number;
  readonly text: string;
}

/** 35=AI; 4.2 takes the QuoteAcknowledgement (35=b). */
export function quoteStatusReportType(version: FixVersion): number {
  return version === "4.2" ? MSG.massQuoteAck : MSG.quoteStatusReport;
}

/** Body of a QuoteStatusReport, in 4.2 of a QuoteAcknowledgement: what has become of a quote. */
export function writeQuoteStatusReport(
  builder: MessageBuilder,
  report: QuoteStatusReport,
  version: FixVersion,
  timeUs: number,
): void {
  if (report.requestId !== undefined) builder.text(TAG.quoteReqId, report.requestId);
  builder.text(TAG.quoteId, report.quoteId);
  if (version === "4.2") {
    builder.uint(TAG.quoteStatus, Math.min(report.status, REJECTED_42));
  } else {
    if (report.responseId !== undefined) builder.text(TAG.quoteRespId, report.responseId);
    writeInstrument(builder, report);
    builder.time(TAG.transactTime, timeUs).uint(TAG.quoteStatus, report.status);
  }
  if (report.text !== "") builder.text(TAG.text, report.text);
}

const RESPONSES = { 1: "hit", 2: "counter", 3: "expired", 4: "cover", 5: "done-away", 6: "pass" } as const;
export type QuoteResponseKind = (typeof RESPONSES)[keyof typeof RESPONSES];

/** A QuoteResponse (35=AJ); FIX 4.2 has none, a quote is taken there by an order with its QuoteID. */
export interface QuoteResponse extends InstrumentName {
  readonly responseId: string;
  readonly quoteId: string | undefined;
  readonly kind: QuoteResponseKind;
  readonly side: Side | null;
  readonly quantity: DecimalText | undefined;
  readonly price: DecimalText | undefined;
  readonly clOrdId: string | undefined;
}

/** @returns a text saying what is missing or wrong, in place of half a message. */
export function readQuoteResponse(tree: FieldTree): QuoteResponse | string {
  const responseId = tree.text(TAG.quoteRespId);
  if (responseId === undefined) return "QuoteRespID (693) is missing";
  const kind = RESPONSES[tree.uint(TAG.quoteRespType) as keyof typeof RESPONSES];
  if (kind === undefined) return `response ${responseId}: QuoteRespType (694) is not 1 … 6`;
  const instrument = readInstrument(tree);
  if (instrument === undefined) return `response ${responseId}: Symbol (55) is missing`;
  return {
    ...instrument,
    responseId,
    quoteId: tree.text(TAG.quoteId),
    kind,
    side: readSide(tree.text(TAG.side)),
    quantity: tree.decimal(TAG.orderQty),
    price: tree.decimal(TAG.price),
    clOrdId: tree.text(TAG.clOrdId),
  };
}

export function writeQuoteResponse(builder: MessageBuilder, response: QuoteResponse, timeUs: number): void {
  const code = Object.entries(RESPONSES).find(([, kind]) => kind === response.kind)?.[0] ?? "6";
  builder.text(TAG.quoteRespId, response.responseId);
  if (response.quoteId !== undefined) builder.text(TAG.quoteId, response.quoteId);
  builder.text(TAG.quoteRespType, code);
  if (response.clOrdId !== undefined) builder.text(TAG.clOrdId, response.clOrdId);
  writeInstrument(builder, response);
  if (response.side !== null) builder.text(TAG.side, SIDE[response.side]);
  if (response.quantity !== undefined) builder.text(TAG.orderQty, response.quantity);
  builder.time(TAG.transactTime, timeUs);
  if (response.price !== undefined) builder.text(TAG.price, response.price);
}
