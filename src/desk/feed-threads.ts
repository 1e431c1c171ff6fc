import type { FeatureRows } from "../feature/published.ts";
import type { VenueClock } from "../feed/venue-clock.ts";
import { type EventBatch, FEED_STATE, UNSOUND } from "../market/event-batch.ts";
import type { DeskCounters } from "./counters.ts";
import type { DeskFeatures } from "./desk-features.ts";
import type { DeskFeeds } from "./desk-feeds.ts";
import type { DecodedTurn, RemoteFeeds } from "./desk-options.ts";
import { STAGE, type StageTimer } from "./latency.ts";
import type { MarketState } from "./market-state.ts";
import type { Predictor } from "./predictor.ts";
import type { Publisher } from "./publisher.ts";
import { JUDGED, type Turn } from "./turn.ts";

export interface FeedThreadsOptions {
  /** Null when the feeds are kept on the desk's thread. */
  readonly remote: RemoteFeeds | null;
  readonly line: DeskFeeds;
  readonly clocks: readonly VenueClock[];
  readonly market: MarketState;
  readonly features: DeskFeatures;
  readonly predictor: Predictor;
  readonly publisher: Publisher;
  readonly turn: Turn;
  readonly counters: DeskCounters;
  readonly timer: StageTimer;
}

/** What comes from threads that keep feeds: their inputs, decoded and judged; their end; and the one that takes over. */
export class FeedThreads {
  readonly #parts: FeedThreadsOptions;

  constructor(parts: FeedThreadsOptions) {
    this.#parts = parts;
  }

  /** See `Desk.onDecoded`. @returns whether anything is to be answered: events, also those that were all another line's before */
  take(decoded: DecodedTurn, batch: EventBatch, rows: FeatureRows): boolean {
    const { clocks, counters, features, line, market, publisher, timer } = this.#parts;
    const { feed, isFrame, exchangeUs, timeUs } = decoded;
    publisher.published = false;
    if (isFrame) counters.frames += 1;
    if (!Number.isNaN(exchangeUs)) clocks[feed].observe(exchangeUs, timeUs);
    timer.mark(STAGE.decode);
    if (market.books.length < market.instruments.size) market.admit(this.#primary(feed), timeUs);
    for (let row = 0; row < rows.count; row += 1) {
      const underlying = market.ledBy(rows.instrument[row]);
      if (underlying >= 0) features.publish(underlying, rows, row, timeUs);
    }
    line.takeAll(batch, JUDGED, timeUs);
    return decoded.hadEvents;
  }

  /** See `Desk.onFeedsLost`. */
  lose(feeds: readonly number[], timeUs: number): void {
    const { remote, line, market, predictor, turn } = this.#parts;
    if (remote === null) line.renew(feeds);
    const groups = new Set(feeds.map((feed) => this.#primary(feed)));
    let batch = turn.begin();
    for (const { id } of market.instruments.all()) {
      if (!groups.has(market.feedOf(id))) continue;
      // Books and features begin anew with the thread that takes over, also of a book that was not live.
      market.books[id].clear();
      const underlying = market.ledBy(id);
      if (underlying >= 0) predictor.forget(underlying);
      if (batch.count === batch.maxEvents) {
        turn.take(batch, timeUs);
        batch = turn.begin();
      }
      batch.status(id, FEED_STATE.unsound, UNSOUND.disconnect);
    }
    turn.take(batch, timeUs);
  }

  /** Feeds that were lost begin anew; those that another thread keeps are begun there. */
  restart(feeds: readonly number[], timeUs: number): void {
    const { remote, line } = this.#parts;
    if (remote !== null) return;
    for (const feed of feeds) line.get(feed).start(timeUs);
  }

  #primary(feed: number): number {
    const { remote, line } = this.#parts;
    return (remote?.lines ?? line.lines).primary(feed);
  }
}
