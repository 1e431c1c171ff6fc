import { Histogram } from "../core/histogram.ts";
import type { DeskFeed, RemoteFeeds as RemoteFeedReports } from "../desk/desk-options.ts";
import type { FeedCounters, FeedReport } from "../feed/feed.ts";
import { type LineCounters, type LineReport, primaries } from "../feed/lines.ts";
import { EVENT, type EventBatch, FEED_STATE } from "../market/event-batch.ts";
import type { Instrument, VenueName } from "../market/instrument.ts";
import type { FeedNews } from "./protocol.ts";

/** Adds up what the threads that kept a feed one after the other have counted. */
class RemoteFeed implements FeedReport {
  readonly id: number;
  readonly venue: VenueName;
  readonly healingUs = new Histogram();
  readonly carried: Instrument[] = [];
  counters: FeedCounters = newCounters();
  problem = "";
  live = 0;
  readonly #carried = new Set<number>();
  #before: FeedCounters = newCounters();

  constructor(id: number, venue: VenueName) {
    this.id = id;
    this.venue = venue;
  }

  carry(instrument: Instrument): void {
    if (this.#carried.has(instrument.id)) return;
    this.#carried.add(instrument.id);
    this.carried.push(instrument);
  }

  hear(news: FeedNews[number]): void {
    const { lastResyncUs, ...counted } = news.counters;
    const counters = newCounters();
    for (const name of COUNTED) counters[name] = this.#before[name] + counted[name];
    counters.lastResyncUs = lastResyncUs ?? this.counters.lastResyncUs;
    this.counters = counters;
    this.problem = news.problem;
    this.live = news.live;
  }

  lost(problem: string): void {
    this.#before = this.counters;
    this.problem = problem;
    this.live = 0;
  }
}

/**
 * The feeds of all shards as metrics, dashboard and log see them: counters and troubles as of the shards' last news, about a quarter of
 * a second old at most; instruments and states as of the last turn taken.
 */
export class RemoteFeeds implements RemoteFeedReports {
  readonly feeds: readonly RemoteFeed[];
  readonly lines: LineReport;
  readonly makesFeatures: boolean;
  readonly #lineCounters: readonly LineCounters[];
  /** When each instrument stopped being live, µs; NaN while it is, or before the first time. */
  readonly #lostUs = new Map<number, number>();

  /** @param makesFeatures the shards do, and publish them */
  constructor(feeds: readonly DeskFeed[], makesFeatures: boolean) {
    this.makesFeatures = makesFeatures;
    this.feeds = feeds.map(({ venue }, id) => new RemoteFeed(id, venue));
    const primary = primaries(feeds);
    this.#lineCounters = feeds.map(() => ({ first: 0, duplicates: 0, covered: 0 }));
    const isLine = (feed: number): boolean => primary.filter((first) => first === primary[feed]).length > 1;
    this.lines = {
      redundant: primary.some((first, feed) => first !== feed),
      counters: this.#lineCounters,
      lagUs: feeds.map(() => new Histogram()),
      primary: (feed) => primary[feed],
      isLine,
      liveOn: (feed) => this.feeds[feed].live,
    };
  }

  /** @param feeds those of the shard, in its order */
  hear(feeds: readonly number[], news: FeedNews): void {
    for (const [at, told] of news.entries()) {
      const feed = feeds[at];
      this.feeds[feed].hear(told);
      const { first, duplicates, covered } = told;
      Object.assign(this.#lineCounters[feed], { first, duplicates, covered });
    }
  }

  /** Notes how long books took to be live again. Looks at status events only. */
  observe(feed: number, batch: EventBatch, timeUs: number): void {
    for (let row = 0; row < batch.count; row += 1) {
      if (batch.kind[row] !== EVENT.status) continue;
      const id = batch.instrument[row];
      const isLive = batch.code[row] === FEED_STATE.live;
      const lostUs = this.#lostUs.get(id);
      if (isLive && lostUs !== undefined && !Number.isNaN(lostUs)) {
        this.feeds[feed].healingUs.record(timeUs - lostUs);
      }
      if (isLive) this.#lostUs.set(id, Number.NaN);
      else if (lostUs !== undefined && Number.isNaN(lostUs)) this.#lostUs.set(id, timeUs);
    }
  }

  /** A shard is gone, and with it what its feeds had. */
  lost(feeds: readonly number[], problem: string, timeUs: number): void {
    for (const feed of feeds) {
      this.feeds[feed].lost(problem);
      for (const { id } of this.feeds[feed].carried) {
        if (Number.isNaN(this.#lostUs.get(id) ?? 0)) this.#lostUs.set(id, timeUs);
      }
    }
  }
}

const COUNTED = [
  ...["frames", "unparsable", "ignored", "gaps", "checksums", "crossed", "resyncs"],
  ...["reconnects", "silences", "overflows", "decodeFallbacks"],
] as readonly Exclude<keyof FeedCounters, "lastResyncUs">[];

function newCounters(): FeedCounters {
  const zero = Object.fromEntries(COUNTED.map((name) => [name, 0]));
  return { ...zero, lastResyncUs: Number.NaN } as FeedCounters;
}
