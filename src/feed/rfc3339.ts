const DIGIT_ZERO = 48;
const SECOND_US = 1_000_000;
const DAY_S = 86_400;
/** Length of `2021-04-17T16:43:37`. */
const SECONDS_END = 19;
/** Micros that a digit behind the point stands for. */
const FRACTION_US: readonly number[] = [100_000, 10_000, 1_000, 100, 10, 1];
const DAYS_BEFORE_MONTH: readonly number[] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
const MONTH_DAYS: readonly number[] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/**
 * µs since the epoch of a UTC time such as `2021-04-17T16:43:37.075687Z` (RFC 3339, years 1970 to 2199); digits beyond µs are
 * cut off. Allocates nothing. @returns NaN when the text is none.
 */
export function rfc3339Us(text: unknown): number {
  if (typeof text !== "string" || text.length < SECONDS_END + 1) return Number.NaN;
  const year = number(text, 0, 4);
  const month = number(text, 5, 7);
  const day = number(text, 8, 10);
  const hour = number(text, 11, 13);
  const minute = number(text, 14, 16);
  const second = number(text, 17, 19);
  const isShaped =
    text[4] === "-" && text[7] === "-" && text[10] === "T" && text[13] === ":" && text[16] === ":";
  const isTime = hour >= 0 && hour < 24 && minute >= 0 && minute < 60 && second >= 0 && second <= 60;
  if (!isShaped || !isTime || !(year >= 1970 && year < 2200 && month >= 1 && month <= 12)) return Number.NaN;
  if (!(day >= 1 && day <= MONTH_DAYS[month - 1])) return Number.NaN;
  const fractionUs = fraction(text);
  const leaps = leapDays(year - 1) - leapDays(1969) + (month > 2 && isLeap(year) ? 1 : 0);
  const days = (year - 1970) * 365 + leaps + DAYS_BEFORE_MONTH[month - 1] + day - 1;
  return (days * DAY_S + hour * 3_600 + minute * 60 + second) * SECOND_US + fractionUs;
}

/** The digits behind the seconds as µs; NaN unless they and a `Z` end the text. */
function fraction(text: string): number {
  const last = text.length - 1;
  if (text[last] !== "Z") return Number.NaN;
  if (last === SECONDS_END) return 0;
  if (text[SECONDS_END] !== "." || last === SECONDS_END + 1) return Number.NaN;
  let micros = 0;
  for (let at = SECONDS_END + 1; at < last; at += 1) {
    const digit = text.charCodeAt(at) - DIGIT_ZERO;
    if (!(digit >= 0 && digit <= 9)) return Number.NaN;
    const index = at - SECONDS_END - 1;
    if (index < FRACTION_US.length) micros += digit * FRACTION_US[index];
  }
  return micros;
}

/** A number of digits only; NaN when one of them is none. */
function number(text: string, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at += 1) {
    const digit = text.charCodeAt(at) - DIGIT_ZERO;
    if (!(digit >= 0 && digit <= 9)) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}

/** Leap days up to and including a year. */
function leapDays(year: number): number {
  return Math.floor(year / 4) - Math.floor(year / 100) + Math.floor(year / 400);
}

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}
