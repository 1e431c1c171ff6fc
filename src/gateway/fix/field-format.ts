import { DOT, parseUint, YES, ZERO } from "./ascii.ts";
import type { FieldType } from "./dictionary-tables.ts";
import { parseTimestampUs } from "./timestamp.ts";

const NO = 78;
const MINUS = 45;

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
      return (length === 6 && isDate(bytes, offset, false)) || (length === 8 && isDate(bytes, offset, true));
    case "currency":
      return length >= 3 && length <= 8;
  }
}
