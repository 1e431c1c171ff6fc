import type { VenueClock } from "../../feed/venue-clock.ts";

/** What is looked at of a desk. */
export interface WatchedDesk {
  /** By feed. */
  readonly clocks: readonly VenueClock[];
  readonly lines: { primary(feed: number): number };
  readonly market: {
    readonly instruments: { readonly size: number };
    readonly books: { readonly length: number };
    readonly underlyings: { readonly size: number; readonly reference: ArrayLike<number> };
    feedOf(instrument: number): number;
  };
  readonly quoter: { quotes(instrument: number): boolean };
}

/** Messages that a feed must have brought in a window for its age to count. */
const MESSAGES_MIN = 8;
/** How fast the usual delay follows a longer one while this host keeps up: by two thirds in this time. */
const FOLLOW_US = 60_000_000;
/** By so much more than the time that has passed an age may grow before a clock must have been put. */
const STEP_US = 50_000;

/**
 * How much longer than usual the data that quotes rest on was on its way when it was taken: local minus exchange time, beyond what
 * the clocks' offset and the fastest way make of it ({@link VenueClock}).
 *
 * That usual delay is at most the present one, and follows a longer one slowly while this host keeps up: the way or the venue's clock
 * has changed then. While it does not, the usual delay stays what it was, so that an overload that lasts does not become usual. No queue
 * makes data older by more than the time that passes: where it is, a clock was put, and the usual delay with it.
 */
export class LoadAge {
  readonly #desk: WatchedDesk;
  /** Usual delay by feed, µs; NaN before its first message. */
  readonly #usualUs: Float64Array;
  /** Delay in the last window that counted, µs, and its end, monotonic ns; by feed. */
  readonly #beforeUs: Float64Array;
  readonly #beforeNs: Float64Array;
  /** Of the window, by the first line of each feed, µs. */
  readonly #ageUs: Float64Array;
  /** Quotes rest on the feed, by its first line. */
  readonly #quoted: Uint8Array;
  #known = 0;

  constructor(desk: WatchedDesk) {
    this.#desk = desk;
    this.#usualUs = new Float64Array(desk.clocks.length).fill(Number.NaN);
    this.#beforeUs = new Float64Array(desk.clocks.length).fill(Number.NaN);
    this.#beforeNs = new Float64Array(desk.clocks.length);
    this.#ageUs = new Float64Array(desk.clocks.length);
    this.#quoted = new Uint8Array(desk.clocks.length);
  }

  /**
   * A window has ended.
   *
   * @param isKeepingUp nothing waits on this host
   * @param nowNs monotonic
   * @returns the age of the feed that is furthest behind, ms; NaN when none has brought enough
   */
  endWindow(isKeepingUp: boolean, nowNs: number): number {
    const { clocks, lines } = this.#desk;
    this.#ageUs.fill(Number.NaN);
    for (const [feed, clock] of clocks.entries()) {
      const delayUs = clock.takeRecentUs(MESSAGES_MIN);
      if (Number.isNaN(delayUs)) continue;
      this.#follow(feed, delayUs, isKeepingUp, nowNs);
      const ageUs = delayUs - this.#usualUs[feed];
      const first = lines.primary(feed);
      // The line that brings an event first is the one that counts.
      if (!(this.#ageUs[first] <= ageUs)) this.#ageUs[first] = ageUs;
    }
    this.#look();
    let oldestUs = Number.NaN;
    for (let feed = 0; feed < this.#quoted.length; feed += 1) {
      if (this.#quoted[feed] === 1 && !(this.#ageUs[feed] <= oldestUs) && !Number.isNaN(this.#ageUs[feed]))
        oldestUs = this.#ageUs[feed];
    }
    return oldestUs / 1_000;
  }

  #follow(feed: number, delayUs: number, isKeepingUp: boolean, nowNs: number): void {
    const usualUs = this.#usualUs[feed];
    const passedUs = (nowNs - this.#beforeNs[feed]) / 1_000;
    const grownUs = delayUs - this.#beforeUs[feed];
    this.#beforeUs[feed] = delayUs;
    this.#beforeNs[feed] = nowNs;
    if (!(usualUs <= delayUs)) this.#usualUs[feed] = delayUs;
    else if (grownUs > passedUs + STEP_US) this.#usualUs[feed] = usualUs + grownUs;
    else if (isKeepingUp) this.#usualUs[feed] += (delayUs - usualUs) * Math.min(passedUs / FOLLOW_US, 1);
  }

  /** Finds the feeds that quotes rest on: those of the instruments that are quoted, and of the books that lead their underlyings. */
  #look(): void {
    const { market, quoter, lines } = this.#desk;
    for (; this.#known < market.instruments.size && this.#known < market.books.length; this.#known += 1) {
      if (quoter.quotes(this.#known)) this.#mark(lines.primary(market.feedOf(this.#known)));
    }
    const { reference, size } = market.underlyings;
    for (let underlying = 0; underlying < size; underlying += 1) {
      if (reference[underlying] >= 0) this.#mark(lines.primary(market.feedOf(reference[underlying])));
    }
  }

  #mark(feed: number): void {
    if (feed >= 0 && feed < this.#quoted.length) this.#quoted[feed] = 1;
  }
}
