import { Histogram } from "../core/histogram.ts";
import { invariant } from "../core/invariant.ts";
import { EVENT, type EventBatch, FEED_STATE, SIDE, UNSOUND } from "../market/event-batch.ts";
import type { InstrumentTable, VenueName } from "../market/instrument.ts";
import type { Feed } from "./feed.ts";
import { LineGroup, NO_LINE } from "./line-group.ts";

/** A number below the book's with a time this much later is no old one: the venue began to number anew. */
const RENUMBERED_US = 1_000_000;
/** Rows that the arbiter made itself. */
const OWN = -2;
/** Rows of the feed whose turn it is. */
const TURN = -1;
/** Levels a side of a book that another line stands in with. */
const LEVELS_MAX = 24_000;

/** What one line has done. */
export interface LineCounters {
  /** Book events that came here first, or only here. */
  first: number;
  /** Events that another line had brought already. */
  duplicates: number;
  /** Times that an instrument's book was lost here and another line went on. */
  covered: number;
}

/** What is told of the lines of the feeds, wherever they are kept. */
export interface LineReport {
  /** Some venue has more than one line. */
  readonly redundant: boolean;
  readonly counters: readonly Readonly<LineCounters>[];
  /** How much later than the first a line brought the same book event, µs, by feed. */
  readonly lagUs: readonly Histogram[];
  /** The first of the feed's lines. */
  primary(feed: number): number;
  /** The feed is one of several lines. */
  isLine(feed: number): boolean;
  /** Instruments whose book is live on the line. */
  liveOn(feed: number): number;
}

const prices = new Int32Array(LEVELS_MAX);
const sizes = new Float64Array(LEVELS_MAX);

/** The same subscriptions so many times; lines of one venue are feeds of the same name. The first of each come first. */
export function withLines<T>(feeds: readonly T[], lines: number): readonly T[] {
  return Array.from({ length: lines }, () => feeds).flat();
}

/** The first line of each venue. */
export function firstLines<T extends { readonly venue: VenueName }>(feeds: readonly T[]): readonly T[] {
  return feeds.filter(({ venue }, at) => feeds.findIndex((other) => other.venue === venue) === at);
}

/** What tells lines from feeds of their own. */
export interface LineOf {
  readonly venue: VenueName;
  readonly subscriptions: readonly string[];
}

/**
 * The first line of each feed's own kind. Lines of one another are feeds of the same venue with the same subscriptions; with others
 * they are parts of the venue on connections of their own.
 */
export function primaries(feeds: readonly LineOf[]): readonly number[] {
  const keys = feeds.map(({ venue, subscriptions }) => `${venue} ${subscriptions.join(" ")}`);
  return keys.map((key) => keys.indexOf(key));
}

/**
 * Makes one feed of several connections to a venue that carry the same subscriptions, its *lines*. Each line is a feed of its own,
 * with its own sequence check and recovery; the arbiter decides which of their events the desk sees.
 *
 * Where the venue numbers its book events for all connections alike (`arbitration: "sequence"` in its entry) the first arrival of
 * each number wins. A line that is live has no gaps, and what it brings is absolute sizes, so an event that begins
 * at or before the book's number and ends after it takes the book to its own number whichever line it came by. Where the venue
 * does not (`"standby"`), the desk follows one line; another line's book, which is kept beside it, replaces the whole book in
 * the turn in which the first is lost.
 *
 * An instrument is live while one line's book is, and held back ({@link UNSOUND}.stall) while every line is that the desk's book may
 * follow. Deterministic: lines are inputs like any other feed.
 */
export class LineArbiter implements LineReport {
  readonly redundant: boolean;
  readonly counters: readonly LineCounters[];
  readonly lagUs: readonly Histogram[];
  readonly #feeds: readonly Feed[];
  readonly #instruments: InstrumentTable;
  readonly #groups: LineGroup[];
  readonly #primary: readonly number[];
  readonly #bits: Uint8Array;
  readonly #origin: Int16Array;
  #appended = 0;

