import type {
  RfqAction,
  RfqQuote,
  RfqRefusal,
  RfqReject,
  RfqStatus,
  RfqStatusName,
  RfqTrade,
  StatedLeg,
} from "../../rfq/message.ts";
import { type InstrumentName, SIDE } from "../fix/application/instrument-fields.ts";
import { writeExecution } from "../fix/application/order.ts";
import {
  QUOTE_REPORT,
  QUOTE_REQUEST_REJECT,
  quoteRequestRejectType,
  quoteStatusReportType,
  writeQuote,
  writeQuoteRequestReject,
  writeQuoteStatusReport,
} from "../fix/application/quote.ts";
import type { MessageBuilder } from "../fix/builder.ts";
import type { FixSession } from "../fix/session.ts";
import { type FixVersion, MSG, TAG } from "../fix/tags.ts";
import type { Echo, Named } from "./echo.ts";

const REASONS: Readonly<Record<RfqRefusal, number>> = {
  "unknown-symbol": QUOTE_REQUEST_REJECT.unknownSymbol,
  "exceeds-limit": QUOTE_REQUEST_REJECT.exceedsLimit,
  "too-late": QUOTE_REQUEST_REJECT.tooLate,
  "invalid-price": QUOTE_REQUEST_REJECT.invalidPrice,
  "not-authorised": QUOTE_REQUEST_REJECT.notAuthorised,
  "no-market": QUOTE_REQUEST_REJECT.noMarket,
  pass: QUOTE_REQUEST_REJECT.pass,
  other: QUOTE_REQUEST_REJECT.other,
};

/** QuoteStatus (297) of FIX 4.4, volume 6. */
const STATUSES: Readonly<Record<RfqStatusName, number>> = {
  accepted: QUOTE_REPORT.accepted,
  rejected: QUOTE_REPORT.rejected,
  removed: 6,
  expired: QUOTE_REPORT.expired,
  unknown: 9,
  pending: 10,
  pass: QUOTE_REPORT.pass,
};

/** MultiLegReportingType (442): a report of the whole of a multileg security. */
const WHOLE = "3";

/**
 * Sends an answer on a session that is established. Executions, rejections and ends of quotes are resent when the client asks for
 * them again; quotes are not, because one that was missed may have run out.
 */
export function sendAnswer(session: FixSession, echo: Echo, action: RfqAction, timeUs: number): void {
  const { version } = session.options;
  switch (action.do) {
    case "quote":
      echo.set("quote", action.quoteId, echo.get("request", action.requestId));
      quote(session.begin(MSG.quote, timeUs), echo, action, version, timeUs);
      session.send(false);
      break;
    case "reject":
      rejectRequest(session, echo, action, timeUs);
      break;
    case "status":
      if (action.responseId === "" && action.orderId !== null) {
        // A hit by an order that is held is answered when it is decided.
        if (action.status === "pending") break;
        rejectOrder(session, echo, action.orderId, action.text, timeUs);
        break;
      }
      status(session.begin(quoteStatusReportType(version), timeUs), echo, action, version, timeUs);
      session.send(true);
      break;
    case "trade":
      trade(session.begin(MSG.executionReport, timeUs), echo, action, version, timeUs);
      session.send(true);
      break;
    case "order-reject":
      rejectOrder(session, echo, action.orderId, action.text, timeUs);
      break;
  }
}

/** Refuses an order in an ExecutionReport. */
export function rejectOrder(
  session: FixSession,
  echo: Echo,
  orderId: string,
  text: string,
  timeUs: number,
): void {
  const { version } = session.options;
  const { name, side } = echo.get("order", orderId);
  const report = {
    ...name,
    side: side ?? "buy",
    orderId: "NONE",
    executionId: `${orderId}-${timeUs}`,
    clOrdId: orderId,
    state: "rejected",
    last: undefined,
    leaves: "0",
    cumulative: "0",
    averagePrice: "0",
    text,
  } as const;
  writeExecution(session.begin(MSG.executionReport, timeUs), report, version, timeUs);
  session.send(true);
}

