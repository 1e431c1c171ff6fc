import { DOT, ZERO } from "./ascii.ts";

/** Length of `YYYYMMDD-HH:MM:SS.sss`. */
export const TIMESTAMP_LENGTH = 21;

const MS_PER_DAY = 86_400_000;

/** Days since the epoch of a proleptic Gregorian date (H. Hinnant, "chrono-compatible low-level date algorithms"). */
function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/**
 * The current time as a UTCTimestamp with milliseconds, kept as bytes with their sum; only the digits that changed are
 * written again. No allocation.
 */
export class TimestampBytes {
  readonly bytes = new Uint8Array(TIMESTAMP_LENGTH);
  sum = 0;
  /** Start of the second the bytes stand in, in ms since the epoch. */
  secondMs = Number.POSITIVE_INFINITY;
  #ms = -1;
  #minute = -1;
  #day = -1;

  /** Brings the bytes to a time in µs since the epoch (rounded down to the millisecond). */
  update(timeUs: number): void {
    const ms = Math.floor(timeUs / 1_000);
    if (ms === this.#ms) return;
    const bytes = this.bytes;
    const sinceSecond = ms - this.secondMs;
    this.#ms = ms;
    if (sinceSecond >= 0 && sinceSecond < 1_000) {
      this.sum -= bytes[18] + bytes[19] + bytes[20];
      this.#milliseconds(sinceSecond);
      this.sum += bytes[18] + bytes[19] + bytes[20];
      return;
    }
    const minute = Math.floor(ms / 60_000);
    if (minute !== this.#minute) {
      this.#minute = minute;
      const day = Math.floor(ms / MS_PER_DAY);
      if (day !== this.#day) this.#writeDay(day);
      const minuteOfDay = minute - day * 1_440;
      this.#two(9, (minuteOfDay / 60) | 0);
      bytes[11] = 58;
      this.#two(12, minuteOfDay % 60);
      bytes[14] = 58;
      bytes[17] = DOT;
    }
    const within = ms - minute * 60_000;
    const second = (within / 1_000) | 0;
    this.secondMs = minute * 60_000 + second * 1_000;
    this.#two(15, second);
    this.#milliseconds(within - second * 1_000);
    let sum = 0;
    for (let i = 0; i < TIMESTAMP_LENGTH; i += 1) sum += bytes[i];
    this.sum = sum;
  }

  #milliseconds(value: number): void {
    const hundreds = (value / 100) | 0;
    this.bytes[18] = ZERO + hundreds;
    this.#two(19, value - hundreds * 100);
  }

  #writeDay(day: number): void {
    this.#day = day;
    const date = new Date(day * MS_PER_DAY);
    const year = date.getUTCFullYear();
    this.#two(0, Math.floor(year / 100));
    this.#two(2, year % 100);
    this.#two(4, date.getUTCMonth() + 1);
    this.#two(6, date.getUTCDate());
    this.bytes[8] = 45;
  }

  #two(at: number, value: number): void {
    const tens = (value / 10) | 0;
    this.bytes[at] = ZERO + tens;
    this.bytes[at + 1] = ZERO + value - tens * 10;
  }
}

function digits(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let i = at; i < at + count; i += 1) {
    const digit = bytes[i] - ZERO;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}

/**
 * Reads a UTCTimestamp, `YYYYMMDD-HH:MM:SS` with an optional fraction of 3, 6, 9 or 12 digits (FIX 4.4 volume 1; the finer
 * ones are later extensions that peers send). A leap second (60) is accepted.
 *
 * @returns µs since the epoch, NaN when the value is not of that form.
 */
export function parseTimestampUs(bytes: Uint8Array, offset: number, length: number): number {
  if (length !== 17 && length !== 21 && length !== 24 && length !== 27 && length !== 30) return Number.NaN;
  if (bytes[offset + 8] !== 45 || bytes[offset + 11] !== 58 || bytes[offset + 14] !== 58) return Number.NaN;
  const year = digits(bytes, offset, 4);
  const month = digits(bytes, offset + 4, 2);
  const day = digits(bytes, offset + 6, 2);
  const hour = digits(bytes, offset + 9, 2);
  const minute = digits(bytes, offset + 12, 2);
  const second = digits(bytes, offset + 15, 2);
  if (!(month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month))) return Number.NaN;
  if (!(hour <= 23 && minute <= 59 && second <= 60)) return Number.NaN;
  let fractionUs = 0;
  if (length > 17) {
    if (bytes[offset + 17] !== DOT) return Number.NaN;
    const count = length - 18;
    fractionUs = (digits(bytes, offset + 18, count) * 1e6) / 10 ** count;
    if (Number.isNaN(fractionUs)) return Number.NaN;
  }
  const seconds = daysFromCivil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
  return seconds * 1e6 + fractionUs;
}
