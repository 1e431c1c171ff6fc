import { numberToSteps, stepToNumber } from "../core/decimal.ts";
import { invariant } from "../core/invariant.ts";
import type { Structure } from "./structure.ts";

/**
 * Splits a structure's price into prices of its legs: each at its fair value, and what is left over on the dearest leg that can
 * take it alone, or, where no leg's ratio allows that, on several. The legs' prices times their ratios add up to the structure's price
 * exactly.
 *
 * @param priceSteps a multiple of the structure's grid as its `multiple` demands
 * @param fair by instrument, in its price unit
 * @returns by leg that the price is made of, in the leg's own ticks
 */
export function splitPrice(structure: Structure, priceSteps: number, fair: ArrayLike<number>): number[] {
  const { priced, grid, multiple } = structure;
  const weights: number[] = [];
  const ticks: number[] = [];
  let left = priceSteps;
  for (const { instrument, ratio } of priced) {
    const tick = stepToNumber(instrument.tick);
    const weight = ratio * numberToSteps(tick, grid);
    const price = Math.max(Math.round(fair[instrument.id] / tick), 1);
    weights.push(weight);
    ticks.push(price);
    left -= weight * price;
  }
  if (left === 0) return ticks;
  const alone = takerOf(weights, ticks, left);
  if (alone >= 0) {
    ticks[alone] += left / weights[alone];
    return ticks;
  }
  const shares = combination(weights);
  const times = left / multiple;
  invariant(Number.isInteger(times), `a price of ${priceSteps} steps is a multiple of ${multiple}`);
  for (let leg = 0; leg < ticks.length; leg += 1) ticks[leg] += shares[leg] * times;
  return ticks;
}

/** The dearest leg that can take what is left without a price below nothing; failing that, any that can; −1 when none can. */
function takerOf(weights: readonly number[], ticks: readonly number[], left: number): number {
  let taker = -1;
  let found = Number.NEGATIVE_INFINITY;
  for (let leg = 0; leg < weights.length; leg += 1) {
    const change = left / weights[leg];
    if (!Number.isInteger(change)) continue;
    const rank = ticks[leg] + change > 0 ? ticks[leg] : Number.MIN_SAFE_INTEGER + ticks[leg];
    if (rank <= found) continue;
    found = rank;
    taker = leg;
  }
  return taker;
}

/** Whole numbers whose sum with these weights is their greatest common divisor (Euclid's extended algorithm). */
function combination(weights: readonly number[]): number[] {
  const shares = weights.map(() => 0);
  let divisor = 0;
  for (let leg = 0; leg < weights.length; leg += 1) {
    let [a, b] = [divisor, weights[leg]];
    let [ofDivisor, nextOfDivisor] = [1, 0];
    let [ofWeight, nextOfWeight] = [0, 1];
    while (b !== 0) {
      const quotient = Math.trunc(a / b);
      [a, b] = [b, a - quotient * b];
      [ofDivisor, nextOfDivisor] = [nextOfDivisor, ofDivisor - quotient * nextOfDivisor];
      [ofWeight, nextOfWeight] = [nextOfWeight, ofWeight - quotient * nextOfWeight];
    }
    const sign = a < 0 ? -1 : 1;
    for (let earlier = 0; earlier < leg; earlier += 1) shares[earlier] *= sign * ofDivisor;
    shares[leg] = sign * ofWeight;
    divisor = sign * a;
  }
  return shares;
}