  /**
   * @param primary of each feed, as {@link primaries} has it
   * @param maxEvents of the batch that is arbitrated
   */
  constructor(
    feeds: readonly Feed[],
    primary: readonly number[],
    instruments: InstrumentTable,
    maxEvents: number,
  ) {
    this.#feeds = feeds;
    this.#instruments = instruments;
    this.counters = feeds.map(() => ({ first: 0, duplicates: 0, covered: 0 }));
    this.lagUs = feeds.map(() => new Histogram());
    this.#primary = primary;
    this.#bits = Uint8Array.from(
      primary.map((first, id) => primary.slice(0, id).filter((other) => other === first).length),
    );
    this.redundant = this.#primary.some((primary, id) => primary !== id);
    this.#origin = new Int16Array(this.redundant ? maxEvents : 0).fill(TURN);
    this.#groups = feeds.map((_, id) => (primary[id] === id ? this.#newGroup(id) : NO_GROUP));
    for (const group of this.#groups) this.#tellBrought(group);
  }

  primary(feed: number): number {
    return this.#primary[feed];
  }

  /** Forgets what a venue's lines have come to: its feeds were made anew. */
  reset(feed: number): void {
    const primary = this.#primary[feed];
    this.#groups[primary] = this.#newGroup(primary);
    this.#tellBrought(this.#groups[primary]);
  }

  isLine(feed: number): boolean {
    return this.#group(feed).lines.length > 1;
  }

  liveOn(feed: number): number {
    const { live } = this.#group(feed);
    return this.#feeds[feed].carried.reduce(
      (count, { id }) => count + ((live[id] >>> this.#bit(feed)) & 1),
      0,
    );
  }

  /**
   * Judges one row of a batch, in order. A lost line may make it append rows, which are judged in turn.
   *
   * @param feed whose turn it is
   * @returns whether the desk takes the row
   */
  admits(feed: number, batch: EventBatch, row: number, timeUs: number): boolean {
    if (!this.redundant) return true;
    const origin = this.#origin[row];
    if (origin === OWN) return true;
    const from = origin === TURN ? feed : origin;
    const group = this.#group(from);
    if (group.lines.length === 1) return true;
    switch (batch.kind[row]) {
      case EVENT.status: {
        const takes = this.#onStatus(group, from, batch, row, timeUs);
        this.#judgeHold(group, batch.instrument[row], batch, timeUs);
        return takes;
      }
      case EVENT.bookSnapshot:
      case EVENT.bookDelta:
        return group.sequenced
          ? this.#bySequence(group, from, batch, row, timeUs)
          : this.#byStandby(group, from, batch, row);
      case EVENT.top:
        return this.#onTop(group, from, batch, row);
      case EVENT.trade:
        return this.#onTrade(group, from, batch, row);
      case EVENT.ticker:
        return this.#onTicker(group, from, batch, row);
      default:
        return true;
    }
  }

  /** The batch has been worked off. */
  endTurn(): void {
    if (this.#appended === 0) return;
    this.#origin.fill(TURN);
    this.#appended = 0;
  }

  /** The desk's own book of an instrument is not to be trusted: every line of it recovers. */
  onUnsound(feed: number, instrument: number, reason: number, timeUs: number, batch: EventBatch): void {
    for (const line of this.#group(feed).lines) this.#recover(line, instrument, reason, timeUs, batch);
  }

  #onStatus(group: LineGroup, feed: number, batch: EventBatch, row: number, timeUs: number): boolean {
    const id = batch.instrument[row];
    const bit = 1 << this.#bit(feed);
    const before = group.live[id];
    group.held[id] &= ~bit;
    if (batch.code[row] === FEED_STATE.live) {
      if (batch.reason[row] === UNSOUND.stall) group.held[id] |= bit;
      group.live[id] = before | bit;
      if (before !== 0) return false;
      if (group.sequenced || group.source[id] === feed) return true;
      group.source[id] = feed;
      return this.#standIn(group, feed, id, batch, timeUs);
    }
    group.live[id] = before & ~bit;
    const left = group.live[id];
    if (!group.sequenced) group.shadow(feed, id)?.clear();
    if (before === 0) {
      if (group.source[id] === feed) group.source[id] = NO_LINE;
      return true;
    }
    if ((before & bit) === 0) return false;
    if (left === 0) {
      group.forget(id);
      return true;
    }
    this.counters[feed].covered += 1;
    if (group.sequenced) {
      // A book that failed its checksum is one that all lines had a part in.
      if (batch.reason[row] !== UNSOUND.checksum) return false;
      this.#distrust(group, id, timeUs, batch);
      return true;
    }
    if (group.source[id] !== feed) return false;
    const next = this.#first(left, group);
    group.source[id] = next;
    return !this.#standIn(group, next, id, batch, timeUs);
  }

  /** Tells the desk when an instrument begins or ends to be held back. */
  #judgeHold(group: LineGroup, id: number, batch: EventBatch, timeUs: number): void {
    const live = group.live[id];
    if (live === 0) {
      group.held[id] = 0;
      group.toldHeld[id] = 0;
      return;
    }
    const source = group.source[id];
    const followed = group.sequenced || source === NO_LINE ? live : 1 << this.#bit(source);
    const isHeld = (group.held[id] & followed) === followed ? 1 : 0;
    if (isHeld === group.toldHeld[id]) return;
    const row = batch.status(id, FEED_STATE.live, isHeld === 1 ? UNSOUND.stall : UNSOUND.none);
    if (row < 0) {
      this.#distrust(group, id, timeUs, batch);
      return;
    }
    group.toldHeld[id] = isHeld;
    this.#mark(row, row + 1, OWN);
  }

  #bySequence(group: LineGroup, feed: number, batch: EventBatch, row: number, timeUs: number): boolean {
    const id = batch.instrument[row];
    const last = batch.lastSequence[row];
    const applied = group.applied[id];
    const exchangeUs = batch.exchangeTimeUs[row];
    if (Number.isNaN(applied) || last > applied) {
      const isDelta = batch.kind[row] === EVENT.bookDelta;
      if (isDelta && !follows(batch, row, applied)) {
        // Cannot be on a line that has no gap; the book stays as it is and the line begins anew.
        this.#recover(feed, id, UNSOUND.gap, timeUs, batch);
        return false;
      }
      group.applied[id] = last;
      group.recent.note(id, last, feed, timeUs);
      if (exchangeUs > 0) group.bookTimeUs[id] = exchangeUs;
      this.counters[feed].first += 1;
      return true;
    }
    if (last < applied && exchangeUs > group.bookTimeUs[id] + RENUMBERED_US) {
      const status = batch.status(id, FEED_STATE.unsound, UNSOUND.gap);
      if (status >= 0) this.#mark(status, status + 1, OWN);
      this.#distrust(group, id, timeUs, batch);
      return false;
    }
    this.counters[feed].duplicates += 1;
    if (batch.kind[row] === EVENT.bookDelta) {
      const lagUs = group.recent.lagUs(id, last, feed, timeUs);
      if (lagUs >= 0) this.lagUs[feed].record(lagUs);
    }
    return false;
  }

