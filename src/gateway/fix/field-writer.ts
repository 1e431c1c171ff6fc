import { invariant } from "../../core/invariant.ts";
import { asciiBytes, DOT, EQUALS, SOH, type Template, ZERO } from "./ascii.ts";
import type { TimestampBytes } from "./timestamp.ts";

/** Room kept before the body for `8=FIX.4.4|9=nnnnnnnnn|`. */
export const HEADROOM_BYTES = 32;
const TRAILER_BYTES = 7;
const BILLION = 1_000_000_000;

const POWERS = new Float64Array(16);
for (let i = 0; i < POWERS.length; i += 1) POWERS[i] = 10 ** i;

/**
 * Writes fields as bytes and keeps their sum as it goes, so that the checksum costs no second pass. The body is written first,
 * behind {@link HEADROOM_BYTES}; BeginString and BodyLength are then put directly before it, because only then is the length known.
 */
export class FieldWriter {
  readonly #begin: Template;
  bytes: Uint8Array = new Uint8Array(0);
  /** Next byte to write. */
  at = 0;
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
    if (value > 2_147_483_647) {
      const high = Math.floor(value / BILLION);
      this.uint(high);
      this.#padded(value - high * BILLION, 9);
      return;
    }
    const rest = value | 0;
    const digits =
      rest < 10_000
        ? rest < 100
          ? rest < 10
            ? 1
            : 2
          : rest < 1_000
            ? 3
            : 4
        : rest < 1_000_000
          ? rest < 100_000
            ? 5
            : 6
          : rest < 10_000_000
            ? 7
            : rest < 100_000_000
              ? 8
              : rest < BILLION
                ? 9
                : 10;
    this.#digits(rest, digits);
  }

  /** `units × 10^-scale` with exactly `scale` decimals; units non-negative and below 2^53. */
  decimal(units: number, scale: number): void {
    if (scale === 0) {
      this.uint(units);
      return;
    }
    const power = POWERS[scale];
    const whole = Math.floor(units / power);
    this.uint(whole);
    this.byte(DOT);
    this.#padded(units - whole * power, scale);
  }

  /** Exactly `count` digits, with leading zeros. */
  #padded(value: number, count: number): void {
    if (count > 9) {
      const high = Math.floor(value / BILLION);
      this.#padded(high, count - 9);
      this.#digits((value - high * BILLION) | 0, 9);
      return;
    }
    this.#digits(value | 0, count);
  }

  #digits(value: number, count: number): void {
    const bytes = this.bytes;
    const at = this.at;
    let rest = value | 0;
    let sum = 0;
    for (let i = at + count - 1; i >= at; i -= 1) {
      const quotient = (rest / 10) | 0;
      const code = ZERO + rest - quotient * 10;
      bytes[i] = code;
      sum += code;
      rest = quotient;
    }
    this.at = at + count;
    this.sum += sum;
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
