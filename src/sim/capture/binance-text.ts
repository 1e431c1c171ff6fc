/** What is read off a Binance frame's text without parsing it. */

const STREAM_PREFIX = '{"stream":"';
const DATA_KEY = '"data":';
const SPEED_SUFFIX = /@\d+m?s$/;
/** A full-book difference stream; `@depth20` and the like are something else. */
const DEPTH_STREAM = /^[a-z0-9_]+@depth(?:@\d+ms)?$/;
const BARE_KINDS: Readonly<Record<string, string>> = {
  depthUpdate: "depth",
  bookTicker: "bookTicker",
  trade: "trade",
  aggTrade: "aggTrade",
  markPriceUpdate: "markPrice",
};

/** The stream a frame belongs to, e.g. `btcusdt@depth@0ms`; null for answers and whatever else is no market data. */
export function streamOf(text: string): string | null {
  if (text.startsWith(STREAM_PREFIX)) {
    const end = text.indexOf('"', STREAM_PREFIX.length);
    return end < 0 ? null : text.slice(STREAM_PREFIX.length, end);
  }
  const symbol = /"s":"([A-Z0-9_]+)"/.exec(text)?.[1];
  if (symbol === undefined) return null;
  const kind = /"e":"(\w+)"/.exec(text)?.[1];
  const name = kind === undefined ? "bookTicker" : BARE_KINDS[kind];
  return name === undefined ? null : `${symbol.toLowerCase()}@${name}`;
}

/** Stream names that differ only in their speed carry the same thing: `btcusdt@depth@0ms` → `btcusdt@depth`. */
export function withoutSpeed(stream: string): string {
  return stream.replace(SPEED_SUFFIX, "");
}

export function isDepthStream(stream: string): boolean {
  return DEPTH_STREAM.test(stream);
}

export function symbolOf(stream: string): string {
  return stream.slice(0, stream.indexOf("@")).toUpperCase();
}

/** The frame in the form a client gets it in: combined or bare, under the stream name that the client asked for. */
export function shapeFrame(text: string, recorded: string, asked: string, combined: boolean): string {
  const isCombined = text.startsWith(STREAM_PREFIX);
  if (!combined) return isCombined ? payloadOf(text) : text;
  if (!isCombined) return `${STREAM_PREFIX}${asked}",${DATA_KEY}${text}}`;
  if (recorded === asked) return text;
  return STREAM_PREFIX + asked + text.slice(STREAM_PREFIX.length + recorded.length);
}

/** The text of `data` in a combined frame; a bare frame as it is. */
export function payloadOf(text: string): string {
  if (!text.startsWith(STREAM_PREFIX)) return text;
  const at = text.indexOf(DATA_KEY);
  return at < 0 ? text : text.slice(at + DATA_KEY.length, text.lastIndexOf("}"));
}
