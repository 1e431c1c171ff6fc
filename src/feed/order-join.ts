import { EVENT, type EventBatch, SIDE } from "../market/event-batch.ts";
import type { Instrument } from "../market/instrument.ts";
import { BOOK_SHAPE } from "../market/l2-book.ts";
import { L3, L3Book, type L3Outcome } from "../market/l3-book.ts";
import { ORDER, type OrderChange, type OrderWatcher } from "./order-change.ts";

/** Frames kept while a snapshot is under way: half a minute of the busiest product. */
const MAX_FRAMES = 32_768;
/** Levels a side told when a book comes live; a level-2 book holds no more of them. */
const MAX_LEVELS_TOLD = 24_000;

/** What a change came to. */
export const CHANGED = { told: 0, nothing: 1, lost: 2, full: 3 } as const;
export type Changed = (typeof CHANGED)[keyof typeof CHANGED];

const prices = new Int32Array(MAX_LEVELS_TOLD);
const sizes = new Float64Array(MAX_LEVELS_TOLD);

/**
 * One instrument's orders: its level-3 book once it is live, and before that the frames that have come since the subscription, in a
 * bounded buffer, until a snapshot is there that they can be applied to.
 */
export class OrderJoin {
  live = false;
  readonly book: L3Book;
  readonly #id: number;
  readonly #watcher: OrderWatcher | undefined;
  #frames: string[] = [];
  /** Sequences of the first and the last frame kept. */
  firstSequence = Number.NaN;
  lastSequence = Number.NaN;

  constructor(instrument: Instrument, seed: number, watcher?: OrderWatcher) {
    this.#id = instrument.id;
    this.#watcher = watcher;
    this.book = new L3Book({ shape: BOOK_SHAPE[instrument.kind], seed });
  }

  get kept(): number {
    return this.#frames.length;
  }

  restart(): void {
    this.live = false;
    this.book.clear();
    this.#frames = [];
    this.firstSequence = Number.NaN;
    this.lastSequence = Number.NaN;
  }

  /** Keeps a frame for later. @returns false when the buffer was full and had to be emptied for it. */
  keep(frame: string, sequence: number): boolean {
    const fits = this.#frames.length < MAX_FRAMES;
    if (!fits) this.#frames = [];
    if (this.#frames.length === 0) this.firstSequence = sequence;
    this.#frames.push(frame);
    this.lastSequence = sequence;
    return fits;
  }

  /** The frames kept so far, no longer kept. */
  takeFrames(): readonly string[] {
    const frames = this.#frames;
    this.#frames = [];
    return frames;
  }

  /** Applies a change and, when `row` is one, adds the levels that it touched to that event. */
  apply(change: OrderChange, timeUs: number, out: EventBatch, row: number): Changed {
    const { book } = this;
    const { key, side, priceTicks, sizeLots, action } = change;
    const before = action === ORDER.add ? 0 : book.lotsOf(key);
    this.#watcher?.(this.#id, change, before, book.priceTicksOf(key));
    let outcome: L3Outcome = L3.done;
    switch (action) {
      case ORDER.pass:
        return CHANGED.nothing;
      case ORDER.add:
        outcome = book.add(key, side, priceTicks, sizeLots, timeUs);
        break;
      case ORDER.reduce:
        outcome = book.reduce(key, sizeLots);
        break;
      case ORDER.resize:
        outcome = book.resize(key, sizeLots, timeUs);
        break;
      case ORDER.move:
        outcome = book.move(key, priceTicks, sizeLots, timeUs);
        break;
      case ORDER.remove:
        outcome = book.remove(key);
        break;
    }
    if (outcome === L3.full) return CHANGED.full;
    if (outcome === L3.duplicate) return CHANGED.nothing;
    if (outcome === L3.unknown) return change.mustRest ? CHANGED.lost : CHANGED.nothing;
    if (action === ORDER.resize && before === sizeLots) return CHANGED.nothing;
    if (row < 0) return CHANGED.told;
    const { touchedSide, touchedTicks, leftTicks } = book;
    if (action === ORDER.move && leftTicks !== touchedTicks) {
      if (!out.level(touchedSide, leftTicks, book.sizeAt(touchedSide, leftTicks))) return CHANGED.full;
    }
    const lots = book.sizeAt(touchedSide, touchedTicks);
    return out.level(touchedSide, touchedTicks, lots) ? CHANGED.told : CHANGED.full;
  }

  /** Tells the whole book as one snapshot event. @returns false, with nothing told, when the batch is full. */
  tell(sequence: number, exchangeTimeUs: number, out: EventBatch): boolean {
    const level = out.levels;
    const row = out.begin(EVENT.bookSnapshot, this.#id, exchangeTimeUs);
    if (row < 0) return false;
    out.setSequence(row, sequence, sequence, Number.NaN);
    for (const side of [SIDE.bid, SIDE.ask]) {
      const count = this.book.top(side, MAX_LEVELS_TOLD, prices, sizes);
      for (let i = 0; i < count; i += 1) {
        if (out.level(side, prices[i], sizes[i])) continue;
        out.rewind(row, level);
        return false;
      }
    }
    return true;
  }
}
