import type { Pointer } from "bun:ffi";
import { loadedNative, type NativeFunctions, nativeMemory } from "../core/native.ts";
import type { Book } from "./book.ts";
import { type EventBatch, SIDE } from "./event-batch.ts";
import type { InstrumentKind } from "./instrument.ts";
import { LADDER_BYTES, Ladder, NO_KEY } from "./ladder.ts";

/** How much memory a book takes, per side: ticks held densely around the touch and levels held beyond them. */
export interface BookShape {
  /** A power of two ≥ 32; 8 bytes each. */
  readonly windowTicks: number;
  /** 12 bytes each. */
  readonly farLevels: number;
}

/** Shapes by kind: a perpetual or spot book takes 1.4 MB, a dated future 0.2 MB, an option 15 kB (there are thousands). */
export const BOOK_SHAPE: Readonly<Record<InstrumentKind, BookShape>> = {
  spot: { windowTicks: 65_536, farLevels: 16_384 },
  perpetual: { windowTicks: 65_536, farLevels: 16_384 },
  future: { windowTicks: 8_192, farLevels: 4_096 },
  option: { windowTicks: 512, farLevels: 256 },
};

/**
 * The {@link Book} over two ladders: a bid's key is its price negated, so on both sides the smallest key is the best. Deltas are
 * applied by `ffi/book.c` where the native library is loaded, with the same result.
 */
export class L2Book implements Book {
  bestBidTicks = -1;
  bestBidLots = 0;
  bestAskTicks = -1;
  bestAskLots = 0;
  lastSequence = Number.NaN;
  /** The book's `keel_book` of `ffi/book.h`, for native code to read. */
  readonly address: Pointer;
  readonly #native: NativeFunctions | null;
  readonly #bids: Ladder;
  readonly #asks: Ladder;
  #overlaySequence = Number.NaN;
  #overlayBidTicks = -1;
  #overlayBidLots = 0;
  #overlayAskTicks = -1;
  #overlayAskLots = 0;

  /** @param native null for none; default what is loaded. */
  constructor(shape: BookShape, native: NativeFunctions | null = loadedNative()) {
    const memory = nativeMemory(2 * LADDER_BYTES);
    this.address = memory.address;
    this.#native = native;
    this.#bids = new Ladder(shape.windowTicks, shape.farLevels, memory, memory.byteOffset);
    this.#asks = new Ladder(shape.windowTicks, shape.farLevels, memory, memory.byteOffset + LADDER_BYTES);
  }

  get crossed(): boolean {
    return this.bestBidTicks >= 0 && this.bestAskTicks >= 0 && this.bestBidTicks >= this.bestAskTicks;
  }

  get overflowed(): number {
    return this.#bids.overflowed + this.#asks.overflowed;
  }

  applySnapshot(batch: EventBatch, row: number): void {
    const start = batch.levelStart[row];
    const end = start + batch.levelCount[row];
    let bestBid = -1;
    let bestAsk = -1;
    for (let i = start; i < end; i += 1) {
      if (batch.sizeLots[i] === 0) continue;
      if (batch.side[i] === SIDE.bid) {
        if (bestBid < 0 || batch.priceTicks[i] > batch.priceTicks[bestBid]) bestBid = i;
      } else if (bestAsk < 0 || batch.priceTicks[i] < batch.priceTicks[bestAsk]) {
        bestAsk = i;
      }
    }
    this.#bids.reset();
    this.#asks.reset();
    if (bestBid >= 0) this.#bids.set(0 - batch.priceTicks[bestBid], batch.sizeLots[bestBid]);
    if (bestAsk >= 0) this.#asks.set(batch.priceTicks[bestAsk], batch.sizeLots[bestAsk]);
    // Venues list levels best first; from the worst on, each far level is appended instead of moving all the others.
    for (let i = end - 1; i >= start; i -= 1)
      this.#set(batch.side[i], batch.priceTicks[i], batch.sizeLots[i]);
    this.lastSequence = batch.lastSequence[row];
    this.#refresh();
  }

