import { stepToNumber } from "../core/decimal.ts";
import { tellFeatures } from "../feature/book-event.ts";
import { EVENT, type EventBatch, FEED_STATE, TICKER, TICKER_FIELDS, UNSOUND } from "../market/event-batch.ts";
import type { Instrument, InstrumentTable, VenueName } from "../market/instrument.ts";
import type { L2Book } from "../market/l2-book.ts";
import { AtmVolatility } from "../option/atm.ts";
import { REASON } from "../quote/quote-batch.ts";
import type { Quoter } from "../quote/quoter.ts";
import type { RiskGate } from "../risk/gate.ts";
import type { DeskCounters } from "./counters.ts";
import type { DeskFeatures } from "./desk-features.ts";
import { STAGE, type StageTimer } from "./latency.ts";
import { LeadLag } from "./lead-lag.ts";
import { Underlyings } from "./reference.ts";
import { type Distrusted, TrustedBooks } from "./trusted-books.ts";

/** An underlying needs a step of the model. */
export const TOUCHED_STEP = 1;
/** An underlying's quotes must be looked at again. */
export const TOUCHED_QUOTE = 2;

/** A book that is better placed than the one that leads has to be live this long before it leads. */
const RETURN_US = 5_000_000;

export interface MarketStateOptions {
  /** When the book that leads an underlying is lost the next live one by rank leads. */
  readonly standIns: boolean;
  /** Instruments of this venue are quoted, and no others; null = all that are no spot. */
  readonly quotedVenue: VenueName | null;
  readonly instruments: InstrumentTable;
  readonly underlyingCapacity: number;
  readonly features: DeskFeatures;
  readonly quoter: Quoter;
  readonly gate: RiskGate;
  readonly timer: StageTimer;
  readonly counters: DeskCounters;
  /** An instrument that may be traded is known from now on. */
  readonly onInstrument: (instrument: Instrument, underlying: number, timeUs: number) => void;
  /** The reference book of an underlying was replaced or broke off: what was remembered of it is void. */
  readonly onReferenceBroken: (underlying: number, timeUs: number) => void;
  /** The reference's feed changed state. */
  readonly onReferenceState: (underlying: number, timeUs: number) => void;
}

/**
 * What the desk knows of the market: instruments, books, feed states and features, kept by the events of the feeds. It tells
 * the quoter what it needs and notes in {@link touched} what each event calls for.
 */
export class MarketState {
  readonly instruments: InstrumentTable;
  readonly books: readonly L2Book[];
  /** {@link FEED_STATE} by instrument. */
  readonly feedState: Uint8Array;
  /** Local time of the instrument's last event, µs. */
  readonly eventUs: Float64Array;
  readonly underlyings: Underlyings;
  /** {@link TOUCHED_STEP} and {@link TOUCHED_QUOTE} by underlying; cleared by whoever answers them. */
  readonly touched: Uint8Array;
  /** Time of the last event that an underlying's features took of its leading book while that was live, µs. */
  readonly featuresUs: Float64Array;
  /** Which of an underlying's books moves first. */
  readonly leadLag = new LeadLag();
  readonly #options: MarketStateOptions;
  readonly #atm: AtmVolatility;
  readonly #trusted: TrustedBooks;
  readonly #underlyingOf: Int32Array;
  readonly #tick: Float64Array;
  /** When the instrument's book last came live, µs; NaN before the first time. */
  readonly #liveSinceUs: Float64Array;
  /** Live instruments that are not to be quoted on for now. */
  readonly #held: Uint8Array;
  /** The venue's index as the instrument's last ticker told it, and when. */
  readonly #indexPrice: Float64Array;
  readonly #indexUs: Float64Array;
  /** By feed: the venue's time of its last event less the desk's; NaN before the first that has one. */
  readonly #venueOffsetUs: number[] = [];
  #hasBroken = false;

