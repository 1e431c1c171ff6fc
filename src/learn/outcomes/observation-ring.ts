import { RING_NONE, RingConsumer, RingProducer } from "../../core/ring.ts";
import { FEATURE_COUNT } from "../../feature/schema.ts";
import { OBSERVED_VALUES_MAX, type ObservationSink, type ObservedKind } from "./observation.ts";

/** Bytes of a record in the ring before its values: u32 kind, i32 subject, u32 1 for text, 0, f64 time. */
const HEAD_BYTES = 24;
/** Worst case of UTF-8 bytes for one UTF-16 unit. */
const UTF8_BYTES_MAX = 3;

/** Copies observations into a ring, for another thread. A call never waits and never throws; what does not fit is counted. */
export class ObservationWriter implements ObservationSink {
  dropped = 0;
  /** Time of the last observation that fitted, µs; 0 before. */
  lastUs = 0;
  readonly #ring: RingProducer;
  #closed = false;

  constructor(memory: SharedArrayBuffer) {
    this.#ring = new RingProducer(memory);
  }

  /** Nothing is taken any more. */
  close(): void {
    this.#closed = true;
  }

  observe(
    kind: ObservedKind,
    subject: number,
    timeUs: number,
    values: Float64Array | Float32Array,
    count: number,
    offset = 0,
  ): void {
    const bytes = HEAD_BYTES + count * 8;
    const at = this.#begin(kind, subject, 0, timeUs, bytes);
    if (at === RING_NONE) return;
    const from = (at + HEAD_BYTES) >> 3;
    for (let value = 0; value < count; value += 1) this.#ring.f64[from + value] = values[offset + value];
    this.#ring.commit(bytes);
  }

  describe(kind: ObservedKind, subject: number, timeUs: number, text: string): void {
    const most = text.length * UTF8_BYTES_MAX;
    const at = this.#begin(kind, subject, 1, timeUs, HEAD_BYTES + most);
    if (at === RING_NONE) return;
    const written = this.#ring.bytes.write(text, at + HEAD_BYTES, most, "utf8");
    this.#ring.commit(HEAD_BYTES + written);
  }

  #begin(kind: number, subject: number, text: number, timeUs: number, bytes: number): number {
    const at = this.#closed ? RING_NONE : this.#ring.reserve(bytes);
    if (at === RING_NONE) {
      this.dropped += 1;
      return at;
    }
    this.lastUs = timeUs;
    const { u32, f64 } = this.#ring;
    const word = at >> 2;
    u32[word] = kind;
    u32[word + 1] = subject;
    u32[word + 2] = text;
    u32[word + 3] = 0;
    f64[(at >> 3) + 2] = timeUs;
    return at;
  }
}

/** Takes observations out of a ring, on the other thread. */
export class ObservationReader {
  readonly #ring: RingConsumer;
  readonly #values = new Float64Array(Math.max(OBSERVED_VALUES_MAX, FEATURE_COUNT));

  constructor(memory: SharedArrayBuffer) {
    this.#ring = new RingConsumer(memory);
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
      if (ring.u32[word + 2] === 1) {
        const text = ring.bytes.toString("utf8", from, end);
        ring.release();
        sink.describe(kind, subject, timeUs, text);
      } else {
        const count = (end - from) >> 3;
        for (let value = 0; value < count; value += 1) values[value] = ring.f64[(from >> 3) + value];
        ring.release();
        sink.observe(kind, subject, timeUs, values, count);
      }
      taken += 1;
    }
    return taken;
  }
}
