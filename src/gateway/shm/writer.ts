import { stepToNumber } from "../../core/decimal.ts";
import { KeelError } from "../../core/errors.ts";
import { invariant } from "../../core/invariant.ts";
import type { InstrumentTable } from "../../market/instrument.ts";
import type { QuoteBatch } from "../../quote/quote-batch.ts";
import type { DeskTap } from "../tap.ts";
import {
  HEADER,
  HEADER_BYTES,
  HEADS,
  LAYOUT_VERSION,
  MAGIC,
  NAME_BYTES,
  offsetsOf,
  PREDICTION_FIELD,
  QUOTE_FIELD,
  RECORD_BYTES,
  RECORD_FIELD,
  RECORD_KIND,
  type ShmOffsets,
  type ShmShape,
  WRITER_STATE,
} from "./layout.ts";
import { createSegment } from "./segment.ts";

const WORDS = RECORD_BYTES / 4;

/** What the writer has to know of the desk. */
export interface ShmDesk {
  readonly instruments: InstrumentTable;
  /** Base coins, numbered densely. */
  readonly underlyings: { readonly size: number; base(underlying: number): string };
  readonly underlyingCapacity: number;
  readonly model: { readonly name: string; readonly schemaHash: string; readonly heads: readonly string[] };
}

export interface ShmWriterOptions {
  readonly desk: ShmDesk;
  /** Under `/dev/shm`. */
  readonly name: string;
  /** Updates that a reader may lag behind before it loses some; a power of two. */
  readonly ringCapacity: number;
  /** In place of `/dev/shm`. */
  readonly directory?: string;
}

/**
 * Publishes predictions and quotes in shared memory, for processes on this host: the latest of each instrument and underlying,
 * and a ring of all updates. Of an instrument quoted on several levels that is the first. See `layout.ts`.
 *
 * Nothing that the writer relies on is read back from the shared memory, so a reader can neither hold it up nor mislead it.
 * Plain stores between the two of a sequence word keep their order: `Atomics` accesses order typed-array accesses around them.
 */
export class ShmWriter implements DeskTap {
  readonly #desk: ShmDesk;
  readonly #offsets: ShmOffsets;
  readonly #shared: Int32Array;
  readonly #release: () => void;
  readonly #names: Uint8Array;
  readonly #heartbeat: Float64Array;
  /** The record under way, as words, floats and doubles. It is copied as words: a double could change the bits of a NaN. */
  readonly #words: Int32Array;
  readonly #floats: Float32Array;
  readonly #doubles: Float64Array;
  readonly #ringMask: number;
  /** Sequence of each latest record, quotes first; the writer's own copy. */
  readonly #sequence: Int32Array;
  readonly #quoteRecords: number;
  /** Instruments that have a side standing. */
  readonly #standing: Uint8Array;
  /** Units per tick and per lot. */
  readonly #tick: Float64Array;
  readonly #lot: Float64Array;
  #named = 0;
  #namedUnderlyings = 0;
  #ringHead = 0;