  constructor(options: MarketStateOptions) {
    const { underlyingCapacity } = options;
    const instrumentCapacity = options.instruments.capacity;
    this.#options = options;
    this.instruments = options.instruments;
    this.#trusted = new TrustedBooks(instrumentCapacity);
    this.books = this.#trusted.books;
    this.feedState = this.#trusted.feedState;
    this.eventUs = new Float64Array(instrumentCapacity);
    this.underlyings = new Underlyings(underlyingCapacity);
    this.touched = new Uint8Array(underlyingCapacity);
    this.featuresUs = new Float64Array(underlyingCapacity).fill(Number.NaN);
    this.#atm = new AtmVolatility(underlyingCapacity);
    this.#underlyingOf = new Int32Array(instrumentCapacity).fill(-1);
    this.#tick = new Float64Array(instrumentCapacity);
    this.#liveSinceUs = new Float64Array(instrumentCapacity).fill(Number.NaN);
    this.#held = new Uint8Array(instrumentCapacity);
    this.#indexPrice = new Float64Array(instrumentCapacity).fill(Number.NaN);
    this.#indexUs = new Float64Array(instrumentCapacity).fill(Number.NEGATIVE_INFINITY);
  }

  /** Whether a live book has lost its trust since this was last asked: quotes on it are not to wait for anything. */
  takeBroken(): boolean {
    const hasBroken = this.#hasBroken;
    this.#hasBroken = false;
    return hasBroken;
  }

  /** Dense number of an instrument's underlying; −1 when there were too many others. */
  underlyingOf(instrument: number): number {
    return this.#underlyingOf[instrument];
  }

  /** The venue's index in an instrument's last ticker, quote currency; NaN where none came since a time. */
  indexPrice(instrument: number, sinceUs: number): number {
    return this.#indexUs[instrument] >= sinceUs ? this.#indexPrice[instrument] : Number.NaN;
  }

  /**
   * The time by the clock of an instrument's venue, as its last event told it, and no later than the desk's own: a capture that is served
   * lives in the time of its frames, and no single stamp from a venue is to have anything expire early. NaN before the first event.
   */
  venueTimeUs(instrument: number, timeUs: number): number {
    const offsetUs = this.#venueOffsetUs[this.#trusted.feedOf(instrument)] ?? Number.NaN;
    return timeUs + Math.min(offsetUs, 0);
  }

  /** The first line of the feed that described an instrument. */
  feedOf(instrument: number): number {
    return this.#trusted.feedOf(instrument);
  }

  /** The underlying that an instrument's book leads; −1 when it leads none. */
  ledBy(instrument: number): number {
    const underlying = this.#underlyingOf[instrument];
    return underlying >= 0 && this.underlyings.reference[underlying] === instrument ? underlying : -1;
  }

  /** The book that leads an underlying is live. */
  referenceLive(underlying: number): boolean {
    const reference = this.underlyings.reference[underlying];
    return reference >= 0 && this.feedState[reference] === FEED_STATE.live;
  }

  /** Takes in the instruments that a feed has just described. */
  admit(feed: number, timeUs: number): void {
    for (let id = this.books.length; id < this.instruments.size; id += 1) {
      const instrument = this.instruments.get(id);
      const underlying = this.underlyings.number(instrument.base);
      this.#underlyingOf[id] = underlying;
      this.#tick[id] = stepToNumber(instrument.tick);
      this.#trusted.add(instrument, feed);
      if (underlying < 0) continue;
      if (instrument.kind !== "spot") {
        const { quotedVenue } = this.#options;
        if (quotedVenue === null || instrument.venue === quotedVenue) {
          this.#options.quoter.add(instrument, underlying);
        }
        this.#options.gate.add(instrument, underlying);
        this.#options.onInstrument(instrument, underlying, timeUs);
      }
      if (this.underlyings.offer(underlying, instrument, feed)) {
        this.#options.quoter.setReference(underlying, id);
        this.#break(underlying, timeUs);
        this.#options.onReferenceState(underlying, timeUs);
      }
    }
  }

  /** Gives the lead back to the best book that has been live for some time; about every 10 ms. */
  onTimer(timeUs: number): void {
    if (!this.#options.standIns) return;
    const { underlyings } = this;
    for (let underlying = 0; underlying < underlyings.size; underlying += 1) {
      const reference = underlyings.reference[underlying];
      const isLive = this.referenceLive(underlying);
      const best = underlyings.best(underlying, (id) => {
        if (id === reference) return isLive;
        return this.feedState[id] === FEED_STATE.live && timeUs - this.#liveSinceUs[id] >= RETURN_US;
      });
      if (best >= 0 && best !== reference) this.#lead(underlying, best, timeUs);
    }
  }

  /** Another book leads from now on: features and the model's state begin anew, fair values go on from where they are. */
  #lead(underlying: number, id: number, timeUs: number): void {
    const { quoter, gate, counters, onReferenceState } = this.#options;
    const price = microprice(this.books[id]) * this.#tick[id];
    counters.referenceChanges += 1;
    this.underlyings.reference[underlying] = id;
    quoter.setReference(underlying, id, price);
    this.#break(underlying, timeUs);
    quoter.onUnderlying(underlying, price, Number.NaN, timeUs);
    gate.onReference(underlying, price, timeUs);
    onReferenceState(underlying, timeUs);
    this.touched[underlying] |= TOUCHED_QUOTE;
  }

