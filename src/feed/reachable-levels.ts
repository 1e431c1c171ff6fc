import { decimalToSteps } from "../core/decimal.ts";
import { type EventBatch, SIDE } from "../market/event-batch.ts";
import type { Instrument } from "../market/instrument.ts";
import { MAX_PRICE_TICKS, sizeToLots } from "./decoder.ts";
import { addLevel, LEVELS, type LevelsOutcome } from "./text-levels.ts";

/**
 * Adds a level as {@link addLevel} does, but leaves out asks beyond the highest price that a book can hold: spot venues without price
 * limits show offers such as 99,999,997 USD for a coin of 350 USD, which are on the grid and mean nothing.
 */
export function addReachableLevel(
  side: number,
  price: unknown,
  size: unknown,
  instrument: Instrument,
  out: EventBatch,
): LevelsOutcome {
  if (side === SIDE.ask && typeof price === "string" && isUnreachable(price, instrument)) {
    const isSize = typeof size === "string" && !Number.isNaN(sizeToLots(size, instrument.lot));
    return isSize ? LEVELS.added : LEVELS.malformed;
  }
  return addLevel(side, price, size, instrument, out);
}

/** The price is on the instrument's grid, but beyond what a book can hold. */
export function isUnreachable(price: string, { tick }: Instrument): boolean {
  return decimalToSteps(price, tick) > MAX_PRICE_TICKS;
}

/** {@link addReachableLevel} over an array of `[price, size, …]`. */
export function addReachableLevels(
  side: number,
  levels: unknown,
  instrument: Instrument,
  out: EventBatch,
): LevelsOutcome {
  if (!Array.isArray(levels)) return LEVELS.malformed;
  for (let i = 0; i < levels.length; i += 1) {
    const level: unknown = levels[i];
    if (!Array.isArray(level)) return LEVELS.malformed;
    const outcome = addReachableLevel(side, level[0], level[1], instrument, out);
    if (outcome !== LEVELS.added) return outcome;
  }
  return LEVELS.added;
}
