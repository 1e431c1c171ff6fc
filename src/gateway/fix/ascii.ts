import { BadInputError } from "../../core/errors.ts";

/** Field separator (ASCII 1). */
export const SOH = 1;
export const EQUALS = 61;
export const DOT = 46;
export const ZERO = 48;
/** `Y`, the true value of FIX booleans. */
export const YES = 89;

/**
 * Text as one byte a character, as FIX values of type String travel.
 *
 * @throws BadInputError when a character is not printable ASCII (a separator would break the message).
 */
export function asciiBytes(text: string, where: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code < 32 || code > 126) throw new BadInputError(where, JSON.stringify(text), "printable ASCII");
    bytes[i] = code;
  }
  return bytes;
}

/** Bytes that are written as they stand, with their sum taken once for the checksum. */
export interface Template {
  readonly bytes: Uint8Array;
  readonly sum: number;
}

/** A template from text in which `|` stands for the field separator. */
export function template(text: string): Template {
  const bytes = new Uint8Array(text.length);
  let sum = 0;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    bytes[i] = code === 124 ? SOH : code;
    sum += bytes[i];
  }
  return { bytes, sum };
}

/** A plain unsigned decimal of at most 15 digits; NaN when it is not one. */
export function parseUint(bytes: Uint8Array, offset: number, length: number): number {
  if (length === 0 || length > 15) return Number.NaN;
  let value = 0;
  for (let i = offset; i < offset + length; i += 1) {
    const digit = bytes[i] - ZERO;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return value;
}

/** The bytes as text, one character a byte. */
export function asciiText(bytes: Uint8Array, offset: number, length: number): string {
  let text = "";
  for (let i = offset; i < offset + length; i += 1) text += String.fromCharCode(bytes[i]);
  return text;
}
