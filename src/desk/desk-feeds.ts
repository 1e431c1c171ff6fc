import { InvariantError } from "../core/invariant.ts";
import type { Feed, FeedPort } from "../feed/feed.ts";
import { LineArbiter, primaries } from "../feed/lines.ts";
import { createFeed } from "../feed/registry.ts";
import { EventBatch } from "../market/event-batch.ts";
import type { InstrumentTable } from "../market/instrument.ts";
import type { DeskFeed } from "./desk-options.ts";
import type { Distrusted } from "./trusted-books.ts";

/** Takes in what feeds have decoded, event by event, and the instruments that they describe. */
export interface EventTaker {
  /** Instruments from the table that are not taken in yet. @param feed the first line of the feed that described them */
  admit(feed: number, timeUs: number): void;
  /** An event of a batch; one that makes a book untrustworthy is told to `distrusted`, which may append to the batch. */
  apply(batch: EventBatch, row: number, distrusted: Distrusted, timeUs: number): void;
}

export interface DeskFeedsOptions {
  readonly feeds: readonly DeskFeed[];
  /** By feed. */
  readonly seeds: readonly number[];
  readonly instruments: InstrumentTable;
  readonly port: FeedPort;
  readonly silenceMs: number;
  readonly taker: EventTaker;
}

/**
 * Feeds, and what they decode to: one batch, worked off after every input. The same inputs give the same events, on the desk's
 * thread or on another.
 */
export class DeskFeeds {
  readonly feeds: readonly Feed[];
  readonly lines: LineArbiter;
  readonly batch = new EventBatch();
  /** Rows of the batch that were applied in this turn, and how many. */
  readonly applied = new Int32Array(this.batch.maxEvents);
  appliedCount = 0;
  readonly #options: DeskFeedsOptions;
  readonly #feeds: Feed[];
  #admitted = 0;

  constructor(options: DeskFeedsOptions) {
    this.#options = options;
    this.#feeds = options.feeds.map((_, id) => this.#make(id));
    this.feeds = this.#feeds;
    this.lines = new LineArbiter(
      this.feeds,
      primaries(options.feeds),
      options.instruments,
      this.batch.maxEvents,
    );
  }

  get(id: number): Feed {
    const feed = this.feeds[id];
    if (feed === undefined) throw new InvariantError(`feed ${id} is one of ${this.feeds.length}`);
    return feed;
  }

  /** Makes feeds anew, as they were before their start. Whoever gives one line of a venue gives all of them. */
  renew(feeds: readonly number[]): void {
    for (const id of feeds) this.#feeds[id] = this.#make(id);
    for (const id of feeds) this.lines.reset(id);
  }

  /** The batch, empty: for the events of one input. */
  begin(): EventBatch {
    this.batch.clear();
    this.appliedCount = 0;
    return this.batch;
  }

  /** Works off what an input has put into the batch. @returns false when that was nothing */
  apply(feed: number, timeUs: number): boolean {
    const { lines, batch, applied } = this;
    const { instruments, taker } = this.#options;
    if (this.#admitted < instruments.size) {
      this.#admitted = instruments.size;
      taker.admit(lines.primary(feed), timeUs);
    }
    if (batch.count === 0) return false;
    let count = 0;
    for (let row = 0; row < batch.count; row += 1) {
      if (!lines.admits(feed, batch, row, timeUs)) continue;
      taker.apply(batch, row, lines, timeUs);
      applied[count] = row;
      count += 1;
    }
    lines.endTurn();
    this.appliedCount = count;
    return true;
  }

  /** Applies all rows of any batch as they are, without lines: they were judged elsewhere, or come from no venue. */
  takeAll(batch: EventBatch, distrusted: Distrusted, timeUs: number): void {
    const { applied } = this;
    for (let row = 0; row < batch.count; row += 1) {
      this.#options.taker.apply(batch, row, distrusted, timeUs);
      applied[row] = row;
    }
    this.appliedCount = batch.count;
  }

  #make(id: number): Feed {
    const { feeds, seeds, instruments, port, silenceMs } = this.#options;
    const { venue, subscriptions } = feeds[id];
    return createFeed({ id, venue, subscriptions, instruments, port, seed: seeds[id], silenceMs });
  }
}
