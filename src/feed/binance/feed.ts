import { KeelError } from "../../core/errors.ts";
import { Rng } from "../../core/rng.ts";
import { EVENT, type EventBatch, UNSOUND } from "../../market/event-batch.ts";
import type { Instrument } from "../../market/instrument.ts";
import { isObject, parseJson } from "../decoder.ts";
import { type FeedOptions, FRAME, type FrameOutcome } from "../feed.ts";
import { RestRequests } from "../rest.ts";
import { SupervisedFeed } from "../supervised-feed.ts";
import type { BinanceDecoder } from "./decoder.ts";
import { DepthHead } from "./depth-head.ts";
import { DIFF, JOINED, MATCH } from "./depth-join.ts";
import { listSymbols, readSymbol } from "./instruments.ts";
import { SymbolListing } from "./listing.ts";
import { createBinanceDecoder } from "./native-decoder.ts";
import { OptionMarks, type OptionMarksSubject } from "./option-marks.ts";
import { Recovery } from "./recovery.ts";
import { StreamOutbox } from "./stream-outbox.ts";
import type { BinanceVenue } from "./venue.ts";

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
  readonly #outbox: StreamOutbox;
  readonly #listing: SymbolListing;
  readonly #optionMarks: OptionMarks | null;
  readonly #head = new DepthHead();
  brought: Float64Array | undefined;
  /** The event that is being taken in has been brought by another line, and is told without levels. */
  #isBare = false;

  constructor(venue: BinanceVenue, options: FeedOptions) {
    super(options);
    this.#venue = venue;
    this.#listing = new SymbolListing(venue);
    this.decoder = createBinanceDecoder(this.#bySymbol, options.native);
    this.#rng = new Rng(options.seed ^ 0x5eed);
    this.#rest = new RestRequests(options.id, options.port, this.#rng);
    this.#outbox = new StreamOutbox(options.id, options.port, venue.streams);
    const { optionMarks } = venue;
    this.#optionMarks =
      optionMarks === undefined ? null : new OptionMarks(optionMarks, options.instruments.capacity);
    this.#recoveryOf = new Int32Array(options.instruments.capacity).fill(-1);
  }

  start(timeUs: number): void {
    this.#listing.start(this.options.subscriptions);
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
        else subject.recovery.retry(timeUs);
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

  override decode(frame: string, out: EventBatch): FrameOutcome {
    this.#isBare = this.brought !== undefined && this.#repeats(this.brought, frame, out);
    return this.#isBare ? FRAME.ok : super.decode(frame, out);
  }

  /** Tells an event that another line has brought by its numbers alone. @returns false when it is no such event */
  #repeats(brought: Float64Array, frame: string, out: EventBatch): boolean {
    const head = this.#head;
    if (!head.read(frame)) return false;
    const instrument = this.#bySymbol.get(head.symbol);
    if (instrument === undefined || !(head.lastUpdate <= brought[instrument.id])) return false;
    // Events that wait for their snapshot may come to be needed.
    if (!this.#recoveries[this.#recoveryOf[instrument.id]].join.live) return false;
    const row = out.begin(EVENT.bookDelta, instrument.id, head.exchangeUs);
    if (row < 0) return false;
    out.setSequence(row, head.firstUpdate, head.lastUpdate, head.previousUpdate);
    return true;
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
      case EVENT.status:
        return this.offGrid(row, level, recovery.instrument.symbol, "exchangeInfo", timeUs, out);
      case EVENT.ticker:
        recovery.marked(timeUs);
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
    this.#describe(timeUs);
    if (!this.connection.open) return;
    this.#outbox.flush(timeUs);
    for (const recovery of this.#recoveries) {
      this.#askSnapshot(recovery, timeUs);
      this.#askMark(recovery, timeUs);
      const quiet = recovery.takeQuiet(timeUs);
      if (quiet !== null) this.#onQuiet(recovery, quiet, timeUs, out);
    }
    this.#askOptionMarks(timeUs);
  }

  protected disconnected(): void {
    this.#optionMarks?.clear();
    this.#outbox.clear();
    for (const recovery of this.#recoveries) {
      recovery.restart();
      recovery.inFlight = false;
    }
    this.#rest.giveUp(({ purpose }) => purpose !== "description");
  }

  protected resync(instrument: number, reason: number, timeUs: number): void {
    const recovery = this.#recoveries[this.#recoveryOf[instrument]];
    if (!this.connection.open) return;
    recovery.restart();
    recovery.schedule(timeUs, this.states.liveSinceUs(instrument));
    if (reason === UNSOUND.silence) {
      this.#outbox.resubscribe(recovery.instrument.symbol);
      this.#outbox.flush(timeUs);
    }
  }

  /** Subscribes symbols and waits for their books. */
  #follow(recoveries: readonly Recovery[], timeUs: number, out: EventBatch): void {
    for (const recovery of recoveries) {
      recovery.followed(timeUs);
      this.states.toSnapshot(recovery.instrument.id, out);
      this.#outbox.subscribe(recovery.instrument.symbol);
    }
    this.#outbox.flush(timeUs);
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
      if (!this.#isBare) join.keep(out, row);
      out.rewind(row, level);
      this.states.toUnsound(instrument.id, UNSOUND.gap, timeUs, out);
      recovery.schedule(timeUs, this.states.liveSinceUs(instrument.id));
      this.#askSnapshot(recovery, timeUs);
      return;
    }
    if (!join.keep(out, row)) {
      this.counters.overflows += 1;
      recovery.dropHeld();
    }
    out.rewind(row, level);
    if (!recovery.isHolding) {
      this.#askSnapshot(recovery, timeUs);
      return;
    }
    const body = recovery.takeMatched();
    if (body !== null) this.#onSnapshot(recovery, body, timeUs, out);
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
        recovery.retry(timeUs);
        return;
      }
      out.rewind(row, level);
      if (match === MATCH.waits) {
        recovery.hold(body, sequence, timeUs);
        return;
      }
      this.problem = `${this.venue}: snapshot of ${instrument.symbol} at ${sequence} is older than the depth events`;
      recovery.retry(timeUs);
      return;
    }
    out.rewind(row, level);
    this.#onBadSnapshot(recovery, outcome, timeUs, out);
  }

  /** Nothing has happened since the snapshot: it is the book. */
  #onQuiet(recovery: Recovery, body: string, timeUs: number, out: EventBatch): void {
    const { instrument, join } = recovery;
    const row = out.count;
    const level = out.levels;
    if (this.decoder.decodeSnapshot(body, instrument, out) !== FRAME.ok) return;
    if (join.join(recovery.heldSequence, out) === JOINED.done) {
      this.states.toLive(instrument.id, timeUs, out);
      return;
    }
    out.rewind(row, level);
    recovery.retry(timeUs);
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
    recovery.retry(timeUs);
  }

  #askSnapshot(recovery: Recovery, timeUs: number): void {
    if (!recovery.wantsSnapshot(timeUs) || !this.#rest.isFree(timeUs)) return;
    recovery.inFlight = true;
    this.#rest.send(
      this.#venue.depthPath(recovery.instrument.symbol),
      { purpose: "snapshot", recovery },
      timeUs,
    );
  }

  /** Comes after all other requests: only when none is under way. */
  #askMark(recovery: Recovery, timeUs: number): void {
    if (!recovery.wantsMark(timeUs) || this.#rest.underWay > 0 || !this.#rest.isFree(timeUs)) return;
    const path = this.#venue.markPath(recovery.instrument.symbol);
    if (path === null) return;
    recovery.marked(timeUs);
    this.#rest.send(path, { purpose: "mark", recovery }, timeUs);
  }

  #onMark(recovery: Recovery, status: number, body: string, timeUs: number, out: EventBatch): void {
    let isGood = false;
    if (status === 200) {
      const outcome = this.decoder.decodePremiumIndex(body, recovery.instrument, out);
      isGood = outcome === FRAME.ok;
      if (outcome === FRAME.overflow) this.counters.overflows += 1;
      else if (!isGood) this.counters.unparsable += 1;
    }
    recovery.markAnswered(isGood, timeUs);
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

  #describe(timeUs: number): void {
    for (const symbol of this.#listing.toAskFor(timeUs)) {
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
      this.#listing.waitUntil(timeUs + this.#rest.retryDelayUs());
    }
  }

  #onDescription(asked: string, body: string, timeUs: number, out: EventBatch): void {
    let symbols: ReadonlyMap<string, unknown>;
    try {
      symbols = listSymbols(this.#venue.name, body);
    } catch (error) {
      this.counters.unparsable += 1;
      this.problem = messageOf(error);
      this.#listing.waitUntil(timeUs + this.#rest.retryDelayUs());
      return;
    }
    const before = this.#recoveries.length;
    for (const symbol of this.#listing.describedBy(asked)) {
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
      this.#listing.found(symbol);
    } catch (error) {
      this.#refuse(symbol, timeUs);
      this.problem = messageOf(error);
    }
  }

  #carry(instrument: Instrument): void {
    if (!this.states.carry(instrument)) return;
    this.#bySymbol.set(instrument.symbol, instrument);
    this.#recoveryOf[instrument.id] = this.#recoveries.length;
    this.#recoveries.push(new Recovery(instrument, this.#venue, this.#rng));
  }

  #refuse(symbol: string, timeUs: number): void {
    this.counters.ignored += 1;
    this.problem = `${this.venue}: found no symbol ${symbol} in the venue's exchangeInfo`;
    this.#listing.refused(symbol, timeUs);
  }

  #connectWhenDescribed(timeUs: number): void {
    if (this.#listing.isWaiting) return;
    if (this.states.carried.length > 0) this.connection.start(timeUs);
  }
}

function messageOf(error: unknown): string {
  if (error instanceof KeelError) return error.message;
  throw error;
}
