import { invariant } from "../core/invariant.ts";
import type { Feed, FeedPort } from "../feed/feed.ts";
import { LineArbiter } from "../feed/lines.ts";
import { createFeed } from "../feed/registry.ts";
import { EventBatch } from "../market/event-batch.ts";
import type { InstrumentTable } from "../market/instrument.ts";
import type { DeskFeed } from "./desk-options.ts";
import type { Distrusted } from "./market-state.ts";

/** Takes in what feeds have decoded, event by event, and the instruments that they describe. */
export interface EventTaker {
  /** Instruments from the table that are not taken in yet. @param feed the first line of the feed that described them */
  admit(feed: number, timeUs: number): void;
  /** An event of a batch; one that makes a book untrustworthy is told to `distrusted`, which may append to the batch. */
  apply(batch: EventBatch, row: number, distrusted: Distrusted, timeUs: number): void;
}

export interface DeskFeedsOptions {
  readonly feeds: readonly DeskFeed[];
  readonly instruments: InstrumentTable;
  readonly port: FeedPort;
  readonly seed: number;
  readonly silenceMs: number;
  readonly taker: EventTaker;
}

/**
 * The feeds and what they decode to: one batch, worked off after every input. Made by the same inputs it gives the same events,
 * on the desk's thread or on another.
 */
export class DeskFeeds {
  readonly feeds: readonly Feed[];
  readonly lines: LineArbiter;
  readonly batch = new EventBatch();
  /** Rows of the batch that were applied in this turn, and how many. */
  readonly applied = new Int32Array(this.batch.maxEvents);
  appliedCount = 0;
  readonly #taker: EventTaker;
  readonly #instruments: InstrumentTable;
  #admitted = 0;

  constructor(options: DeskFeedsOptions) {
    const { instruments, port, seed, silenceMs } = options;
    this.#instruments = instruments;
    this.#taker = options.taker;
    this.feeds = options.feeds.map(({ venue, subscriptions }, id) =>
      createFeed({ id, venue, subscriptions, instruments, port, seed: seed + id, silenceMs }),
    );
    this.lines = new LineArbiter(this.feeds, instruments, this.batch.maxEvents);
  }

  get(id: number): Feed {
    const feed = this.feeds[id];
    invariant(feed !== undefined, `feed ${id} is one of ${this.feeds.length}`);
    return feed;
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
    if (this.#admitted < this.#instruments.size) {
      this.#admitted = this.#instruments.size;
      this.#taker.admit(lines.primary(feed), timeUs);
    }
    if (batch.count === 0) return false;
    let count = 0;
    for (let row = 0; row < batch.count; row += 1) {
      if (!lines.admits(feed, batch, row, timeUs)) continue;
      this.#taker.apply(batch, row, lines, timeUs);
      applied[count] = row;
      count += 1;
    }
    lines.endTurn();
    this.appliedCount = count;
    return true;
  }

  /** Applies what is in the batch as it is, without lines: it came from no venue. @returns false when that was nothing */
  applyOwn(timeUs: number): boolean {
    const { batch, applied } = this;
    for (let row = 0; row < batch.count; row += 1) {
      this.#taker.apply(batch, row, this.lines, timeUs);
      applied[row] = row;
    }
    this.appliedCount = batch.count;
    return batch.count > 0;
  }
}
