import { KeelError } from "../../core/errors.ts";
import { Rng } from "../../core/rng.ts";
import { EVENT, type EventBatch, UNSOUND } from "../../market/event-batch.ts";
import type { Instrument } from "../../market/instrument.ts";
import { isObject, parseJson } from "../decoder.ts";
import { type FeedOptions, FRAME, type FrameOutcome } from "../feed.ts";
import { RestRequests } from "../rest.ts";
import { SupervisedFeed } from "../supervised-feed.ts";
import { Backoff } from "../supervisor.ts";
import type { BinanceDecoder } from "./decoder.ts";
import { DepthJoin, DIFF, JOINED, MATCH } from "./depth-join.ts";
import { listSymbols, readSymbol } from "./instruments.ts";
import { createBinanceDecoder } from "./native-decoder.ts";
import { OptionMarks, type OptionMarksSubject } from "./option-marks.ts";
import type { BinanceVenue } from "./venue.ts";

/** Streams of one SUBSCRIBE message. */
const STREAMS_PER_MESSAGE = 100;
const SNAPSHOT_RETRY = { baseMs: 250, capMs: 30_000 } as const;
/** A book that was live this long is asked for anew without delay. */
const SETTLED_US = 5_000_000;

/** Mark prices are asked for by REST when the stream has brought none for this long, and this often. */
const MARK_INTERVAL_US = 3_000_000;
const MARK_RETRY = { baseMs: 5_000, capMs: 300_000 } as const;
/** How often symbols that the venue did not list are asked for again. */
const RELIST_US = 60_000_000;
/** A quiet symbol's snapshot waits so long for a depth event before it makes the book live by itself. */
const QUIET_US = 2_000_000;

/** One symbol's way back to a live book. */
interface Recovery {
  readonly instrument: Instrument;
  readonly join: DepthJoin;
  readonly backoff: Backoff;
  /** A snapshot is not asked for before. */
  dueUs: number;
  /** Body of a snapshot that is ahead of all depth events seen so far. */
  held: string | null;
  heldSequence: number;
  heldUs: number;
  inFlight: boolean;
  readonly markBackoff: Backoff;
  /** Mark price and funding are not asked for before; every mark price puts it off. */
  markDueUs: number;
}

/** What a REST request is for. A symbol that is being described is not carried yet. */
type Subject =
  | { readonly purpose: "description"; readonly symbol: string }
  | { readonly purpose: "snapshot" | "mark"; readonly recovery: Recovery }
  | OptionMarksSubject;

/**
 * Binance spot, USDⓈ-M and COIN-M: symbols from `exchangeInfo`, streams by SUBSCRIBE on `/stream`, books from depth events joined to
 * REST snapshots by the venue's sequence rule. A symbol becomes live with the first depth event that joins its snapshot.
 */
export class BinanceFeed extends SupervisedFeed {
  protected readonly decoder: BinanceDecoder;
  readonly #venue: BinanceVenue;
  readonly #bySymbol = new Map<string, Instrument>();
  readonly #recoveries: Recovery[] = [];
  readonly #recoveryOf: Int32Array;
  readonly #rng: Rng;
  readonly #rest: RestRequests<Subject>;
  /** Symbols still to be described, and from when they may be asked for. */
  #undescribed: string[] = [];
  /** Symbols that the venue did not list when it was asked. */
  #unlisted: string[] = [];
  #relistUs = Number.POSITIVE_INFINITY;
  readonly #optionMarks: OptionMarks | null;
  #describeDueUs = 0;
  #nextMessage = 1;

