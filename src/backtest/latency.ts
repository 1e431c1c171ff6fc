import { Rng } from "../core/rng.ts";

/** How long information and orders are under way. All times in µs. */
export interface LatencyOptions {
  /**
   * From the venue to the desk: `measured` takes each event's own, local less exchange time of the recording; a number takes
   * every event to have been under way for so long.
   */
  readonly feed: "measured" | number;
  /**
   * What the fastest event of a recording is taken to have needed. One-way times of two clocks tell delays only up to the
   * clocks' offset; this says where zero is.
   */
  readonly feedBaseUs: number;
  /** Measured feed latencies are cut at this, and counted. It bounds how far the recording is read ahead. */
  readonly feedMaxUs: number;
  /** From the desk to the matching engine, and back. */
  readonly orderUs: number;
  readonly responseUs: number;
  /** Mean of an exponential part added to each order and each response; 0 = none. */
  readonly jitterUs: number;
}

export const DEFAULT_LATENCY: LatencyOptions = {
  feed: "measured",
  feedBaseUs: 500,
  feedMaxUs: 2_000_000,
  orderUs: 500,
  responseUs: 500,
  jitterUs: 100,
};

/** One direction of a session: delays with seeded jitter that never let a message overtake one sent before it. */
export class Line {
  readonly #baseUs: number;
  readonly #jitterUs: number;
  readonly #rng: Rng;
  #lastUs = Number.NEGATIVE_INFINITY;

  constructor(baseUs: number, jitterUs: number, seed: number) {
    this.#baseUs = baseUs;
    this.#jitterUs = jitterUs;
    this.#rng = new Rng(seed);
  }

  /** @returns when a message that leaves now arrives */
  arrivalUs(timeUs: number): number {
    const jitterUs = this.#jitterUs > 0 ? this.#rng.exponential(this.#jitterUs) : 0;
    this.#lastUs = Math.max(this.#lastUs, timeUs + this.#baseUs + jitterUs);
    return this.#lastUs;
  }
}

/** When an event happened at the venue, on the desk's clock. */
export class FeedLatency {
  /** Events whose latency was cut at the bound. */
  cut = 0;
  readonly #options: LatencyOptions;
  /** Local less exchange time of the fastest event, by feed. */
  readonly #fastestUs: readonly number[];

  constructor(options: LatencyOptions, fastestUs: readonly number[]) {
    this.#options = options;
    this.#fastestUs = fastestUs;
  }

  /** @param exchangeUs NaN where the venue gave no time */
  venueUs(feed: number, exchangeUs: number, localUs: number): number {
    const { feed: kind, feedBaseUs, feedMaxUs } = this.#options;
    if (kind !== "measured") return localUs - kind;
    const fastestUs = this.#fastestUs[feed] ?? Number.NaN;
    const latencyUs = localUs - exchangeUs - fastestUs + feedBaseUs;
    if (!(latencyUs >= 0)) return localUs - feedBaseUs;
    if (latencyUs <= feedMaxUs) return localUs - latencyUs;
    this.cut += 1;
    return localUs - feedMaxUs;
  }

  /** The longest that an event can have been under way. */
  get maxUs(): number {
    const { feed, feedBaseUs, feedMaxUs } = this.#options;
    return feed === "measured" ? Math.max(feedMaxUs, feedBaseUs) : feed;
  }
}
