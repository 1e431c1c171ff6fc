import type { DecimalStep } from "../../core/decimal.ts";
import { asciiText, DOT, parseUint, YES, ZERO } from "./ascii.ts";
import { parseTimestampUs } from "./timestamp.ts";

/**
 * A parsed message: where each field's value lies in the buffer it was received in. One object is reused for every message;
 * what it points at is valid until the parser is called again or the buffer is written to.
 *
 * BeginString, BodyLength and CheckSum have been checked by the parser and are not among the fields; field 0 is MsgType.
 */
export class FixMessage {
  readonly maxFields: number;
  bytes: Uint8Array = new Uint8Array(0);
  /** The whole message is `bytes[start, end)`. */
  start = 0;
  end = 0;
  beginStringOffset = 0;
  beginStringLength = 0;
  /** See {@link msgTypeCode}; 0 when the value does not have one or two characters. */
  msgType = 0;
  count = 0;
  readonly tags: Int32Array;
  readonly offsets: Int32Array;
  readonly lengths: Int32Array;

  constructor(maxFields: number) {
    this.maxFields = maxFields;
    this.tags = new Int32Array(maxFields);
    this.offsets = new Int32Array(maxFields);
    this.lengths = new Int32Array(maxFields);
  }

  /** Index of the first field with the tag at or after `from`, −1 when there is none. */
  indexOf(tag: number, from = 0): number {
    const tags = this.tags;
    for (let i = from; i < this.count; i += 1) if (tags[i] === tag) return i;
    return -1;
  }

  /** Unsigned integer value of the first field with the tag; NaN when absent or malformed. */
  uint(tag: number): number {
    const index = this.indexOf(tag);
    return index < 0 ? Number.NaN : parseUint(this.bytes, this.offsets[index], this.lengths[index]);
  }

  uintAt(index: number): number {
    return parseUint(this.bytes, this.offsets[index], this.lengths[index]);
  }

  /** The only character of a field's value; −1 when absent, empty or longer. */
  char(tag: number): number {
    const index = this.indexOf(tag);
    return index < 0 || this.lengths[index] !== 1 ? -1 : this.bytes[this.offsets[index]];
  }

  /** A boolean field is present and `Y`. */
  isYes(tag: number): boolean {
    return this.char(tag) === YES;
  }

  /** Value as text; undefined when absent. Allocates. */
  text(tag: number): string | undefined {
    const index = this.indexOf(tag);
    return index < 0 ? undefined : this.textAt(index);
  }

  textAt(index: number): string {
    return asciiText(this.bytes, this.offsets[index], this.lengths[index]);
  }

  beginString(): string {
    return asciiText(this.bytes, this.beginStringOffset, this.beginStringLength);
  }

  beginStringEquals(expected: Uint8Array): boolean {
    return this.#rangeEquals(this.beginStringOffset, this.beginStringLength, expected);
  }

  valueEquals(index: number, expected: Uint8Array): boolean {
    return this.#rangeEquals(this.offsets[index], this.lengths[index], expected);
  }

  #rangeEquals(offset: number, length: number, expected: Uint8Array): boolean {
    if (length !== expected.length) return false;
    for (let i = 0; i < length; i += 1) if (this.bytes[offset + i] !== expected[i]) return false;
    return true;
  }

  /** UTCTimestamp in µs since the epoch; NaN when absent or malformed. */
  timestampUs(tag: number): number {
    const index = this.indexOf(tag);
    return index < 0 ? Number.NaN : parseTimestampUs(this.bytes, this.offsets[index], this.lengths[index]);
  }

  /**
   * A price or quantity as a whole number of steps, without going through a binary fraction.
   *
   * @returns NaN when the value is not a plain non-negative decimal or is off the grid.
   */
  steps(index: number, step: DecimalStep): number {
    const bytes = this.bytes;
    const offset = this.offsets[index];
    const end = offset + this.lengths[index];
    let units = 0;
    let decimals = -1;
    let seen = 0;
    for (let i = offset; i < end; i += 1) {
      const digit = bytes[i] - ZERO;
      if (digit >= 0 && digit <= 9) {
        seen += 1;
        if (decimals === step.scale) {
          if (digit !== 0) return Number.NaN;
          continue;
        }
        if (decimals >= 0) decimals += 1;
        units = units * 10 + digit;
      } else if (bytes[i] === DOT && decimals < 0) {
        decimals = 0;
      } else {
        return Number.NaN;
      }
    }
    if (seen === 0) return Number.NaN;
    for (let missing = step.scale - Math.max(decimals, 0); missing > 0; missing -= 1) units *= 10;
    if (!Number.isSafeInteger(units)) return Number.NaN;
    const steps = units / step.mantissa;
    return Number.isInteger(steps) ? steps : Number.NaN;
  }
}
