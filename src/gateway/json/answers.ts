import type { RfqAction } from "../../rfq/message.ts";
import type { ServerMessage } from "./messages.ts";

/** An answer of the RFQ desk as the gateway sends it: without what is for us alone. */
export function answerMessage(action: RfqAction, timeUs: number): ServerMessage {
  switch (action.do) {
    case "quote": {
      const { requestId, quoteId, responseId, legs, bid, offer, quantity, validUntilUs } = action;
      const about = { requestId, quoteId, responseId, validUntilUs, timeUs };
      return { type: "rfq-quote", ...about, legs: [...legs], bid, offer, quantity };
    }
    case "reject": {
      const { requestId, reason, text } = action;
      return { type: "rfq-reject", requestId, reason, text, timeUs };
    }
    case "status": {
      const { requestId, quoteId, responseId, status, text } = action;
      return { type: "rfq-status", requestId, quoteId, responseId, status, text, timeUs };
    }
    case "trade": {
      const { requestId, quoteId, responseId, orderId, tradeId, side, price, quantity, legs, heldUs } =
        action;
      const about = { requestId, quoteId, responseId, orderId, tradeId, heldUs, timeUs };
      return { type: "trade", ...about, side, price, quantity, legs: [...legs] };
    }
    case "order-reject": {
      const { orderId, reason, text } = action;
      return { type: "order-reject", orderId, reason, text, timeUs };
    }
  }
}
