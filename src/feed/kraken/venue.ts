/** The WebSocket's path on every Kraken server that is given by host alone. */
export const KRAKEN_PATH = "/v2";
export const KRAKEN_WEBSOCKET_URL = `wss://ws.kraken.com${KRAKEN_PATH}`;
/** Not needed by the feed: instruments come by the `instrument` channel, snapshots by the `book` channel. */
export const KRAKEN_REST_URL = "https://api.kraken.com";

/** Levels a side: the deepest book that the venue sends. */
export const KRAKEN_DEPTH = 1_000;
/** Levels a side that a checksum is taken over, whatever the depth. */
export const CHECKSUM_LEVELS = 10;

/** `BTC/USD`, as WebSocket v2 spells it. */
export function isKrakenSymbol(text: string): boolean {
  return /^[A-Za-z0-9.]{1,16}\/[A-Z0-9.]{2,12}$/.test(text);
}
