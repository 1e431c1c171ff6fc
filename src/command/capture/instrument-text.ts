/**
 * Tells whether a frame's text names an instrument: its symbol, in either case, with nothing before or after it that could make it
 * another one (`BTC-PERPETUAL` in `book.BTC-PERPETUAL.raw`, `BTCUSDT` in `btcusdt@depth`, `btcusd` in `diff_order_book_btcusd`;
 * `BTC-USDT` not in `BTC-USDT-SWAP`). JSON's escaped slash counts as one.
 */
export function mentions(symbol: string): (text: string) => boolean {
  const literal = symbol.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll("/", "\\\\?/");
  const pattern = new RegExp(`(?<![a-z0-9-])${literal}(?![a-z0-9_-])`, "i");
  return (text) => pattern.test(text);
}

/** Members of a venue's message that carry market data; a message without any is an answer, a heartbeat or a greeting. */
const DATA = ["stream", "topic", "data", "changes", "product_id", "u", "e"];

/** Whether a frame describes instruments: Kraken's channel of them, Deribit's answers. The other venues' descriptions come by HTTP. */
export function describesInstruments(text: string): boolean {
  return text.startsWith('{"channel":"instrument"') || (text.includes('"tick_size"') && isControl(text));
}

/** Whether a frame belongs to the connection rather than to instruments. */
export function isControl(text: string): boolean {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return false;
  }
  if (typeof message !== "object" || message === null || Array.isArray(message)) return false;
  if ("method" in message) return message.method !== "subscription";
  return !DATA.some((name) => name in message);
}
