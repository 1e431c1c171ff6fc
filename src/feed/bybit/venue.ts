import type { InstrumentKind, VenueName } from "../../market/instrument.ts";
import type { ChannelLimits } from "../channel-outbox.ts";

export type BybitVenueName = Extract<VenueName, `bybit-${string}`>;
export type BybitCategory = "spot" | "linear" | "inverse" | "option";

export const BYBIT_REST_URL = "https://api.bybit.com";

/** Depths that can be asked for after a symbol, as in `BTCUSDT@50`: 50 levels come every 20 ms, 200 every 100 ms, 1000 every 200 ms. */
const DEPTHS = ["50", "200", "1000"];
const DEFAULT_DEPTH = "200";
const OPTION_DEPTH = "100";

/** What tells Bybit's four markets apart; each has a WebSocket of its own. Source: Bybit v5, "Connect". */
export interface BybitVenue {
  readonly name: BybitVenueName;
  readonly category: BybitCategory;
  readonly webSocketPath: string;
  readonly limits: ChannelLimits;
}

/** Length of all topics of one connection. Source: Bybit v5, "Connect", "Public channel - Args limits". */
export const MAX_CHANNEL_LENGTH = 21_000;

const LIMITS: ChannelLimits = { perMessage: 100, messageLength: 8_000, burst: 10, refillUs: 100_000 };

export const BYBIT_VENUES: Readonly<Record<BybitVenueName, BybitVenue>> = {
  // Spot takes ten topics a request.
  "bybit-spot": bybit("bybit-spot", "spot", { ...LIMITS, perMessage: 10 }),
  "bybit-linear": bybit("bybit-linear", "linear", LIMITS),
  "bybit-inverse": bybit("bybit-inverse", "inverse", LIMITS),
  "bybit-option": bybit("bybit-option", "option", LIMITS),
};

export function isBybitVenue(venue: VenueName): venue is BybitVenueName {
  return Object.hasOwn(BYBIT_VENUES, venue);
}

function bybit(name: BybitVenueName, category: BybitCategory, limits: ChannelLimits): BybitVenue {
  return { name, category, webSocketPath: `/v5/public/${category}`, limits };
}

/** What a subscription names: one symbol, or all options of a coin. */
export interface BybitSubscription {
  /** null = all options of `base`. */
  readonly symbol: string | null;
  readonly base: string;
  readonly depth: string;
}

/**
 * Reads `BTCUSDT`, `BTCUSDT@50`, `BTC-27DEC24` (futures), `BTC-27DEC24-60000-C`, `BTC-27DEC24-60000-C-USDT` or `options:BTC`.
 *
 * @returns undefined when the text is none of the market's.
 */
export function readSubscription(category: BybitCategory, text: string): BybitSubscription | undefined {
  if (category === "option") {
    const all = /^options:([A-Z0-9]{2,12})$/.exec(text);
    if (all !== null) return { symbol: null, base: all[1], depth: OPTION_DEPTH };
    const one = /^([A-Z0-9]{2,12})-\d{1,2}[A-Z]{3}\d{2}-[\d.]+-[CP](-[A-Z]{3,5})?$/.exec(text);
    return one === null ? undefined : { symbol: text, base: one[1], depth: OPTION_DEPTH };
  }
  const one = /^([A-Z0-9]{2,24}(?:-\d{1,2}[A-Z]{3}\d{2})?)(?:@(\d+))?$/.exec(text);
  if (one === null || (one[2] !== undefined && !DEPTHS.includes(one[2]))) return undefined;
  return { symbol: one[1], base: "", depth: one[2] ?? DEFAULT_DEPTH };
}

/** The kind that a `contractType` is. */
export function kindOf(category: BybitCategory, contractType: string): InstrumentKind | undefined {
  if (category === "spot" || category === "option") return category;
  if (contractType.endsWith("Perpetual")) return "perpetual";
  return contractType.endsWith("Futures") ? "future" : undefined;
}
