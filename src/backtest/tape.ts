import { invariant } from "../core/invariant.ts";
import { type EventBatch, TICKER_FIELDS } from "../market/event-batch.ts";

/** Kind of a tape event beyond those of `EVENT`: one order of a level-3 book has changed. */
export const ORDER_EVENT = 16;

/** Columns of an {@link ORDER_EVENT}'s values. */
export const ORDER_FIELD = { side: 0, priceTicks: 1, lots: 2, enteredUs: 3, traded: 4 } as const;

const INITIAL_EVENTS = 4_096;
const INITIAL_LEVELS = 65_536;

/**
 * What has happened at the venues and is not yet matched: decoded events between the reader, which is ahead, and the matching,
 * handed out by venue time and, at the same time, in the order in which they were put in. Memory is rings that double up to what
 * the read-ahead needs; in steady state nothing is allocated.
 */
export class Tape {
  /** Event columns by slot; levels as in an event batch, in a ring of their own. */
  time = new Float64Array(INITIAL_EVENTS);
  kind = new Uint8Array(INITIAL_EVENTS);
  instrument = new Int32Array(INITIAL_EVENTS);
  code = new Uint16Array(INITIAL_EVENTS);
  lastSequence = new Float64Array(INITIAL_EVENTS);
  levelStart = new Float64Array(INITIAL_EVENTS);
  levelCount = new Int32Array(INITIAL_EVENTS);
  values = new Float64Array(INITIAL_EVENTS * TICKER_FIELDS);
  side = new Uint8Array(INITIAL_LEVELS);
  priceTicks = new Int32Array(INITIAL_LEVELS);
  sizeLots = new Float64Array(INITIAL_LEVELS);
  /** Events put in so far. */
  written = 0;
  #done = new Uint8Array(INITIAL_EVENTS);
  #tail = 0;
  #levels = 0;
  #levelTail = 0;
  /** Events that came in order of time: a ring of their sequence numbers. Those that did not are in the heap. */
  #line = new Float64Array(INITIAL_EVENTS);
  #lineHead = 0;
  #lineEnd = 0;
  #lineUs = Number.NEGATIVE_INFINITY;
  readonly #heap: number[] = [];

