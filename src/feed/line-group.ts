import { invariant } from "../core/invariant.ts";
import type { VenueName } from "../market/instrument.ts";
import { BOOK_SHAPE, L2Book } from "../market/l2-book.ts";
import { RecentEvents } from "./recent-events.ts";
import { VENUE_ENTRIES } from "./venues.ts";

/** No line's book is followed, or none has told anything yet. */
export const NO_LINE = -1;

/** The lines of one another, and what is known of each instrument. */
export class LineGroup {
  readonly lines: readonly number[];
  readonly sequenced: boolean;
  /** Lines on which each instrument's book is live, a bit each. */
  readonly live: Uint8Array;
  /** Lines on which a live book is not to be quoted on for now, a bit each. */
  readonly held: Uint8Array;
  /** The desk has been told that an instrument is not to be quoted on for now. */
  readonly toldHeld: Uint8Array;
  /** The line that the desk's book follows; without numbers only. */
  readonly source: Int16Array;
  /** Number and exchange time of the last book event taken. */
  readonly applied: Float64Array;
  readonly bookTimeUs: Float64Array;
  /** The last ones; with numbers only. */
  readonly recent = new RecentEvents();
  readonly topSequence: Float64Array;
  readonly topLine: Int16Array;
  readonly tradeSequence: Float64Array;
  readonly tradeTimeUs: Float64Array;
  readonly tradeLine: Int16Array;
  readonly tickerTimeUs: Float64Array;
  readonly tickerLine: Int16Array;
  readonly #shadows = new Map<number, Map<number, L2Book>>();

  constructor(lines: readonly number[], venue: VenueName | null, instrumentCapacity: number) {
    this.lines = lines;
    invariant(this.lines.length <= 8, "a venue has at most eight lines");
    this.sequenced = venue !== null && VENUE_ENTRIES[venue].arbitration === "sequence";
    const capacity = this.lines.length > 1 ? instrumentCapacity : 0;
    const column = (): Float64Array => new Float64Array(capacity).fill(Number.NaN);
    const byLine = (): Int16Array => new Int16Array(capacity).fill(NO_LINE);
    this.live = new Uint8Array(capacity);
    this.held = new Uint8Array(capacity);
    this.toldHeld = new Uint8Array(capacity);
    this.source = byLine();
    this.applied = column();
    this.bookTimeUs = column();
    this.topSequence = column();
    this.topLine = byLine();
    this.tradeSequence = column();
    this.tradeTimeUs = column();
    this.tradeLine = byLine();
    this.tickerTimeUs = column();
    this.tickerLine = byLine();
    for (const line of this.lines) this.#shadows.set(line, new Map());
  }

  shadow(feed: number, id: number): L2Book | undefined {
    return this.#shadows.get(feed)?.get(id);
  }

  newShadow(
    feed: number,
    { id, kind }: { readonly id: number; readonly kind: keyof typeof BOOK_SHAPE },
  ): L2Book {
    const book = new L2Book(BOOK_SHAPE[kind]);
    this.#shadows.get(feed)?.set(id, book);
    return book;
  }

  /** No line's book of the instrument is live any more. */
  forget(id: number): void {
    this.source[id] = NO_LINE;
    this.applied[id] = Number.NaN;
    this.bookTimeUs[id] = Number.NaN;
    this.topSequence[id] = Number.NaN;
    this.recent.forget(id);
  }
}
