import { type EventBatch, FEED_STATE, SIDE, UNSOUND } from "../market/event-batch.ts";
import type { Instrument } from "../market/instrument.ts";
import { numeric, priceToTicks, sizeToLots } from "./decoder.ts";
import { FRAME, type FrameOutcome } from "./feed.ts";

/** What adding levels came to. */
export const LEVELS = { added: 0, malformed: 1, offGrid: 2, full: 3 } as const;
export type LevelsOutcome = (typeof LEVELS)[keyof typeof LEVELS];

/** Adds a level whose price and size are decimal strings to the last opened event. */
export function addLevel(
  side: number,
  price: unknown,
  size: unknown,
  instrument: Instrument,
  out: EventBatch,
): LevelsOutcome {
  if (typeof price !== "string" || typeof size !== "string") return LEVELS.malformed;
  const priceTicks = priceToTicks(price, instrument.tick);
  const sizeLots = sizeToLots(size, instrument.lot);
  if (Number.isNaN(sizeLots)) return LEVELS.malformed;
  if (Number.isNaN(priceTicks)) return Number.isNaN(numeric(price)) ? LEVELS.malformed : LEVELS.offGrid;
  return out.level(side, priceTicks, sizeLots) ? LEVELS.added : LEVELS.full;
}

/** Gives the event of `row` its bids and asks, arrays of `[price, size, …]`; when one does not fit, the event is taken back. */
export function fillLevels(
  row: number,
  bids: unknown,
  asks: unknown,
  instrument: Instrument,
  out: EventBatch,
): FrameOutcome {
  return fillSides(row, SIDE.bid, bids, asks, instrument, out);
}

/** {@link fillLevels} for venues that write the asks first: levels stand in the batch as in the frame. */
export function fillAsksFirst(
  row: number,
  bids: unknown,
  asks: unknown,
  instrument: Instrument,
  out: EventBatch,
): FrameOutcome {
  return fillSides(row, SIDE.ask, asks, bids, instrument, out);
}

function fillSides(
  row: number,
  side: number,
  first: unknown,
  second: unknown,
  instrument: Instrument,
  out: EventBatch,
): FrameOutcome {
  let outcome = addLevels(side, first, instrument, out);
  if (outcome === LEVELS.added) outcome = addLevels(1 - side, second, instrument, out);
  return outcome === LEVELS.added ? FRAME.ok : takeBack(row, outcome, out);
}

/** Takes back the event of `row`, whose levels could not be added; one with a price off the grid becomes a status event. */
export function takeBack(row: number, outcome: LevelsOutcome, out: EventBatch): FrameOutcome {
  const instrument = out.instrument[row];
  const exchangeTimeUs = out.exchangeTimeUs[row];
  out.rewind(row, out.levelStart[row]);
  if (outcome === LEVELS.malformed) return FRAME.unparsable;
  if (outcome === LEVELS.full) return FRAME.overflow;
  out.status(instrument, FEED_STATE.unsound, UNSOUND.offGrid, exchangeTimeUs);
  return FRAME.ok;
}

function addLevels(side: number, levels: unknown, instrument: Instrument, out: EventBatch): LevelsOutcome {
  if (!Array.isArray(levels)) return LEVELS.malformed;
  for (let i = 0; i < levels.length; i += 1) {
    const level: unknown = levels[i];
    if (!Array.isArray(level)) return LEVELS.malformed;
    const outcome = addLevel(side, level[0], level[1], instrument, out);
    if (outcome !== LEVELS.added) return outcome;
  }
  return LEVELS.added;
}
