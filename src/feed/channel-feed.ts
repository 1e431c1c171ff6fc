import { KeelError } from "../core/errors.ts";
import { Rng } from "../core/rng.ts";
import { EVENT, type EventBatch, UNSOUND } from "../market/event-batch.ts";
import type { Instrument, InstrumentSpec } from "../market/instrument.ts";
import { type ChannelLimits, ChannelOutbox } from "./channel-outbox.ts";
import { isObject, parseJson } from "./decoder.ts";
import { type FeedOptions, FRAME, type FrameOutcome } from "./feed.ts";
import { RestRequests } from "./rest.ts";
import { MAX_OLD_IN_A_ROW, SupervisedFeed } from "./supervised-feed.ts";
import { Backoff } from "./supervisor.ts";
import { TickerValues } from "./ticker-values.ts";

const BOOK_RETRY = { baseMs: 100, capMs: 60_000 } as const;
/** A subscribed book that has sent no snapshot for this long is subscribed anew. */
const SNAPSHOT_WAIT_US = 10_000_000;
/** A book that was live this long is subscribed anew without delay. */
const SETTLED_US = 5_000_000;
const SCAN_US = 50_000;
/** How often the venue is asked for instruments that it did not list so far, and for new ones of a group. */
const RELIST_US = 60_000_000;

/** What a venue answers when it is asked for instruments. */
export interface Listing {
  /** Those that are wanted; what of them could not be read, and why, as errors. */
  readonly found: readonly (InstrumentSpec | KeelError)[];
  /** The rest of the answer is there; null when this was all. */
  readonly next: string | null;
}

/** What a book event is to the book. */
export const STEP = { next: 0, old: 1, gap: 2, checksum: 3 } as const;
export type Step = (typeof STEP)[keyof typeof STEP];

/** What tells one venue of channels from another. */
export interface ChannelVenue {
  readonly limits: ChannelLimits;
  /** Channels of a connection, counted in characters; instruments beyond it are not taken on. */
  readonly maxChannelLength: number;
  readonly pingText: string;
  readonly pingUs: number;
  /** REST paths by which the subscriptions' instruments are asked for. */
  questions(subscriptions: readonly string[]): readonly string[];
  /** @throws BadInputError when the body is no listing. */
  readListing(body: string, path: string): Listing;
  /** The instrument's channels, the book first. */
  channels(instrument: Instrument): readonly string[];
  /** Channels of a group that the instrument belongs to. */
  groupChannels(instrument: Instrument): readonly string[];
  /** What the answer to a request or subscription complains of; null when it does not. */
  complaint(answer: Readonly<Record<string, unknown>>): string | null;
}

/** One instrument's way back to a live book. */
interface Recovery {
  readonly instrument: Instrument;
  readonly backoff: Backoff;
  /** When to subscribe the book anew unless it is live by then. */
  dueUs: number;
  oldInARow: number;
  /** The newest change that came while there was no book to change; NaN when none has a number. */
  passedOver: number;
  /** Subscribe all of the instrument's channels anew, not only its book. */
  all: boolean;
}

/**
 * A venue whose instruments are listed over REST and whose books come by channels of one WebSocket, each with its own snapshot:
 * lists, subscribes within the venue's limits, pings, and brings an unsound book back by subscribing that channel alone again.
 * Instruments that the venue does not list yet are asked for again every minute.
 */
export abstract class ChannelFeed extends SupervisedFeed {
  readonly #channelVenue: ChannelVenue;
  readonly #recoveries: Recovery[] = [];
  readonly #recoveryOf: Int32Array;
  readonly #rng: Rng;
  readonly #rest: RestRequests<string>;
  readonly #outbox: ChannelOutbox;
  readonly #tickers: TickerValues;
  readonly #groups = new Set<string>();
  /** REST paths to be asked. */
  #unasked: string[] = [];
  #askDueUs = 0;
  #relistUs = Number.POSITIVE_INFINITY;
  #channelLength = 0;
  #nextScanUs = 0;
  #nextPingUs = 0;