/** Refuses a request. */
export function rejectRequest(
  session: FixSession,
  echo: Echo,
  { requestId, reason, text }: Pick<RfqReject, "requestId" | "reason" | "text">,
  timeUs: number,
): void {
  const { version } = session.options;
  const { name } = echo.get("request", requestId);
  const builder = session.begin(quoteRequestRejectType(version), timeUs);
  writeQuoteRequestReject(builder, { ...name, requestId, reason: REASONS[reason], text }, version);
  session.send(true);
}

/** One instrument goes by its own name, a combination by the one that the client gave it. */
function nameOf({ legs }: { readonly legs: readonly StatedLeg[] }, named: Named): InstrumentName {
  const [leg] = legs;
  return legs.length === 1 ? { symbol: leg.symbol, exchange: leg.venue } : named.name;
}

function quote(
  builder: MessageBuilder,
  echo: Echo,
  action: RfqQuote,
  version: FixVersion,
  timeUs: number,
): void {
  const { quoteId, requestId, bid, offer, quantity, validUntilUs, legs, responseId } = action;
  writeQuote(
    builder,
    {
      ...nameOf(action, echo.get("quote", quoteId)),
      ...{ quoteId, requestId, validUntilUs },
      bidPx: bid ?? undefined,
      bidSize: bid === null ? undefined : quantity,
      offerPx: offer ?? undefined,
      offerSize: offer === null ? undefined : quantity,
    },
    timeUs,
  );
  if (version === "4.2") return;
  if (responseId !== null) builder.text(TAG.quoteRespId, responseId);
  if (legs.length === 1) return;
  builder.uint(TAG.noLegs, legs.length);
  for (const leg of legs) {
    writeLeg(builder, leg);
    if (leg.tiedPrice === null) continue;
    builder.text(TAG.legBidPx, leg.tiedPrice).text(TAG.legOfferPx, leg.tiedPrice);
  }
}

function writeLeg(builder: MessageBuilder, { symbol, venue, ratio, side }: StatedLeg): void {
  builder.text(TAG.legSymbol, symbol).text(TAG.legSecurityExchange, venue);
  builder.text(TAG.legRatioQty, ratio).text(TAG.legSide, SIDE[side]);
}

function status(
  builder: MessageBuilder,
  echo: Echo,
  action: RfqStatus,
  version: FixVersion,
  timeUs: number,
): void {
  const { quoteId, requestId, responseId, text } = action;
  const report = {
    ...echo.get("quote", quoteId).name,
    ...{ quoteId, text, status: STATUSES[action.status] },
    requestId: requestId === "" ? undefined : requestId,
    responseId: responseId ?? undefined,
  };
  writeQuoteStatusReport(builder, report, version, timeUs);
}

function trade(
  builder: MessageBuilder,
  echo: Echo,
  action: RfqTrade,
  version: FixVersion,
  timeUs: number,
): void {
  const { price, quantity, tradeId, quoteId, side, legs, orderId, responseId } = action;
  writeExecution(
    builder,
    {
      ...nameOf(action, echo.get("quote", quoteId)),
      ...{ side, orderId: quoteId, executionId: tradeId },
      clOrdId: orderId ?? undefined,
      state: "trade",
      last: { price, quantity },
      leaves: "0",
      cumulative: quantity,
      averagePrice: price,
      text: "",
    },
    version,
    timeUs,
  );
  if (version === "4.2") return;
  if (responseId !== null && responseId !== "") builder.text(TAG.quoteRespId, responseId);
  if (legs.length === 1) return;
  builder.text(TAG.multiLegReportingType, WHOLE).uint(TAG.noLegs, legs.length);
  for (const leg of legs) {
    writeLeg(builder, leg);
    builder.text(TAG.legQty, leg.quantity).text(TAG.legLastPx, leg.price);
  }
}
