import { invariant } from "./invariant.ts";

/** 32-bit words of the header; producer's and consumer's stand on cache lines of their own. */
const HEAD = 0;
const TAIL = 16;
const WORD_COUNT = 32;
const HEADER_BYTES = WORD_COUNT * 4;
/** Length word of a record that is only there to fill up the end of the buffer. */
const WRAP = 0xffff_ffff;
const LENGTH_BYTES = 8;
const ALIGN = 8;
const MIN_CAPACITY = 1_024;
const MAX_CAPACITY = 1 << 30;
/** Returned by {@link RingProducer.reserve} and {@link RingConsumer.peek} when there is no room, or no record. */
export const RING_NONE = -1;

/**
 * The memory of a ring: `capacity` bytes of records behind a small header, shared between two threads.
 *
 * @param capacity a power of two from 1 KiB to 1 GiB
 */
export function ringMemory(capacity: number): SharedArrayBuffer {
  invariant(
    capacity >= MIN_CAPACITY && capacity <= MAX_CAPACITY && (capacity & (capacity - 1)) === 0,
    `ring capacity ${capacity} is a power of two from ${MIN_CAPACITY} to ${MAX_CAPACITY}`,
  );
  return new SharedArrayBuffer(HEADER_BYTES + capacity);
}

/**
 * Both ends of a single-producer single-consumer byte ring see its records through these views. A record lies in one piece
 * (it never wraps) and begins at a multiple of 8, so numbers in it can be reached through the word views:
 * `f64[offset >> 3]`, `u32[offset >> 2]`.
 *
 * Positions count bytes modulo 2³²; `tail − head` is what is in use. The producer alone writes the tail, the consumer alone
 * the head, each with an atomic store that publishes the bytes before it.
 */
class RingView {
  readonly capacity: number;
  /** The records' bytes; offsets are into this array. */
  readonly bytes: Buffer;
  readonly u32: Uint32Array;
  readonly f64: Float64Array;
  protected readonly words: Int32Array;
  protected readonly mask: number;

  constructor(memory: SharedArrayBuffer) {
    this.capacity = memory.byteLength - HEADER_BYTES;
    this.mask = this.capacity - 1;
    this.words = new Int32Array(memory, 0, WORD_COUNT);
    this.bytes = Buffer.from(memory, HEADER_BYTES, this.capacity);
    this.u32 = new Uint32Array(memory, HEADER_BYTES, this.capacity >> 2);
    this.f64 = new Float64Array(memory, HEADER_BYTES, this.capacity >> 3);
  }

  /** Bytes in use, padding included. */
  get used(): number {
    return (Atomics.load(this.words, TAIL) - Atomics.load(this.words, HEAD)) >>> 0;
  }
}

/** The writing end. Never waits and allocates nothing. */
export class RingProducer extends RingView {
  /** The tail; only this end moves it. */
  #tail: number;
  /** The head when it was last looked at: the true one is never behind it, so there is at least this much room. */
  #head: number;
  #offset = RING_NONE;
  #room = 0;
  #wrapped = 0;

  constructor(memory: SharedArrayBuffer) {
    super(memory);
    this.#tail = Atomics.load(this.words, TAIL) >>> 0;
    this.#head = Atomics.load(this.words, HEAD) >>> 0;
  }

  /**
   * Finds room for a record of up to `bytes`. What is written there is seen by no one before {@link commit}; without a commit
   * it is forgotten.
   *
   * @returns where it begins, or {@link RING_NONE} when it does not fit now.
   */
  reserve(bytes: number): number {
    const need = LENGTH_BYTES + bytes;
    let free = this.capacity - ((this.#tail - this.#head) >>> 0);
    if (free < need || this.#contiguous(free, need) < 0) {
      this.#head = Atomics.load(this.words, HEAD) >>> 0;
      free = this.capacity - ((this.#tail - this.#head) >>> 0);
    }
    const skipped = this.#contiguous(free, need);
    if (skipped < 0) {
      this.#offset = RING_NONE;
      return RING_NONE;
    }
    this.#wrapped = skipped;
    this.#offset = skipped === 0 ? this.#tail & this.mask : 0;
    this.#room = bytes;
    return this.#offset + LENGTH_BYTES;
  }

  /** Publishes the reserved record with the length it came to have. */
  commit(bytes: number): void {
    invariant(
      this.#offset !== RING_NONE && bytes <= this.#room,
      "a ring record is committed within its room",
    );
    if (this.#wrapped > 0) this.u32[(this.#tail & this.mask) >> 2] = WRAP;
    this.u32[this.#offset >> 2] = bytes;
    this.#tail = (this.#tail + this.#wrapped + aligned(LENGTH_BYTES + bytes)) >>> 0;
    this.#offset = RING_NONE;
    Atomics.store(this.words, TAIL, this.#tail | 0);
  }

  /** @returns bytes to skip at the end of the buffer so that `need` lies in one piece, −1 when it cannot. */
  #contiguous(free: number, need: number): number {
    const whole = aligned(need);
    const toEnd = this.capacity - (this.#tail & this.mask);
    if (toEnd >= whole) return free >= whole ? 0 : -1;
    return free >= toEnd + whole ? toEnd : -1;
  }
}

/** The reading end. */
export class RingConsumer extends RingView {
  /** Length in bytes of the record last peeked at. */
  length = 0;
  #head: number;
  #tail: number;

  constructor(memory: SharedArrayBuffer) {
    super(memory);
    this.#head = Atomics.load(this.words, HEAD) >>> 0;
    this.#tail = this.#head;
  }

  /** @returns where the oldest record begins ({@link length} says how long it is), or {@link RING_NONE} when there is none. */
  peek(): number {
    if (this.#head === this.#tail) {
      this.#tail = Atomics.load(this.words, TAIL) >>> 0;
      if (this.#head === this.#tail) return RING_NONE;
    }
    let offset = this.#head & this.mask;
    if (this.u32[offset >> 2] === WRAP) {
      this.#head = (this.#head + this.capacity - offset) >>> 0;
      offset = 0;
    }
    this.length = this.u32[offset >> 2];
    return offset + LENGTH_BYTES;
  }

  /** Gives the room of the record last peeked at back to the producer. */
  release(): void {
    this.#head = (this.#head + aligned(LENGTH_BYTES + this.length)) >>> 0;
    Atomics.store(this.words, HEAD, this.#head | 0);
  }
}

function aligned(bytes: number): number {
  return (bytes + ALIGN - 1) & ~(ALIGN - 1);
}
