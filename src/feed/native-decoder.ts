import { type Pointer, ptr } from "bun:ffi";
import type { DecimalStep } from "../core/decimal.ts";
import { type NativeFunctions, type NativeMemory, nativeMemory } from "../core/native.ts";
import type { EventBatch } from "../market/event-batch.ts";
import type { Instrument } from "../market/instrument.ts";

/** Longest frame that is decoded natively; a book of 1,000 levels a side has 60 kB. */
const MAX_FRAME_BYTES = 1 << 18;
/** `KEEL_DECODE_FRONT` and `KEEL_DECODE_BACK` of `ffi/decode.h`. */
const FRONT_BYTES = 64;
const BACK_BYTES = 64;

/** Layout of `keel_listing` in `ffi/decode.h`. */
const NAME_BYTES = 48;
const LISTING_BYTES = 56 + NAME_BYTES;
/** Layout of `keel_decoder`: addresses of frame, listings and slots, eight numbers, addresses of the batch's fourteen arrays. */
const NUMBERS_AT = 24;
const COUNT_AT = NUMBERS_AT + 24;
const ARRAYS_AT = NUMBERS_AT + 32;
const DECODER_BYTES = ARRAYS_AT + 14 * 8;
/** Bits of `keel_isa_mask` are instruction sets, worst first. */
const highestIsa = (mask: number): number => 31 - Math.clz32(mask);

const utf8 = new TextEncoder();

/** An instrument's place in the table, or why it has none. */
export const NOT_LISTED = -1;

/**
 * The memory that a native decoder (`ffi/decode.h`) works on: the frame's bytes, the instruments by symbol, and the addresses of
 * the event batch that it writes to. Taken once; a frame then costs one copy and one call.
 */
export class NativeDecoderMemory {
  readonly address: Pointer;
  readonly #frame: Uint8Array;
  readonly #state: DataView;
  readonly #counts: Int32Array;
  readonly #bySymbol: ReadonlyMap<string, Instrument>;
  readonly #listed = new Map<number, number>();
  #known = 0;
  #out: EventBatch | null = null;
  /** Kept so that what the addresses point to stays. */
  readonly #memories: { readonly fixed: readonly NativeMemory[]; table: readonly NativeMemory[] };

  /** @param isa instruction set, at most the host's best; default the best. */
  constructor(functions: NativeFunctions, bySymbol: ReadonlyMap<string, Instrument>, isa?: number) {
    const frame = nativeMemory(FRONT_BYTES + MAX_FRAME_BYTES + BACK_BYTES);
    const state = nativeMemory(DECODER_BYTES);
    this.#memories = { fixed: [frame, state], table: [] };
    this.#bySymbol = bySymbol;
    this.#frame = new Uint8Array(frame.buffer, frame.byteOffset + FRONT_BYTES, MAX_FRAME_BYTES);
    this.#state = new DataView(state.buffer, state.byteOffset, DECODER_BYTES);
    this.#counts = new Int32Array(state.buffer, state.byteOffset + COUNT_AT, 2);
    this.address = state.address;
    this.#point(0, frame.address + FRONT_BYTES);
    const best = highestIsa(functions.keel_isa_mask());
    this.#number(0, MAX_FRAME_BYTES);
    this.#number(3, Math.min(isa ?? best, best));
    this.#list();
  }

  /**
   * Puts a frame's text into the memory and makes `out` the batch that is written to.
   *
   * @returns its length in bytes, 0 when it is too long or not all ASCII.
   */
  load(frame: string, out: EventBatch): number {
    if (this.#bySymbol.size !== this.#known) this.#list();
    if (out !== this.#out) this.#bind(out);
    const { length } = frame;
    if (length > MAX_FRAME_BYTES) return 0;
    const { read, written } = utf8.encodeInto(frame, this.#frame);
    if (read !== length || written !== length) return 0;
    this.#counts[0] = out.count;
    this.#counts[1] = out.levels;
    return length;
  }

  /** The call has decoded the frame: the batch takes on what was written to it. */
  commit(out: EventBatch): void {
    out.count = this.#counts[0];
    out.levels = this.#counts[1];
  }

  /** Number of an instrument in the table, {@link NOT_LISTED} when it is not in it. */
  listingOf(instrument: Instrument): number {
    if (this.#bySymbol.size !== this.#known) this.#list();
    return this.#listed.get(instrument.id) ?? NOT_LISTED;
  }

  #bind(out: EventBatch): void {
    this.#number(4, out.maxEvents);
    this.#number(5, out.maxLevels);
    const arrays = [
      ...[out.kind, out.instrument, out.exchangeTimeUs],
      ...[out.firstSequence, out.lastSequence, out.previousSequence, out.code, out.reason],
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
    const instruments = [...this.#bySymbol].filter(([symbol, instrument]) => isListable(symbol, instrument));
    let slotCount = 16;
    while (slotCount < instruments.length * 2) slotCount *= 2;
    const listings = nativeMemory(Math.max(instruments.length, 1) * LISTING_BYTES);
    const slots = nativeMemory(slotCount * 4);
    const slotOf = new Int32Array(slots.buffer, slots.byteOffset, slotCount).fill(-1);
    this.#listed.clear();
    for (const [index, [symbol, instrument]] of instruments.entries()) {
      const name = new Uint8Array(NAME_BYTES);
      utf8.encodeInto(symbol, name);
      const view = new DataView(listings.buffer, listings.byteOffset + index * LISTING_BYTES, LISTING_BYTES);
      writeGrid(view, 0, instrument.tick);
      writeGrid(view, 24, instrument.lot);
      view.setInt32(48, instrument.id, true);
      view.setInt32(52, symbol.length, true);
      new Uint8Array(view.buffer, view.byteOffset + 56, NAME_BYTES).set(name);
      let slot = hashOf(name, symbol.length) & (slotCount - 1);
      while (slotOf[slot] !== -1) slot = (slot + 1) & (slotCount - 1);
      slotOf[slot] = index;
      this.#listed.set(instrument.id, index);
    }
    this.#memories.table = [listings, slots];
    this.#point(1, listings.address);
    this.#point(2, slots.address);
    this.#number(1, instruments.length);
    this.#number(2, slotCount - 1);
    this.#known = this.#bySymbol.size;
  }

  #point(index: number, address: number): void {
    this.#state.setBigUint64(index * 8, BigInt(address), true);
  }

  #number(index: number, value: number): void {
    this.#state.setInt32(NUMBERS_AT + index * 4, value, true);
  }
}

/** Whether the native decoders can hold an instrument; frames of the others are left to the reference. */
function isListable(symbol: string, { tick, lot }: Instrument): boolean {
  const fits = ({ mantissa, scale }: DecimalStep): boolean =>
    Number.isSafeInteger(mantissa) && mantissa > 0 && scale >= 0 && scale <= 22;
  return /^[!-~]{1,48}$/.test(symbol) && fits(tick) && fits(lot);
}

function writeGrid(view: DataView, at: number, { mantissa, scale }: DecimalStep): void {
  view.setFloat64(at, 10 ** scale, true);
  view.setFloat64(at + 8, mantissa, true);
  view.setInt32(at + 16, scale, true);
}

/** `find_listing` of `ffi/decode_batch.h` uses the same function. */
function hashOf(name: Uint8Array, length: number): number {
  const words = new DataView(name.buffer, name.byteOffset, NAME_BYTES);
  let hash = length;
  for (let at = 0; at < length; at += 4) {
    hash = Math.imul(hash ^ words.getUint32(at, true), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return hash;
}
