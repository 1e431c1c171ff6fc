import { ptr } from "bun:ffi";
import { invariant } from "../core/invariant.ts";
import { type NativeMemory, nativeMemory, writeAddresses } from "../core/native.ts";

/** Kinds of market event. */
export const EVENT = {
  /** The whole book; levels replace what was there. */
  bookSnapshot: 0,
  /** Changed levels; size 0 removes the level. */
  bookDelta: 1,
  /** Best bid and ask: exactly two levels, bid then ask; size 0 = that side is empty. Overlays the book by `lastSequence`. */
  top: 2,
  /** One trade: one level; side = the aggressor's side. */
  trade: 3,
  /** Reference values; see {@link TICKER}. */
  ticker: 4,
  /** The instrument's feed changed state; `code` is one of {@link FEED_STATE}, `reason` one of {@link UNSOUND}. */
  status: 5,
  /** An external signal changed; `code` = signal number, first ticker value = its value. */
  signal: 6,
} as const;

export const SIDE = { bid: 0, ask: 1 } as const;

/** State of one instrument's feed. Only `live` may be quoted on, and it not while the reason is {@link UNSOUND}.stall. */
export const FEED_STATE = { connecting: 0, snapshot: 1, live: 2, unsound: 3, stale: 4 } as const;
export const FEED_STATE_NAMES = ["connecting", "snapshot", "live", "unsound", "stale"] as const;

/**
 * Why an instrument's book became unsound. `stall` comes with `live`: the process stood still for longer than a feed may be silent, the book
 * is whole as far as it was read, and is not to be quoted on until what came meanwhile has been read.
 */
export const UNSOUND = {
  none: 0,
  gap: 1,
  crossed: 2,
  unparsable: 3,
  silence: 4,
  disconnect: 5,
  overflow: 6,
  offGrid: 7,
  checksum: 8,
  stall: 9,
} as const;
export const UNSOUND_NAMES = [
  "none",
  "gap",
  "crossed",
  "unparsable",
  "silence",
  "disconnect",
  "overflow",
  "off-grid",
  "checksum",
  "stall",
] as const;

/** Columns of a ticker's values; NaN = the frame did not carry it. Prices in the instrument's price unit, IVs as fractions. */
export const TICKER = {
  markPrice: 0,
  indexPrice: 1,
  /** Price of the option's own underlying (its future or synthetic forward), in quote currency. */
  underlyingPrice: 2,
  markIv: 3,
  bidIv: 4,
  askIv: 5,
  delta: 6,
  gamma: 7,
  vega: 8,
  theta: 9,
  /** Current funding rate for the venue's period, as a fraction. */
  fundingRate: 10,
  nextFundingMs: 11,
  openInterest: 12,
  lastPrice: 13,
  interestRate: 14,
} as const;
export const TICKER_FIELDS = 15;

/**
 * What one frame (or one HTTP answer) decoded to: a batch of events over preallocated typed arrays, prices in ticks and sizes
 * in lots of the event's instrument. Reused for every frame: whoever reads it does so before the next frame.
 *
 * Bounded: {@link begin} and {@link level} return false when the batch is full; the decoder then reports the frame as overflow.
 */
export class EventBatch {
  readonly maxEvents: number;
  readonly maxLevels: number;

  count = 0;
  readonly kind: Uint8Array;
  readonly instrument: Int32Array;
  /** Venue's clock, µs since the epoch; NaN when the frame has none. */
  readonly exchangeTimeUs: Float64Array;
  /** First and last sequence number the event covers and the last one of its predecessor; NaN when the venue has none. */
  readonly firstSequence: Float64Array;
  readonly lastSequence: Float64Array;
  readonly previousSequence: Float64Array;
  /** The venue's checksum of its book after a book event, unsigned; NaN where it sent none. */
  readonly checksum: Float64Array;
  readonly code: Uint16Array;
  readonly reason: Uint16Array;
  readonly levelStart: Int32Array;
  readonly levelCount: Int32Array;
  /** Ticker values, {@link TICKER_FIELDS} a row, row = event. */
  readonly values: Float64Array;

  levels = 0;
  readonly side: Uint8Array;
  readonly priceTicks: Int32Array;
  /** Whole, but for sizes that a venue shows off its own lot grid. */
  readonly sizeLots: Float64Array;
  #levelArrays: NativeMemory | null = null;

