import type { Clock } from "../core/clock.ts";
import type { VenueName } from "../market/instrument.ts";
import { BinanceVenue } from "./binance-venue.ts";
import type { TradingOptions } from "./deribit-trading/trading.ts";
import { DeribitVenue } from "./deribit-venue.ts";
import { type FurtherVenueName, FurtherVenues } from "./further-venues.ts";
import { SimMarket } from "./market/market.ts";
import type { VenueServer } from "./protocol/venue-server.ts";

export interface SimulationOptions {
  readonly seed: number;
  readonly clock: Clock;
  /** Simulated seconds per second. */
  readonly speed?: number;
  readonly hostname?: string;
  /** 0 = any free port. */
  readonly binancePort?: number;
  readonly deribitPort?: number;
  /** Accounts of the Deribit server; one with a well-known key when left out. */
  readonly deribitTrading?: TradingOptions;
  /** The Deribit server gives raw channels to those who have logged in only. */
  readonly deribitRawNeedsLogin?: boolean;
  /** Servers to start beside these two, each on a free port. */
  readonly venues?: readonly FurtherVenueName[];
  /** Simulated time of the beginning, µs since the epoch; the clock's time when left out. */
  readonly startUs?: number;
  /** Price of one BTC at the beginning, in USD. */
  readonly price?: number;
  /** Strikes of each of the four expiries; 19 when left out. */
  readonly strikesPerExpiry?: number;
}

const TICK_MS = 1;
/** When the host has slept, at most this much of simulated time is made up; the rest is skipped and counted. */
const CATCH_UP_US = 500_000;

/**
 * The simulated market behind its venue servers, paced by the wall clock: the live edge of the simulator.
 *
 * @example
 * const simulation = new Simulation({ seed: 1, clock: systemClock });
 * // KEEL_URL_BINANCE_USDM = simulation.binance.server.url, KEEL_URL_DERIBIT = simulation.deribit.server.url
 * simulation.start();
 */
export class Simulation {
  readonly market: SimMarket;
  readonly binance: BinanceVenue;
  readonly deribit: DeribitVenue;
  /** Wall time that was skipped because the host could not keep up, in µs. */
  skippedUs = 0;
  readonly #further: FurtherVenues;
  readonly #clock: Clock;
  readonly #speed: number;
  #timer: Timer | null = null;
  #lastUs = 0;

  /** @throws KeelError when a port cannot be had. */
  constructor(options: SimulationOptions) {
    const { seed, clock } = options;
    this.#clock = clock;
    this.#speed = options.speed ?? 1;
    const hostname = options.hostname ?? "127.0.0.1";
    const startUs = options.startUs ?? clock.wallUs();
    const price = options.price === undefined ? {} : { price: options.price };
    const { strikesPerExpiry } = options;
    const strikes = strikesPerExpiry === undefined ? {} : { strikesPerExpiry };
    this.market = new SimMarket({ seed, startUs, ...price, ...strikes });
    this.binance = new BinanceVenue(this.market, { hostname, port: options.binancePort ?? 0, clock, seed });
    try {
      this.deribit = new DeribitVenue(this.market, {
        hostname,
        port: options.deribitPort ?? 0,
        clock,
        seed,
        rawNeedsLogin: options.deribitRawNeedsLogin ?? false,
        ...(options.deribitTrading === undefined ? {} : { trading: options.deribitTrading }),
      });
    } catch (error) {
      void this.binance.server.stop();
      throw error;
    }
    this.#further = new FurtherVenues(options.venues ?? [], this.market, { hostname, clock, seed });
  }

  /** The servers by the venue that each one is; a venue's URL goes into `KEEL_URL_<VENUE>`. */
  get servers(): ReadonlyMap<VenueName, VenueServer> {
    const own = [
      ["binance-usdm", this.binance.server],
      ["deribit", this.deribit.server],
    ] as const;
    return new Map<VenueName, VenueServer>([...own, ...this.#further.servers]);
  }

  /** Time begins to pass. */
  start(): void {
    if (this.#timer !== null) return;
    this.#lastUs = this.#clock.wallUs();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    await Promise.all([...this.servers.values()].map((server) => server.stop()));
  }

  #tick(): void {
    const nowUs = this.#clock.wallUs();
    const passedUs = Math.max(0, nowUs - this.#lastUs) * this.#speed;
    const stepUs = Math.min(passedUs, CATCH_UP_US * this.#speed);
    this.skippedUs += (passedUs - stepUs) / this.#speed;
    this.#lastUs = nowUs;
    this.market.advance(this.market.timeUs + stepUs);
    this.#further.advance();
    this.deribit.onTimer(nowUs);
  }
}
