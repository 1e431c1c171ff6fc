/** The WebSocket's path on every Bitstamp server that is given by host alone. */
export const BITSTAMP_PATH = "/";
export const BITSTAMP_WEBSOCKET_URL = "wss://ws.bitstamp.net";
export const BITSTAMP_REST_URL = "https://www.bitstamp.net";

/** `btcusd`, or `orders:btcusd` for the book by order. */
export function isBitstampSubscription(text: string): boolean {
  return /^(orders:)?[a-z0-9]{4,20}$/.test(text);
}
