import { type Pointer, ptr } from "bun:ffi";
import type { DecimalStep } from "../core/decimal.ts";
import { highestIsa, type NativeFunctions, type NativeMemory, nativeMemory } from "../core/native.ts";
import type { EventBatch } from "../market/event-batch.ts";
import type { Instrument } from "../market/instrument.ts";
import { FRAME, type FrameOutcome } from "./feed.ts";

/** Longest frame that is decoded natively; a book of 1,000 levels a side has 60 kB. */
const MAX_FRAME_BYTES = 1 << 18;
/** `KEEL_DECODE_FRONT` and `KEEL_DECODE_BACK` of `ffi/decode.h`. */
const FRONT_BYTES = 64;
const BACK_BYTES = 64;

/** Layout of `keel_listing` in `ffi/decode.h`: two grids, number, length of the name, name. */
const GRID_BYTES = 24;
const NAME_AT = 2 * GRID_BYTES + 8;
const NAME_BYTES = 48;
const LISTING_BYTES = NAME_AT + NAME_BYTES;
/** Powers of ten up to this one are doubles. */
const SCALE_MAX = 22;
const FREE = -1;
/** Layout of `keel_decoder`: addresses of frame, listings and slots, eight numbers, addresses of the batch's fifteen arrays. */
const NUMBERS_AT = 24;
const COUNT_AT = NUMBERS_AT + 24;
const ARRAYS_AT = NUMBERS_AT + 32;
const DECODER_BYTES = ARRAYS_AT + 15 * 8;
const utf8 = new TextEncoder();

/** The number of an instrument that is not in the table: the native decoders take nothing of it. */
const NOT_LISTED = -1;

/**
 * The memory that a native decoder (`ffi/decode.h`) works on: the frame's bytes, the instruments by symbol, and the addresses of
 * the event batch that it writes to. Taken once; a frame then costs one copy and one call.
 */
export class NativeDecoderMemory {
  /** Frames that JSON.parse had to take and could. */
  fallbacks = 0;
  readonly address: Pointer;
  readonly #frame: Buffer;
  readonly #state: DataView;
  readonly #counts: Int32Array;
  readonly #bySymbol: ReadonlyMap<string, Instrument>;
  #table: ListingTable;
  #known = 0;
  #out: EventBatch | null = null;

  /** @param isa instruction set, at most the host's best; default the best. */
  constructor(functions: NativeFunctions, bySymbol: ReadonlyMap<string, Instrument>, isa?: number) {
    const frame = nativeMemory(FRONT_BYTES + MAX_FRAME_BYTES + BACK_BYTES);
    const state = nativeMemory(DECODER_BYTES);
    this.#bySymbol = bySymbol;
    this.#frame = Buffer.from(frame.buffer, frame.byteOffset + FRONT_BYTES, MAX_FRAME_BYTES);
    this.#state = new DataView(state.buffer, state.byteOffset, DECODER_BYTES);
    this.#counts = new Int32Array(state.buffer, state.byteOffset + COUNT_AT, 2);
    this.address = state.address;
    this.#point(0, frame.address + FRONT_BYTES);
    const best = highestIsa(functions);
    this.#number(0, MAX_FRAME_BYTES);
    this.#number(3, Math.min(isa ?? best, best));
    this.#table = new ListingTable(bySymbol);
    this.#list();
  }

  /**
   * Decodes a frame by one call of the native library.
   *
   * @param decode answers 1 when it has written the frame's events, anything else when it leaves the frame to JSON.parse.
   * @returns false when the frame is left to JSON.parse; nothing of it is in the batch then.
   */
  decode(decode: (memory: Pointer, length: number) => number, frame: string, out: EventBatch): boolean {
    const length = this.#load(frame, out);
    if (length === 0 || decode(this.address, length) !== 1) return false;
    out.count = this.#counts[0];
    out.levels = this.#counts[1];
    return true;
  }

  /** Counts what became of a frame that the native decoder left to JSON.parse. @returns the same outcome */
  fellBack(outcome: FrameOutcome): FrameOutcome {
    if (outcome === FRAME.ok) this.fallbacks += 1;
    return outcome;
  }

