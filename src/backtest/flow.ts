/**
 * Counterparties beyond the recording, for instruments whose recorded trades say little of what would have traded with us:
 * options, above all. Two kinds, both Poisson, by seed: uninformed ones come on either side whatever the price will do;
 * informed ones know the instrument's middle some time ahead and trade only when it pays them (after L. Glosten and P. Milgrom,
 * "Bid, ask and transaction prices in a specialist market", Journal of Financial Economics 14, 1985).
 *
 * @module
 */
import { Rng } from "../core/rng.ts";
import { SIDE } from "../market/event-batch.ts";
import type { Matching } from "./matching.ts";
import type { MidSeries } from "./mid-series.ts";
import type { VenueMarket } from "./venue-market.ts";
import type { VenueOrder } from "./venue-order.ts";

export interface FlowOptions {
  /** Arrivals per second over all quoted options together. */
  readonly uninformedPerSecond: number;
  readonly informedPerSecond: number;
  /** How far ahead the informed know the middle. */
  readonly informedHorizonMs: number;
  /** They trade when it pays them at least so much, as a share of the distance between the middle and our price. */
  readonly informedEdge: number;
  /** Mean of their sizes, which are exponential and whole lots, in multiples of the instrument's least size. */
  readonly sizeMean: number;
  /** Where the recorded chain shows a better price on the side they want, they trade there. Off: they come to us alone. */
  readonly best: boolean;
}

export const DEFAULT_FLOW: FlowOptions = {
  uninformedPerSecond: 0.5,
  informedPerSecond: 0.1,
  informedHorizonMs: 1_000,
  informedEdge: 0,
  sizeMean: 5,
  best: true,
};

export interface FlowCounters {
  uninformed: number;
  informed: number;
  /** Came, and traded elsewhere: we did not quote the side, or the recorded chain had a better price. */
  elsewhere: number;
  /** Informed, and it did not pay. */
  idle: number;
  hits: number;
}

export class CounterpartyFlow {
  readonly counters: FlowCounters = { uninformed: 0, informed: 0, elsewhere: 0, idle: 0, hits: 0 };
  nextUs: number;
  readonly #options: FlowOptions;
  readonly #rng: Rng;
  readonly #ahead: MidSeries;

  /** @param ahead middles as far as the recording has been read, at least the informed horizon ahead of the matching */
  constructor(options: FlowOptions, seed: number, startUs: number, ahead: MidSeries) {
    this.#options = options;
    this.#rng = new Rng(seed);
    this.#ahead = ahead;
    this.nextUs = startUs;
    this.#schedule();
  }

  /** The arrival that is due at {@link nextUs}. */
  arrive(matching: Matching, timeUs: number): void {
    const { uninformedPerSecond, informedPerSecond } = this.#options;
    const isInformed = this.#rng.next() * (uninformedPerSecond + informedPerSecond) < informedPerSecond;
    const side = this.#rng.int(2);
    const quoted = matching.markets.filter(
      ({ instrument }) => instrument.kind === "option" && matching.resting(instrument.id).length > 0,
    );
    const market = quoted[this.#rng.int(Math.max(quoted.length, 1))];
    const sizes = Math.max(1, Math.round(this.#rng.exponential(this.#options.sizeMean)));
    this.#schedule();
    if (isInformed) this.counters.informed += 1;
    else this.counters.uninformed += 1;
    if (market === undefined) {
      this.counters.elsewhere += 1;
      return;
    }
    const wanted = isInformed ? this.#paying(matching, market, timeUs) : side;
    if (wanted < 0) {
      this.counters.idle += 1;
      return;
    }
    const lots = sizes * Math.max(1, market.instrument.minSizeLots);
    this.#hit(matching, market, wanted, lots, isInformed ? "informed" : "uninformed", timeUs);
  }

  /** The side of ours that it pays to trade with: 0 = our bid; −1 = neither. */
  #paying(matching: Matching, { instrument, tick }: VenueMarket, timeUs: number): number {
    const { informedHorizonMs, informedEdge } = this.#options;
    const future = this.#ahead.at(instrument.id, timeUs + informedHorizonMs * 1_000);
    const now = this.#ahead.at(instrument.id, timeUs);
    for (const side of [SIDE.bid, SIDE.ask]) {
      const order = bestOf(matching.resting(instrument.id), side);
      if (order === undefined) continue;
      const price = order.priceTicks * tick;
      const gain = side === SIDE.bid ? price - future : future - price;
      if (gain > informedEdge * Math.abs(price - now) && gain > 0) return side;
    }
    return -1;
  }

  #hit(
    matching: Matching,
    market: VenueMarket,
    side: number,
    lots: number,
    counterparty: string,
    timeUs: number,
  ): void {
    let left = lots;
    for (;;) {
      const order = bestOf(matching.resting(market.instrument.id), side);
      if (order === undefined || left <= 0 || (this.#options.best && beaten(market, order))) break;
      left -= matching.hit(order, left, counterparty, timeUs);
    }
    if (left === lots) this.counters.elsewhere += 1;
    else this.counters.hits += 1;
  }

  #schedule(): void {
    const perSecond = this.#options.uninformedPerSecond + this.#options.informedPerSecond;
    this.nextUs += perSecond > 0 ? this.#rng.exponential(1e6 / perSecond) : Number.POSITIVE_INFINITY;
  }
}

/** The recorded chain shows a better price than ours. */
function beaten(market: VenueMarket, { side, priceTicks }: VenueOrder): boolean {
  const best = market.live ? market.bestTicks(side) : -1;
  if (best < 0) return false;
  return side === SIDE.bid ? best > priceTicks : best < priceTicks;
}

function bestOf(orders: readonly VenueOrder[], side: number): VenueOrder | undefined {
  let best: VenueOrder | undefined;
  for (const order of orders) {
    if (order.side !== side) continue;
    const better =
      best === undefined ||
      (side === SIDE.bid ? order.priceTicks > best.priceTicks : order.priceTicks < best.priceTicks);
    if (better) best = order;
  }
  return best;
}
