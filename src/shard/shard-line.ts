import { invariant } from "../core/invariant.ts";
import { RING_NONE, type RingProducer } from "../core/ring.ts";
import { DeskFeeds } from "../desk/desk-feeds.ts";
import type { FeatureRows } from "../feature/published.ts";
import type { FeedPort } from "../feed/feed.ts";
import { RECORD } from "../journal/record.ts";
import type { EventBatch } from "../market/event-batch.ts";
import { InstrumentTable } from "../market/instrument.ts";
import { type Described, type FeedNews, SHARD_RECORD, type ShardFeed, toWire } from "./protocol.ts";
import { ShardMarket } from "./shard-market.ts";
import { type TurnRows, turnBytes, writeTurn } from "./turn-codec.ts";

/** Worst case of UTF-8 bytes for one UTF-16 unit. */
const UTF8_BYTES_MAX = 3;

export interface ShardLineOptions {
  readonly feeds: readonly ShardFeed[];
  readonly silenceMs: number;
  readonly instrumentCapacity: number;
  /** Feeds are known to it by their place in {@link feeds}. */
  readonly port: FeedPort;
  readonly ring: RingProducer;
  readonly keepsPayloads: boolean;
  /** See {@link ShardMarket}. */
  readonly makesFeatures: boolean;
  /** The ring is full: waits a while for room. @returns false when there will be none; the line then ends by `full` */
  readonly wait: () => boolean;
  /** Something was published. */
  readonly published: () => void;
}

/** The ring stayed full. */
export class ShardOverflow extends Error {}

/**
 * What a shard does: feeds, their lines, books and features, and every input of theirs put into the ring with what it was decoded to and
 * the features of what it moved. Without sockets and clock, so the same inputs give the same ring. Feeds are named by their place in the shard.
 */
export class ShardLine {
  readonly #options: ShardLineOptions;
  readonly #line: DeskFeeds;
  readonly #instruments: InstrumentTable;
  readonly #market: ShardMarket;
  readonly #rows: { batch: EventBatch; rows: Int32Array; count: number; features: FeatureRows | null };
  readonly #nothing: TurnRows;
  readonly #carried: number[];
  #described = 0;
  #hadEvents = false;