  constructor(maxEvents = 4_096, maxLevels = 65_536) {
    this.maxEvents = maxEvents;
    this.maxLevels = maxLevels;
    this.kind = new Uint8Array(maxEvents);
    this.instrument = new Int32Array(maxEvents);
    this.exchangeTimeUs = new Float64Array(maxEvents);
    this.firstSequence = new Float64Array(maxEvents);
    this.lastSequence = new Float64Array(maxEvents);
    this.previousSequence = new Float64Array(maxEvents);
    this.checksum = new Float64Array(maxEvents);
    this.code = new Uint16Array(maxEvents);
    this.reason = new Uint16Array(maxEvents);
    this.levelStart = new Int32Array(maxEvents);
    this.levelCount = new Int32Array(maxEvents);
    this.values = new Float64Array(maxEvents * TICKER_FIELDS);
    this.side = new Uint8Array(maxLevels);
    this.priceTicks = new Int32Array(maxLevels);
    this.sizeLots = new Float64Array(maxLevels);
  }

  clear(): void {
    this.count = 0;
    this.levels = 0;
  }

  /** Addresses of the arrays of levels, the `keel_levels` of `ffi/book.h`. */
  get levelArrays(): NativeMemory {
    this.#levelArrays ??= addressesOf([this.side, this.priceTicks, this.sizeLots]);
    return this.#levelArrays;
  }

  /** Opens an event; levels and values that follow belong to it. Ticker values start as NaN. @returns its row, −1 when full. */
  begin(kind: number, instrument: number, exchangeTimeUs: number): number {
    const row = this.count;
    if (row === this.maxEvents) return -1;
    this.count = row + 1;
    this.kind[row] = kind;
    this.instrument[row] = instrument;
    this.exchangeTimeUs[row] = exchangeTimeUs;
    this.firstSequence[row] = Number.NaN;
    this.lastSequence[row] = Number.NaN;
    this.previousSequence[row] = Number.NaN;
    this.checksum[row] = Number.NaN;
    this.code[row] = 0;
    this.reason[row] = 0;
    this.levelStart[row] = this.levels;
    this.levelCount[row] = 0;
    if (kind === EVENT.ticker || kind === EVENT.signal) {
      this.values.fill(Number.NaN, row * TICKER_FIELDS, (row + 1) * TICKER_FIELDS);
    }
    return row;
  }

  /** Adds a level to the last opened event. @returns false when full. */
  level(side: number, priceTicks: number, sizeLots: number): boolean {
    const at = this.levels;
    if (at === this.maxLevels) return false;
    this.levels = at + 1;
    this.side[at] = side;
    this.priceTicks[at] = priceTicks;
    this.sizeLots[at] = sizeLots;
    this.levelCount[this.count - 1] += 1;
    return true;
  }

  setSequence(row: number, first: number, last: number, previous: number): void {
    this.firstSequence[row] = first;
    this.lastSequence[row] = last;
    this.previousSequence[row] = previous;
  }

  /** Takes back the events from row `count` on, whose first level is number `levels`. */
  rewind(count: number, levels: number): void {
    invariant(count <= this.count && levels <= this.levels, "a batch is rewound, not extended");
    this.count = count;
    this.levels = levels;
  }

  /** Opens a status event. @returns its row, −1 when full. */
  status(instrument: number, state: number, reason: number, exchangeTimeUs = Number.NaN): number {
    const row = this.begin(EVENT.status, instrument, exchangeTimeUs);
    if (row >= 0) {
      this.code[row] = state;
      this.reason[row] = reason;
    }
    return row;
  }

  /** Copies one event of another batch to the end of this one. @returns false when it does not fit. */
  append(from: EventBatch, row: number): boolean {
    invariant(from !== this, "a batch is not appended to itself");
    const levels = from.levelCount[row];
    if (this.count === this.maxEvents || this.levels + levels > this.maxLevels) return false;
    const to = this.begin(from.kind[row], from.instrument[row], from.exchangeTimeUs[row]);
    this.setSequence(to, from.firstSequence[row], from.lastSequence[row], from.previousSequence[row]);
    this.checksum[to] = from.checksum[row];
    this.code[to] = from.code[row];
    this.reason[to] = from.reason[row];
    const start = from.levelStart[row];
    this.side.set(from.side.subarray(start, start + levels), this.levels);
    this.priceTicks.set(from.priceTicks.subarray(start, start + levels), this.levels);
    this.sizeLots.set(from.sizeLots.subarray(start, start + levels), this.levels);
    this.levelCount[to] = levels;
    this.levels += levels;
    this.values.set(from.values.subarray(row * TICKER_FIELDS, (row + 1) * TICKER_FIELDS), to * TICKER_FIELDS);
    return true;
  }
}

/**
 * A small typed array's memory is moved when its buffer is first asked for, so the buffer's address is the one to take; it stays
 * the same as long as the array is reachable.
 */
function addressesOf(arrays: readonly (Uint8Array | Int32Array | Float64Array)[]): NativeMemory {
  const memory = nativeMemory(arrays.length * 8);
  const addresses = arrays.map(({ buffer, byteOffset }) => ptr(buffer) + byteOffset);
  writeAddresses(memory, memory.byteOffset, addresses);
  return memory;
}