  /** @throws KeelError when another writes under this name, or the memory cannot be had */
  constructor(options: ShmWriterOptions) {
    const { desk, name, ringCapacity } = options;
    invariant((ringCapacity & (ringCapacity - 1)) === 0, "the ring's capacity is a power of two");
    if (desk.model.heads.length > HEADS) {
      throw new KeelError(
        "shm-failed",
        `shared memory holds ${HEADS} heads, the model has ${desk.model.heads.length}`,
      );
    }
    const shape: ShmShape = {
      instrumentCapacity: desk.instruments.capacity,
      underlyingCapacity: desk.underlyingCapacity,
      ringCapacity,
    };
    this.#desk = desk;
    this.#offsets = offsetsOf(shape);
    const { memory, release } = createSegment(
      name,
      this.#offsets.totalBytes,
      (buffer) => writeHeader(buffer, shape, this.#offsets, desk),
      options.directory,
    );
    this.#release = release;
    this.#shared = new Int32Array(memory);
    this.#names = new Uint8Array(memory);
    this.#heartbeat = new Float64Array(memory, HEADER.heartbeatUs, 1);
    const record = new ArrayBuffer(RECORD_BYTES);
    this.#words = new Int32Array(record);
    this.#floats = new Float32Array(record);
    this.#doubles = new Float64Array(record);
    this.#ringMask = ringCapacity - 1;
    this.#quoteRecords = shape.instrumentCapacity;
    this.#sequence = new Int32Array(shape.instrumentCapacity + shape.underlyingCapacity);
    this.#standing = new Uint8Array(shape.instrumentCapacity);
    this.#tick = new Float64Array(shape.instrumentCapacity);
    this.#lot = new Float64Array(shape.instrumentCapacity);
    Atomics.store(this.#shared, HEADER.state / 4, WRITER_STATE.running);
  }

  onPrediction(
    underlying: number,
    probabilities: Float32Array,
    offset: number,
    heads: number,
    status: number,
    timeUs: number,
  ): void {
    if (underlying >= this.#namedUnderlyings) this.#nameUnderlyings();
    this.#clear(RECORD_KIND.prediction, underlying, timeUs);
    this.#words[PREDICTION_FIELD.status / 4] = status;
    const to = PREDICTION_FIELD.probabilities / 4;
    for (let head = 0; head < HEADS; head += 1) {
      this.#floats[to + head] = head < heads ? probabilities[offset + head] : Number.NaN;
    }
    this.#publish(this.#quoteRecords + underlying, this.#offsets.predictions + underlying * RECORD_BYTES);
  }

  onQuotes(quotes: QuoteBatch, timeUs: number): void {
    if (this.#desk.instruments.size > this.#named) this.#nameInstruments();
    for (let row = 0; row < quotes.count; row += 1) {
      if (quotes.level[row] === 0) this.#quote(quotes, row, timeUs);
    }
  }

  /** Every standing quote is shown as pulled, and the ring tells that all were cancelled. */
  onCancelAll(timeUs: number): void {
    for (let instrument = 0; instrument < this.#named; instrument += 1) {
      if (this.#standing[instrument] === 0) continue;
      this.#standing[instrument] = 0;
      this.#clear(RECORD_KIND.quote, instrument, timeUs);
      this.#sides(Number.NaN, 0, Number.NaN, 0);
      this.#doubles[QUOTE_FIELD.fair / 8] = Number.NaN;
      this.#store(instrument, this.#offsets.quotes + instrument * RECORD_BYTES);
    }
    this.#clear(RECORD_KIND.cancelAll, 0, timeUs);
    this.#append();
  }

  onTimer(timeUs: number): void {
    this.#heartbeat[0] = timeUs;
  }

  close(): void {
    Atomics.store(this.#shared, HEADER.state / 4, WRITER_STATE.stopped);
    this.#release();
  }

  #quote(quotes: QuoteBatch, row: number, timeUs: number): void {
    const instrument = quotes.instrument[row];
    const bidLots = quotes.bidLots[row];
    const askLots = quotes.askLots[row];
    const tick = this.#tick[instrument];
    const lot = this.#lot[instrument];
    this.#standing[instrument] = bidLots > 0 || askLots > 0 ? 1 : 0;
    this.#clear(RECORD_KIND.quote, instrument, timeUs);
    this.#sides(
      bidLots > 0 ? quotes.bidTicks[row] * tick : Number.NaN,
      bidLots * lot,
      askLots > 0 ? quotes.askTicks[row] * tick : Number.NaN,
      askLots * lot,
    );
    const doubles = this.#doubles;
    doubles[QUOTE_FIELD.quoteId / 8] = quotes.quoteId[row];
    doubles[QUOTE_FIELD.fair / 8] = quotes.fair[row];
    doubles[QUOTE_FIELD.widenBp / 8] = quotes.widenBp[row];
    doubles[QUOTE_FIELD.sizeFactor / 8] = quotes.sizeFactor[row];
    this.#words[QUOTE_FIELD.reasons / 4] = quotes.reasons[row];
    this.#publish(instrument, this.#offsets.quotes + instrument * RECORD_BYTES);
  }

  #clear(kind: number, subject: number, timeUs: number): void {
    this.#words.fill(0);
    this.#words[RECORD_FIELD.kind / 4] = kind;
    this.#words[RECORD_FIELD.subject / 4] = subject;
    this.#doubles[RECORD_FIELD.timeUs / 8] = timeUs;
  }

  #sides(bidPrice: number, bidSize: number, askPrice: number, askSize: number): void {
    const doubles = this.#doubles;
    doubles[QUOTE_FIELD.bidPrice / 8] = bidPrice;
    doubles[QUOTE_FIELD.askPrice / 8] = askPrice;
    doubles[QUOTE_FIELD.bidSize / 8] = bidSize;
    doubles[QUOTE_FIELD.askSize / 8] = askSize;
  }

  /** Makes the scratch record the latest of its subject, and the ring's newest. */
  #publish(record: number, at: number): void {
    this.#store(record, at);
    this.#append();
  }

  #store(record: number, at: number): void {
    const sequence = this.#sequence[record];
    this.#write(at / 4, (sequence + 1) | 0, (sequence + 2) | 0);
    this.#sequence[record] = sequence + 2;
  }

