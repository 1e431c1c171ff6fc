import { POWERS_OF_TEN, writeDigits } from "./digits.ts";
import { HEADROOM_BYTES } from "./field-writer.ts";
import { TIMESTAMP_LENGTH, type TimestampBytes } from "./timestamp.ts";

/** Numbers of a one-entry MassQuote that change from quote to quote. */
export const SLOT = {
  seq: 0,
  quoteId: 1,
  entryId: 2,
  bidPx: 3,
  offerPx: 4,
  bidSize: 5,
  offerSize: 6,
} as const;
export const SLOTS = 7;
/** Where the two timestamps of a one-entry MassQuote are noted, behind the numbers. */
export const SENDING_TIME = 7;
export const TRANSACT_TIME = 8;
export const MARKS = 9;

/** Numbers above these are not kept: those with decimals are handled as 32-bit integers. */
const LARGEST_DECIMAL = 999_999_999;
const LARGEST_WHOLE = 999_999_999_999_999;
/** Length of `10=nnn|`. */
const TRAILER_BYTES = 7;
const BILLION = 1_000_000_000;

/**
 * The last one-entry MassQuote of an instrument, kept as bytes. The next one differs from it in a few digits: as long as no
 * number changes its width and no side comes or goes, only those are written again and the checksum is moved by the difference.
 */
export class QuoteImage {
  /** A one-entry message is encoded into these, and then learnt. */
  readonly bytes: Uint8Array;
  /** Which sides are quoted (1 = bid, 2 = offer), −1 = nothing is kept. */
  #sides = -1;
  #start = 0;
  #length = 0;
  /** Where the body begins, from the message's start. */
  #bodyAt = 0;
  #sum = 0;
  #timeSum = 0;
  #secondMs = -1;
  readonly #scale: Int32Array;
  readonly #at = new Int32Array(MARKS);
  readonly #width = new Int32Array(SLOTS);
  readonly #value = new Float64Array(SLOTS);
  /** Sum of a number's digits; −1 = not known yet. */
  readonly #slotSum = new Int32Array(SLOTS);
  readonly #least = new Float64Array(SLOTS);
  readonly #most = new Float64Array(SLOTS);

  /** @param scales decimals of each number of {@link SLOT} */
  constructor(capacityBytes: number, scales: Int32Array) {
    this.bytes = new Uint8Array(capacityBytes);
    this.#scale = scales;
  }

  get start(): number {
    return this.#start;
  }

  /**
   * Keeps the message that has just been encoded into {@link bytes}.
   *
   * @param sum sum of its bytes without the CheckSum field
   * @param marks where each number and time of it begins; those of a side that is not quoted do not count
   * @param values the numbers, in units of their last decimal
   */
  learn(
    start: number,
    length: number,
    sum: number,
    sides: number,
    marks: Int32Array,
    values: Float64Array,
    time: TimestampBytes,
  ): void {
    this.#start = start;
    this.#length = length;
    this.#bodyAt = HEADROOM_BYTES - start;
    this.#sum = sum;
    this.#sides = sides;
    this.#timeSum = time.sum;
    this.#secondMs = time.secondMs;
    for (let mark = 0; mark < MARKS; mark += 1) this.#at[mark] = marks[mark];
    for (let slot = 0; slot < SLOTS; slot += 1) {
      const value = values[slot];
      const scale = this.#scale[slot];
      const largest = scale === 0 ? LARGEST_WHOLE : LARGEST_DECIMAL;
      this.#value[slot] = value;
      if (!isQuoted(slot, sides)) continue;
      if (value > largest) this.#sides = -1;
      this.#setWidth(slot, wholeDigits(value, scale));
      this.#slotSum[slot] = -1;
    }
  }

