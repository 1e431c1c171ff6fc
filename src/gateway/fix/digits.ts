import { ZERO } from "./ascii.ts";

/** The three digits of each number below 1,000, the first in the low byte, and their sums: one division gives three digits. */
export const DIGITS = new Int32Array(1_000);
export const DIGIT_SUMS = new Int32Array(1_000);
for (let i = 0; i < 1_000; i += 1) {
  const hundreds = ZERO + Math.floor(i / 100);
  const tens = ZERO + (Math.floor(i / 10) % 10);
  const ones = ZERO + (i % 10);
  DIGITS[i] = hundreds | (tens << 8) | (ones << 16);
  DIGIT_SUMS[i] = hundreds + tens + ones;
}

export const POWERS_OF_TEN = new Float64Array(16);
for (let i = 0; i < POWERS_OF_TEN.length; i += 1) POWERS_OF_TEN[i] = 10 ** i;

/** Writes a number below 10^9 as exactly `count` digits (at most nine), with leading zeros. @returns the sum of the bytes. */
export function writeDigits(bytes: Uint8Array, at: number, count: number, value: number): number {
  let rest = value | 0;
  let left = count;
  let sum = 0;
  while (left > 3) {
    const thousands = (rest / 1_000) | 0;
    const three = rest - thousands * 1_000;
    const digits = DIGITS[three];
    const to = at + left - 3;
    bytes[to] = digits;
    bytes[to + 1] = digits >> 8;
    bytes[to + 2] = digits >> 16;
    sum += DIGIT_SUMS[three];
    rest = thousands;
    left -= 3;
  }
  const digits = DIGITS[rest];
  sum += DIGIT_SUMS[rest] - (3 - left) * ZERO;
  if (left === 3) {
    bytes[at] = digits;
    bytes[at + 1] = digits >> 8;
    bytes[at + 2] = digits >> 16;
  } else if (left === 2) {
    bytes[at] = digits >> 8;
    bytes[at + 1] = digits >> 16;
  } else {
    bytes[at] = digits >> 16;
  }
  return sum;
}
