/**
 * The layout of keel's shared memory, version 1; `ffi/include/keel_shm.h` says the same in C. Little-endian, every field at a
 * multiple of its size, every record in its own cache lines.
 *
 * ```
 * header        256 bytes
 * instruments   instrumentCapacity × 64 bytes: "venue:SYMBOL", NUL-padded, written once
 * underlyings   underlyingCapacity × 64 bytes: base coin, NUL-padded, written once
 * heads         HEADS × 64 bytes: the names of the model's heads
 * quotes        instrumentCapacity × 128 bytes: latest quote of each instrument
 * predictions   underlyingCapacity × 128 bytes: latest prediction of each underlying
 * ring          ringCapacity × 128 bytes: every update, in order
 * ```
 *
 * A record is guarded by its first word, a seqlock (Boehm, "Can seqlocks get along with programming language memory
 * models?", MSPC 2012): odd while it is written, changed by every write. A reader loads it, copies the record, loads it again, and
 * takes the copy only if both are the same even number.
 *
 * @module
 */

/** The bytes `KEELSHM1`. */
export const MAGIC = "KEELSHM1";
export const LAYOUT_VERSION = 1;
export const HEADER_BYTES = 256;
export const NAME_BYTES = 64;
export const RECORD_BYTES = 128;
/** Heads that a prediction has room for. */
export const HEADS = 14;

/** Byte offsets in the header; u32 unless said otherwise. */
export const HEADER = {
  /** 8 bytes. */
  magic: 0,
  version: 8,
  headerBytes: 12,
  instrumentCapacity: 16,
  underlyingCapacity: 20,
  /** A power of two. */
  ringCapacity: 24,
  recordBytes: 28,
  instrumentsOffset: 32,
  underlyingsOffset: 36,
  headsOffset: 40,
  quotesOffset: 44,
  predictionsOffset: 48,
  ringOffset: 52,
  /** Heads of the model in use. */
  heads: 56,
  pid: 60,
  /** Feature schema of the model, 16 hexadecimal digits. */
  schemaHash: 64,
  /** Model name, NUL-padded, 48 bytes. */
  model: 80,
  /** One of {@link WRITER_STATE}. */
  state: 128,
  /** How many instruments have their name; grows. */
  instrumentCount: 132,
  underlyingCount: 136,
  /** f64, µs since the epoch: rises about every 10 ms while the writer lives. */
  heartbeatUs: 144,
  /** Number of the ring's next update, modulo 2^32. On a cache line of its own. */
  ringHead: 192,
} as const;

export const WRITER_STATE = { starting: 0, running: 1, stopped: 2 } as const;

/** What a record of the ring is. */
export const RECORD_KIND = { quote: 1, prediction: 2, cancelAll: 3 } as const;

/** Byte offsets in every record. */
export const RECORD_FIELD = {
  /** u32. In the ring: 2·n + 2 (modulo 2^32) when it holds update number n, that less one while it is written. */
  sequence: 0,
  /** u32: instrument of a quote, underlying of a prediction. */
  subject: 4,
  /** f64, the desk's time in µs since the epoch. */
  timeUs: 8,
  /** u32, one of {@link RECORD_KIND}; 0 = never written. */
  kind: 120,
} as const;

/** Byte offsets in a quote; f64 unless said otherwise. A side that is not quoted has price NaN and size 0. */
export const QUOTE_FIELD = {
  quoteId: 16,
  /** In the instrument's price unit. */
  bidPrice: 24,
  askPrice: 32,
  /** In the instrument's size unit. */
  bidSize: 40,
  askSize: 48,
  fair: 56,
  /** bp of the underlying per unit of |delta| that the model has added to the half-spread. */
  widenBp: 64,
  sizeFactor: 72,
  /** u32, bits of `REASON`. */
  reasons: 80,
} as const;

/** Byte offsets in a prediction. */
export const PREDICTION_FIELD = {
  /** u32, bits of `REASON` that say why it is not in force; 0 when it is. */
  status: 16,
  /** f32 × {@link HEADS}; NaN while there is none. */
  probabilities: 64,
} as const;

export interface ShmShape {
  readonly instrumentCapacity: number;
  readonly underlyingCapacity: number;
  /** A power of two. */
  readonly ringCapacity: number;
}

/** Where each part begins, bytes. */
export interface ShmOffsets {
  readonly instruments: number;
  readonly underlyings: number;
  readonly heads: number;
  readonly quotes: number;
  readonly predictions: number;
  readonly ring: number;
  readonly totalBytes: number;
}

/** The layout of a segment of this shape; {@link ShmOffsets.totalBytes} is its size. */
export function offsetsOf(shape: ShmShape): ShmOffsets {
  const instruments = HEADER_BYTES;
  const underlyings = instruments + shape.instrumentCapacity * NAME_BYTES;
  const heads = underlyings + shape.underlyingCapacity * NAME_BYTES;
  const quotes = alignToRecord(heads + HEADS * NAME_BYTES);
  const predictions = quotes + shape.instrumentCapacity * RECORD_BYTES;
  const ring = predictions + shape.underlyingCapacity * RECORD_BYTES;
  const totalBytes = ring + shape.ringCapacity * RECORD_BYTES;
  return { instruments, underlyings, heads, quotes, predictions, ring, totalBytes };
}

function alignToRecord(bytes: number): number {
  return Math.ceil(bytes / RECORD_BYTES) * RECORD_BYTES;
}
