import { BinanceFrames } from "./binance-frames.ts";
import type { SimMarket } from "./market/market.ts";
import {
  answerBinanceControl,
  type BinanceStreams,
  isCombinedStream,
  streamsInUrl,
} from "./protocol/binance-control.ts";
import { Subscriptions } from "./protocol/subscriptions.ts";
import {
  type HttpAnswer,
  type VenueClient,
  type VenueHandler,
  VenueServer,
  type VenueServerOptions,
} from "./protocol/venue-server.ts";

/** Binance allows this many streams on one connection. */
const STREAMS_MAX = 1_024;
const DEPTH_LIMITS = [5, 10, 20, 50, 100, 500, 1_000];
const DEPTH_LIMIT_DEFAULT = 500;

/**
 * A Binance USD-M server over the simulated market: `/stream` and `/ws` with live subscription, and the REST calls a market data
 * client needs under `/fapi/v1`. Frames go out while the market is advanced.
 */
export class BinanceVenue implements VenueHandler {
  readonly server: VenueServer;
  readonly frames: BinanceFrames;
  readonly #market: SimMarket;
  readonly #subscriptions = new Subscriptions<VenueClient>(STREAMS_MAX);

  constructor(market: SimMarket, options: VenueServerOptions) {
    this.#market = market;
    this.frames = new BinanceFrames(
      market,
      {
        wanted: (channel) => this.#subscriptions.wanted(channel),
        emit: (channel, data) => this.#emit(channel, data),
      },
      options.seed,
    );
    this.server = new VenueServer(options, this);
  }

  accepts(url: URL): boolean {
    return isCombinedStream(url) || /\/ws(\/|$)/.test(url.pathname);
  }

  onOpen(client: VenueClient): void {
    const streams = this.#streams(client);
    for (const stream of streamsInUrl(client.url)) streams.subscribe(stream);
  }

  onMessage(client: VenueClient, text: string): void {
    client.control(answerBinanceControl(text, this.#streams(client)));
  }

  onClose(client: VenueClient): void {
    this.#subscriptions.drop(client);
  }

  onRequest(url: URL): HttpAnswer {
    const timeMs = Math.floor(this.#market.timeUs / 1_000);
    switch (url.pathname) {
      case "/fapi/v1/ping":
        return ok("{}");
      case "/fapi/v1/time":
        return ok(JSON.stringify({ serverTime: timeMs }));
      case "/fapi/v1/exchangeInfo":
        return ok(JSON.stringify(exchangeInfo(timeMs, this.frames.symbol)));
      case "/fapi/v1/depth":
        return this.#depth(url.searchParams);
      case "/fapi/v1/premiumIndex":
        return ok(this.frames.premiumIndex());
      default:
        return refuse(404, -5_000, `Path ${url.pathname}, Method GET is invalid`);
    }
  }

  #streams(client: VenueClient): BinanceStreams {
    return {
      subscribe: (stream) => this.#subscriptions.add(client, stream),
      unsubscribe: (stream) => this.#subscriptions.remove(client, stream),
      list: () => this.#subscriptions.channels(client),
    };
  }

  #depth(query: URLSearchParams): HttpAnswer {
    const symbol = query.get("symbol");
    if (symbol === null) {
      return refuse(400, -1_102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.");
    }
    if (symbol.toUpperCase() !== this.frames.symbol) return refuse(400, -1_121, "Invalid symbol.");
    const limit = Number(query.get("limit") ?? DEPTH_LIMIT_DEFAULT);
    if (!DEPTH_LIMITS.includes(limit)) return refuse(400, -4_021, `${limit} is not valid depth limit.`);
    return ok(this.frames.snapshot(limit));
  }

  #emit(channel: string, data: string): void {
    let combined: string | null = null;
    for (const client of this.#subscriptions.sessions(channel)) {
      if (isCombinedStream(client.url)) {
        combined ??= `{"stream":"${channel}","data":${data}}`;
        client.send(channel, combined);
      } else {
        client.send(channel, data);
      }
    }
  }
}

function ok(body: string): HttpAnswer {
  return { status: 200, body };
}

function refuse(status: number, code: number, msg: string): HttpAnswer {
  return { status, body: JSON.stringify({ code, msg }) };
}

/** The part of `exchangeInfo` that says how a symbol trades. */
export function exchangeInfo(timeMs: number, symbol: string): object {
  return {
    timezone: "UTC",
    serverTime: timeMs,
    futuresType: "U_MARGINED",
    rateLimits: [
      { rateLimitType: "REQUEST_WEIGHT", interval: "MINUTE", intervalNum: 1, limit: 2_400 },
      { rateLimitType: "ORDERS", interval: "MINUTE", intervalNum: 1, limit: 1_200 },
    ],
    exchangeFilters: [],
    assets: [{ asset: "USDT", marginAvailable: true, autoAssetExchange: "-10000" }],
    symbols: [
      {
        symbol,
        pair: symbol,
        contractType: "PERPETUAL",
        deliveryDate: 4_133_404_800_000,
        onboardDate: 1_569_398_400_000,
        status: "TRADING",
        baseAsset: "BTC",
        quoteAsset: "USDT",
        marginAsset: "USDT",
        pricePrecision: 2,
        quantityPrecision: 3,
        baseAssetPrecision: 8,
        quotePrecision: 8,
        underlyingType: "COIN",
        filters: [
          { filterType: "PRICE_FILTER", minPrice: "556.80", maxPrice: "4529764", tickSize: "0.10" },
          { filterType: "LOT_SIZE", minQty: "0.001", maxQty: "1000", stepSize: "0.001" },
          { filterType: "MARKET_LOT_SIZE", minQty: "0.001", maxQty: "120", stepSize: "0.001" },
          { filterType: "MIN_NOTIONAL", notional: "100" },
        ],
        orderTypes: ["LIMIT", "MARKET"],
        timeInForce: ["GTC", "IOC", "FOK", "GTX"],
      },
    ],
  };
}