  constructor(channelVenue: ChannelVenue, options: FeedOptions) {
    super(options);
    this.#channelVenue = channelVenue;
    this.#rng = new Rng(options.seed ^ 0xc4a27e1);
    this.#rest = new RestRequests(options.id, options.port, this.#rng);
    this.#outbox = new ChannelOutbox(options.id, options.port, channelVenue.limits);
    this.#recoveryOf = new Int32Array(options.instruments.capacity).fill(-1);
    this.#tickers = new TickerValues(options.instruments.capacity);
  }

  start(timeUs: number): void {
    this.#unasked = [...this.#channelVenue.questions(this.options.subscriptions)];
    this.#ask(timeUs);
  }

  onResponse(
    request: number,
    status: number,
    body: string,
    retryAfterMs: number,
    timeUs: number,
    out: EventBatch,
  ): void {
    this.states.settle(out);
    const path = this.#rest.take(request);
    if (path === undefined) return;
    if (status === 429 || status === 403 || status === 418 || retryAfterMs > 0)
      this.connection.holdUntil(this.#rest.hold(retryAfterMs, timeUs));
    if (status === 200) this.#onListing(path, body, timeUs, out);
    else {
      const answer = status === 0 ? "nothing" : `HTTP ${status}`;
      this.problem = `${this.venue}: REST answered ${answer} ${body.slice(0, 120)}`.trim();
      this.#askAgain(path, timeUs);
    }
  }

  protected connected(timeUs: number, out: EventBatch): void {
    this.#nextPingUs = timeUs + this.#channelVenue.pingUs;
    this.#subscribe(this.#recoveries, timeUs, out);
    this.#outbox.add("subscribe", [...this.#groups]);
    this.#outbox.flush(timeUs);
  }

  protected admit(row: number, level: number, timeUs: number, out: EventBatch): FrameOutcome {
    const kind = out.kind[row];
    if (kind === EVENT.bookSnapshot || kind === EVENT.bookDelta) {
      this.#onBook(row, level, timeUs, out);
      return FRAME.ok;
    }
    if (kind === EVENT.status) {
      const { symbol } = this.#recoveries[this.#recoveryOf[out.instrument[row]]].instrument;
      return this.offGrid(row, level, symbol, "the venue's listing", timeUs, out);
    }
    if (kind === EVENT.top && !this.states.isLive(out.instrument[row])) {
      out.rewind(row, level);
      return FRAME.ok;
    }
    for (let at = row; at < out.count; at += 1) {
      if (out.kind[at] === EVENT.ticker) this.#tickers.complete(out, at);
      else this.states.onData(out.instrument[at], timeUs);
    }
    return FRAME.ok;
  }

  protected control(frame: string): void {
    const answer = parseJson(frame);
    const complaint = isObject(answer) ? this.#channelVenue.complaint(answer) : null;
    if (complaint === null) return;
    this.counters.ignored += 1;
    this.problem = `${this.venue}: the venue answered ${complaint.slice(0, 200)}`;
  }

  protected tick(timeUs: number, out: EventBatch): void {
    const overdue = this.#rest.overdue(timeUs);
    if (overdue >= 0) this.onResponse(overdue, 0, "within the time for it", Number.NaN, timeUs, out);
    if (timeUs >= this.#relistUs) {
      this.#relistUs = Number.POSITIVE_INFINITY;
      this.#unasked = [...this.#channelVenue.questions(this.#unlisted())];
    }
    this.#ask(timeUs);
    if (!this.connection.open) return;
    if (timeUs >= this.#nextPingUs) {
      this.#nextPingUs = timeUs + this.#channelVenue.pingUs;
      this.options.port.send(this.id, this.#channelVenue.pingText);
    }
    if (timeUs >= this.#nextScanUs) {
      this.#nextScanUs = timeUs + SCAN_US;
      this.#renew(timeUs);
    }
    this.#outbox.flush(timeUs);
  }

  protected disconnected(): void {
    this.#outbox.clear();
    this.#tickers.clear();
    for (const recovery of this.#recoveries) {
      recovery.dueUs = Number.POSITIVE_INFINITY;
      recovery.oldInARow = 0;
      recovery.passedOver = Number.NaN;
      recovery.all = false;
      this.forget(recovery.instrument.id);
    }
  }

  protected resync(instrument: number, reason: number, timeUs: number): void {
    if (!this.connection.open) return;
    const recovery = this.#recoveries[this.#recoveryOf[instrument]];
    this.forget(instrument);
    recovery.oldInARow = 0;
    if (reason === UNSOUND.silence) recovery.all = true;
    if (timeUs - this.states.liveSinceUs(instrument) >= SETTLED_US) recovery.backoff.reset();
    const delayUs = recovery.backoff.attempts === 0 ? 0 : recovery.backoff.nextUs();
    recovery.dueUs = Math.min(recovery.dueUs, timeUs + delayUs);
    this.#nextScanUs = Math.min(this.#nextScanUs, timeUs);
  }

  /** Starts a book from the snapshot of `row`. @returns `next`, or why the snapshot cannot be used. */
  protected abstract restart(row: number, out: EventBatch): Step;

  /** Judges the change of `row` of a live book; the book moves on when it is the next one. */
  protected abstract judge(row: number, out: EventBatch): Step;

  /** Forgets where the instrument's book stood. */
  protected abstract forget(instrument: number): void;

  /** Where the instrument's book stands, for people. */
  protected abstract standing(instrument: number): string;

  /** The instrument is known now: a decoder's map of symbols grows. */
  protected abstract adopted(instrument: Instrument): void;

  #onBook(row: number, level: number, timeUs: number, out: EventBatch): void {
    const id = out.instrument[row];
    const recovery = this.#recoveries[this.#recoveryOf[id]];
    this.states.onData(id, timeUs);
    const isSnapshot = out.kind[row] === EVENT.bookSnapshot;
    const isLive = this.states.isLive(id);
    const last = out.lastSequence[row];
    if (!isSnapshot && !isLive) {
      if (!(last <= recovery.passedOver)) recovery.passedOver = last;
      out.rewind(row, level);
      return;
    }
    const isLate = isSnapshot && !isLive && last < recovery.passedOver;
    let step: Step = STEP.gap;
    if (!isLate) step = isSnapshot ? this.restart(row, out) : this.judge(row, out);
    if (step === STEP.next) {
      recovery.oldInARow = 0;
      if (!isSnapshot) return;
      recovery.passedOver = Number.NaN;
      recovery.dueUs = Number.POSITIVE_INFINITY;
      this.states.toLive(id, timeUs, out);
      return;
    }
    const checksum = out.checksum[row];
    out.rewind(row, level);
    const { symbol } = recovery.instrument;
    if (step === STEP.old) {
      recovery.oldInARow += 1;
      if (recovery.oldInARow <= MAX_OLD_IN_A_ROW) return;
    }
    if (step === STEP.checksum) {
      this.counters.checksums += 1;
      this.problem = `${this.venue}: book of ${symbol} does not have the checksum ${checksum}`;
    } else if (isLate) {
      this.counters.gaps += 1;
      this.problem = `${this.venue}: the snapshot of ${symbol} at ${last} came after the change ${recovery.passedOver}`;
    } else {
      this.counters.gaps += 1;
      this.problem = `${this.venue}: book of ${symbol} stands at ${this.standing(id)}, found first=${out.firstSequence[row]} last=${out.lastSequence[row]} previous=${out.previousSequence[row]}`;
    }
    this.distrust(id, step === STEP.checksum ? UNSOUND.checksum : UNSOUND.gap, timeUs, out);
  }

  /** Subscriptions that name no instrument carried so far. */
  #unlisted(): string[] {
    const symbols = new Set(this.states.carried.map(({ symbol }) => symbol));
    return this.options.subscriptions.filter((text) => !symbols.has(text.replace(/@\d+$/, "")));
  }

