/**
 * Exponential windows. A window of time constant w forgets as exp(−Δt/w), so its state is one number and advancing it is one
 * multiplication, whatever the rate of events; and advancing by a then by b is the same as by a + b.
 *
 * @module
 */
import { exponential, naturalLog } from "./elementary.ts";

/** Time constants of the windows, ms; {@link decayFactors} writes the factors in this order. */
export const DECAY_MS = [10_000, 5_000, 1_000, 500, 2_000, 200, 100, 50, 10] as const;

export const D10000 = 0;
export const D5000 = 1;
export const D1000 = 2;
export const D500 = 3;
export const D2000 = 4;
export const D200 = 5;
export const D100 = 6;
export const D50 = 7;
export const D10 = 8;

/**
 * Writes exp(−deltaUs/w) for every window of {@link DECAY_MS}. One exponential: the shorter windows are whole powers of the
 * longest one, which costs a relative error of at most 1e-13.
 */
export function decayFactors(deltaUs: number, out: Float64Array): void {
  const p1 = exponential(-deltaUs / 10_000_000);
  const p2 = p1 * p1;
  const p5 = p2 * p2 * p1;
  const p10 = p5 * p5;
  const p20 = p10 * p10;
  const p50 = p20 * p20 * p10;
  const p100 = p50 * p50;
  const p200 = p100 * p100;
  const p400 = p200 * p200;
  out[D10000] = p1;
  out[D5000] = p2;
  out[D2000] = p5;
  out[D1000] = p10;
  out[D500] = p20;
  out[D200] = p50;
  out[D100] = p100;
  out[D50] = p200;
  out[D10] = p400 * p400 * p200;
}

/** exp(−age/5 ms), /20, /60 and /200 ms at `out[at…at+3]`; four powers of one exponential. A negative age counts as 0. */
export function writeAges(ageUs: number, out: Float32Array, at: number): void {
  const p1 = ageUs > 0 ? exponential(-ageUs / 600_000) : 1;
  const p3 = p1 * p1 * p1;
  const p9 = p3 * p3 * p3;
  const p10 = p9 * p1;
  const p30 = p10 * p10 * p10;
  const p60 = p30 * p30;
  out[at] = p60 * p60;
  out[at + 1] = p30;
  out[at + 2] = p10;
  out[at + 3] = p3;
}

/** (a − b)/(a + b), 0 when both are 0: the bounded form of a ratio, odd under exchange. For non-negative a and b. */
export function contrast(a: number, b: number): number {
  const sum = a + b;
  return sum > 0 ? (a - b) / sum : 0;
}

/** x/(1 + |x|). */
export function soft(x: number): number {
  return x / (1 + Math.abs(x));
}

/** sign(x)·ln(1 + |x|). */
export function signedLog(x: number): number {
  return x < 0 ? -naturalLog(1 - x) : naturalLog(1 + x);
}