  /** What the features of an underlying have come to is void, and so is the step that they called for. */
  #break(underlying: number, timeUs: number): void {
    this.touched[underlying] &= ~TOUCHED_STEP;
    this.#options.onReferenceBroken(underlying, timeUs);
  }

  /** Applies one event of a batch. A book that turns out crossed makes its feed append to the same batch. */
  apply(batch: EventBatch, row: number, distrusted: Distrusted, timeUs: number): void {
    const kind = batch.kind[row];
    if (kind === EVENT.signal) {
      this.#options.features.onSignal(batch.code[row], batch.values[row * TICKER_FIELDS]);
      return;
    }
    const id = batch.instrument[row];
    if (kind === EVENT.status) {
      this.#applyStatus(id, batch.code[row], batch.reason[row], timeUs);
      // A book comes live by a snapshot that was applied before this status: it may be crossed already.
      if (this.#trusted.judge(id, distrusted, timeUs, batch)) this.#options.counters.crossed += 1;
      return;
    }
    const counters = this.#options.counters;
    counters.events += 1;
    this.eventUs[id] = timeUs;
    const instrument = this.instruments.get(id);
    const underlying = this.#underlyingOf[id];
    const book = this.books[id];
    const exchangeUs = batch.exchangeTimeUs[row];
    if (exchangeUs > 0) this.#venueOffsetUs[this.#trusted.feedOf(id)] = exchangeUs - timeUs;
    const moved = this.#trusted.move(batch, row);
    switch (kind) {
      case EVENT.bookSnapshot:
      case EVENT.bookDelta:
        counters.levelUpdates += batch.levelCount[row];
        break;
      case EVENT.top:
        break;
      case EVENT.trade:
        counters.trades += 1;
        this.#options.gate.onTrade(id, batch.priceTicks[batch.levelStart[row]], timeUs);
        break;
      default: {
        const index = batch.values[row * TICKER_FIELDS + TICKER.indexPrice];
        if (index > 0) {
          this.#indexPrice[id] = index;
          this.#indexUs[id] = timeUs;
        }
        if (underlying >= 0) this.#applyTicker(instrument, underlying, batch, row, timeUs);
        break;
      }
    }
    if (moved) {
      this.#options.timer.mark(STAGE.book);
      if (this.#trusted.judge(id, distrusted, timeUs, batch)) {
        counters.crossed += 1;
        return;
      }
    }
    if (underlying < 0) return;
    if (moved && instrument.kind !== "option" && book.bestBidTicks > 0)
      this.leadLag.onMid(id, timeUs, book.bestBidTicks + book.bestAskTicks);
    const leads = this.underlyings.reference[underlying] === id;
    if (moved && instrument.kind !== "spot") {
      const { bestBidTicks, bestBidLots, bestAskTicks, bestAskLots } = book;
      this.#options.quoter.onBook(id, bestBidTicks, bestBidLots, bestAskTicks, bestAskLots, timeUs);
      this.#options.gate.onBook(id, bestBidTicks, bestAskTicks);
      if (!leads && instrument.kind !== "option") this.touched[underlying] |= TOUCHED_QUOTE;
    }
    if (leads) this.#applyReference(instrument, underlying, book, batch, row, timeUs);
  }

  #applyTicker(
    instrument: Instrument,
    underlying: number,
    batch: EventBatch,
    row: number,
    timeUs: number,
  ): void {
    if (instrument.kind !== "option") return;
    const { quoter, gate, features } = this.#options;
    const values = row * TICKER_FIELDS;
    quoter.onTicker(instrument.id, batch, row, timeUs);
    const { values: ticker } = batch;
    const mark = ticker[values + TICKER.markIv];
    const bid = ticker[values + TICKER.bidIv];
    const ask = ticker[values + TICKER.askIv];
    const volatility = mark > 0 ? mark : bid > 0 && ask > 0 ? 0.5 * (bid + ask) : Number.NaN;
    const forward = ticker[values + TICKER.underlyingPrice];
    gate.onTicker(instrument.id, volatility, forward, batch.exchangeTimeUs[row], timeUs);
    if (this.underlyings.reference[underlying] < 0) {
      gate.onReference(underlying, batch.values[values + TICKER.underlyingPrice], timeUs);
    }
    this.touched[underlying] |= TOUCHED_QUOTE;
    const changed = this.#atm.onTicker(
      underlying,
      instrument.id,
      instrument.strike,
      instrument.expiryMs,
      batch.values[values + TICKER.underlyingPrice],
      batch.values[values + TICKER.markIv],
      batch.exchangeTimeUs[row] / 1_000,
    );
    if (changed) features.source.onVolatility(underlying, this.#atm.iv(underlying), timeUs);
  }

  /** The event belongs to the book that leads its underlying: features, fair value, and a step of the model. */
  #applyReference(
    instrument: Instrument,
    underlying: number,
    book: L2Book,
    batch: EventBatch,
    row: number,
    timeUs: number,
  ): void {
    const { features, quoter, gate, timer } = this.#options;
    const kind = batch.kind[row];
    tellFeatures(features.source, underlying, instrument, book, batch, row, timeUs);
    timer.mark(STAGE.feature);
    if (this.feedState[instrument.id] !== FEED_STATE.live) return;
    this.featuresUs[underlying] = timeUs;
    if (kind === EVENT.ticker) return;
    if (kind !== EVENT.trade) {
      const price = microprice(book) * this.#tick[instrument.id];
      quoter.onUnderlying(underlying, price, batch.exchangeTimeUs[row], timeUs);
      gate.onReference(underlying, price, timeUs);
    }
    this.touched[underlying] |= TOUCHED_STEP;
  }

  #applyStatus(id: number, state: number, reason: number, timeUs: number): void {
    const before = this.#trusted.enter(id, state);
    const underlying = this.#underlyingOf[id];
    const live = state === FEED_STATE.live;
    const broken = !live && before === FEED_STATE.live;
    const held = live && reason === UNSOUND.stall;
    const released = live && !held && this.#held[id] === 1;
    this.#held[id] = held ? 1 : 0;
    if (underlying < 0) return;
    if (broken || held) this.#hasBroken = true;
    if (live && before !== FEED_STATE.live) this.#liveSinceUs[id] = timeUs;
    const { quoter, gate, standIns, onReferenceState } = this.#options;
    if (standIns && broken && this.underlyings.reference[underlying] === id) {
      const next = this.underlyings.best(underlying, (other) => this.feedState[other] === FEED_STATE.live);
      if (next >= 0) this.#lead(underlying, next, timeUs);
    }
    const quoted = live && !held;
    const isLate = held || reason === UNSOUND.silence;
    gate.onFeedState(id, quoted);
    quoter.onFeedState(id, quoted, quoted ? 0 : isLate ? REASON.stale : REASON.bookUnsound);
    if (released) this.#tellBook(id);
    if (this.underlyings.reference[underlying] === id) {
      if (broken) this.#break(underlying, timeUs);
      onReferenceState(underlying, timeUs);
    }
    this.touched[underlying] |= TOUCHED_QUOTE;
  }

  /** The quoter and the gate forget the best prices of what is not to be quoted on; its book did not change since, or they know it. */
  #tellBook(id: number): void {
    if (this.instruments.get(id).kind === "spot") return;
    const { bestBidTicks, bestBidLots, bestAskTicks, bestAskLots } = this.books[id];
    const { quoter, gate } = this.#options;
    quoter.onBook(id, bestBidTicks, bestBidLots, bestAskTicks, bestAskLots, this.eventUs[id]);
    gate.onBook(id, bestBidTicks, bestAskTicks);
  }
}

/** Size-weighted mid in ticks; NaN when the book has no two sides. */
function microprice(book: L2Book): number {
  const { bestBidTicks, bestBidLots, bestAskTicks, bestAskLots } = book;
  const total = bestBidLots + bestAskLots;
  if (bestBidTicks < 0 || bestAskTicks <= bestBidTicks || !(total > 0)) return Number.NaN;
  return (bestBidTicks * bestAskLots + bestAskTicks * bestBidLots) / total;
}