  #setWidth(slot: number, width: number): void {
    const scale = this.#scale[slot];
    this.#width[slot] = width;
    this.#least[slot] = width === 1 ? 0 : POWERS_OF_TEN[width - 1 + scale];
    this.#most[slot] = Math.min(
      POWERS_OF_TEN[width + scale] - 1,
      scale === 0 ? LARGEST_WHOLE : LARGEST_DECIMAL,
    );
  }

  /**
   * Makes a number wider or narrower: what lies behind it moves, and BodyLength changes with it.
   *
   * @returns false when it cannot be done in place; nothing is kept then.
   */
  #resize(slot: number, value: number): boolean {
    const scale = this.#scale[slot];
    const width = wholeDigits(value, scale);
    const delta = width - this.#width[slot];
    const bodyLength = this.#length - this.#bodyAt - TRAILER_BYTES + delta;
    const end = this.#start + this.#length;
    if (
      value > (scale === 0 ? LARGEST_WHOLE : LARGEST_DECIMAL) ||
      end + delta > this.bytes.length ||
      bodyLength < 100 ||
      bodyLength > 999
    ) {
      this.#sides = -1;
      return false;
    }
    const bytes = this.bytes;
    const at = this.#at[slot];
    if (this.#slotSum[slot] < 0) this.#slotSum[slot] = this.#digitSum(slot);
    bytes.copyWithin(at + width, at + this.#width[slot], end);
    for (let mark = 0; mark < MARKS; mark += 1) if (this.#at[mark] > at) this.#at[mark] += delta;
    this.#length += delta;
    this.#setWidth(slot, width);
    const lengthAt = this.#start + this.#bodyAt - 4;
    this.#sum -= bytes[lengthAt] + bytes[lengthAt + 1] + bytes[lengthAt + 2];
    this.#sum += writeDigits(bytes, lengthAt, 3, bodyLength);
    this.#value[slot] = Number.NaN;
    return true;
  }

  /** Brings the kept message up to new values and copies it. @returns its length; 0 when it has another form. */
  patch(sides: number, values: Float64Array, time: TimestampBytes, out: Uint8Array): number {
    if (sides !== this.#sides) return 0;
    for (let slot = 0; slot < SLOTS; slot += 1) {
      const value = values[slot];
      if (value >= this.#least[slot] && value <= this.#most[slot]) continue;
      if (isQuoted(slot, sides) && !this.#resize(slot, value)) return 0;
    }
    const bytes = this.bytes;
    let sum = this.#sum;
    for (let slot = 0; slot < SLOTS; slot += 1) {
      const value = values[slot];
      if (value === this.#value[slot] || !isQuoted(slot, sides)) continue;
      this.#value[slot] = value;
      const before = this.#slotSum[slot] < 0 ? this.#digitSum(slot) : this.#slotSum[slot];
      const slotSum = this.#write(slot, value);
      sum += slotSum - before;
      this.#slotSum[slot] = slotSum;
    }
    this.#writeTime(time);
    sum += 2 * (time.sum - this.#timeSum);
    this.#timeSum = time.sum;
    this.#sum = sum;
    writeDigits(bytes, this.#start + this.#length - 4, 3, sum & 255);
    out.set(bytes);
    return this.#length;
  }

  #digitSum(slot: number): number {
    const from = this.#at[slot];
    const point = from + this.#width[slot];
    const scale = this.#scale[slot];
    const end = scale === 0 ? point : point + 1 + scale;
    let sum = 0;
    for (let i = from; i < end; i += 1) if (i !== point || scale === 0) sum += this.bytes[i];
    return sum;
  }

  #write(slot: number, value: number): number {
    const at = this.#at[slot];
    const width = this.#width[slot];
    const scale = this.#scale[slot];
    if (scale === 0) {
      if (value < BILLION) return writeDigits(this.bytes, at, width, value);
      const billions = Math.floor(value / BILLION);
      return (
        writeDigits(this.bytes, at, width - 9, billions) +
        writeDigits(this.bytes, at + width - 9, 9, value - billions * BILLION)
      );
    }
    const power = POWERS_OF_TEN[scale] | 0;
    const whole = ((value | 0) / power) | 0;
    return (
      writeDigits(this.bytes, at, width, whole) +
      writeDigits(this.bytes, at + width + 1, scale, (value | 0) - whole * power)
    );
  }

  #writeTime(time: TimestampBytes): void {
    const bytes = this.bytes;
    const from = time.bytes;
    const sending = this.#at[SENDING_TIME];
    const transact = this.#at[TRANSACT_TIME];
    let first = TIMESTAMP_LENGTH - 3;
    if (time.secondMs !== this.#secondMs) {
      this.#secondMs = time.secondMs;
      first = 0;
    }
    for (let i = first; i < TIMESTAMP_LENGTH; i += 1) {
      bytes[sending + i] = from[i];
      bytes[transact + i] = from[i];
    }
  }
}

/** Digits before the decimal point. */
function wholeDigits(value: number, scale: number): number {
  let digits = 1;
  while (digits + scale < 15 && value >= POWERS_OF_TEN[digits + scale]) digits += 1;
  return digits;
}

function isQuoted(slot: number, sides: number): boolean {
  if (slot === SLOT.bidPx || slot === SLOT.bidSize) return (sides & 1) !== 0;
  if (slot === SLOT.offerPx || slot === SLOT.offerSize) return (sides & 2) !== 0;
  return true;
}
