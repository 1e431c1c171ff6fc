import type { DecimalStep } from "../../core/decimal.ts";
import { invariant } from "../../core/invariant.ts";
import type { InstrumentTable } from "../../market/instrument.ts";
import { POWERS_OF_TEN, writeDigits } from "../fix/digits.ts";

/** Sides of a quote that a message carries, as bits. */
export const BID = 1;
export const ASK = 2;

interface EntryTemplate {
  /** `{"instrument_name":"…","quote_set_id":"…"` */
  readonly head: Uint8Array;
  readonly tick: DecimalStep;
  readonly lot: DecimalStep;
}

const ascii = new TextEncoder();
const ID_HEAD = ascii.encode('{"jsonrpc":"2.0","id":');
const METHOD = ascii.encode(',"method":"private/mass_quote","params":{"detailed":true,"mmp_group":');
const QUOTE_ID = ascii.encode(',"quote_id":"');
const QUOTES = ascii.encode('","quotes":[');
const BID_PRICE = ascii.encode(',"bid":{"price":');
const ASK_PRICE = ascii.encode(',"ask":{"price":');
const AMOUNT = ascii.encode(',"amount":');
const NO_BID = ascii.encode(',"bid":{"amount":0}');
const NO_ASK = ascii.encode(',"ask":{"amount":0}');
const END = ascii.encode("]}}");
const CLOSE = 0x7d;
const COMMA = 0x2c;
const POINT = 0x2e;
const ZERO = 0x30;
const BILLION = 1e9;
const LONGEST_NAME = 64;
const ENTRY_BYTES = 200 + 2 * LONGEST_NAME;
const HEADER_BYTES = 512;

/**
 * Writes `private/mass_quote` by setting prices, amounts and ids between prepared bytes. One string comes out for each message,
 * nothing else is allocated once an instrument has been seen. A side of 0 lots is told as amount 0, which cancels it.
 */
export class MassQuoteText {
  readonly #instruments: InstrumentTable;
  readonly #entries: (EntryTemplate | undefined)[] = [];
  readonly #groups = new Map<string, Uint8Array>();
  readonly #bytes: Buffer;
  readonly #maxEntries: number;
  #at = 0;
  #count = 0;
  #quotesAt = 0;

  constructor(instruments: InstrumentTable, maxEntries: number) {
    this.#instruments = instruments;
    this.#maxEntries = maxEntries;
    this.#bytes = Buffer.alloc(HEADER_BYTES + maxEntries * ENTRY_BYTES);
  }

  /**
   * Begins a message.
   *
   * @param quoteId the venue repeats it with every fill
   * @param prefix goes before it; letters, digits and dashes
   */
  open(requestId: number, group: string, quoteId: number, prefix = ""): void {
    this.#at = 0;
    this.#count = 0;
    this.#put(ID_HEAD);
    this.#uint(requestId);
    this.#put(METHOD);
    this.#put(this.#group(group));
    this.#put(QUOTE_ID);
    if (prefix !== "") this.#at += this.#bytes.write(prefix, this.#at, "latin1");
    this.#uint(quoteId);
    this.#put(QUOTES);
    this.#quotesAt = this.#at;
  }

  /** Appends an instrument's quote. @param sides {@link BID} | {@link ASK}: the sides that it speaks of, at least one */
  add(
    instrument: number,
    sides: number,
    bidTicks: number,
    bidLots: number,
    askTicks: number,
    askLots: number,
  ): void {
    invariant(this.#count < this.#maxEntries, "a mass quote has room for another entry");
    const entry = this.#entries[instrument] ?? this.#prepare(instrument);
    if (this.#at > this.#quotesAt) this.#byte(COMMA);
    this.#put(entry.head);
    if ((sides & BID) !== 0) this.#side(BID_PRICE, NO_BID, entry, bidTicks, bidLots);
    if ((sides & ASK) !== 0) this.#side(ASK_PRICE, NO_ASK, entry, askTicks, askLots);
    this.#byte(CLOSE);
    this.#count += 1;
  }

  /** @returns the whole message */
  finish(): string {
    this.#put(END);
    return this.#bytes.toString("latin1", 0, this.#at);
  }

  #side(price: Uint8Array, none: Uint8Array, entry: EntryTemplate, ticks: number, lots: number): void {
    if (!(lots > 0)) {
      this.#put(none);
      return;
    }
    this.#put(price);
    this.#decimal(ticks * entry.tick.mantissa, entry.tick.scale);
    this.#put(AMOUNT);
    this.#decimal(lots * entry.lot.mantissa, entry.lot.scale);
    this.#byte(CLOSE);
  }

  #put(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  #byte(byte: number): void {
    this.#bytes[this.#at] = byte;
    this.#at += 1;
  }

  #decimal(units: number, scale: number): void {
    if (scale === 0) {
      this.#uint(units);
      return;
    }
    const power = POWERS_OF_TEN[scale];
    const whole = Math.floor(units / power);
    let fraction = Math.round(units - whole * power);
    this.#uint(whole);
    if (fraction === 0) return;
    let digits = scale;
    while (fraction % 10 === 0) {
      fraction /= 10;
      digits -= 1;
    }
    this.#byte(POINT);
    if (digits > 9) {
      const high = Math.floor(fraction / BILLION);
      this.#digits(high, digits - 9);
      this.#digits(fraction - high * BILLION, 9);
    } else this.#digits(fraction, digits);
  }

  #uint(value: number): void {
    if (value >= BILLION) {
      const high = Math.floor(value / BILLION);
      this.#uint(high);
      this.#digits(value - high * BILLION, 9);
      return;
    }
    if (value < 10) {
      this.#byte(ZERO + value);
      return;
    }
    let count = 2;
    while (count < 9 && value >= POWERS_OF_TEN[count]) count += 1;
    this.#digits(value, count);
  }

  #digits(value: number, count: number): void {
    writeDigits(this.#bytes, this.#at, count, value);
    this.#at += count;
  }

  #group(group: string): Uint8Array {
    const known = this.#groups.get(group);
    if (known !== undefined) return known;
    const made = ascii.encode(JSON.stringify(group));
    this.#groups.set(group, made);
    return made;
  }

  #prepare(id: number): EntryTemplate {
    const { symbol, base, tick, lot } = this.#instruments.get(id);
    invariant(symbol.length <= LONGEST_NAME, `${symbol} has at most ${LONGEST_NAME} characters`);
    const head = ascii.encode(
      `{"instrument_name":${JSON.stringify(symbol)},"quote_set_id":${JSON.stringify(base)}`,
    );
    const entry = { head, tick, lot };
    this.#entries[id] = entry;
    return entry;
  }
}
