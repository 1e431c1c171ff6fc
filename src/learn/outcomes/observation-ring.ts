import { RING_NONE, RingConsumer, RingProducer } from "../../core/ring.ts";
import { FEATURE_COUNT } from "../../feature/schema.ts";
import { OBSERVED, OBSERVED_VALUES_MAX, type ObservationSink, type ObservedKind } from "./observation.ts";

/** What follows a record's head. */
const FORM = { doubles: 0, text: 1, singles: 2 } as const;
/** Bytes of a record in the ring before its values: u32 kind, i32 subject, u32 {@link FORM}, 0, f64 time. */
const HEAD_BYTES = 24;
/** Worst case of UTF-8 bytes for one UTF-16 unit. */
const UTF8_BYTES_MAX = 3;

/** Copies observations into a ring, for another thread. A call never waits and never throws; what does not fit is counted. */
export class ObservationWriter implements ObservationSink {
  dropped = 0;
  /** Time of the last observation that fitted, µs; 0 before. */
  lastUs = 0;
  readonly #ring: RingProducer;
  readonly #singles: Float32Array;
  /** Where singles came from last, and the parts of it that were asked for, by offset: no view is made for a copy. */
  #source: Float32Array | null = null;
  readonly #parts: (Float32Array | undefined)[] = [];
  #closed = false;
  #missing = 0;

  constructor(memory: SharedArrayBuffer) {
    this.#ring = new RingProducer(memory);
    this.#singles = singlesOf(this.#ring);
  }

  /** Nothing is taken any more. */
  close(): void {
    this.#closed = true;
  }

  observe(kind: ObservedKind, subject: number, timeUs: number, values: Float64Array, count: number): void {
    const bytes = HEAD_BYTES + count * 8;
    const at = this.#begin(kind, subject, FORM.doubles, timeUs, bytes);
    if (at === RING_NONE) return;
    const { f64 } = this.#ring;
    const from = (at + HEAD_BYTES) >> 3;
    for (let value = 0; value < count; value += 1) f64[from + value] = values[value];
    this.#ring.commit(bytes);
  }

  /** As {@link observe}, of values in single precision from `offset` on. */
  observeSingles(
    kind: ObservedKind,
    subject: number,
    timeUs: number,
    values: Float32Array,
    offset: number,
    count: number,
  ): void {
    const bytes = HEAD_BYTES + count * 4;
    const at = this.#begin(kind, subject, FORM.singles, timeUs, bytes);
    if (at === RING_NONE) return;
    this.#singles.set(this.#partOf(values, offset, count), (at + HEAD_BYTES) >> 2);
    this.#ring.commit(bytes);
  }

  #partOf(values: Float32Array, offset: number, count: number): Float32Array {
    if (values !== this.#source) {
      this.#source = values;
      this.#parts.length = 0;
    }
    const known = this.#parts[offset];
    if (known?.length === count) return known;
    const part = values.subarray(offset, offset + count);
    this.#parts[offset] = part;
    return part;
  }

  describe(kind: ObservedKind, subject: number, timeUs: number, text: string): void {
    const most = text.length * UTF8_BYTES_MAX;
    const at = this.#begin(kind, subject, FORM.text, timeUs, HEAD_BYTES + most);
    if (at === RING_NONE) return;
    const written = this.#ring.bytes.write(text, at + HEAD_BYTES, most, "utf8");
    this.#ring.commit(HEAD_BYTES + written);
  }

  #begin(kind: number, subject: number, form: number, timeUs: number, bytes: number): number {
    if (this.#missing > 0) this.#tellMissing(timeUs);
    const at = this.#closed || this.#missing > 0 ? RING_NONE : this.#ring.reserve(bytes);
    if (at === RING_NONE) {
      this.dropped += 1;
      this.#missing += 1;
      return at;
    }
    this.#head(at, kind, subject, form, timeUs);
    return at;
  }

  /** Whoever reads is told of a gap before anything that comes after it. */
  #tellMissing(timeUs: number): void {
    const bytes = HEAD_BYTES + 8;
    const at = this.#closed ? RING_NONE : this.#ring.reserve(bytes);
    if (at === RING_NONE) return;
    this.#head(at, OBSERVED.lost, -1, FORM.doubles, timeUs);
    this.#ring.f64[(at + HEAD_BYTES) >> 3] = this.#missing;
    this.#ring.commit(bytes);
    this.#missing = 0;
  }

  #head(at: number, kind: number, subject: number, form: number, timeUs: number): void {
    this.lastUs = timeUs;
    const { u32, f64 } = this.#ring;
    const word = at >> 2;
    u32[word] = kind;
    u32[word + 1] = subject;
    u32[word + 2] = form;
    u32[word + 3] = 0;
    f64[(at >> 3) + 2] = timeUs;
  }
}

/** Takes observations out of a ring, on the other thread. */
export class ObservationReader {
  readonly #ring: RingConsumer;
  readonly #singles: Float32Array;
  readonly #values = new Float64Array(Math.max(OBSERVED_VALUES_MAX, FEATURE_COUNT));

  constructor(memory: SharedArrayBuffer) {
    this.#ring = new RingConsumer(memory);
    this.#singles = singlesOf(this.#ring);
  }

  /** Hands over at most `most` observations. @returns how many there were */
  drain(sink: ObservationSink, most: number): number {
    const ring = this.#ring;
    const values = this.#values;
    let taken = 0;
    while (taken < most) {
      const at = ring.peek();
      if (at === RING_NONE) break;
      const word = at >> 2;
      const kind = ring.u32[word] as ObservedKind;
      const subject = ring.u32[word + 1] | 0;
      const timeUs = ring.f64[(at >> 3) + 2];
      const from = at + HEAD_BYTES;
      const end = at + ring.length;
      const form = ring.u32[word + 2];
      if (form === FORM.text) {
        const text = ring.bytes.toString("utf8", from, end);
        ring.release();
        sink.describe(kind, subject, timeUs, text);
      } else {
        const isSingle = form === FORM.singles;
        const count = (end - from) >> (isSingle ? 2 : 3);
        if (isSingle) {
          const singles = this.#singles;
          for (let value = 0; value < count; value += 1) values[value] = singles[(from >> 2) + value];
        } else {
          for (let value = 0; value < count; value += 1) values[value] = ring.f64[(from >> 3) + value];
        }
        ring.release();
        sink.observe(kind, subject, timeUs, values, count);
      }
      taken += 1;
    }
    return taken;
  }
}

function singlesOf({ bytes }: RingProducer | RingConsumer): Float32Array {
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 2);
}