  /** Venue time of the next event, µs; Infinity when there is none. */
  get nextUs(): number {
    const first = this.#first();
    return first < 0 ? Number.POSITIVE_INFINITY : this.time[first & this.#mask];
  }

  get size(): number {
    return this.#heap.length + this.#lineEnd - this.#lineHead;
  }

  /** Puts in one event of a batch. */
  push(batch: EventBatch, row: number, timeUs: number): void {
    const count = batch.levelCount[row];
    const slot = this.#open(batch.kind[row], batch.instrument[row], timeUs, count);
    this.code[slot] = batch.code[row];
    this.lastSequence[slot] = batch.lastSequence[row];
    const from = batch.levelStart[row];
    const mask = this.side.length - 1;
    const start = this.levelStart[slot];
    for (let i = 0; i < count; i += 1) {
      const at = (start + i) & mask;
      this.side[at] = batch.side[from + i];
      this.priceTicks[at] = batch.priceTicks[from + i];
      this.sizeLots[at] = batch.sizeLots[from + i];
    }
    const values = row * TICKER_FIELDS;
    for (let i = 0; i < TICKER_FIELDS; i += 1)
      this.values[slot * TICKER_FIELDS + i] = batch.values[values + i];
  }

  /**
   * Puts in that an order of a level-3 book has lost lots.
   *
   * @param enteredUs when that order came to stand there
   * @param traded they traded, and were not cancelled
   */
  pushOrder(
    instrument: number,
    side: number,
    priceTicks: number,
    lots: number,
    enteredUs: number,
    traded: boolean,
    timeUs: number,
  ): void {
    const slot = this.#open(ORDER_EVENT, instrument, timeUs, 0);
    const at = slot * TICKER_FIELDS;
    this.values[at + ORDER_FIELD.side] = side;
    this.values[at + ORDER_FIELD.priceTicks] = priceTicks;
    this.values[at + ORDER_FIELD.lots] = lots;
    this.values[at + ORDER_FIELD.enteredUs] = enteredUs;
    this.values[at + ORDER_FIELD.traded] = traded ? 1 : 0;
  }

  /** Takes the next event off. @returns its slot, to be given to {@link release} when it has been looked at; −1 when there is none */
  take(): number {
    const first = this.#first();
    if (first < 0) return -1;
    if (this.#lineHead < this.#lineEnd && this.#line[this.#lineHead & (this.#line.length - 1)] === first) {
      this.#lineHead += 1;
      return first & this.#mask;
    }
    const last = this.#heap.pop();
    if (this.#heap.length > 0 && last !== undefined) this.#sink(last);
    return first & this.#mask;
  }

  release(slot: number): void {
    this.#done[slot] = 1;
    while (this.#tail < this.written && this.#done[this.#tail & this.#mask] === 1) {
      const at = this.#tail & this.#mask;
      this.#levelTail = this.levelStart[at] + this.levelCount[at];
      this.#tail += 1;
    }
  }

  /** Copies an event into a batch as its only row. */
  copy(slot: number, into: EventBatch): void {
    into.clear();
    into.begin(this.kind[slot], this.instrument[slot], Number.NaN);
    into.lastSequence[0] = this.lastSequence[slot];
    into.code[0] = this.code[slot];
    const count = this.levelCount[slot];
    const start = this.levelStart[slot];
    const mask = this.side.length - 1;
    for (let i = 0; i < count; i += 1) {
      const at = (start + i) & mask;
      into.side[i] = this.side[at];
      into.priceTicks[i] = this.priceTicks[at];
      into.sizeLots[i] = this.sizeLots[at];
    }
    into.levels = count;
    into.levelCount[0] = count;
  }

  get #mask(): number {
    return this.time.length - 1;
  }

  #open(kind: number, instrument: number, timeUs: number, levels: number): number {
    invariant(!Number.isNaN(timeUs), "an event on the tape has a time");
    if (this.written - this.#tail === this.time.length) this.#growEvents();
    while (this.#levels + levels - this.#levelTail > this.side.length) this.#growLevels();
    const sequence = this.written;
    const slot = sequence & this.#mask;
    this.written = sequence + 1;
    this.time[slot] = timeUs;
    this.kind[slot] = kind;
    this.instrument[slot] = instrument;
    this.code[slot] = 0;
    this.lastSequence[slot] = Number.NaN;
    this.levelStart[slot] = this.#levels;
    this.levelCount[slot] = levels;
    this.#levels += levels;
    this.#done[slot] = 0;
    if (timeUs >= this.#lineUs) this.#append(sequence, timeUs);
    else this.#rise(sequence);
    return slot;
  }

  /** Sequence of the event that is next; −1 when there is none. */
  #first(): number {
    const early = this.#heap.length === 0 ? -1 : this.#heap[0];
    if (this.#lineHead === this.#lineEnd) return early;
    const next = this.#line[this.#lineHead & (this.#line.length - 1)];
    return early >= 0 && this.#before(early, next) ? early : next;
  }

  #append(sequence: number, timeUs: number): void {
    this.#lineUs = timeUs;
    const old = this.#line;
    if (this.#lineEnd - this.#lineHead === old.length) {
      const larger = new Float64Array(2 * old.length);
      for (let at = this.#lineHead; at < this.#lineEnd; at += 1)
        larger[at & (larger.length - 1)] = old[at & (old.length - 1)];
      this.#line = larger;
    }
    this.#line[this.#lineEnd & (this.#line.length - 1)] = sequence;
    this.#lineEnd += 1;
  }

  #before(a: number, b: number): boolean {
    const mask = this.#mask;
    const first = this.time[a & mask];
    const second = this.time[b & mask];
    return first < second || (first === second && a < b);
  }

  #rise(sequence: number): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(sequence);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(sequence, heap[parent])) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = sequence;
  }

  #sink(sequence: number): void {
    const heap = this.#heap;
    const { length } = heap;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= length) break;
      if (child + 1 < length && this.#before(heap[child + 1], heap[child])) child += 1;
      if (!this.#before(heap[child], sequence)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = sequence;
  }

  #growEvents(): void {
    const old = this.time.length;
    const moved = <T extends Float64Array | Uint8Array | Int32Array | Uint16Array>(
      from: T,
      to: T,
      width = 1,
    ): T => {
      for (let sequence = this.#tail; sequence < this.written; sequence += 1) {
        const source = (sequence & (old - 1)) * width;
        const target = (sequence & (2 * old - 1)) * width;
        for (let i = 0; i < width; i += 1) to[target + i] = from[source + i];
      }
      return to;
    };
    this.kind = moved(this.kind, new Uint8Array(2 * old));
    this.instrument = moved(this.instrument, new Int32Array(2 * old));
    this.code = moved(this.code, new Uint16Array(2 * old));
    this.lastSequence = moved(this.lastSequence, new Float64Array(2 * old));
    this.levelStart = moved(this.levelStart, new Float64Array(2 * old));
    this.levelCount = moved(this.levelCount, new Int32Array(2 * old));
    this.values = moved(this.values, new Float64Array(2 * old * TICKER_FIELDS), TICKER_FIELDS);
    this.#done = moved(this.#done, new Uint8Array(2 * old));
    this.time = moved(this.time, new Float64Array(2 * old));
  }

  #growLevels(): void {
    const old = this.side.length;
    const side = new Uint8Array(2 * old);
    const priceTicks = new Int32Array(2 * old);
    const sizeLots = new Float64Array(2 * old);
    for (let level = this.#levelTail; level < this.#levels; level += 1) {
      side[level & (2 * old - 1)] = this.side[level & (old - 1)];
      priceTicks[level & (2 * old - 1)] = this.priceTicks[level & (old - 1)];
      sizeLots[level & (2 * old - 1)] = this.sizeLots[level & (old - 1)];
    }
    this.side = side;
    this.priceTicks = priceTicks;
    this.sizeLots = sizeLots;
  }
}
