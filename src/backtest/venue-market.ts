import { stepToNumber } from "../core/decimal.ts";
import { EVENT, type EventBatch, FEED_STATE, SIDE, TICKER, TICKER_FIELDS } from "../market/event-batch.ts";
import type { Instrument } from "../market/instrument.ts";
import { BOOK_SHAPE, L2Book } from "../market/l2-book.ts";
import type { Tape } from "./tape.ts";

/** One instrument at its venue: the recorded book as of the matching's time. */
export class VenueMarket {
  readonly instrument: Instrument;
  readonly book: L2Book;
  readonly tick: number;
  live = false;
  /** The venue's mark and the option's own underlying, of the last ticker; NaN before. */
  markPrice = Number.NaN;
  underlyingPrice = Number.NaN;

  constructor(instrument: Instrument) {
    this.instrument = instrument;
    this.book = new L2Book(BOOK_SHAPE[instrument.kind]);
    this.tick = stepToNumber(instrument.tick);
  }

  /** Middle of the book in the price unit, where it has two sides; else the venue's mark; NaN when there is neither. */
  get mid(): number {
    const { bestBidTicks, bestAskTicks } = this.book;
    if (this.live && bestBidTicks >= 0 && bestAskTicks > bestBidTicks)
      return ((bestBidTicks + bestAskTicks) / 2) * this.tick;
    return this.markPrice;
  }

  bestTicks(side: number): number {
    return side === SIDE.bid ? this.book.bestBidTicks : this.book.bestAskTicks;
  }

  /** Lots shown at a price: the faster top-of-book stream's where it is in force, nothing at prices better than its best. */
  shownLots(side: number, priceTicks: number): number {
    const { book } = this;
    const best = this.bestTicks(side);
    if (best < 0) return 0;
    if (priceTicks === best) return side === SIDE.bid ? book.bestBidLots : book.bestAskLots;
    const isBetter = side === SIDE.bid ? priceTicks > best : priceTicks < best;
    return isBetter ? 0 : book.sizeAt(side, priceTicks);
  }

  /** Applies a book event, a ticker or a status. */
  apply(tape: Tape, slot: number, scratch: EventBatch): void {
    switch (tape.kind[slot]) {
      case EVENT.bookSnapshot:
        tape.copy(slot, scratch);
        this.book.applySnapshot(scratch, 0);
        break;
      case EVENT.bookDelta:
        tape.copy(slot, scratch);
        this.book.applyDelta(scratch, 0);
        break;
      case EVENT.top:
        tape.copy(slot, scratch);
        this.book.applyTop(scratch, 0);
        break;
      case EVENT.ticker: {
        const values = slot * TICKER_FIELDS;
        const mark = tape.values[values + TICKER.markPrice];
        const underlying = tape.values[values + TICKER.underlyingPrice];
        if (mark > 0) this.markPrice = mark;
        if (underlying > 0) this.underlyingPrice = underlying;
        break;
      }
      case EVENT.status:
        this.live = tape.code[slot] === FEED_STATE.live;
        if (!this.live) this.book.clear();
        break;
      default:
        break;
    }
  }

  /** As {@link apply}, of a batch's row. */
  applyRow(batch: EventBatch, row: number): void {
    const { book } = this;
    switch (batch.kind[row]) {
      case EVENT.bookSnapshot:
        book.applySnapshot(batch, row);
        break;
      case EVENT.bookDelta:
        book.applyDelta(batch, row);
        break;
      case EVENT.top:
        book.applyTop(batch, row);
        break;
      case EVENT.ticker: {
        const mark = batch.values[row * TICKER_FIELDS + TICKER.markPrice];
        if (mark > 0) this.markPrice = mark;
        break;
      }
      case EVENT.status:
        this.live = batch.code[row] === FEED_STATE.live;
        if (!this.live) book.clear();
        break;
      default:
        break;
    }
  }
}
