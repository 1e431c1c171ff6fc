import type { RfqInput } from "../../rfq/message.ts";
import type { ClientMessage } from "./messages.ts";

/** What a message asks of the RFQ desk. */
export function rfqInput(
  request: Extract<ClientMessage, { op: "rfq" | "respond" | "order" | "withdraw" }>,
  client: string,
  timeUs: number,
): RfqInput {
  const from = { channel: "json", client } as const;
  switch (request.op) {
    case "rfq": {
      const { requestId, legs, quantity, side = null, validForMs, tiedPrice = null } = request;
      const validUntilUs = validForMs === undefined ? null : timeUs + validForMs * 1_000;
      return {
        on: "request",
        ...from,
        ...{ requestId, side, quantity, validUntilUs, tiedPrice },
        legs: legs.map(({ venue = null, ...leg }) => ({ ...leg, venue })),
      };
    }
    case "respond": {
      const { responseId, quoteId, kind, side = null, quantity = null, price = null } = request;
      return { on: "response", ...from, responseId, quoteId, kind, side, quantity, price, orderId: null };
    }
    case "order": {
      const { orderId, symbol, venue = null, side, quantity, limit } = request;
      return { on: "order", ...from, orderId, symbol, venue, side, quantity, limit };
    }
    case "withdraw":
      return {
        on: "withdraw",
        ...from,
        requestId: request.requestId ?? null,
        reason: "withdrawn by the client",
      };
  }
}
