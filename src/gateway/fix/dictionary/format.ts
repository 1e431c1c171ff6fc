import { DOT, parseUint, YES, ZERO } from "../ascii.ts";
import { parseTimestampUs } from "../timestamp.ts";
import type { FieldType } from "./fields.ts";

const NO = 78;
const MINUS = 45;
const COLON = 58;
const WEEK = 119;

function isNumber(bytes: Uint8Array, offset: number, length: number, fraction: boolean): boolean {
  let at = offset;
  const end = offset + length;
  if (bytes[at] === MINUS) at += 1;
  let digits = 0;
  let points = 0;
  for (; at < end; at += 1) {
    const digit = bytes[at] - ZERO;
    if (digit >= 0 && digit <= 9) digits += 1;
    else if (fraction && bytes[at] === DOT && points === 0) points += 1;
    else return false;
  }
  return digits > 0;
}

function isDate(bytes: Uint8Array, offset: number, dayGiven: boolean): boolean {
  const month = parseUint(bytes, offset + 4, 2);
  const day = dayGiven ? parseUint(bytes, offset + 6, 2) : 1;
  return !Number.isNaN(parseUint(bytes, offset, 4)) && month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

/** The last two places of a MonthYear: a day, or `w1` … `w5`, the week of the month. */
function isDayOrWeek(bytes: Uint8Array, offset: number): boolean {
  if (bytes[offset + 6] === WEEK) return bytes[offset + 7] > ZERO && bytes[offset + 7] <= ZERO + 5;
  return isDate(bytes, offset, true);
}

/** `HH:MM:SS`, or with a point and milliseconds. */
function isTime(bytes: Uint8Array, offset: number, length: number): boolean {
  if (length !== 8 && length !== 12) return false;
  if (bytes[offset + 2] !== COLON || bytes[offset + 5] !== COLON) return false;
  if (length === 12 && (bytes[offset + 8] !== DOT || Number.isNaN(parseUint(bytes, offset + 9, 3))))
    return false;
  const hours = parseUint(bytes, offset, 2);
  const minutes = parseUint(bytes, offset + 3, 2);
  return hours <= 23 && minutes <= 59 && parseUint(bytes, offset + 6, 2) <= 60;
}

/** A value has the form of its data type (FIX 4.4 volume 1, "FIX field types"). */
export function isValidFormat(type: FieldType, bytes: Uint8Array, offset: number, length: number): boolean {
  switch (type) {
    case "string":
    case "data":
    case "multipleValue":
      return true;
    case "char":
      return length === 1;
    case "int":
      return isNumber(bytes, offset, length, false);
    case "float":
      return isNumber(bytes, offset, length, true);
    case "length":
    case "seqNum":
    case "numInGroup":
      return !Number.isNaN(parseUint(bytes, offset, length));
    case "boolean":
      return length === 1 && (bytes[offset] === YES || bytes[offset] === NO);
    case "utcTimestamp":
      return !Number.isNaN(parseTimestampUs(bytes, offset, length));
    case "localDate":
      return length === 8 && isDate(bytes, offset, true);
    case "monthYear":
      if (length !== 6 && length !== 8) return false;
      return isDate(bytes, offset, false) && (length === 6 || isDayOrWeek(bytes, offset));
    case "utcDate":
      return length === 8 && isDate(bytes, offset, true);
    case "utcTime":
      return isTime(bytes, offset, length);
    case "currency":
      return length >= 3 && length <= 8;
  }
}
