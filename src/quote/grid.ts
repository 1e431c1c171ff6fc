import type { Instrument } from "../market/instrument.ts";

/** Slack, relative and in ticks, that keeps a price that lies on the grid, but for rounding error, on it. */
const GRID_SLACK = 1e-12;
const GRID_SLACK_TICKS = 1e-9;
/** Largest price a book can hold, in ticks. */
export const MAX_TICKS = 0x7fff_ffff;

/** Size of the grid's step at a price, in the instrument's finest ticks. */
export function gridMultiple(instrument: Instrument, priceTicks: number): number {
  let multiple = 1;
  for (let i = 0; i < instrument.tickSteps.length; i += 1) {
    const step = instrument.tickSteps[i];
    if (priceTicks < step.fromPriceTicks) break;
    multiple = step.multiple;
  }
  return multiple;
}

/**
 * The highest quotable bid that is not above a price.
 *
 * @param price in finest ticks, fractional
 * @returns ticks on the grid that holds there, −1 when there is none above zero
 */
export function floorToGrid(instrument: Instrument, price: number): number {
  let ticks = Math.floor(price + Math.abs(price) * GRID_SLACK + GRID_SLACK_TICKS);
  if (!(ticks >= 1)) return -1;
  if (ticks > MAX_TICKS) return -1;
  const multiple = gridMultiple(instrument, ticks);
  if (multiple > 1) ticks = multiple * Math.floor(ticks / multiple);
  return ticks;
}

/**
 * The lowest quotable ask that is not below a price.
 *
 * @param price in finest ticks, fractional
 * @returns ticks on the grid that holds there, at least one step; −1 when there is none that a book can hold
 */
export function ceilToGrid(instrument: Instrument, price: number): number {
  let ticks = Math.max(Math.ceil(price - Math.abs(price) * GRID_SLACK - GRID_SLACK_TICKS), 1);
  if (!(ticks <= MAX_TICKS)) return -1;
  const multiple = gridMultiple(instrument, ticks);
  if (multiple > 1) ticks = multiple * Math.ceil(ticks / multiple);
  return ticks <= MAX_TICKS ? ticks : -1;
}
