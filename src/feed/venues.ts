import type { VenueName } from "../market/instrument.ts";
import { BinanceFeed } from "./binance/feed.ts";
import { BINANCE_VENUES, type BinanceVenueName, STREAM_PATH } from "./binance/venue.ts";
import { BitstampFeed } from "./bitstamp/feed.ts";
import {
  BITSTAMP_PATH,
  BITSTAMP_REST_URL,
  BITSTAMP_WEBSOCKET_URL,
  isBitstampSubscription,
} from "./bitstamp/venue.ts";
import { BybitFeed } from "./bybit/feed.ts";
import {
  BYBIT_REST_URL,
  BYBIT_VENUES,
  type BybitVenueName,
  readSubscription as readBybitSubscription,
} from "./bybit/venue.ts";
import { CoinbaseFeed } from "./coinbase/feed.ts";
import {
  COINBASE_PATH,
  COINBASE_REST_URL,
  COINBASE_WEBSOCKET_URL,
  isCoinbaseSubscription,
} from "./coinbase/venue.ts";
import { DeribitFeed } from "./deribit/feed.ts";
import {
  DERIBIT_PATH,
  DERIBIT_REST_URL,
  DERIBIT_WEBSOCKET_URL,
  type DeribitSubscription,
  readSubscription,
} from "./deribit/venue.ts";
import type { Feed, FeedOptions } from "./feed.ts";
import { KrakenFeed } from "./kraken/feed.ts";
import { isKrakenSymbol, KRAKEN_PATH, KRAKEN_REST_URL, KRAKEN_WEBSOCKET_URL } from "./kraken/venue.ts";
import { OkxFeed } from "./okx/feed.ts";
import {
  OKX_PATH,
  OKX_REST_URL,
  OKX_WEBSOCKET_URL,
  readSubscription as readOkxSubscription,
} from "./okx/venue.ts";

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
  /** The venue's clock by REST: a path, and where in the answer the ms since the epoch are; null = only in its Date header. */
  readonly clock: { readonly path: string; readonly field: string | null };
  /**
   * How two connections are made one: `sequence` where book events have numbers of the market, the same on every connection, else
   * `standby`. Source: the venue's documentation of its book channel; where that is silent, `standby`.
   */
  readonly arbitration: "sequence" | "standby";
  create(options: FeedOptions): Feed;
}

/** Symbols on one Binance connection: four streams each, and a venue allows 200 streams a connection. */
const MAX_BINANCE_SYMBOLS = 50;

/** Books of 1,000 levels a side on one Kraken connection; more would make the connection the bottleneck, not the venue. */
const MAX_KRAKEN_SYMBOLS = 100;

/** Symbols on one connection of a venue that is asked for a REST snapshot of each. */
const MAX_SPOT_SYMBOLS = 50;

/** Symbols and groups named in one feed of a venue whose instruments are listed by name. */
const MAX_SUBSCRIPTIONS = 200;

