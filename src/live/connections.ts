import type { Config } from "../config.ts";
import type { Labels, MetricRegistry } from "../monitor/metrics.ts";

/** Which of the venues' connections are open, and how often they were not. */
export class Connections {
  readonly #feeds: Config["feeds"];
  readonly #open: Uint8Array;
  readonly #closes: Float64Array;

  constructor(feeds: Config["feeds"]) {
    this.#feeds = feeds;
    this.#open = new Uint8Array(feeds.length);
    this.#closes = new Float64Array(feeds.length);
  }

  /** Feeds beyond the venues', such as that of signals, are not followed. */
  opened(feed: number): void {
    if (feed < this.#open.length) this.#open[feed] = 1;
  }

  /** It was lost, or could not be made. */
  closed(feed: number): void {
    if (feed >= this.#open.length) return;
    this.#open[feed] = 0;
    this.#closes[feed] += 1;
  }

  isOpen(feed: number): boolean {
    return this.#open[feed] === 1;
  }

  /** Registers what is known of them. Names are listed in `docs/metrics.md`. */
  register(metrics: MetricRegistry): void {
    metrics.add({
      name: "keel_feed_up",
      type: "gauge",
      help: "1 while the connection to the venue is open.",
      collect: (emit) => {
        for (const feed of this.#feeds.keys()) emit(this.#open[feed], this.#labels(feed));
      },
    });
    metrics.add({
      name: "keel_feed_closes_total",
      type: "counter",
      help: "Connections that were lost, and attempts that failed.",
      collect: (emit) => {
        for (const feed of this.#feeds.keys()) emit(this.#closes[feed], this.#labels(feed));
      },
    });
  }

  /** The venue, and where it has several connections, which of them. */
  #labels(feed: number): Labels {
    const venue = this.#feeds[feed]?.venue ?? "";
    const lines = [...this.#feeds.keys()].filter((other) => this.#feeds[other]?.venue === venue);
    return lines.length > 1 ? { venue, line: String(lines.indexOf(feed) + 1) } : { venue };
  }
}
