import { basename } from "node:path";
import { FEATURE_COUNT } from "../../feature/schema.ts";
import { FeatureState } from "../../feature/tick.ts";
import { CaptureReader } from "../../feed/capture.ts";
import { digestOf } from "../../learn/dataset/part.ts";
import type { RowSink, RowSource, SourceFile } from "../../learn/dataset/row.ts";
import { EVENT, type EventBatch, FEED_STATE } from "../../market/event-batch.ts";
import type { Instrument, InstrumentTable } from "../../market/instrument.ts";
import { BOOK_SHAPE, L2Book } from "../../market/l2-book.ts";
import { decodeCapture } from "../capture/play.ts";

/** Instruments of one recording that rows are made of; options have none. */
const INSTRUMENTS_MAX = 64;

/** What came so far was all that may be seen. */
class Enough extends Error {}

/**
 * The rows of a recording: for every instrument but options the state after each frame that changed its book, its top or its
 * trades, as a desk that it leads would step its model. Features and labels begin anew where the book breaks.
 *
 * @param files the parts of one recording in order
 * @throws BadInputError when it cannot be read
 */
export async function captureSource(files: readonly string[]): Promise<RowSource> {
  const digests: SourceFile[] = [];
  for (const file of files) digests.push(await digestOf(file));
  const own = await isOwn(files[0] ?? "");
  const damage: string[] = [];
  return {
    damage,
    kind: "capture",
    name: basename(files[0] ?? ""),
    files: digests,
    play: async (sink, untilUs) => {
      const rows = new CaptureRows(sink, own);
      try {
        const decoded = await decodeCapture(files, (events, instruments, timeUs) => {
          if (timeUs > untilUs) throw new Enough();
          rows.take(events, instruments, timeUs);
        });
        damage.splice(0, damage.length, ...decoded.damage);
      } catch (error) {
        if (!(error instanceof Enough)) throw error;
      }
    },
  };
}

/** keel's own recorder says what it subscribed to. */
async function isOwn(file: string): Promise<boolean> {
  const reader = new CaptureReader(file, { malformed: "skip" });
  for await (const _ of reader.batches()) break;
  return Array.isArray(reader.report.about?.subscriptions);
}

interface Followed {
  readonly instrument: Instrument;
  readonly name: string;
  readonly slot: number;
  readonly book: L2Book;
  live: boolean;
  exchangeUs: number;
}

class CaptureRows {
  readonly #sink: RowSink;
  readonly #own: boolean;
  readonly #state = new FeatureState(INSTRUMENTS_MAX);
  readonly #followed: (Followed | null)[] = [];
  readonly #touched = new Set<Followed>();
  readonly #features = new Float32Array(FEATURE_COUNT);
  readonly #depth = new Float64Array(2);
  #slots = 0;

  /** @param own of other recorders' Binance captures the index prices are made up, and not taken */
  constructor(sink: RowSink, own: boolean) {
    this.#sink = sink;
    this.#own = own;
  }

  take(events: EventBatch, instruments: InstrumentTable, timeUs: number): void {
    this.#touched.clear();
    for (let row = 0; row < events.count; row += 1) {
      if (events.instrument[row] < 0) continue;
      const followed = this.#of(instruments.get(events.instrument[row]));
      if (followed !== null) this.#apply(followed, events, row, timeUs);
    }
    for (const followed of this.#touched) this.#row(followed, timeUs);
  }

  #apply(followed: Followed, events: EventBatch, row: number, timeUs: number): void {
    const { book, slot, instrument } = followed;
    const state = this.#state;
    const exchangeUs = events.exchangeTimeUs[row];
    if (Number.isFinite(exchangeUs)) followed.exchangeUs = exchangeUs;
    switch (events.kind[row]) {
      case EVENT.bookSnapshot:
        book.applySnapshot(events, row);
        state.onBook(slot, book, events, row, timeUs);
        this.#touched.add(followed);
        break;
      case EVENT.bookDelta:
        book.applyDelta(events, row);
        state.onBook(slot, book, events, row, timeUs);
        this.#touched.add(followed);
        break;
      case EVENT.top:
        book.applyTop(events, row);
        state.onTop(slot, book, timeUs);
        this.#touched.add(followed);
        break;
      case EVENT.trade: {
        const level = events.levelStart[row];
        state.onTrade(slot, events.side[level], events.sizeLots[level], timeUs);
        this.#touched.add(followed);
        break;
      }
      case EVENT.ticker:
        if (!this.#own && instrument.venue.startsWith("binance")) break;
        state.onTicker(slot, instrument, events, row, timeUs);
        break;
      case EVENT.status: {
        const live = events.code[row] === FEED_STATE.live;
        if (followed.live && !live) {
          book.clear();
          state.reset(slot);
          this.#sink.broken(followed.name);
        }
        followed.live = live;
        break;
      }
    }
  }

  #row({ name, slot, book, live, exchangeUs }: Followed, timeUs: number): void {
    const state = this.#state;
    if (!live || !state.ready(slot, timeUs) || book.crossed) return;
    state.write(slot, timeUs, this.#features, 0);
    state.depths(slot, this.#depth);
    this.#sink.row({
      timeUs,
      exchangeTimeUs: exchangeUs,
      instrument: name,
      midTicks: (book.bestBidTicks + book.bestAskTicks) / 2,
      bidDepth: this.#depth[0],
      askDepth: this.#depth[1],
      features: this.#features,
      probabilities: null,
    });
  }

  #of(instrument: Instrument): Followed | null {
    const known = this.#followed[instrument.id];
    if (known !== undefined) return known;
    const isTaken = instrument.kind !== "option" && this.#slots < INSTRUMENTS_MAX;
    const made: Followed | null = isTaken
      ? {
          instrument,
          name: `${instrument.venue}:${instrument.symbol}`,
          slot: this.#slots,
          book: new L2Book(BOOK_SHAPE[instrument.kind]),
          live: false,
          exchangeUs: Number.NaN,
        }
      : null;
    if (made !== null) this.#slots += 1;
    this.#followed[instrument.id] = made;
    return made;
  }
}
