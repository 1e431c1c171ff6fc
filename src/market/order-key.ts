const WORD = 4_294_967_296;
const HYPHENS: readonly number[] = [8, 13, 18, 23];
const UUID_LENGTH = 36;
const ASCII_MAX = 127;
/** Value of each ASCII character as a hex digit, −1 where it is none. */
const HEX = Int32Array.from({ length: ASCII_MAX + 1 }, (_, code) => {
  const digit = Number.parseInt(String.fromCharCode(code), 16);
  return Number.isNaN(digit) ? -1 : digit;
});

/**
 * An order's id as four 32-bit words, most significant first: a UUID fills all of them, a decimal id of up to 64 bits the last two.
 * One instance is set anew for every message, so that naming an order allocates nothing.
 */
export class OrderKey {
  w0 = 0;
  w1 = 0;
  w2 = 0;
  w3 = 0;

  /** Takes the id of a text such as `"d50ec984-77a8-460a-b958-66f114b0de9b"`. @returns false, and holds nothing of use, when it is no UUID. */
  setUuid(text: string): boolean {
    if (text.length !== UUID_LENGTH) return false;
    for (const at of HYPHENS) if (text.charCodeAt(at) !== 45) return false;
    this.w0 = hexWord(text, 0);
    this.w1 = hexPair(text, 9, 14);
    this.w2 = hexPair(text, 19, 24);
    this.w3 = hexWord(text, 28);
    return this.w0 >= 0 && this.w1 >= 0 && this.w2 >= 0 && this.w3 >= 0;
  }

  /** Takes an unsigned decimal id without leading zeros. @returns false when the text is none, or is beyond 64 bits. */
  setDecimal(text: string): boolean {
    const { length } = text;
    if (length === 0 || length > 20 || (length > 1 && text.charCodeAt(0) === 48)) return false;
    let high = 0;
    let low = 0;
    for (let i = 0; i < length; i += 1) {
      const digit = text.charCodeAt(i) - 48;
      if (!(digit >= 0 && digit <= 9)) return false;
      low = low * 10 + digit;
      const carry = Math.floor(low / WORD);
      low -= carry * WORD;
      high = high * 10 + carry;
      if (high >= WORD) return false;
    }
    this.w0 = 0;
    this.w1 = 0;
    this.w2 = high;
    this.w3 = low;
    return true;
  }

  /** Takes a whole number of up to 53 bits. @returns false when it is none. */
  setNumber(id: number): boolean {
    if (!Number.isSafeInteger(id) || id < 0) return false;
    this.w0 = 0;
    this.w1 = 0;
    this.w2 = Math.floor(id / WORD);
    this.w3 = id % WORD;
    return true;
  }
}

/** Eight hex digits from `at`; negative when one of them is none. */
function hexWord(text: string, at: number): number {
  return joined(hexHalf(text, at), hexHalf(text, at + 4));
}

/** Four hex digits from each place. */
function hexPair(text: string, first: number, second: number): number {
  return joined(hexHalf(text, first), hexHalf(text, second));
}

function joined(high: number, low: number): number {
  return high < 0 || low < 0 ? -1 : ((high << 16) | low) >>> 0;
}

/** Four hex digits from `at`; negative when one of them is none. */
function hexHalf(text: string, at: number): number {
  const a = text.charCodeAt(at);
  const b = text.charCodeAt(at + 1);
  const c = text.charCodeAt(at + 2);
  const d = text.charCodeAt(at + 3);
  if ((a | b | c | d) > ASCII_MAX) return -1;
  return (HEX[a] << 12) | (HEX[b] << 8) | (HEX[c] << 4) | HEX[d];
}
