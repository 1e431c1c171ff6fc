import { Rng } from "../../src/core/rng.ts";
import { EVENT, EventBatch, SIDE } from "../../src/market/event-batch.ts";
import { L2Book } from "../../src/market/l2-book.ts";

export interface StreamEvent {
  readonly kind: number;
  readonly row: number;
  readonly timeUs: number;
}

/**
 * A random market: a snapshot, then diffs around a wandering centre, tops that run ahead of them, and trades. Sides run empty
 * now and then, and many events share a time. Calls `onEvent` after the book took each event.
 */
export function randomStream(
  seed: number,
  count: number,
  onEvent: (event: StreamEvent, book: L2Book, batch: EventBatch) => void,
): void {
  const rng = new Rng(seed);
  const book = new L2Book({ windowTicks: 256, farLevels: 512 });
  const batch = new EventBatch(8, 512);
  let timeUs = 1_723_161_255_000_000;
  let centre = 20_000;
  let sequence = 1;
  const gap = (): number => {
    const kind = rng.next();
    if (kind < 0.3) return 0;
    if (kind < 0.8) return rng.exponential(900);
    return kind < 0.98 ? rng.exponential(40_000) : rng.exponential(2_000_000);
  };
  const level = (side: number): void => {
    const price = side === SIDE.bid ? centre - 1 - rng.int(30) : centre + rng.int(30);
    batch.level(side, price, rng.next() < 0.35 ? 0 : 1 + rng.int(500));
  };
  for (let at = 0; at < count; at += 1) {
    timeUs += gap();
    if (rng.next() < 0.2) centre += rng.int(7) - 3;
    sequence += 1;
    batch.clear();
    const draw = rng.next();
    const kind =
      at === 0
        ? EVENT.bookSnapshot
        : draw < 0.4
          ? EVENT.bookDelta
          : draw < 0.75
            ? EVENT.top
            : draw < 0.995
              ? EVENT.trade
              : EVENT.bookSnapshot;
    const row = batch.begin(kind, 0, Number.NaN);
    batch.setSequence(row, sequence, sequence, sequence - 1);
    if (kind === EVENT.bookSnapshot) {
      const sides = rng.int(4);
      for (let i = 0; i < 40; i += 1) {
        if (sides !== 1) level(SIDE.bid);
        if (sides !== 2) level(SIDE.ask);
      }
      book.applySnapshot(batch, row);
    } else if (kind === EVENT.bookDelta) {
      for (let i = rng.int(9); i >= 0; i -= 1) level(rng.int(2));
      book.applyDelta(batch, row);
    } else if (kind === EVENT.top) {
      batch.level(SIDE.bid, centre - 1 - rng.int(2), rng.next() < 0.05 ? 0 : 1 + rng.int(500));
      batch.level(SIDE.ask, centre + rng.int(2), rng.next() < 0.05 ? 0 : 1 + rng.int(500));
      book.applyTop(batch, row);
    } else {
      batch.level(rng.int(2), centre, 1 + rng.int(300));
    }
    onEvent({ kind, row, timeUs }, book, batch);
  }
}
