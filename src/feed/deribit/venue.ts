/** The WebSocket's path on every Deribit server. */
export const DERIBIT_PATH = "/ws/api/v2";
/** Deribit's public endpoint; REST lives under the same host and is not needed by the feed. */
export const DERIBIT_WEBSOCKET_URL = `wss://www.deribit.com${DERIBIT_PATH}`;
export const DERIBIT_REST_URL = "https://www.deribit.com";

/** Seconds between the venue's heartbeats; the least that `public/set_heartbeat` takes. */
export const HEARTBEAT_SECONDS = 10;

/** Error codes that the feed answers in its own way. Source: Deribit API, "RPC Error Codes". */
export const RPC_ERROR = { tooManyRequests: 10_028, rawNotAuthorized: 13_778 } as const;

export type DeribitInterval = "raw" | "100ms";
export type DeribitKind = "option" | "future";

/** What a subscription names: one instrument or all of a currency's. */
export interface DeribitSubscription {
  readonly currency: string;
  readonly kind: DeribitKind;
  /** null = all of that currency and kind. */
  readonly symbol: string | null;
}

/**
 * Reads `BTC-PERPETUAL`, `BTC-27DEC24-60000-C`, `ETH_USDC-PERPETUAL`, `options:BTC` or `futures:BTC`.
 *
 * @returns undefined when the text is none of them.
 */
export function readSubscription(text: string): DeribitSubscription | undefined {
  const all = /^(options|futures):([A-Z0-9]{2,12})$/.exec(text);
  if (all !== null) {
    return { currency: all[2], kind: all[1] === "options" ? "option" : "future", symbol: null };
  }
  const one = /^([A-Z0-9]{2,12})(?:_([A-Z]{3,5}))?-[A-Z0-9]+(-[0-9d]+-[CP])?$/.exec(text);
  if (one === null) return undefined;
  return { currency: one[2] ?? one[1], kind: one[3] === undefined ? "future" : "option", symbol: text };
}
