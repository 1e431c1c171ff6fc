/**
 * Replays a Binance capture into a book and its features, frame by frame, through the decoder and the snapshot join that the
 * desk's own feed uses.
 *
 * @module
 */
import { parseStep } from "../../src/core/decimal.ts";
import { BadInputError } from "../../src/core/errors.ts";
import { FeatureState } from "../../src/feature/tick.ts";
import { BinanceDecoder } from "../../src/feed/binance/decoder.ts";
import { DepthJoin, DIFF, JOINED, MATCH } from "../../src/feed/binance/depth-join.ts";
import { BINANCE_VENUES, type BinanceVenueName } from "../../src/feed/binance/venue.ts";
import { FRAME } from "../../src/feed/feed.ts";
import { EVENT, EventBatch } from "../../src/market/event-batch.ts";
import type { Instrument } from "../../src/market/instrument.ts";
import { BOOK_SHAPE, L2Book } from "../../src/market/l2-book.ts";

/** How a capture's file name begins, by venue. */
export const CAPTURE_PREFIX: Readonly<Partial<Record<BinanceVenueName, string>>> = {
  "binance-usdm": "usdm",
  "binance-coinm": "cm",
  "binance-spot": "spot",
};

/** Price and size grids of the symbols that captures exist of. */
const GRIDS: Readonly<Record<string, readonly [tick: string, lot: string]>> = {
  "binance-usdm:BTCUSDT": ["0.1", "0.001"],
  "binance-usdm:ETHUSDT": ["0.01", "0.001"],
  "binance-coinm:BTCUSD_PERP": ["0.1", "1"],
  "binance-coinm:ETHUSD_PERP": ["0.01", "1"],
  "binance-spot:BTCUSDT": ["0.01", "0.00001"],
  "binance-spot:ETHUSDT": ["0.01", "0.0001"],
};

function captureInstrument(venue: BinanceVenueName, symbol: string): Instrument {
  const grid = GRIDS[`${venue}:${symbol}`];
  if (grid === undefined) {
    throw new BadInputError("capture", `${venue}:${symbol}`, `one of ${Object.keys(GRIDS).join(", ")}`);
  }
  const base = symbol.slice(0, 3);
  const inverse = venue === "binance-coinm";
  return {
    id: 0,
    venue,
    symbol,
    kind: venue === "binance-spot" ? "spot" : "perpetual",
    base,
    quote: inverse ? "USD" : "USDT",
    settle: inverse ? base : "USDT",
    tick: parseStep(grid[0]),
    tickSteps: [],
    lot: parseStep(grid[1]),
    minSizeLots: 1,
    inverse,
    contractSize: 1,
    expiryMs: Infinity,
    strike: Number.NaN,
    optionType: null,
  };
}

/** One instrument's book and features, as they stand after each frame of its captures. */
export class CaptureSession {
  readonly instrument: Instrument;
  readonly features = new FeatureState(1);
  readonly book: L2Book;
  /** The events of the last frame. */
  readonly batch = new EventBatch();
  readonly #decoder: BinanceDecoder;
  readonly #join: DepthJoin;
  /** A snapshot that no diff has reached yet. */
  #waiting: string | null = null;

  constructor(venue: BinanceVenueName, symbol: string) {
    this.instrument = captureInstrument(venue, symbol);
    this.book = new L2Book(BOOK_SHAPE[this.instrument.kind]);
    this.#decoder = new BinanceDecoder(new Map([[symbol, this.instrument]]));
    this.#join = new DepthJoin(BINANCE_VENUES[venue].sequence);
  }

  /**
   * Takes a frame or, told by its first key, the answer to the snapshot request. @returns true when it changed the book, its
   * top or the trades of an instrument that is live. @throws BadInputError on a gap or a frame that cannot be read.
   */
  take(text: string, timeUs: number): boolean {
    this.batch.clear();
    if (text.startsWith('{"lastUpdateId"')) this.#snapshot(text);
    else if (!this.#frame(text)) return false;
    let changed = false;
    for (let row = 0; row < this.batch.count; row += 1) changed = this.#apply(row, timeUs) || changed;
    return changed;
  }

  #snapshot(text: string): void {
    const batch = this.batch;
    const outcome = this.#decoder.decodeSnapshot(text, this.instrument, batch);
    if (outcome !== FRAME.ok) throw this.#bad(text, "a depth snapshot");
    const sequence = batch.lastSequence[0];
    const match = this.#join.match(sequence);
    if (match === MATCH.stale) throw this.#bad(text, "a snapshot that joins the diffs");
    this.#waiting = match === MATCH.waits ? text : null;
    if (match === MATCH.waits) batch.clear();
    else if (this.#join.join(sequence, batch) !== JOINED.done) throw this.#bad(text, "diffs without a gap");
  }

  #frame(text: string): boolean {
    const batch = this.batch;
    const outcome = this.#decoder.decode(text, batch);
    if (outcome === FRAME.unparsable || outcome === FRAME.overflow) throw this.#bad(text, "a Binance frame");
    if (outcome !== FRAME.ok) return false;
    if (batch.kind[0] !== EVENT.bookDelta) return this.#join.live;
    if (!this.#join.live) {
      this.#join.keep(batch, 0);
      batch.clear();
      if (this.#waiting !== null) this.#snapshot(this.#waiting);
      return batch.count > 0;
    }
    const verdict = this.#join.judge(batch, 0);
    if (verdict === DIFF.gap) throw this.#bad(text, "the next diff");
    return verdict === DIFF.next;
  }

  #apply(row: number, timeUs: number): boolean {
    const { batch, book, features } = this;
    switch (batch.kind[row]) {
      case EVENT.bookSnapshot:
        book.applySnapshot(batch, row);
        features.onBook(0, book, batch, row, timeUs);
        return true;
      case EVENT.bookDelta:
        book.applyDelta(batch, row);
        features.onBook(0, book, batch, row, timeUs);
        return true;
      case EVENT.top:
        book.applyTop(batch, row);
        features.onTop(0, book, timeUs);
        return true;
      case EVENT.trade: {
        const level = batch.levelStart[row];
        features.onTrade(0, batch.side[level], batch.sizeLots[level], timeUs);
        return true;
      }
      case EVENT.ticker:
        features.onTicker(0, this.instrument, batch, row, timeUs);
        return false;
      default:
        throw this.#bad(`event kind ${batch.kind[row]}`, "a book event, a trade or a ticker");
    }
  }

  #bad(found: string, expected: string): BadInputError {
    return new BadInputError(
      `capture of ${this.instrument.venue}:${this.instrument.symbol}`,
      found.slice(0, 120),
      expected,
    );
  }
}