  constructor(venue: BinanceVenue, options: FeedOptions) {
    super(options);
    this.#venue = venue;
    this.decoder = createBinanceDecoder(this.#bySymbol, options.native);
    this.#rng = new Rng(options.seed ^ 0x5eed);
    this.#rest = new RestRequests(options.id, options.port, this.#rng);
    const { optionMarks } = venue;
    this.#optionMarks =
      optionMarks === undefined ? null : new OptionMarks(optionMarks, options.instruments.capacity);
    this.#recoveryOf = new Int32Array(options.instruments.capacity).fill(-1);
  }

  start(timeUs: number): void {
    this.#undescribed = [...this.options.subscriptions];
    this.#describe(timeUs);
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
    const subject = this.#rest.take(request);
    if (subject === undefined) return;
    if (subject.purpose === "snapshot") subject.recovery.inFlight = false;
    const isHeld = status === 429 || status === 418 || retryAfterMs > 0;
    if (isHeld) this.connection.holdUntil(this.#rest.hold(retryAfterMs, timeUs));
    if (status === 200) this.#rest.succeeded();
    else if (isHeld || subject.purpose === "snapshot" || subject.purpose === "description")
      this.#onFailure(status, body);
    switch (subject.purpose) {
      case "mark":
        this.#onMark(subject.recovery, status, body, timeUs, out);
        break;
      case "snapshot":
        if (status === 200) this.#onSnapshot(subject.recovery, body, timeUs, out);
        else this.#retrySnapshot(subject.recovery, timeUs);
        break;
      case "description":
        if (status === 200) this.#onDescription(subject.symbol, body, timeUs, out);
        else this.#onNoDescription(subject.symbol, status, timeUs);
        break;
      case "optionMarks":
      case "index":
        if (status === 200) this.#onOptionMarks(subject, body, out);
        else this.#optionMarks?.failed(timeUs);
        break;
    }
  }

  protected connected(timeUs: number, out: EventBatch): void {
    this.#follow(this.#recoveries, timeUs, out);
  }

  protected admit(row: number, level: number, timeUs: number, out: EventBatch): FrameOutcome {
    const id = out.instrument[row];
    const recovery = this.#recoveries[this.#recoveryOf[id]];
    switch (out.kind[row]) {
      case EVENT.bookDelta:
        this.#onDepth(recovery, row, level, timeUs, out);
        return FRAME.ok;
      case EVENT.top:
        if (recovery.join.live) this.states.onData(id, timeUs);
        else out.rewind(row, level);
        return FRAME.ok;
      case EVENT.status: {
        const reason = out.reason[row];
        out.rewind(row, level);
        this.problem = `${this.venue}: a price of ${recovery.instrument.symbol} is not on the grid that exchangeInfo gave`;
        this.distrust(id, reason, timeUs, out);
        return FRAME.ok;
      }
      case EVENT.ticker:
        recovery.markDueUs = timeUs + MARK_INTERVAL_US;
        return FRAME.ok;
      default:
        this.states.onData(id, timeUs);
        return FRAME.ok;
    }
  }

  protected control(frame: string): void {
    const answer = parseJson(frame);
    if (!isObject(answer)) return;
    const failure = isObject(answer.error) ? answer.error : "code" in answer ? answer : null;
    if (failure !== null)
      this.problem = `${this.venue}: the venue answered ${JSON.stringify(failure).slice(0, 200)}`;
  }

  protected tick(timeUs: number, out: EventBatch): void {
    const overdue = this.#rest.overdue(timeUs);
    if (overdue >= 0) this.onResponse(overdue, 0, "within the time for it", Number.NaN, timeUs, out);
    if (timeUs >= this.#relistUs) this.#relist();
    if (this.#undescribed.length > 0) this.#describe(timeUs);
    if (!this.connection.open) return;
    for (const recovery of this.#recoveries) {
      this.#askSnapshot(recovery, timeUs);
      this.#askMark(recovery, timeUs);
      if (this.#venue.mayBeQuiet === true && recovery.held !== null && timeUs >= recovery.heldUs + QUIET_US)
        this.#onQuiet(recovery, timeUs, out);
    }
    this.#askOptionMarks(timeUs);
  }

  protected disconnected(): void {
    this.#optionMarks?.clear();
    for (const recovery of this.#recoveries) {
      recovery.join.restart();
      recovery.held = null;
      recovery.inFlight = false;
    }
    this.#rest.giveUp(({ purpose }) => purpose !== "description");
  }

  protected resync(instrument: number, reason: number, timeUs: number): void {
    const recovery = this.#recoveries[this.#recoveryOf[instrument]];
    if (!this.connection.open) return;
    recovery.join.restart();
    recovery.held = null;
    this.#scheduleSnapshot(recovery, timeUs);
    if (reason === UNSOUND.silence) {
      this.#send("UNSUBSCRIBE", [recovery.instrument]);
      this.#send("SUBSCRIBE", [recovery.instrument]);
    }
  }

  /** Subscribes symbols and waits for their books. */
  #follow(recoveries: readonly Recovery[], timeUs: number, out: EventBatch): void {
    for (const recovery of recoveries) {
      recovery.dueUs = timeUs;
      recovery.markDueUs = timeUs + MARK_INTERVAL_US;
      this.states.toSnapshot(recovery.instrument.id, out);
    }
    this.#send(
      "SUBSCRIBE",
      recoveries.map(({ instrument }) => instrument),
    );
  }

  #onDepth(recovery: Recovery, row: number, level: number, timeUs: number, out: EventBatch): void {
    const { instrument, join } = recovery;
    if (join.live) {
      const verdict = join.judge(out, row);
      if (verdict !== DIFF.gap) {
        if (verdict === DIFF.old) out.rewind(row, level);
        this.states.onData(instrument.id, timeUs);
        return;
      }
      this.counters.gaps += 1;
      this.problem = `${this.venue}: depth of ${instrument.symbol} goes from ${join.bookSequence} to U=${out.firstSequence[row]} pu=${out.previousSequence[row]}`;
      join.restart();
      join.keep(out, row);
      out.rewind(row, level);
      this.states.toUnsound(instrument.id, UNSOUND.gap, timeUs, out);
      this.#scheduleSnapshot(recovery, timeUs);
      this.#askSnapshot(recovery, timeUs);
      return;
    }
    if (!join.keep(out, row)) {
      this.counters.overflows += 1;
      recovery.held = null;
    }
    out.rewind(row, level);
    if (recovery.held === null) {
      this.#askSnapshot(recovery, timeUs);
    } else if (join.match(recovery.heldSequence) !== MATCH.waits) {
      const body = recovery.held;
      recovery.held = null;
      this.#onSnapshot(recovery, body, timeUs, out);
    }
  }

  #onSnapshot(recovery: Recovery, body: string, timeUs: number, out: EventBatch): void {
    const { instrument, join } = recovery;
    const row = out.count;
    const level = out.levels;
    const outcome = this.decoder.decodeSnapshot(body, instrument, out);
    if (outcome === FRAME.ok && out.kind[row] === EVENT.bookSnapshot) {
      const sequence = out.lastSequence[row];
      const match = join.match(sequence);
      if (match === MATCH.joins) {
        const joined = join.join(sequence, out);
        if (joined === JOINED.done) {
          this.states.toLive(instrument.id, timeUs, out);
          return;
        }
        out.rewind(row, level);
        if (joined === JOINED.gap) this.counters.gaps += 1;
        else this.counters.overflows += 1;
        const reason = joined === JOINED.gap ? UNSOUND.gap : UNSOUND.overflow;
        this.states.toUnsound(instrument.id, reason, timeUs, out);
        this.#retrySnapshot(recovery, timeUs);
        return;
      }
      out.rewind(row, level);
      if (match === MATCH.waits) {
        recovery.held = body;
        recovery.heldSequence = sequence;
        recovery.heldUs = timeUs;
        return;
      }
      this.problem = `${this.venue}: snapshot of ${instrument.symbol} at ${sequence} is older than the depth events`;
      this.#retrySnapshot(recovery, timeUs);
      return;
    }
    out.rewind(row, level);
    this.#onBadSnapshot(recovery, outcome, timeUs, out);
  }

  /** Nothing has happened since the snapshot: it is the book. */
  #onQuiet(recovery: Recovery, timeUs: number, out: EventBatch): void {
    const { instrument, join, held } = recovery;
    recovery.held = null;
    const row = out.count;
    const level = out.levels;
    if (held === null || this.decoder.decodeSnapshot(held, instrument, out) !== FRAME.ok) return;
    if (join.join(recovery.heldSequence, out) === JOINED.done) {
      this.states.toLive(instrument.id, timeUs, out);
      return;
    }
    out.rewind(row, level);
    this.#retrySnapshot(recovery, timeUs);
  }

