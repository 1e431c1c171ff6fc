import type { VenueName } from "../market/instrument.ts";
import { BinanceFeed } from "./binance/feed.ts";
import { BINANCE_VENUES, type BinanceVenueName, STREAM_PATH } from "./binance/venue.ts";
import { DeribitFeed } from "./deribit/feed.ts";
import {
  DERIBIT_PATH,
  DERIBIT_REST_URL,
  DERIBIT_WEBSOCKET_URL,
  type DeribitSubscription,
  readSubscription,
} from "./deribit/venue.ts";
import type { Feed, FeedOptions } from "./feed.ts";

/** What the process has to know of a venue before it builds its feed. */
export interface VenueEntry {
  readonly webSocketUrl: string;
  readonly restUrl: string;
  /** The WebSocket's path on another server that is given by host alone. */
  readonly webSocketPath: string;
  /** The most subscriptions that one connection takes. */
  readonly maxSubscriptions: number;
  isSubscription(text: string): boolean;
  /** What a subscription looks like, for people. */
  readonly expected: string;
  /** The venue's clock by REST: a path, and where in the answer the ms since the epoch are. */
  readonly clock: { readonly path: string; readonly field: string };
  create(options: FeedOptions): Feed;
}

/** Symbols on one Binance connection: four streams each, and a venue allows 200 streams a connection. */
const MAX_BINANCE_SYMBOLS = 50;

/** Every venue that keel speaks to. */
export const VENUE_ENTRIES: Readonly<Record<VenueName, VenueEntry>> = {
  "binance-spot": binance("binance-spot", "BTCUSDT", "/api/v3/time"),
  "binance-usdm": binance("binance-usdm", "BTCUSDT", "/fapi/v1/time"),
  "binance-coinm": binance("binance-coinm", "BTCUSD_PERP", "/dapi/v1/time"),
  deribit: {
    webSocketUrl: DERIBIT_WEBSOCKET_URL,
    restUrl: DERIBIT_REST_URL,
    webSocketPath: DERIBIT_PATH,
    maxSubscriptions: Number.POSITIVE_INFINITY,
    isSubscription: (text) => readSubscription(text) !== undefined,
    expected: "an instrument such as deribit:BTC-PERPETUAL, or deribit:options:BTC, or deribit:futures:BTC",
    clock: { path: "/api/v2/public/get_time", field: "result" },
    create: (options) =>
      new DeribitFeed(
        options,
        options.subscriptions
          .map(readSubscription)
          .filter((subscription): subscription is DeribitSubscription => subscription !== undefined),
      ),
  },
};

function binance(venue: BinanceVenueName, example: string, clockPath: string): VenueEntry {
  const { webSocketUrl, restUrl } = BINANCE_VENUES[venue];
  return {
    webSocketUrl,
    restUrl,
    webSocketPath: STREAM_PATH,
    maxSubscriptions: MAX_BINANCE_SYMBOLS,
    isSubscription: (text) => /^[A-Z0-9]{2,24}(_[A-Z0-9]{4,8})?$/.test(text),
    expected: `a symbol in capitals such as ${venue}:${example}`,
    clock: { path: clockPath, field: "serverTime" },
    create: (options) => new BinanceFeed(BINANCE_VENUES[venue], options),
  };
}
