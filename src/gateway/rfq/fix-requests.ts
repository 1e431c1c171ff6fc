import type { RfqClient, RfqInput } from "../../rfq/message.ts";
import type { FieldTree } from "../fix/application/field-tree.ts";
import { readOrder, TIME_IN_FORCE } from "../fix/application/order.ts";
import { readQuoteResponse } from "../fix/application/quote.ts";
import { readQuoteRequest } from "../fix/application/quote-request.ts";
import { MSG, TAG } from "../fix/tags.ts";

/** A message that is no request, with what there is to refuse it by. */
export interface Unreadable {
  readonly problem: string;
  readonly requestId: string | null;
  readonly orderId: string | null;
  readonly quoteId: string | null;
}

/** Messages that clients send about quotes. */
export function isClientMessage(msgType: number): boolean {
  return msgType === MSG.quoteRequest || msgType === MSG.quoteResponse || msgType === MSG.newOrder;
}

/** What a client's QuoteRequest (35=R), QuoteResponse (35=AJ) or NewOrderSingle (35=D) asks for; a request names one thing. */
export function readClientMessage(
  msgType: number,
  tree: FieldTree,
  client: RfqClient,
): RfqInput | Unreadable {
  if (msgType === MSG.quoteRequest) return readRequest(tree, client);
  return msgType === MSG.quoteResponse ? readResponse(tree, client) : readClientOrder(tree, client);
}

function readRequest(tree: FieldTree, client: RfqClient): RfqInput | Unreadable {
  const request = readQuoteRequest(tree);
  const unreadable = (problem: string): Unreadable => ({
    problem,
    requestId: tree.text(TAG.quoteReqId) ?? null,
    orderId: null,
    quoteId: null,
  });
  if (typeof request === "string") return unreadable(request);
  const [item, second] = request.items;
  const [entry] = tree.group(TAG.noRelatedSym);
  if (second !== undefined) return unreadable("one instrument or structure a request (146)");
  if (item.quantity === undefined) return unreadable("OrderQty (38) is missing");
  const legs =
    item.legs.length === 0
      ? [{ symbol: item.symbol, venue: item.exchange ?? null, side: "buy" as const, ratio: "1" }]
      : item.legs.map(({ symbol, exchange, side, ratio }) => ({
          symbol,
          venue: exchange ?? null,
          side,
          ratio,
        }));
  return {
    on: "request",
    ...client,
    requestId: request.requestId,
    side: item.side,
    quantity: item.quantity,
    validUntilUs: Number.isNaN(item.validUntilUs) ? null : item.validUntilUs,
    tiedPrice: entry.text(TAG.price) ?? null,
    legs,
  };
}

function readResponse(tree: FieldTree, client: RfqClient): RfqInput | Unreadable {
  const response = readQuoteResponse(tree);
  const quoteId = tree.text(TAG.quoteId) ?? null;
  const unreadable = (problem: string): Unreadable => ({ problem, requestId: null, orderId: null, quoteId });
  if (typeof response === "string") return unreadable(response);
  const { responseId, kind, side, quantity, price, clOrdId } = response;
  if (quoteId === null) return unreadable(`response ${responseId}: QuoteID (117) is missing`);
  return {
    on: "response",
    ...client,
    ...{ responseId, quoteId, kind, side },
    quantity: quantity ?? null,
    price: price ?? null,
    orderId: clOrdId ?? null,
  };
}

/** An order with a QuoteID (117) takes that quote; without one it trades at our price, within its limit, at once or not at all. */
function readClientOrder(tree: FieldTree, client: RfqClient): RfqInput | Unreadable {
  const order = readOrder(tree);
  const orderId = tree.text(TAG.clOrdId) ?? null;
  const unreadable = (problem: string): Unreadable => ({ problem, requestId: null, orderId, quoteId: null });
  if (typeof order === "string") return unreadable(order);
  const { clOrdId, side, quantity, price, quoteId, symbol, exchange, timeInForce } = order;
  if (quoteId !== undefined) {
    const taken = { responseId: "", quoteId, kind: "hit", side, quantity } as const;
    return { on: "response", ...client, ...taken, price: price ?? null, orderId: clOrdId };
  }
  const wrong = (text: string): Unreadable => unreadable(`order ${clOrdId}: ${text}`);
  if (price === undefined) return wrong("an order without QuoteID (117) needs a Price (44)");
  if (timeInForce !== "ioc" && timeInForce !== "fok") {
    return wrong(`TimeInForce (59) is neither ${TIME_IN_FORCE.ioc} nor ${TIME_IN_FORCE.fok}`);
  }
  return {
    on: "order",
    ...client,
    orderId: clOrdId,
    symbol,
    venue: exchange ?? null,
    ...{ side, quantity, limit: price },
  };
}
