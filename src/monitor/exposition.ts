const START_BYTES = 1 << 16;
/** Digits of the greatest whole number that a double holds exactly, and its sign. */
const DIGITS_MAX = 17;
/** A character takes three bytes of UTF-8 at most (two code units of a pair take four). */
const BYTES_PER_CHARACTER = 3;

const QUOTE = 0x22;
const MINUS = 0x2d;
const ZERO = 0x30;
const BACKSLASH = 0x5c;
const LINE_FEED = 0x0a;

const encoder = new TextEncoder();

/**
 * Text that is made anew at every scrape, in bytes that stay: a string for each sample is some ten thousand short-lived cells a scrape,
 * and where cells that stay are made among them the heap's blocks are never empty again.
 */
export class ExpositionText {
  #bytes = new Uint8Array(START_BYTES);
  #length = 0;

  clear(): void {
    this.#length = 0;
  }

  /** What was written since the last {@link clear}; valid until something is written. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length);
  }

  write(text: string): void {
    this.#reserve(text.length * BYTES_PER_CHARACTER);
    const bytes = this.#bytes;
    let at = this.#length;
    for (let index = 0; index < text.length; index += 1) {
      const code = text.charCodeAt(index);
      if (code > 0x7f) {
        at += encoder.encodeInto(index === 0 ? text : text.slice(index), bytes.subarray(at)).written;
        break;
      }
      bytes[at] = code;
      at += 1;
    }
    this.#length = at;
  }

  /** A value as the text format 0.0.4 has it: shortest decimal, `NaN`, `+Inf`, `-Inf`. */
  writeNumber(value: number): void {
    if (Number.isSafeInteger(value)) this.#writeInteger(value);
    else if (Number.isFinite(value)) this.write(String(value));
    else if (Number.isNaN(value)) this.write("NaN");
    else this.write(value > 0 ? "+Inf" : "-Inf");
  }

  /** A label's value between its quotes, or with `quote` false the text of a `# HELP` line. */
  writeEscaped(text: string, quote = true): void {
    for (let index = 0; index < text.length; index += 1) {
      const code = text.charCodeAt(index);
      if (code !== BACKSLASH && code !== LINE_FEED && !(quote && code === QUOTE)) continue;
      const escaped = text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
      this.write(quote ? escaped.replaceAll('"', '\\"') : escaped);
      return;
    }
    this.write(text);
  }

  #writeInteger(value: number): void {
    this.#reserve(DIGITS_MAX);
    const bytes = this.#bytes;
    let rest = Math.abs(value);
    if (value < 0) {
      bytes[this.#length] = MINUS;
      this.#length += 1;
    }
    let digits = 1;
    for (let power = 10; power <= rest; power *= 10) digits += 1;
    for (let at = this.#length + digits - 1; at >= this.#length; at -= 1) {
      const tenth = Math.floor(rest / 10);
      bytes[at] = ZERO + (rest - tenth * 10);
      rest = tenth;
    }
    this.#length += digits;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const bytes = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + more));
    bytes.set(this.#bytes);
    this.#bytes = bytes;
  }
}
