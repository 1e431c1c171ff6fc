import { COINBASE_PATH } from "../../feed/coinbase/venue.ts";
import { isObject, parseJson } from "../../feed/decoder.ts";
import type { ControlRequest, VenueControl } from "./venue-control.ts";

/** Coinbase Exchange: `{"type":"subscribe","product_ids":[…],"channels":[…]}`, answered with all that the client has. A channel's name is `level2:BTC-USD`. */
export const COINBASE_CONTROL: VenueControl = {
  accepts: ({ pathname }) => pathname === COINBASE_PATH,
  greeting: () => null,
  read(text): ControlRequest | null {
    const message = parseJson(text);
    if (!isObject(message)) return null;
    const { type: operation, product_ids: products, channels } = message;
    if (operation !== "subscribe" && operation !== "unsubscribe") return null;
    if (!Array.isArray(products) || !Array.isArray(channels)) return null;
    const named = channels.flatMap((channel: unknown) => products.map((product) => `${channel}:${product}`));
    return { operation, channels: named };
  },
  pong: () => "",
  acknowledge(_request, _taken, listening) {
    const products = new Map<string, string[]>();
    for (const channel of listening) {
      const [name = "", product = ""] = channel.split(":");
      products.set(name, [...(products.get(name) ?? []), product]);
    }
    const channels = [...products].map(([name, product_ids]) => ({ name, product_ids }));
    return [JSON.stringify({ type: "subscriptions", channels })];
  },
  complaint: (text, request) =>
    request === null
      ? '{"type":"error","message":"Malformed JSON"}'
      : JSON.stringify({
          type: "error",
          message: "Failed to subscribe",
          reason: `${text.split(":")[1]} is not a valid product`,
        }),
};
