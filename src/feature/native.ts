import { type Pointer, ptr } from "bun:ffi";
import { invariant } from "../core/invariant.ts";
import {
  highestIsa,
  type NativeFunctions,
  type NativeMemory,
  nativeMemory,
  writeAddresses,
} from "../core/native.ts";
import type { BookView } from "../market/book.ts";
import { SIDE } from "../market/event-batch.ts";
import { L2Book } from "../market/l2-book.ts";
import type { DepthView } from "./depth.ts";
import { DEPTH_LEVELS, FEATURE_COUNT } from "./schema.ts";

/** Layout of `keel_features` in `ffi/feature.h`: nine addresses, then the number of slots and the instruction set. */
const ADDRESSES = 9;
const FEATURES_BYTES = ADDRESSES * 8 + 8;

/** The features of `FeatureState` by `ffi/feature_row.c`, on the same memory and with the same bits. */
export class NativeFeatures {
  readonly #functions: NativeFunctions;
  readonly #memory: NativeMemory;
  readonly #depth: DepthView;
  #out: Float32Array | null = null;
  #outAddress = 0;

  /**
   * @param state address of the state of all slots.
   * @param isa instruction set, at most the host's best; default the best.
   */
  constructor(
    functions: NativeFunctions,
    slotCount: number,
    depth: DepthView,
    state: Pointer,
    signals: Pointer,
    isa?: number,
  ) {
    const memory = nativeMemory(FEATURES_BYTES);
    const { kept, fresh } = depth.addresses;
    const best = highestIsa(functions);
    writeAddresses(memory, memory.byteOffset, [state, ...kept, signals, ...fresh]);
    const numbers = new Int32Array(memory.buffer, memory.byteOffset + ADDRESSES * 8, 2);
    numbers.set([slotCount, Math.min(isa ?? best, best)]);
    this.#functions = functions;
    this.#memory = memory;
    this.#depth = depth;
  }

  onBook(slot: number, book: BookView, isDelta: boolean, timeUs: number): void {
    const { bestBidTicks, bestBidLots, bestAskTicks, bestAskLots } = book;
    const delta = isDelta ? 1 : 0;
    if (book instanceof L2Book) {
      this.#functions.keel_feature_book(
        this.#memory.address,
        book.address,
        slot,
        delta,
        bestBidTicks,
        bestBidLots,
        bestAskTicks,
        bestAskLots,
        timeUs,
      );
      return;
    }
    const { freshPrice, freshSize } = this.#depth;
    const bids = book.top(SIDE.bid, DEPTH_LEVELS, freshPrice[0], freshSize[0]);
    const asks = book.top(SIDE.ask, DEPTH_LEVELS, freshPrice[1], freshSize[1]);
    this.#functions.keel_feature_levels(
      this.#memory.address,
      slot,
      bids,
      asks,
      delta,
      bestBidTicks,
      bestBidLots,
      bestAskTicks,
      bestAskLots,
      timeUs,
    );
  }

  onTop(slot: number, book: BookView, timeUs: number): void {
    const { bestBidTicks, bestBidLots, bestAskTicks, bestAskLots } = book;
    this.#functions.keel_feature_top(
      this.#memory.address,
      slot,
      bestBidTicks,
      bestBidLots,
      bestAskTicks,
      bestAskLots,
      timeUs,
    );
  }

  onTrade(slot: number, aggressorSide: number, sizeLots: number, timeUs: number): void {
    this.#functions.keel_feature_trade(this.#memory.address, slot, aggressorSide, sizeLots, timeUs);
  }

  write(slot: number, timeUs: number, out: Float32Array, offset: number): void {
    invariant(offset >= 0 && offset + FEATURE_COUNT <= out.length, "a row of features lies within its array");
    if (out !== this.#out) this.#bind(out);
    const row = (this.#outAddress + offset * Float32Array.BYTES_PER_ELEMENT) as Pointer;
    this.#functions.keel_feature_write(this.#memory.address, slot, timeUs, row);
  }

  /** A small typed array's memory is moved when its buffer is first asked for, so the buffer's address is the one to take. */
  #bind(out: Float32Array): void {
    this.#out = out;
    this.#outAddress = ptr(out.buffer) + out.byteOffset;
  }
}
