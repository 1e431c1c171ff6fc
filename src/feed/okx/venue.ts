import type { Instrument } from "../../market/instrument.ts";
import type { ChannelLimits } from "../channel-outbox.ts";

export const OKX_PATH = "/ws/v5/public";
export const OKX_WEBSOCKET_URL = `wss://ws.okx.com:8443${OKX_PATH}`;
export const OKX_REST_URL = "https://www.okx.com";

/**
 * 480 subscriptions, unsubscriptions and logins an hour on a connection, 64 kB each.
 * Source: OKX v5, "WebSocket", "Connect" and "Subscribe".
 */
export const OKX_LIMITS: ChannelLimits = {
  perMessage: 400,
  messageLength: 60_000,
  burst: 60,
  refillUs: 8_000_000,
};

export type OkxInstrumentType = "SPOT" | "SWAP" | "FUTURES" | "OPTION";

/** What a subscription names: one instrument, or all options of a family. */
export interface OkxSubscription {
  readonly type: OkxInstrumentType;
  /** null = all of the family. */
  readonly symbol: string | null;
  /** `BTC-USD`. */
  readonly family: string;
}

/**
 * Reads `BTC-USDT`, `BTC-USDT-SWAP`, `BTC-USD-241227`, `BTC-USD-241227-60000-C` or `options:BTC-USD`.
 *
 * @returns undefined when the text is none of them.
 */
export function readSubscription(text: string): OkxSubscription | undefined {
  const all = /^options:([A-Z0-9]{1,12}-[A-Z]{3,5})$/.exec(text);
  if (all !== null) return { type: "OPTION", symbol: null, family: all[1] };
  const one = /^([A-Z0-9]{1,12}-[A-Z0-9]{2,8})(?:-(SWAP|\d{6})(-[\d.]+-[CP])?)?$/.exec(text);
  if (one === null || (one[2] === "SWAP" && one[3] !== undefined)) return undefined;
  const dated = one[3] === undefined ? "FUTURES" : "OPTION";
  const type = one[2] === undefined ? "SPOT" : one[2] === "SWAP" ? "SWAP" : dated;
  return { type, symbol: text, family: one[1] };
}

/** `BTC-USD` of `BTC-USD-241227-60000-C`. */
export function familyOf(symbol: string): string {
  return symbol.split("-").slice(0, 2).join("-");
}

/** The channels of an instrument, the book first, each as the JSON of its argument. */
export function channelsOf({ symbol, kind }: Instrument): string[] {
  const channels = ["books", "bbo-tbt", "trades"];
  if (kind === "spot") channels.push("tickers");
  else channels.push("mark-price", "open-interest");
  if (kind === "perpetual") channels.push("funding-rate");
  return channels.map((channel) => `{"channel":"${channel}","instId":"${symbol}"}`);
}

/** The index of the instrument's family, and for options their volatilities and Greeks. */
export function groupChannelsOf({ symbol, kind }: Instrument): string[] {
  const family = familyOf(symbol);
  const channels = [`{"channel":"index-tickers","instId":"${family}"}`];
  if (kind === "option") channels.push(`{"channel":"opt-summary","instFamily":"${family}"}`);
  return channels;
}
