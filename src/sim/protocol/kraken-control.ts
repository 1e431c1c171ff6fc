import { isObject, parseJson } from "../../feed/decoder.ts";
import { KRAKEN_PATH } from "../../feed/kraken/venue.ts";
import type { ControlRequest, VenueControl } from "./venue-control.ts";

/** The channel with the venue's pairs; it has no symbol. */
export const KRAKEN_INSTRUMENTS = "instrument";

/**
 * Kraken WebSocket v2: `{"method":"subscribe","params":{"channel":"book","symbol":["BTC/USD"]},"req_id":1}`, one answer a symbol. A channel's
 * name is `book:BTC/USD`; the id is the request's parameters and number.
 */
export const KRAKEN_CONTROL: VenueControl = {
  accepts: ({ pathname }) => pathname === KRAKEN_PATH,
  greeting() {
    const data = [{ api_version: "v2", connection_id: 1, system: "online", version: "2.0.0" }];
    return JSON.stringify({ channel: "status", data, type: "update" });
  },
  read(text): ControlRequest | null {
    const message = parseJson(text);
    if (!isObject(message)) return null;
    const { method: operation, params, req_id } = message;
    if (operation === "ping") return { operation, channels: [], id: { req_id } };
    if (operation !== "subscribe" && operation !== "unsubscribe") return null;
    if (!isObject(params) || typeof params.channel !== "string") return null;
    const { channel } = params;
    const symbols = Array.isArray(params.symbol) ? params.symbol : [];
    const channels =
      channel === KRAKEN_INSTRUMENTS ? [channel] : symbols.map((symbol) => `${channel}:${symbol}`);
    return { operation, channels, id: { params, req_id } };
  },
  pong: ({ id }) => JSON.stringify({ method: "pong", ...askedIn(id) }),
  acknowledge({ operation, id }, taken) {
    const { params, req_id } = askedIn(id);
    return taken.map((channel) => {
      const [name, symbol] = channel.split(":");
      const result = symbol === undefined ? { channel: name } : { ...params, symbol };
      return JSON.stringify({ method: operation, result, success: true, req_id });
    });
  },
  complaint(text, request) {
    if (request === null) return JSON.stringify({ error: "Unsupported method", success: false });
    const symbol = text.split(":")[1];
    const error = `Currency pair not supported ${symbol}`;
    const { req_id } = askedIn(request.id);
    return JSON.stringify({ error, method: request.operation, success: false, symbol, req_id });
  },
};

function askedIn(id: unknown): { readonly params?: object; readonly req_id?: unknown } {
  return isObject(id) ? id : {};
}