  #append(): void {
    const head = this.#ringHead;
    const slot = this.#offsets.ring + (head & this.#ringMask) * RECORD_BYTES;
    this.#write(slot / 4, (head * 2 + 1) | 0, (head * 2 + 2) | 0);
    this.#ringHead = (head + 1) | 0;
    Atomics.store(this.#shared, HEADER.ringHead / 4, this.#ringHead);
  }

  #write(to: number, writing: number, written: number): void {
    const shared = this.#shared;
    const words = this.#words;
    Atomics.store(shared, to, writing);
    for (let word = 1; word < WORDS; word += 1) shared[to + word] = words[word];
    Atomics.store(shared, to, written);
  }

  #nameInstruments(): void {
    const { instruments } = this.#desk;
    for (; this.#named < instruments.size; this.#named += 1) {
      const { venue, symbol, tick, lot } = instruments.get(this.#named);
      writeName(this.#names, this.#offsets.instruments + this.#named * NAME_BYTES, `${venue}:${symbol}`);
      this.#tick[this.#named] = stepToNumber(tick);
      this.#lot[this.#named] = stepToNumber(lot);
    }
    Atomics.store(this.#shared, HEADER.instrumentCount / 4, this.#named);
  }

  #nameUnderlyings(): void {
    const { underlyings } = this.#desk;
    for (; this.#namedUnderlyings < underlyings.size; this.#namedUnderlyings += 1) {
      const at = this.#offsets.underlyings + this.#namedUnderlyings * NAME_BYTES;
      writeName(this.#names, at, underlyings.base(this.#namedUnderlyings));
    }
    Atomics.store(this.#shared, HEADER.underlyingCount / 4, this.#namedUnderlyings);
  }
}

function writeHeader(memory: ArrayBuffer, shape: ShmShape, offsets: ShmOffsets, desk: ShmDesk): void {
  const bytes = new Uint8Array(memory);
  const view = new DataView(memory);
  writeText(bytes, HEADER.magic, MAGIC, MAGIC.length);
  const { model } = desk;
  for (const [offset, value] of [
    [HEADER.version, LAYOUT_VERSION],
    [HEADER.headerBytes, HEADER_BYTES],
    [HEADER.instrumentCapacity, shape.instrumentCapacity],
    [HEADER.underlyingCapacity, shape.underlyingCapacity],
    [HEADER.ringCapacity, shape.ringCapacity],
    [HEADER.recordBytes, RECORD_BYTES],
    [HEADER.instrumentsOffset, offsets.instruments],
    [HEADER.underlyingsOffset, offsets.underlyings],
    [HEADER.headsOffset, offsets.heads],
    [HEADER.quotesOffset, offsets.quotes],
    [HEADER.predictionsOffset, offsets.predictions],
    [HEADER.ringOffset, offsets.ring],
    [HEADER.heads, model.heads.length],
    [HEADER.pid, process.pid],
  ] as const) {
    view.setUint32(offset, value, true);
  }
  writeText(bytes, HEADER.schemaHash, model.schemaHash, 16);
  writeText(bytes, HEADER.model, model.name, 47);
  for (const [head, name] of model.heads.entries()) {
    writeName(bytes, offsets.heads + head * NAME_BYTES, name);
  }
}

function writeName(bytes: Uint8Array, at: number, name: string): void {
  writeText(bytes, at, name, NAME_BYTES - 1);
}

function writeText(bytes: Uint8Array, at: number, text: string, maxBytes: number): void {
  bytes.set(Buffer.from(text, "utf8").subarray(0, maxBytes), at);
}