  #onBadSnapshot(recovery: Recovery, outcome: FrameOutcome, timeUs: number, out: EventBatch): void {
    const { id, symbol } = recovery.instrument;
    let reason: number = UNSOUND.offGrid;
    if (outcome === FRAME.overflow) {
      this.counters.overflows += 1;
      reason = UNSOUND.overflow;
    } else if (outcome === FRAME.unparsable) {
      this.counters.unparsable += 1;
      reason = UNSOUND.unparsable;
    }
    this.problem = `${this.venue}: the snapshot of ${symbol} cannot be used`;
    this.states.toUnsound(id, reason, timeUs, out);
    this.#retrySnapshot(recovery, timeUs);
  }

  #scheduleSnapshot(recovery: Recovery, timeUs: number): void {
    if (timeUs - this.states.liveSinceUs(recovery.instrument.id) >= SETTLED_US) recovery.backoff.reset();
    if (recovery.backoff.attempts === 0) {
      recovery.dueUs = timeUs;
      recovery.backoff.nextUs();
    } else {
      this.#retrySnapshot(recovery, timeUs);
    }
  }

  #retrySnapshot(recovery: Recovery, timeUs: number): void {
    recovery.dueUs = timeUs + recovery.backoff.nextUs();
  }

  #askSnapshot(recovery: Recovery, timeUs: number): void {
    const { join, instrument } = recovery;
    if (join.live || recovery.inFlight || recovery.held !== null) return;
    if (join.buffered === 0 && this.#venue.mayBeQuiet !== true) return;
    if (timeUs < recovery.dueUs || !this.#rest.isFree(timeUs)) return;
    recovery.inFlight = true;
    this.#rest.send(this.#venue.depthPath(instrument.symbol), { purpose: "snapshot", recovery }, timeUs);
  }

  /** Comes after all other requests: only when none is under way. */
  #askMark(recovery: Recovery, timeUs: number): void {
    if (timeUs < recovery.markDueUs || this.#rest.underWay > 0 || !this.#rest.isFree(timeUs)) return;
    const path = this.#venue.markPath(recovery.instrument.symbol);
    if (path === null) return;
    recovery.markDueUs = timeUs + MARK_INTERVAL_US;
    this.#rest.send(path, { purpose: "mark", recovery }, timeUs);
  }

  /** A venue that cannot say is asked ever less often; that is no trouble of the book's. */
  #onMark(recovery: Recovery, status: number, body: string, timeUs: number, out: EventBatch): void {
    if (status === 200) {
      const outcome = this.decoder.decodePremiumIndex(body, recovery.instrument, out);
      if (outcome === FRAME.ok) {
        recovery.markBackoff.reset();
        return;
      }
      if (outcome === FRAME.overflow) this.counters.overflows += 1;
      else this.counters.unparsable += 1;
    }
    recovery.markDueUs = timeUs + recovery.markBackoff.nextUs();
  }

  /** Comes after all other requests, as {@link #askMark} does. */
  #askOptionMarks(timeUs: number): void {
    const marks = this.#optionMarks;
    if (marks === null || !marks.isDue(timeUs) || this.#rest.underWay > 0 || !this.#rest.isFree(timeUs))
      return;
    const { path, subject } = marks.ask(this.states.carried, timeUs);
    this.#rest.send(path, subject, timeUs);
  }

  #onOptionMarks(subject: OptionMarksSubject, body: string, out: EventBatch): void {
    const outcome = this.#optionMarks?.answer(subject, body, this.decoder, this.states.carried, out);
    if (outcome === FRAME.overflow) this.counters.overflows += 1;
    else if (outcome === FRAME.unparsable) this.counters.unparsable += 1;
  }

  #relist(): void {
    this.#relistUs = Number.POSITIVE_INFINITY;
    this.#undescribed.push(...this.#unlisted);
    this.#unlisted = [];
  }

  #describe(timeUs: number): void {
    if (timeUs < this.#describeDueUs) return;
    for (const symbol of this.#venue.infoIsWhole ? [""] : this.#undescribed) {
      if (!this.#rest.isFree(timeUs)) return;
      const isAsking = (subject: Subject): boolean =>
        subject.purpose === "description" && subject.symbol === symbol;
      if (this.#rest.isAsking(isAsking)) continue;
      this.#rest.send(this.#venue.infoPath(symbol), { purpose: "description", symbol }, timeUs);
    }
  }

  #onFailure(status: number, body: string): void {
    const answer = status === 0 ? "nothing" : `HTTP ${status}`;
    this.problem = `${this.venue}: REST answered ${answer} ${body.slice(0, 120)}`.trim();
  }

  /** Where one symbol is asked for, 400 says that there is no such symbol; all else is tried again. */
  #onNoDescription(symbol: string, status: number, timeUs: number): void {
    if (!this.#venue.infoIsWhole && status === 400) {
      this.#refuse(symbol, timeUs);
      this.#connectWhenDescribed(timeUs);
    } else {
      this.#describeDueUs = timeUs + this.#rest.retryDelayUs();
    }
  }

  #onDescription(asked: string, body: string, timeUs: number, out: EventBatch): void {
    let symbols: ReadonlyMap<string, unknown>;
    try {
      symbols = listSymbols(this.#venue.name, body);
    } catch (error) {
      this.counters.unparsable += 1;
      this.problem = messageOf(error);
      this.#describeDueUs = timeUs + this.#rest.retryDelayUs();
      return;
    }
    const before = this.#recoveries.length;
    for (const symbol of this.#venue.infoIsWhole ? [...this.#undescribed] : [asked]) {
      this.#onSymbol(symbol, symbols.get(symbol), timeUs);
    }
    const fresh = this.#recoveries.slice(before);
    if (this.connection.open && fresh.length > 0) this.#follow(fresh, timeUs, out);
    this.#connectWhenDescribed(timeUs);
  }

  #onSymbol(symbol: string, entry: unknown, timeUs: number): void {
    if (entry === undefined) {
      this.#refuse(symbol, timeUs);
      return;
    }
    try {
      const instrument = this.options.instruments.add(readSymbol(this.#venue.name, entry));
      if (instrument === undefined) {
        this.counters.overflows += 1;
        this.problem = `${this.venue}: no room for ${symbol} among ${this.options.instruments.capacity} instruments`;
      } else {
        this.#carry(instrument);
      }
      this.#undescribed = this.#undescribed.filter((other) => other !== symbol);
    } catch (error) {
      this.#refuse(symbol, timeUs);
      this.problem = messageOf(error);
    }
  }

  #carry(instrument: Instrument): void {
    if (!this.states.carry(instrument)) return;
    this.#bySymbol.set(instrument.symbol, instrument);
    this.#recoveryOf[instrument.id] = this.#recoveries.length;
    this.#recoveries.push({
      instrument,
      join: new DepthJoin(this.#venue.sequence),
      backoff: new Backoff(this.#rng, SNAPSHOT_RETRY),
      dueUs: 0,
      held: null,
      heldSequence: Number.NaN,
      heldUs: Number.NaN,
      inFlight: false,
      markBackoff: new Backoff(this.#rng, MARK_RETRY),
      markDueUs: 0,
    });
  }

  #refuse(symbol: string, timeUs: number): void {
    this.counters.ignored += 1;
    this.problem = `${this.venue}: found no symbol ${symbol} in the venue's exchangeInfo`;
    this.#undescribed = this.#undescribed.filter((other) => other !== symbol);
    this.#unlisted.push(symbol);
    this.#relistUs = timeUs + RELIST_US;
  }

  #connectWhenDescribed(timeUs: number): void {
    if (this.#undescribed.length > 0) return;
    if (this.states.carried.length > 0) this.connection.start(timeUs);
  }

  #send(method: "SUBSCRIBE" | "UNSUBSCRIBE", instruments: readonly Instrument[]): void {
    const streams = instruments.flatMap(({ symbol }) =>
      this.#venue.streams.map((stream) => `${symbol.toLowerCase()}@${stream}`),
    );
    for (let start = 0; start < streams.length; start += STREAMS_PER_MESSAGE) {
      const params = streams.slice(start, start + STREAMS_PER_MESSAGE);
      this.options.port.send(this.id, JSON.stringify({ method, params, id: this.#nextMessage }));
      this.#nextMessage += 1;
    }
  }
}

function messageOf(error: unknown): string {
  if (error instanceof KeelError) return error.message;
  throw error;
}
