import { invariant } from "../../core/invariant.ts";
import { asciiBytes, DOT, EQUALS, SOH, type Template, ZERO } from "./ascii.ts";
import { DIGIT_SUMS, DIGITS, POWERS_OF_TEN, writeDigits } from "./digits.ts";
import type { TimestampBytes } from "./timestamp.ts";

/** Room kept before the body for `8=FIX.4.4|9=nnnnnnnnn|`. */
export const HEADROOM_BYTES = 32;
const TRAILER_BYTES = 7;
const BILLION = 1_000_000_000;

/**
 * Writes fields as bytes and keeps their sum as it goes, so that the checksum costs no second pass. The body is written first,
 * behind {@link HEADROOM_BYTES}; BeginString and BodyLength are then put directly before it, because only then is the length known.
 */
export class FieldWriter {
  readonly #begin: Template;
  bytes: Uint8Array = new Uint8Array(0);
  /** Next byte to write. */
  at = 0;
  /** Sum of the bytes written; after {@link finish} of the whole message without its CheckSum field. */
  sum = 0;
  /** After {@link finish}: the message is `bytes[start, at)`. */
  start = 0;

  constructor(beginString: string) {
    const bytes = asciiBytes(`8=${beginString}`, "BeginString");
    const begin = new Uint8Array(bytes.length + 3);
    begin.set(bytes);
    begin.set([SOH, 57, EQUALS], bytes.length);
    this.#begin = { bytes: begin, sum: begin.reduce((total, byte) => total + byte, 0) };
    invariant(begin.length + 10 <= HEADROOM_BYTES, "BeginString fits the headroom");
  }

  /** Starts a message's body in `bytes`. */
  open(bytes: Uint8Array): void {
    this.bytes = bytes;
    this.at = HEADROOM_BYTES;
    this.sum = 0;
  }

  /** Bytes of body that still fit, with the trailer's room kept. */
  get room(): number {
    return this.bytes.length - this.at - TRAILER_BYTES;
  }

  byte(code: number): void {
    this.bytes[this.at] = code;
    this.at += 1;
    this.sum += code;
  }

  template(part: Template): void {
    const from = part.bytes;
    const to = this.bytes;
    const length = from.length;
    const at = this.at;
    for (let i = 0; i < length; i += 1) to[at + i] = from[i];
    this.at = at + length;
    this.sum += part.sum;
  }

  timestamp(time: TimestampBytes): void {
    this.template(time);
  }

  /** A non-negative integer below 2^53. */
  uint(value: number): void {
    if (value < 1_000) {
      this.#leading(value | 0);
    } else if (value < 1_000_000) {
      const thousands = ((value | 0) / 1_000) | 0;
      this.#leading(thousands);
      this.#three((value | 0) - thousands * 1_000);
    } else if (value < BILLION) {
      const thousands = ((value | 0) / 1_000) | 0;
      const millions = (thousands / 1_000) | 0;
      this.#leading(millions);
      this.#three(thousands - millions * 1_000);
      this.#three((value | 0) - thousands * 1_000);
    } else {
      const billions = Math.floor(value / BILLION);
      this.uint(billions);
      this.#padded((value - billions * BILLION) | 0, 9);
    }
  }

  /** `units × 10^-scale` with exactly `scale` decimals; units non-negative and below 2^53. */
  decimal(units: number, scale: number): void {
    if (scale === 0) {
      this.uint(units);
      return;
    }
    const power = POWERS_OF_TEN[scale];
    const whole = Math.floor(units / power);
    this.uint(whole);
    this.byte(DOT);
    const rest = units - whole * power;
    if (scale <= 9) {
      this.#padded(rest | 0, scale);
      return;
    }
    const high = Math.floor(rest / BILLION);
    this.#padded(high | 0, scale - 9);
    this.#padded((rest - high * BILLION) | 0, 9);
  }

  /** Exactly `count` digits, at most nine, with leading zeros. */
  #padded(value: number, count: number): void {
    this.sum += writeDigits(this.bytes, this.at, count, value);
    this.at += count;
  }

  /** A number below 1,000 without leading zeros. */
  #leading(value: number): void {
    const digits = DIGITS[value];
    const bytes = this.bytes;
    let at = this.at;
    let sum = DIGIT_SUMS[value];
    if (value > 99) {
      bytes[at] = digits;
      at += 1;
    } else sum -= ZERO;
    if (value > 9) {
      bytes[at] = digits >> 8;
      at += 1;
    } else sum -= ZERO;
    bytes[at] = digits >> 16;
    this.at = at + 1;
    this.sum += sum;
  }

  /** A number below 1,000 as three digits. */
  #three(value: number): void {
    const digits = DIGITS[value];
    const bytes = this.bytes;
    const at = this.at;
    bytes[at] = digits;
    bytes[at + 1] = digits >> 8;
    bytes[at + 2] = digits >> 16;
    this.at = at + 3;
    this.sum += DIGIT_SUMS[value];
  }

  /** `tag=`. */
  tag(tag: number): void {
    this.uint(tag);
    this.byte(EQUALS);
  }

  end(): void {
    this.byte(SOH);
  }

  /** One character a byte; the caller answers for it being ASCII without separators. */
  text(value: string): void {
    const bytes = this.bytes;
    let at = this.at;
    for (let i = 0; i < value.length; i += 1) {
      const code = value.charCodeAt(i) & 255;
      bytes[at] = code;
      this.sum += code;
      at += 1;
    }
    this.at = at;
  }

  /** Bytes of another buffer. */
  range(from: Uint8Array, offset: number, length: number): void {
    for (let i = offset; i < offset + length; i += 1) this.byte(from[i]);
  }

  /** Puts BeginString and BodyLength before the body and CheckSum behind it. @returns the message's length in bytes. */
  finish(): number {
    const bodyEnd = this.at;
    let length = bodyEnd - HEADROOM_BYTES;
    let start = HEADROOM_BYTES - 1;
    this.bytes[start] = SOH;
    let sum = this.sum + SOH;
    do {
      const quotient = (length / 10) | 0;
      const code = ZERO + length - quotient * 10;
      start -= 1;
      this.bytes[start] = code;
      sum += code;
      length = quotient;
    } while (length > 0);
    const begin = this.#begin.bytes;
    start -= begin.length;
    for (let i = 0; i < begin.length; i += 1) this.bytes[start + i] = begin[i];
    sum += this.#begin.sum;
    this.sum = sum;

    const checkSum = sum & 255;
    const bytes = this.bytes;
    bytes[bodyEnd] = 49;
    bytes[bodyEnd + 1] = ZERO;
    bytes[bodyEnd + 2] = EQUALS;
    const hundreds = (checkSum / 100) | 0;
    const tens = ((checkSum - hundreds * 100) / 10) | 0;
    bytes[bodyEnd + 3] = ZERO + hundreds;
    bytes[bodyEnd + 4] = ZERO + tens;
    bytes[bodyEnd + 5] = ZERO + checkSum - hundreds * 100 - tens * 10;
    bytes[bodyEnd + 6] = SOH;
    this.start = start;
    this.at = bodyEnd + TRAILER_BYTES;
    return this.at - start;
  }
}