  #byStandby(group: LineGroup, feed: number, batch: EventBatch, row: number): boolean {
    const id = batch.instrument[row];
    const isSnapshot = batch.kind[row] === EVENT.bookSnapshot;
    const shadow =
      group.shadow(feed, id) ?? (isSnapshot ? group.newShadow(feed, this.#instruments.get(id)) : null);
    if (isSnapshot) shadow?.applySnapshot(batch, row);
    else shadow?.applyDelta(batch, row);
    if (group.source[id] === NO_LINE && isSnapshot && group.live[id] === 0) group.source[id] = feed;
    if (group.source[id] === feed) {
      this.counters[feed].first += 1;
      return true;
    }
    this.counters[feed].duplicates += 1;
    return false;
  }

  #onTop(group: LineGroup, feed: number, batch: EventBatch, row: number): boolean {
    const id = batch.instrument[row];
    if (!group.sequenced) return group.source[id] === feed;
    return this.#advances(feed, group.topSequence, group.topLine, id, batch.lastSequence[row], group);
  }

  #onTrade(group: LineGroup, feed: number, batch: EventBatch, row: number): boolean {
    const id = batch.instrument[row];
    const exchangeUs = batch.exchangeTimeUs[row];
    const sequence = batch.lastSequence[row];
    if (sequence < group.tradeSequence[id] && exchangeUs > group.tradeTimeUs[id] + RENUMBERED_US)
      group.tradeSequence[id] = Number.NaN;
    if (!this.#advances(feed, group.tradeSequence, group.tradeLine, id, sequence, group)) return false;
    if (exchangeUs > 0) group.tradeTimeUs[id] = exchangeUs;
    return true;
  }

