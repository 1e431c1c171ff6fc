import type { Rng } from "../../core/rng.ts";
import { SIDE } from "../../market/event-batch.ts";
import { NO_LEVEL, type SimBook } from "./sim-book.ts";

/** What the book looks like behind the touch, and how often it changes there. */
export interface DepthParameters {
  /** Changes of levels per second at activity 1, both sides together. */
  readonly ratePerSecond: number;
  /** Distance from the touch at which changes happen: log-normal. */
  readonly distanceMedianTicks: number;
  readonly distanceSigma: number;
  /** Distance between neighbouring levels at the touch, and the distance from it over which that doubles. */
  readonly gapTicks: number;
  readonly gapDoublingTicks: number;
  readonly extentTicks: number;
  /** Size of a level: log-normal; now and then a round wall. */
  readonly medianLots: number;
  readonly sigma: number;
  readonly wallShare: number;
  readonly wallLots: number;
}

const DELETE_SHARE = 0.27;
const SWEEP_SHARE = 0.02;
/** How far from the touch market makers stand who withdraw when they feel threatened, as a share of the book's extent. */
const WITHDRAW_EXTENT = 0.06;

/**
 * The levels behind the touch: they appear where the book is thinner than it should be and are changed or removed elsewhere, so
 * the profile holds by itself while the price moves through it.
 */
export class DepthFlow {
  readonly #parameters: DepthParameters;
  readonly #book: SimBook;
  readonly #rng: Rng;

  constructor(parameters: DepthParameters, book: SimBook, rng: Rng) {
    this.#parameters = parameters;
    this.#book = book;
    this.#rng = rng;
  }

  /** Fills an empty book outward from the given best prices. */
  populate(bidTicks: number, askTicks: number): void {
    const { extentTicks } = this.#parameters;
    for (const side of [SIDE.bid, SIDE.ask]) {
      const sign = side === SIDE.bid ? -1 : 1;
      const touch = side === SIDE.bid ? bidTicks : askTicks;
      for (let distance = 0; distance < extentTicks; ) {
        this.#book.set(side, touch + sign * distance, this.#levelLots());
        distance += 1 + Math.floor(this.#rng.exponential(this.#gap(distance)));
      }
    }
  }

  /** One change at a random distance. `withdrawn`: how far market makers have left the side, 0 … 1. */
  change(side: number, withdrawn: number): void {
    const { distanceMedianTicks, distanceSigma, extentTicks } = this.#parameters;
    if (this.#rng.next() < SWEEP_SHARE && this.#sweepStale(side)) return;
    const distance = 1 + Math.floor(distanceMedianTicks * Math.exp(distanceSigma * this.#rng.normal()));
    if (distance < extentTicks) this.#changeAt(side, distance, withdrawn);
  }

  /** One change within `extentTicks` of the touch, as market makers lay their ladder anew after a move. */
  relay(side: number, extentTicks: number, withdrawn: number): void {
    this.#changeAt(side, 1 + Math.floor(this.#rng.exponential(extentTicks / 2)), withdrawn);
  }

  /** Market makers cut `fraction` of a random level near the touch. */
  withdraw(side: number, fraction: number): void {
    const { extentTicks } = this.#parameters;
    const best = this.#book.best(side);
    if (best === NO_LEVEL) return;
    const sign = side === SIDE.bid ? -1 : 1;
    const distance = Math.floor(this.#rng.exponential(extentTicks * WITHDRAW_EXTENT * 0.25));
    const level = this.#book.outward(side, best + sign * distance);
    if (level === NO_LEVEL || level === best) return;
    this.#book.set(side, level, Math.ceil(this.#book.lotsAt(side, level) * (1 - fraction)));
  }

  #changeAt(side: number, distance: number, withdrawn: number): void {
    const book = this.#book;
    const best = book.best(side);
    if (best === NO_LEVEL) return;
    const sign = side === SIDE.bid ? -1 : 1;
    const ticks = best + sign * distance;
    if (!book.holds(ticks)) return;
    const near = distance < this.#parameters.extentTicks * WITHDRAW_EXTENT;
    const left = near ? withdrawn : 0;
    const level = book.outward(side, ticks);
    const gap = level === NO_LEVEL ? Number.POSITIVE_INFINITY : (level - ticks) * sign;
    if (gap > this.#gap(distance) * 1.3) {
      if (this.#rng.next() >= left) book.set(side, ticks, Math.ceil(this.#levelLots() * (1 - left)));
      return;
    }
    if (this.#rng.next() < Math.max(DELETE_SHARE, left)) book.set(side, level, 0);
    else book.set(side, level, this.#changedLots(book.lotsAt(side, level), left));
  }

  /** Removes the level furthest out when the price has left it too far behind. */
  #sweepStale(side: number): boolean {
    const book = this.#book;
    const best = book.best(side);
    const sign = side === SIDE.bid ? -1 : 1;
    const level = book.outward(side, best + sign * Math.floor(this.#parameters.extentTicks * 1.25));
    if (best === NO_LEVEL || level === NO_LEVEL) return false;
    book.set(side, level, 0);
    return true;
  }

  #gap(distance: number): number {
    return this.#parameters.gapTicks * (1 + distance / this.#parameters.gapDoublingTicks);
  }

  #levelLots(): number {
    const { medianLots, sigma, wallShare, wallLots } = this.#parameters;
    const wall = this.#rng.next() < wallShare;
    return Math.max(
      1,
      Math.round(
        wall ? wallLots * (1 + this.#rng.int(3)) : medianLots * Math.exp(sigma * this.#rng.normal()),
      ),
    );
  }

  /** Another order joined the level or one of it left. */
  #changedLots(lots: number, withdrawn: number): number {
    const order = Math.max(1, Math.round(this.#levelLots() * 0.5));
    if (this.#rng.next() < 0.5 * (1 - withdrawn)) return lots + order;
    return lots > order ? lots - order : Math.max(1, lots >> 1);
  }
}