  /** Number of an instrument in the table, {@link NOT_LISTED} when it is not in it. */
  listingOf(instrument: Instrument): number {
    if (this.#bySymbol.size !== this.#known) this.#list();
    return this.#table.indexOf(instrument);
  }

  /**
   * Puts a frame's text into the memory and makes `out` the batch that is written to.
   *
   * @returns its length in bytes, 0 when it does not fit or is not all ASCII.
   */
  #load(frame: string, out: EventBatch): number {
    if (this.#bySymbol.size !== this.#known) this.#list();
    if (out !== this.#out) this.#bind(out);
    const { length } = frame;
    if (length >= MAX_FRAME_BYTES) return 0;
    // Unlike encodeInto it makes no object; only text that is all ASCII has as many bytes as characters.
    if (this.#frame.write(frame, 0, MAX_FRAME_BYTES, "utf8") !== length) return 0;
    this.#counts[0] = out.count;
    this.#counts[1] = out.levels;
    return length;
  }

  #bind(out: EventBatch): void {
    this.#number(4, out.maxEvents);
    this.#number(5, out.maxLevels);
    const arrays = [
      ...[out.kind, out.instrument, out.exchangeTimeUs],
      ...[out.firstSequence, out.lastSequence, out.previousSequence, out.checksum, out.code, out.reason],
      ...[out.levelStart, out.levelCount, out.values, out.side, out.priceTicks, out.sizeLots],
    ];
    for (const [index, { buffer, byteOffset }] of arrays.entries()) {
      // A small typed array's memory is moved when its buffer is first asked for, so the buffer's address is the one to take.
      this.#point(ARRAYS_AT / 8 + index, ptr(buffer) + byteOffset);
    }
    this.#out = out;
  }

  /** Makes the table anew from the instruments there are. */
  #list(): void {
    const table = new ListingTable(this.#bySymbol);
    this.#table = table;
    this.#point(1, table.listings.address);
    this.#point(2, table.slots.address);
    this.#number(1, table.count);
    this.#number(2, table.slotCount - 1);
    this.#known = this.#bySymbol.size;
  }

  #point(index: number, address: number): void {
    this.#state.setBigUint64(index * 8, BigInt(address), true);
  }

  #number(index: number, value: number): void {
    this.#state.setInt32(NUMBERS_AT + index * 4, value, true);
  }
}

/** Instruments by symbol in the form of `ffi/decode.h`: an array of them and a hash table of indices into it. */
export class ListingTable {
  readonly count: number;
  readonly slotCount: number;
  readonly listingBytes: number;
  readonly listings: NativeMemory;
  readonly slots: NativeMemory;
  readonly #indices = new Map<number, number>();

  constructor(bySymbol: ReadonlyMap<string, Instrument>) {
    const instruments = [...bySymbol].filter(([symbol, instrument]) => isListable(symbol, instrument));
    let slotCount = 16;
    while (slotCount < instruments.length * 2) slotCount *= 2;
    this.count = instruments.length;
    this.slotCount = slotCount;
    this.listingBytes = this.count * LISTING_BYTES;
    this.listings = nativeMemory(this.listingBytes);
    this.slots = nativeMemory(slotCount * 4);
    const slots = new Int32Array(this.slots.buffer, this.slots.byteOffset, slotCount).fill(FREE);
    for (const [index, [symbol, instrument]] of instruments.entries()) {
      let slot = this.#write(index, symbol, instrument) & (slotCount - 1);
      while (slots[slot] !== FREE) slot = (slot + 1) & (slotCount - 1);
      slots[slot] = index;
      this.#indices.set(instrument.id, index);
    }
  }

  /** The instrument's number in the table, {@link NOT_LISTED} when it is not in it. */
  indexOf(instrument: Instrument): number {
    return this.#indices.get(instrument.id) ?? NOT_LISTED;
  }

  /** @returns the hash of the symbol. */
  #write(index: number, symbol: string, { id, tick, lot }: Instrument): number {
    const { buffer, byteOffset } = this.listings;
    const listing = new DataView(buffer, byteOffset + index * LISTING_BYTES, LISTING_BYTES);
    const name = new Uint8Array(buffer, listing.byteOffset + NAME_AT, NAME_BYTES);
    writeGrid(listing, 0, tick);
    writeGrid(listing, GRID_BYTES, lot);
    listing.setInt32(NAME_AT - 8, id, true);
    listing.setInt32(NAME_AT - 4, symbol.length, true);
    utf8.encodeInto(symbol, name);
    return hashOf(listing, symbol.length);
  }
}

/** Whether the native decoders can hold an instrument; frames of the others are left to the reference. */
function isListable(symbol: string, { tick, lot }: Instrument): boolean {
  const fits = ({ mantissa, scale }: DecimalStep): boolean =>
    Number.isSafeInteger(mantissa) && mantissa > 0 && scale >= 0 && scale <= SCALE_MAX;
  return /^[!-~]{1,48}$/.test(symbol) && fits(tick) && fits(lot);
}

function writeGrid(view: DataView, at: number, { mantissa, scale }: DecimalStep): void {
  view.setFloat64(at, 10 ** scale, true);
  view.setFloat64(at + 8, mantissa, true);
  view.setInt32(at + 16, scale, true);
}

/** `find_listing` of `ffi/decode_batch.h` uses the same function. */
function hashOf(listing: DataView, length: number): number {
  let hash = length;
  for (let at = 0; at < length; at += 4) {
    hash = Math.imul(hash ^ listing.getUint32(NAME_AT + at, true), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return hash;
}