/** Every venue that keel speaks to. */
export const VENUE_ENTRIES: Readonly<Record<VenueName, VenueEntry>> = {
  "binance-spot": binance("binance-spot", "BTCUSDT", "/api/v3/time"),
  "binance-usdm": binance("binance-usdm", "BTCUSDT", "/fapi/v1/time"),
  "binance-option": {
    ...binance("binance-option", "BTC-251226-100000-C", "/eapi/v1/time"),
    isSubscription: (text) => /^[A-Z0-9]{2,10}-\d{6}-[\d.]{1,12}-[CP]$/.test(text),
  },
  "binance-coinm": binance("binance-coinm", "BTCUSD_PERP", "/dapi/v1/time"),
  deribit: {
    webSocketUrl: DERIBIT_WEBSOCKET_URL,
    restUrl: DERIBIT_REST_URL,
    webSocketPath: DERIBIT_PATH,
    maxSubscriptions: Number.POSITIVE_INFINITY,
    isSubscription: (text) => readSubscription(text) !== undefined,
    expected: "an instrument such as deribit:BTC-PERPETUAL, or deribit:options:BTC, or deribit:futures:BTC",
    clock: { path: "/api/v2/public/get_time", field: "result" },
    arbitration: "sequence",
    create: (options) =>
      new DeribitFeed(
        options,
        options.subscriptions
          .map(readSubscription)
          .filter((subscription): subscription is DeribitSubscription => subscription !== undefined),
      ),
  },
  kraken: {
    webSocketUrl: KRAKEN_WEBSOCKET_URL,
    restUrl: KRAKEN_REST_URL,
    webSocketPath: KRAKEN_PATH,
    maxSubscriptions: MAX_KRAKEN_SYMBOLS,
    isSubscription: isKrakenSymbol,
    expected: "a pair such as kraken:BTC/USD",
    clock: { path: "/0/public/Time", field: null },
    arbitration: "standby",
    create: (options) => new KrakenFeed(options),
  },
  coinbase: {
    webSocketUrl: COINBASE_WEBSOCKET_URL,
    restUrl: COINBASE_REST_URL,
    webSocketPath: COINBASE_PATH,
    maxSubscriptions: MAX_SPOT_SYMBOLS,
    isSubscription: isCoinbaseSubscription,
    expected: "a product such as coinbase:BTC-USD, or coinbase:orders:BTC-USD",
    clock: { path: "/time", field: null },
    arbitration: "standby",
    create: (options) => new CoinbaseFeed(options),
  },
  bitstamp: {
    webSocketUrl: BITSTAMP_WEBSOCKET_URL,
    restUrl: BITSTAMP_REST_URL,
    webSocketPath: BITSTAMP_PATH,
    maxSubscriptions: MAX_SPOT_SYMBOLS,
    isSubscription: isBitstampSubscription,
    expected: "a market such as bitstamp:btcusd, or bitstamp:orders:btcusd",
    clock: { path: "/api/v2/ticker/btcusd/", field: null },
    arbitration: "standby",
    create: (options) => new BitstampFeed(options),
  },
  "bybit-spot": bybit("bybit-spot", "BTCUSDT, or bybit-spot:BTCUSDT@50 for 50 levels"),
  "bybit-linear": bybit("bybit-linear", "BTCUSDT, or bybit-linear:BTCUSDT@50 for 50 levels"),
  "bybit-inverse": bybit("bybit-inverse", "BTCUSD, or bybit-inverse:BTCUSD@50 for 50 levels"),
  "bybit-option": bybit("bybit-option", "BTC-27DEC24-60000-C-USDT, or bybit-option:options:BTC"),
  okx: {
    webSocketUrl: OKX_WEBSOCKET_URL,
    restUrl: OKX_REST_URL,
    webSocketPath: OKX_PATH,
    maxSubscriptions: MAX_SUBSCRIPTIONS,
    isSubscription: (text) => readOkxSubscription(text) !== undefined,
    expected: "an instrument such as okx:BTC-USDT, okx:BTC-USDT-SWAP, or okx:options:BTC-USD",
    clock: { path: "/api/v5/public/time", field: "data.0.ts" },
    arbitration: "sequence",
    create: (options) => new OkxFeed(options),
  },
};

function bybit(venue: BybitVenueName, example: string): VenueEntry {
  const entry = BYBIT_VENUES[venue];
  return {
    webSocketUrl: `wss://stream.bybit.com${entry.webSocketPath}`,
    restUrl: BYBIT_REST_URL,
    webSocketPath: entry.webSocketPath,
    maxSubscriptions: MAX_SUBSCRIPTIONS,
    isSubscription: (text) => readBybitSubscription(entry.category, text) !== undefined,
    expected: `a symbol such as ${venue}:${example}`,
    clock: { path: "/v5/market/time", field: "time" },
    arbitration: "standby",
    create: (options) => new BybitFeed(entry, options),
  };
}

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
    arbitration: "sequence",
    create: (options) => new BinanceFeed(BINANCE_VENUES[venue], options),
  };
}
