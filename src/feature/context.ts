/**
 * The features that do not come from the book that leads: at-the-money volatility of the options on the underlying, mostly another
 * venue's, and external signals. They stand last in a row and have a time of their own, so that the rest of the row depends on
 * nothing but the leading book's own events, in whatever thread it is made.
 *
 * @module
 */
import { exponential } from "./elementary.ts";
import { featureIndex } from "./schema.ts";
import { IV, IV_MEAN, IV_TIME } from "./state.ts";
import { CLOCK_JITTER_US } from "./warm-up.ts";

/** Features of a row before the first of these. */
export const BOOK_FEATURE_COUNT = featureIndex("atmIv");

const MEAN_US = 10_000_000;

/** Forgets the volatility of the slot whose state starts at `at`. */
export function resetContext(s: Float64Array, at: number): void {
  s[at + IV] = Number.NaN;
  s[at + IV_MEAN] = Number.NaN;
  s[at + IV_TIME] = Number.NaN;
}

/** Lets the volatility held so far enter its mean, up to `timeUs`. */
export function advanceContext(s: Float64Array, at: number, timeUs: number): void {
  const delta = timeUs - s[at + IV_TIME];
  if (delta > 0) {
    const held = s[at + IV];
    s[at + IV_TIME] = timeUs;
    s[at + IV_MEAN] = held + (s[at + IV_MEAN] - held) * exponential(-delta / MEAN_US);
  } else if (delta < -CLOCK_JITTER_US) s[at + IV_TIME] += delta;
  else if (Number.isNaN(s[at + IV_TIME]) && Math.abs(timeUs) < Infinity) s[at + IV_TIME] = timeUs;
}

/** A new at-the-money volatility, as a fraction; what is no positive number is ignored. */
export function takeVolatility(s: Float64Array, at: number, atmIv: number, timeUs: number): void {
  advanceContext(s, at, timeUs);
  if (!(atmIv > 0 && atmIv < Infinity)) return;
  if (Number.isNaN(s[at + IV_MEAN])) s[at + IV_MEAN] = atmIv;
  s[at + IV] = atmIv;
}

/** Writes these features of a row from `offset`, its first of them; what is not known is 0. */
export function writeContext(
  s: Float64Array,
  at: number,
  signals: Float64Array,
  out: Float32Array,
  offset: number,
): void {
  const change = (s[at + IV] - s[at + IV_MEAN]) * 100;
  out[offset] = finite(s[at + IV]);
  out[offset + 1] = finite(change);
  for (let signal = 0; signal < signals.length; signal += 1) {
    out[offset + 2 + signal] = finite(signals[signal]);
  }
}

/** 0 for what no single-precision number can tell. */
function finite(value: number): number {
  const single = Math.fround(value);
  return single - single === 0 ? single : 0;
}
