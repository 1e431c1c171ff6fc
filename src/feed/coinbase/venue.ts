/** The WebSocket's path on every Coinbase Exchange server that is given by host alone. */
export const COINBASE_PATH = "/";
export const COINBASE_WEBSOCKET_URL = "wss://ws-feed.exchange.coinbase.com";
export const COINBASE_REST_URL = "https://api.exchange.coinbase.com";

/** `BTC-USD`, or `orders:BTC-USD` for the book by order. */
export function isCoinbaseSubscription(text: string): boolean {
  return /^(orders:)?[A-Z0-9]{1,16}-[A-Z0-9]{2,12}$/.test(text);
}