  constructor(options: ShardLineOptions) {
    const { feeds, port, silenceMs, instrumentCapacity } = options;
    this.#options = options;
    this.#instruments = new InstrumentTable(instrumentCapacity);
    this.#market = new ShardMarket(this.#instruments, options.makesFeatures);
    this.#line = new DeskFeeds({
      ...{ feeds, port, silenceMs, instruments: this.#instruments },
      seeds: feeds.map(({ seed }) => seed),
      taker: this.#market,
    });
    const { batch, applied: rows } = this.#line;
    this.#rows = { batch, rows, count: 0, features: this.#market.rows };
    this.#nothing = { batch, rows, count: 0 };
    this.#carried = feeds.map(() => 0);
  }

  start(timeUs: number): void {
    for (const feed of this.#line.feeds) feed.start(timeUs);
  }

  onOpen(feed: number, timeUs: number): void {
    this.#line.get(feed).onOpen(timeUs, this.#line.begin());
    this.#publish(RECORD.feedOpen, feed, "", timeUs, Number.NaN);
  }

  onFrame(feed: number, text: string, timeUs: number): void {
    const batch = this.#line.begin();
    this.#line.get(feed).onFrame(text, timeUs, batch);
    const exchangeUs = batch.count > 0 ? batch.exchangeTimeUs[0] : Number.NaN;
    this.#publish(RECORD.feedFrame, feed, text, timeUs, exchangeUs);
  }

  /** @param payload JSON `{code, reason}`, as it is journalled */
  onClose(feed: number, payload: string, timeUs: number): void {
    const { code, reason } = JSON.parse(payload) as { code: number; reason: string };
    this.#line.get(feed).onClose(code, reason, timeUs, this.#line.begin());
    this.#publish(RECORD.feedClose, feed, payload, timeUs, Number.NaN);
  }

  /** @param payload JSON `{request, status, retryAfterMs, body}`, as it is journalled */
  onResponse(feed: number, payload: string, timeUs: number): void {
    const { request, status, body, retryAfterMs } = JSON.parse(payload) as {
      request: number;
      status: number;
      body: string;
      retryAfterMs: number | null;
    };
    const after = retryAfterMs ?? Number.NaN;
    this.#line.get(feed).onResponse(request, status, body, after, timeUs, this.#line.begin());
    this.#publish(RECORD.feedResponse, feed, payload, timeUs, Number.NaN);
  }

  onTimer(feed: number, timeUs: number): void {
    this.#line.get(feed).onTimer(timeUs, this.#line.begin());
    this.#publish(RECORD.feedTimer, feed, "", timeUs, Number.NaN);
  }

  /** An input of a recording. */
  apply(type: number, feed: number, payload: string, timeUs: number): void {
    switch (type) {
      case RECORD.feedOpen:
        this.onOpen(feed, timeUs);
        break;
      case RECORD.feedFrame:
        this.onFrame(feed, payload, timeUs);
        break;
      case RECORD.feedClose:
        this.onClose(feed, payload, timeUs);
        break;
      case RECORD.feedResponse:
        this.onResponse(feed, payload, timeUs);
        break;
      default:
        invariant(type === RECORD.feedTimer, `record ${type} is an input of a feed`);
        this.onTimer(feed, timeUs);
        break;
    }
  }

  /** Tells of counters and troubles; left out when there is no room for it now. */
  tellNews(timeUs: number): void {
    const { feeds, lines } = this.#line;
    const news: FeedNews = feeds.map(({ counters, problem, id }) => {
      const { first, duplicates, covered } = lines.counters[id];
      const lastResyncUs = Number.isNaN(counters.lastResyncUs) ? null : counters.lastResyncUs;
      const live = lines.isLine(id) ? lines.liveOn(id) : 0;
      return { counters: { ...counters, lastResyncUs }, problem, live, first, duplicates, covered };
    });
    this.#put(SHARD_RECORD.news, 0, JSON.stringify(news), timeUs, Number.NaN, this.#nothing, false);
  }

  /** The recording is over. */
  end(timeUs: number): void {
    this.#put(SHARD_RECORD.end, 0, "", timeUs, Number.NaN, this.#nothing, true);
  }

  #publish(type: number, feed: number, payload: string, timeUs: number, exchangeUs: number): void {
    this.#hadEvents = this.#line.apply(feed, timeUs);
    this.#market.endTurn(timeUs);
    if (this.#instruments.size > this.#described || this.#carries(feed)) this.#describe(feed, timeUs);
    this.#rows.count = this.#line.appliedCount;
    const text = this.#options.keepsPayloads || isNews(type) ? payload : "";
    this.#put(type, feed, text, timeUs, exchangeUs, this.#rows, true);
  }

  #carries(feed: number): boolean {
    return this.#line.get(feed).carried.length > this.#carried[feed];
  }

  #describe(feed: number, timeUs: number): void {
    const { carried } = this.#line.get(feed);
    const described: Described = {
      first: this.#described,
      specs: this.#instruments
        .all()
        .slice(this.#described)
        .map(({ id: _, ...spec }) => toWire(spec)),
      carried: carried.slice(this.#carried[feed]).map(({ id }) => id),
    };
    this.#described = this.#instruments.size;
    this.#carried[feed] = carried.length;
    this.#put(
      SHARD_RECORD.described,
      feed,
      JSON.stringify(described),
      timeUs,
      Number.NaN,
      this.#nothing,
      true,
    );
  }

  #put(
    type: number,
    feed: number,
    payload: string,
    timeUs: number,
    exchangeUs: number,
    rows: TurnRows,
    must: boolean,
  ): void {
    const { ring, feeds, wait, published } = this.#options;
    let most = payload.length * UTF8_BYTES_MAX;
    let at = ring.reserve(turnBytes(rows, most));
    if (at === RING_NONE && most > 0) {
      most = Buffer.byteLength(payload);
      at = ring.reserve(turnBytes(rows, most));
    }
    while (at === RING_NONE) {
      if (!must) return;
      if (!wait()) throw new ShardOverflow(`no room for ${turnBytes(rows, most)} bytes in the shard's ring`);
      at = ring.reserve(turnBytes(rows, most));
    }
    const turn = { type, feed: feeds[feed].id, timeUs, exchangeUs, hadEvents: this.#hadEvents };
    ring.commit(writeTurn(ring, at, turn, payload, most, rows));
    published();
  }
}

/** Events of which people are told, by their payload, whether or not there is a journal. */
function isNews(type: number): boolean {
  return type === RECORD.feedClose || type === RECORD.feedResponse;
}