  #ask(timeUs: number): void {
    if (timeUs < this.#askDueUs) return;
    while (this.#unasked.length > 0 && this.#rest.isFree(timeUs)) {
      const path = this.#unasked.shift();
      if (path !== undefined) this.#rest.send(path, path, timeUs);
    }
  }

  #askAgain(path: string, timeUs: number): void {
    this.#unasked.push(path);
    this.#askDueUs = timeUs + this.#rest.retryDelayUs();
  }

  #onListing(path: string, body: string, timeUs: number, out: EventBatch): void {
    let listing: Listing;
    try {
      listing = this.#channelVenue.readListing(body, path);
    } catch (error) {
      if (!(error instanceof KeelError)) throw error;
      this.counters.unparsable += 1;
      this.problem = error.message;
      this.#askAgain(path, timeUs);
      return;
    }
    this.#rest.succeeded();
    const fresh = listing.found.flatMap((found) => this.#adopt(found));
    if (listing.next !== null) this.#unasked.push(listing.next);
    this.#ask(timeUs);
    if (this.connection.open) this.#subscribe(fresh, timeUs, out);
    if (this.#unasked.length === 0 && this.#rest.underWay === 0) this.#listed(timeUs);
    this.#outbox.flush(timeUs);
  }

  /** The whole listing has been read. */
  #listed(timeUs: number): void {
    const missing = this.#unlisted();
    const named = missing.filter((text) => !text.includes(":"));
    if (missing.length > 0) this.#relistUs = timeUs + RELIST_US;
    if (named.length > 0) {
      this.counters.ignored += named.length;
      this.problem = `${this.venue}: the venue lists no ${named.join(", ")}; asking again every ${RELIST_US / 1e6} s`;
    }
    if (this.states.carried.length > 0) this.connection.start(timeUs);
  }

  /** Takes an instrument on that is new. @returns its recovery */
  #adopt(found: InstrumentSpec | KeelError): readonly Recovery[] {
    if (found instanceof KeelError) {
      this.counters.ignored += 1;
      this.problem = found.message;
      return [];
    }
    const { instruments } = this.options;
    const known = instruments.find(found.venue, found.symbol);
    if (known !== undefined && this.states.carries(known.id)) return [];
    const instrument = instruments.add(found);
    const venue = this.#channelVenue;
    if (instrument === undefined) {
      this.counters.overflows += 1;
      this.problem = `${this.venue}: no room for ${found.symbol} among ${instruments.capacity} instruments`;
      return [];
    }
    const length = venue.channels(instrument).reduce((sum, channel) => sum + channel.length + 1, 0);
    if (this.#channelLength + length > venue.maxChannelLength) {
      this.counters.overflows += 1;
      this.problem = `${this.venue}: no room for ${found.symbol}: a connection takes channels of ${venue.maxChannelLength} characters`;
      return [];
    }
    this.#channelLength += length;
    this.states.carry(instrument);
    this.adopted(instrument);
    const recovery: Recovery = {
      instrument,
      backoff: new Backoff(this.#rng, BOOK_RETRY),
      dueUs: Number.POSITIVE_INFINITY,
      oldInARow: 0,
      passedOver: Number.NaN,
      all: false,
    };
    this.#recoveryOf[instrument.id] = this.#recoveries.length;
    this.#recoveries.push(recovery);
    for (const channel of venue.groupChannels(instrument)) {
      if (this.#groups.has(channel)) continue;
      this.#groups.add(channel);
      if (this.connection.open) this.#outbox.add("subscribe", [channel]);
    }
    return [recovery];
  }

  #subscribe(recoveries: readonly Recovery[], timeUs: number, out: EventBatch): void {
    const channels: string[] = [];
    for (const recovery of recoveries) {
      this.states.toSnapshot(recovery.instrument.id, out);
      recovery.dueUs = timeUs + SNAPSHOT_WAIT_US;
      channels.push(...this.#channelVenue.channels(recovery.instrument));
    }
    this.#outbox.add("subscribe", channels);
  }

  /** Unsubscribes and subscribes again the books whose time has come, and no channel beside them. */
  #renew(timeUs: number): void {
    const channels: string[] = [];
    for (const recovery of this.#recoveries) {
      if (timeUs < recovery.dueUs) continue;
      recovery.dueUs = timeUs + SNAPSHOT_WAIT_US + recovery.backoff.nextUs();
      // What is asked for now is newer than all that has come, even where the venue numbers anew.
      recovery.passedOver = Number.NaN;
      const all = this.#channelVenue.channels(recovery.instrument);
      channels.push(...(recovery.all ? all : all.slice(0, 1)));
      recovery.all = false;
    }
    this.#outbox.add("unsubscribe", channels);
    this.#outbox.add("subscribe", channels);
  }
}
