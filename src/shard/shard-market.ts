import type { EventTaker } from "../desk/desk-feeds.ts";
import { Underlyings } from "../desk/reference.ts";
import { type Distrusted, TrustedBooks } from "../desk/trusted-books.ts";
import { tellFeatures } from "../feature/book-event.ts";
import { FEATURE_ROWS_MAX, FeatureRows } from "../feature/published.ts";
import { FeatureState } from "../feature/tick.ts";
import { EVENT, type EventBatch, FEED_STATE } from "../market/event-batch.ts";
import type { InstrumentTable } from "../market/instrument.ts";

/** An underlying's features in this turn: not moved; moved; moved, and then forgotten. */
const STANDING = { still: 0, moved: 1, forgotten: 2 } as const;

/**
 * A shard's own books, and the features of those that may lead an underlying.
 *
 * The books tell whether a feed's book is crossed, in the turn in which it comes to be. Features are those of each coin's best book by
 * rank in this shard, `Underlyings` as on the quoting thread: whichever book leads there is the best of its own shard, and its
 * features depend on nothing but its own events. The quoting thread takes the rows of the book that leads, and no others.
 */
export class ShardMarket implements EventTaker {
  /** Rows of the turn, written by {@link endTurn}; null: features are made on the quoting thread. */
  readonly rows: FeatureRows | null;
  readonly #instruments: InstrumentTable;
  readonly #trusted: TrustedBooks;
  readonly #features: FeatureState | null;
  readonly #underlyings = new Underlyings(FEATURE_ROWS_MAX);
  readonly #underlyingOf: Int32Array;
  /** Underlyings whose features have moved in this turn, and how each stands. */
  readonly #moved = new Int32Array(FEATURE_ROWS_MAX);
  readonly #standing = new Uint8Array(FEATURE_ROWS_MAX);
  #movedCount = 0;

  constructor(instruments: InstrumentTable, makesFeatures: boolean) {
    this.#instruments = instruments;
    this.#trusted = new TrustedBooks(instruments.capacity);
    this.#underlyingOf = new Int32Array(instruments.capacity).fill(-1);
    this.#features = makesFeatures ? new FeatureState(FEATURE_ROWS_MAX) : null;
    this.rows = makesFeatures ? new FeatureRows(FEATURE_ROWS_MAX) : null;
  }

  admit(feed: number): void {
    const { books } = this.#trusted;
    while (books.length < this.#instruments.size) {
      const instrument = this.#instruments.get(books.length);
      this.#trusted.add(instrument, feed);
      const underlying = this.#underlyings.number(instrument.base);
      this.#underlyingOf[instrument.id] = underlying;
      if (underlying >= 0 && this.#underlyings.offer(underlying, instrument, feed)) {
        this.#forget(underlying);
      }
    }
  }

  apply(batch: EventBatch, row: number, distrusted: Distrusted, timeUs: number): void {
    const id = batch.instrument[row];
    if (batch.kind[row] === EVENT.status) {
      const before = this.#trusted.enter(id, batch.code[row]);
      const isLive = batch.code[row] === FEED_STATE.live;
      if (before === FEED_STATE.live && !isLive && this.#leads(id)) {
        this.#forget(this.#underlyingOf[id]);
      }
      if (isLive) this.#trusted.judge(id, distrusted, timeUs, batch);
      return;
    }
    if (this.#trusted.move(batch, row) && this.#trusted.judge(id, distrusted, timeUs, batch)) return;
    if (this.#features !== null && this.#leads(id)) this.#lead(this.#features, batch, row, timeUs);
  }

  /** Writes the row of every leading book that has moved since the last turn. */
  endTurn(timeUs: number): void {
    const { rows } = this;
    if (rows === null) return;
    rows.count = 0;
    for (let at = 0; at < this.#movedCount; at += 1) {
      const underlying = this.#moved[at];
      const standing = this.#standing[underlying];
      this.#standing[underlying] = STANDING.still;
      if (standing === STANDING.forgotten) continue;
      rows.instrument[rows.count] = this.#underlyings.reference[underlying];
      this.#features?.write(underlying, timeUs, rows.values, rows.count * rows.width);
      rows.count += 1;
    }
    this.#movedCount = 0;
  }

  #forget(underlying: number): void {
    this.#features?.reset(underlying);
    if (this.#standing[underlying] === STANDING.moved) this.#standing[underlying] = STANDING.forgotten;
  }

  #leads(id: number): boolean {
    const underlying = this.#underlyingOf[id];
    return underlying >= 0 && this.#underlyings.reference[underlying] === id;
  }

  /** As `MarketState` does on the quoting thread, where nothing is sharded. */
  #lead(features: FeatureState, batch: EventBatch, row: number, timeUs: number): void {
    const id = batch.instrument[row];
    const underlying = this.#underlyingOf[id];
    const book = this.#trusted.books[id];
    tellFeatures(features, underlying, this.#instruments.get(id), book, batch, row, timeUs);
    if (this.#trusted.feedState[id] !== FEED_STATE.live) return;
    if (this.#standing[underlying] === STANDING.still) {
      this.#moved[this.#movedCount] = underlying;
      this.#movedCount += 1;
    }
    this.#standing[underlying] = STANDING.moved;
  }
}