  applyDelta(batch: EventBatch, row: number): void {
    const start = batch.levelStart[row];
    const end = start + batch.levelCount[row];
    if (this.#native === null) this.#applyLevels(batch, start, end);
    else this.#applyNatively(this.#native, batch, start, end);
    this.lastSequence = batch.lastSequence[row];
    this.#refresh();
  }

  /** Levels that move a window or do not fit are set here, one by one, in their order among the others. */
  #applyNatively(native: NativeFunctions, batch: EventBatch, start: number, end: number): void {
    const { address } = batch.levelArrays;
    for (let from = start; from < end; from += 1) {
      from = native.keel_book_delta(this.address, address, from, end);
      if (from < end) this.#set(batch.side[from], batch.priceTicks[from], batch.sizeLots[from]);
    }
  }

  #applyLevels({ side, priceTicks, sizeLots }: EventBatch, start: number, end: number): void {
    for (let from = start; from < end; ) {
      const isBid = side[from] === SIDE.bid;
      let to = from + 1;
      while (to < end && (side[to] === SIDE.bid) === isBid) to += 1;
      if (isBid) this.#bids.setRun(priceTicks, sizeLots, from, to, -1);
      else this.#asks.setRun(priceTicks, sizeLots, from, to, 1);
      from = to;
    }
  }

  applyTop(batch: EventBatch, row: number): void {
    const sequence = batch.lastSequence[row];
    if (!(sequence > this.lastSequence) || sequence < this.#overlaySequence) return;
    const bid = batch.levelStart[row];
    const ask = bid + 1;
    this.#overlaySequence = sequence;
    this.#overlayBidLots = batch.sizeLots[bid];
    this.#overlayBidTicks = this.#overlayBidLots > 0 ? batch.priceTicks[bid] : -1;
    this.#overlayAskLots = batch.sizeLots[ask];
    this.#overlayAskTicks = this.#overlayAskLots > 0 ? batch.priceTicks[ask] : -1;
    this.#refresh();
  }

  clear(): void {
    this.#bids.reset();
    this.#asks.reset();
    this.lastSequence = Number.NaN;
    this.#overlaySequence = Number.NaN;
    this.#refresh();
  }

  levels(side: number): number {
    return side === SIDE.bid ? this.#bids.levels : this.#asks.levels;
  }

  top(side: number, depth: number, priceTicks: Int32Array, sizeLots: Float64Array): number {
    return side === SIDE.bid
      ? this.#bids.top(depth, -1, priceTicks, sizeLots)
      : this.#asks.top(depth, 1, priceTicks, sizeLots);
  }

  sizeAt(side: number, priceTicks: number): number {
    return side === SIDE.bid ? this.#bids.sizeAt(0 - priceTicks) : this.#asks.sizeAt(priceTicks);
  }

  #set(side: number, priceTicks: number, sizeLots: number): void {
    if (side === SIDE.bid) this.#bids.set(0 - priceTicks, sizeLots);
    else this.#asks.set(priceTicks, sizeLots);
  }

  #refresh(): void {
    if (this.#overlaySequence > this.lastSequence) {
      this.bestBidTicks = this.#overlayBidTicks;
      this.bestBidLots = this.#overlayBidLots;
      this.bestAskTicks = this.#overlayAskTicks;
      this.bestAskLots = this.#overlayAskLots;
      return;
    }
    this.#overlaySequence = Number.NaN;
    this.bestBidTicks = this.#bids.best === NO_KEY ? -1 : 0 - this.#bids.best;
    this.bestBidLots = this.#bids.bestSize;
    this.bestAskTicks = this.#asks.best === NO_KEY ? -1 : this.#asks.best;
    this.bestAskLots = this.#asks.bestSize;
  }
}
