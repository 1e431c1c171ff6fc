const QUOTE = 34;
const ZERO = 48;
/** Whole numbers of so many digits are doubles. */
const DIGITS_MAX = 15;
/** The frame of a shorter event is decoded as fast. */
const LENGTH_MIN = 400;

/**
 * The part of a depth event's frame that stands before its levels: symbol, times and update ids. It tells whether another line has
 * brought the event, so that the levels of a repetition need not be decoded. Any other form than the venue's usual one is not read.
 */
export class DepthHead {
  symbol = "";
  /** Of the matching engine, else of the message; µs. */
  exchangeUs = Number.NaN;
  firstUpdate = Number.NaN;
  lastUpdate = Number.NaN;
  /** NaN on spot. */
  previousUpdate = Number.NaN;
  #frame = "";
  #at = 0;
  #integer = 0;

  /** @returns false when the frame is no long depth event of the usual form; nothing is to be taken from it then */
  read(frame: string): boolean {
    if (frame.length < LENGTH_MIN || !frame.startsWith('{"stream":"') || !frame.endsWith("]}}")) return false;
    this.#frame = frame;
    this.#at = frame.indexOf('"', 11);
    if (!this.#skips('","data":{"e":"depthUpdate","E":') || !this.#reads()) return false;
    this.exchangeUs = this.#integer * 1_000;
    if (this.#skips(',"T":')) {
      if (!this.#reads()) return false;
      this.exchangeUs = this.#integer * 1_000;
    }
    if (!this.#skips(',"s":"') || !this.#readsSymbol()) return false;
    if (this.#skips(',"ps":"') && !this.#passesText()) return false;
    if (!this.#skips(',"U":') || !this.#reads()) return false;
    this.firstUpdate = this.#integer;
    if (!this.#skips(',"u":') || !this.#reads()) return false;
    this.lastUpdate = this.#integer;
    this.previousUpdate = Number.NaN;
    if (this.#skips(',"pu":')) {
      if (!this.#reads()) return false;
      this.previousUpdate = this.#integer;
    }
    return this.#skips(',"b":[[') || this.#skips(',"b":[],"a":[[');
  }

  #skips(literal: string): boolean {
    if (!this.#frame.startsWith(literal, this.#at)) return false;
    this.#at += literal.length;
    return true;
  }

  #reads(): boolean {
    const frame = this.#frame;
    const from = this.#at;
    let value = 0;
    let at = from;
    for (; at - from <= DIGITS_MAX; at += 1) {
      const digit = frame.charCodeAt(at) - ZERO;
      if (!(digit >= 0 && digit <= 9)) break;
      value = value * 10 + digit;
    }
    const digits = at - from;
    this.#at = at;
    this.#integer = value;
    return digits > 0 && digits <= DIGITS_MAX && (digits === 1 || frame.charCodeAt(from) !== ZERO);
  }

  #readsSymbol(): boolean {
    const from = this.#at;
    if (!this.#passesText()) return false;
    this.symbol = this.#frame.slice(from, this.#at - 1);
    return true;
  }

  /** Text of letters, digits and the like, and the quote behind it. */
  #passesText(): boolean {
    const frame = this.#frame;
    let at = this.#at;
    for (let code = frame.charCodeAt(at); code !== QUOTE; code = frame.charCodeAt(at)) {
      // A backslash would make the text another one than its characters; NaN is the frame's end.
      if (!(code > 32 && code < 127 && code !== 92)) return false;
      at += 1;
    }
    this.#at = at + 1;
    return true;
  }
}