  /** Tickers have no numbers; from another line only one that is later is new. */
  #onTicker(group: LineGroup, feed: number, batch: EventBatch, row: number): boolean {
    const id = batch.instrument[row];
    return this.#advances(feed, group.tickerTimeUs, group.tickerLine, id, batch.exchangeTimeUs[row], group);
  }

  /** Whether a number is later than what any line has brought, or one more of the same line; takes it over when it is. */
  #advances(
    feed: number,
    numbers: Float64Array,
    lines: Int16Array,
    id: number,
    number: number,
    group: LineGroup,
  ): boolean {
    if (Number.isNaN(number)) return this.#voice(group, id) === feed;
    const isNew =
      Number.isNaN(numbers[id]) || number > numbers[id] || (lines[id] === feed && number === numbers[id]);
    if (!isNew) {
      this.counters[feed].duplicates += 1;
      return false;
    }
    numbers[id] = number;
    lines[id] = feed;
    return true;
  }

  /** The line that is heard where nothing tells events of two lines apart. */
  #voice(group: LineGroup, id: number): number {
    if (group.source[id] !== NO_LINE) return group.source[id];
    const live = group.live[id];
    return live === 0 ? group.lines[0] : this.#first(live, group);
  }

  #first(live: number, group: LineGroup): number {
    return group.lines[31 - Math.clz32(live & -live)];
  }

  /** Tells the book of a line as a snapshot. @returns false when there was no room: all of its lines begin anew */
  #standIn(group: LineGroup, feed: number, id: number, batch: EventBatch, timeUs: number): boolean {
    const start = batch.count;
    const level = batch.levels;
    const row = batch.begin(EVENT.bookSnapshot, id, Number.NaN);
    const shadow = group.shadow(feed, id);
    invariant(shadow !== undefined, `line ${feed} is live with a book of instrument ${id}`);
    let isWhole = row >= 0;
    for (const side of [SIDE.bid, SIDE.ask]) {
      const count = isWhole ? shadow.top(side, LEVELS_MAX, prices, sizes) : 0;
      for (let i = 0; i < count && isWhole; i += 1) isWhole = batch.level(side, prices[i], sizes[i]);
    }
    if (isWhole) {
      this.#mark(start, batch.count, OWN);
      return true;
    }
    batch.rewind(start, level);
    this.#distrust(group, id, timeUs, batch);
    return false;
  }

  /** The desk stops trusting the instrument, and every line takes its book anew. */
  #distrust(group: LineGroup, id: number, timeUs: number, batch: EventBatch): void {
    group.forget(id);
    for (const line of group.lines) {
      group.live[id] &= ~(1 << this.#bit(line));
      this.#recover(line, id, UNSOUND.gap, timeUs, batch);
    }
  }

  /** What a feed tells when it begins anew is its own. */
  #recover(feed: number, id: number, reason: number, timeUs: number, batch: EventBatch): void {
    const start = batch.count;
    this.#feeds[feed].onUnsound(id, reason, timeUs, batch);
    if (this.redundant) this.#mark(start, batch.count, feed);
  }

  #mark(from: number, to: number, origin: number): void {
    if (to === from) return;
    this.#origin.fill(origin, from, to);
    this.#appended += to - from;
  }

  /** The feed's place among the lines of its venue. */
  #bit(feed: number): number {
    return this.#bits[feed];
  }

  #newGroup(primary: number): LineGroup {
    const lines = this.#feeds.map((_, id) => id).filter((id) => this.#primary[id] === primary);
    return new LineGroup(lines, this.#feeds[primary].venue, this.#instruments.capacity);
  }

  #tellBrought({ applied, lines, sequenced }: LineGroup): void {
    if (sequenced && lines.length > 1) for (const line of lines) this.#feeds[line].brought = applied;
  }

  #group(feed: number): LineGroup {
    return this.#groups[this.#primary[feed]];
  }
}

/** Ends at or after the book's number and begins at or before what follows it. */
function follows(batch: EventBatch, row: number, applied: number): boolean {
  return batch.previousSequence[row] <= applied || batch.firstSequence[row] <= applied + 1;
}

const NO_GROUP = new LineGroup([], null, 0);
