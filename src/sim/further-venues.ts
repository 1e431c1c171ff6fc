import type { VenueName } from "../market/instrument.ts";
import { BybitDialect } from "./bybit-dialect.ts";
import { ChannelVenue } from "./channel-venue.ts";
import { BINANCE_TICKS_PER_USD } from "./market/instruments.ts";
import type { SimMarket } from "./market/market.ts";
import { OkxDialect } from "./okx-dialect.ts";
import type { VenueServer, VenueServerOptions } from "./protocol/venue-server.ts";
import { BitstampVenue } from "./spot/bitstamp-venue.ts";
import { CoinbaseVenue } from "./spot/coinbase-venue.ts";
import { KrakenVenue } from "./spot/kraken-venue.ts";
import { SpotOrders } from "./spot/orders.ts";

/** Venues that the simulator can serve beside Binance USDⓈ-M and Deribit. */
export const FURTHER_VENUES = ["bybit-linear", "okx", "kraken", "coinbase", "bitstamp"] as const;
export type FurtherVenueName = (typeof FURTHER_VENUES)[number];

/** What each server lists, as it is spelled in `KEEL_FEEDS`. */
export const SIMULATED_SYMBOLS = {
  "bybit-linear": "BTCUSDT",
  okx: "BTC-USDT-SWAP",
  kraken: "BTC/USD",
  coinbase: "BTC-USD",
  bitstamp: "btcusd",
} as const satisfies Record<FurtherVenueName, string>;

const SPOT_ACTIONS_PER_SECOND = 100;
/** Ticks of one US dollar. */
const SPOT_TICKS = { kraken: 10, coinbase: 100, bitstamp: 100 } as const;

/**
 * Servers of more venues over one simulation. Bybit and OKX show the simulated perpetual. Each spot venue has a market by order of
 * its own, which begins at the perpetual's price and is then left to itself.
 */
export class FurtherVenues {
  readonly servers = new Map<FurtherVenueName, VenueServer>();
  readonly #market: SimMarket;
  readonly #spots: SpotOrders[] = [];
  #spotUs: number;

  /** @throws KeelError when a port cannot be had. */
  constructor(
    venues: readonly FurtherVenueName[],
    market: SimMarket,
    options: Omit<VenueServerOptions, "port">,
  ) {
    this.#market = market;
    this.#spotUs = market.timeUs;
    const server = { ...options, port: 0 };
    try {
      for (const [at, venue] of venues.entries()) {
        if (!this.servers.has(venue))
          this.servers.set(venue, this.#start(venue, { ...server, seed: server.seed + at }));
      }
    } catch (error) {
      for (const started of this.servers.values()) void started.stop();
      throw error;
    }
  }

  /** Takes the spot markets to the time of the perpetual's. */
  advance(): void {
    const { timeUs } = this.#market;
    const actions = Math.floor(((timeUs - this.#spotUs) * SPOT_ACTIONS_PER_SECOND) / 1e6);
    if (actions === 0) return;
    this.#spotUs = timeUs;
    for (const spot of this.#spots) spot.advance(timeUs, actions);
  }

  #start(venue: FurtherVenueName, options: VenueServerOptions): VenueServer {
    switch (venue) {
      case "bybit-linear":
        return new ChannelVenue(this.#market, new BybitDialect(), options).server;
      case "okx":
        return new ChannelVenue(this.#market, new OkxDialect(true), options).server;
      case "kraken":
        return new KrakenVenue(this.#spot(SPOT_TICKS.kraken, options.seed), options).server;
      case "coinbase":
        return new CoinbaseVenue(this.#spot(SPOT_TICKS.coinbase, options.seed), options).server;
      case "bitstamp":
        return new BitstampVenue(this.#spot(SPOT_TICKS.bitstamp, options.seed), options).server;
    }
  }

  #spot(ticksPerUsd: number, seed: number): SpotOrders {
    const startUs = this.#market.timeUs;
    const middleTicks = Math.round((this.#market.leader.book.midTicks / BINANCE_TICKS_PER_USD) * ticksPerUsd);
    const spot = new SpotOrders({ seed, startUs, middleTicks });
    this.#spots.push(spot);
    return spot;
  }
}

export function isFurtherVenue(venue: VenueName): venue is FurtherVenueName {
  return FURTHER_VENUES.some((further) => further === venue);
}
