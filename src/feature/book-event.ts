import type { Book } from "../market/book.ts";
import { EVENT, type EventBatch } from "../market/event-batch.ts";
import type { Instrument } from "../market/instrument.ts";
import type { FeatureSource } from "./source.ts";

/** Tells features the event at `row`, which the book that leads the slot's underlying has taken; the same on every thread that makes features. */
export function tellFeatures(
  features: FeatureSource,
  slot: number,
  instrument: Instrument,
  book: Book,
  batch: EventBatch,
  row: number,
  timeUs: number,
): void {
  switch (batch.kind[row]) {
    case EVENT.bookSnapshot:
    case EVENT.bookDelta:
      features.onBook(slot, book, batch, row, timeUs);
      break;
    case EVENT.top:
      features.onTop(slot, book, timeUs);
      break;
    case EVENT.trade: {
      const level = batch.levelStart[row];
      features.onTrade(slot, batch.side[level], batch.sizeLots[level], timeUs);
      break;
    }
    default:
      features.onTicker(slot, instrument, batch, row, timeUs);
      break;
  }
}
