import type { RingConsumer, RingProducer } from "../core/ring.ts";
import type { DecodedTurn } from "../desk/desk-options.ts";
import { BOOK_FEATURE_COUNT } from "../feature/context.ts";
import type { FeatureRows } from "../feature/published.ts";
import { RECORD } from "../journal/record.ts";
import { EVENT, type EventBatch, TICKER_FIELDS } from "../market/event-batch.ts";

/** Bytes of a record before its payload. */
const HEADER_BYTES = 40;
const EVENT_BYTES = 56;
const VALUES_BYTES = TICKER_FIELDS * 8;
const LEVEL_BYTES = 16;
/** Words of a row of features: its instrument, its values, to a whole number of doubles. */
const FEATURE_WORDS = (1 + BOOK_FEATURE_COUNT + 1) & ~1;

/** The rows of a batch that leave with a turn. */
export interface TurnRows {
  readonly batch: EventBatch;
  readonly rows: Int32Array;
  readonly count: number;
  /** Rows of features of the books that the turn has moved; null or left out: none. */
  readonly features?: FeatureRows | null;
}

/** Bytes that a turn takes in a ring. @param payloadBytes of the input's own text */
export function turnBytes({ batch, rows, count, features }: TurnRows, payloadBytes: number): number {
  let bytes = HEADER_BYTES + aligned(payloadBytes) + count * EVENT_BYTES;
  bytes += (features?.count ?? 0) * FEATURE_WORDS * 4;
  for (let i = 0; i < count; i += 1) {
    const row = rows[i];
    bytes += batch.levelCount[row] * LEVEL_BYTES;
    if (hasValues(batch.kind[row])) bytes += VALUES_BYTES;
  }
  return bytes;
}

/**
 * Writes a turn into a ring's room: header, the input's payload, its events, features. Numbers are 32-bit words and doubles at their natural
 * places; nothing is allocated.
 *
 * @param at where {@link RingProducer.reserve} said, with room for {@link turnBytes} of the payload's most bytes
 * @returns bytes written
 */
export function writeTurn(
  ring: RingProducer,
  at: number,
  turn: Omit<DecodedTurn, "isFrame"> & { readonly type: number },
  payload: string,
  payloadMost: number,
  { batch, rows, count, features }: TurnRows,
): number {
  const { u32, f64 } = ring;
  const payloadBytes =
    payload.length === 0 ? 0 : ring.bytes.write(payload, at + HEADER_BYTES, payloadMost, "utf8");
  const word = at >> 2;
  u32[word] = turn.type;
  u32[word + 1] = turn.feed;
  f64[(at >> 3) + 1] = turn.timeUs;
  u32[word + 4] = payloadBytes;
  u32[word + 5] = count;
  f64[(at >> 3) + 3] = turn.exchangeUs;
  u32[word + 8] = turn.hadEvents ? 1 : 0;
  let to = at + HEADER_BYTES + aligned(payloadBytes);
  for (let i = 0; i < count; i += 1) to = writeEvent(ring, to, batch, rows[i]);
  u32[word + 9] = 0;
  if (features == null) return to - at;
  u32[word + 9] = features.count;
  for (let row = 0; row < features.count; row += 1) {
    const from = row * features.width;
    u32[to >> 2] = features.instrument[row];
    for (let i = 0; i < BOOK_FEATURE_COUNT; i += 1) u32[(to >> 2) + 1 + i] = features.bits[from + i];
    to += FEATURE_WORDS * 4;
  }
  return to - at;
}

function writeEvent({ u32, f64 }: RingProducer, at: number, batch: EventBatch, row: number): number {
  const word = at >> 2;
  const double = at >> 3;
  const kind = batch.kind[row];
  const levels = batch.levelCount[row];
  u32[word] = kind;
  u32[word + 1] = batch.instrument[row];
  u32[word + 2] = (batch.code[row] << 16) | batch.reason[row];
  u32[word + 3] = levels;
  f64[double + 2] = batch.exchangeTimeUs[row];
  f64[double + 3] = batch.firstSequence[row];
  f64[double + 4] = batch.lastSequence[row];
  f64[double + 5] = batch.previousSequence[row];
  f64[double + 6] = batch.checksum[row];
  let to = at + EVENT_BYTES;
  if (hasValues(kind)) {
    const { values } = batch;
    const from = row * TICKER_FIELDS;
    for (let field = 0; field < TICKER_FIELDS; field += 1) f64[(to >> 3) + field] = values[from + field];
    to += VALUES_BYTES;
  }
  const { side, priceTicks, sizeLots, levelStart } = batch;
  const start = levelStart[row];
  for (let level = start; level < start + levels; level += 1) {
    u32[to >> 2] = side[level];
    u32[(to >> 2) + 1] = priceTicks[level];
    f64[(to >> 3) + 1] = sizeLots[level];
    to += LEVEL_BYTES;
  }
  return to;
}

/** The reading end: one turn at a time. */
export class TurnReader implements DecodedTurn {
  type = 0;
  feed = 0;
  timeUs = 0;
  isFrame = false;
  hadEvents = false;
  exchangeUs = Number.NaN;
  payloadAt = 0;
  payloadBytes = 0;
  #count = 0;
  #features = 0;
  #featuresAt = 0;

  /** Reads a record's header. */
  open({ u32, f64 }: RingConsumer, at: number): void {
    const word = at >> 2;
    this.type = u32[word];
    this.feed = u32[word + 1];
    this.timeUs = f64[(at >> 3) + 1];
    this.payloadBytes = u32[word + 4];
    this.#count = u32[word + 5];
    this.exchangeUs = f64[(at >> 3) + 3];
    this.hadEvents = u32[word + 8] === 1;
    this.#features = u32[word + 9];
    this.isFrame = this.type === RECORD.feedFrame;
    this.payloadAt = at + HEADER_BYTES;
  }

  /**
   * Reads the record's events into a batch, which is emptied before.
   *
   * @param instruments the desk's number of each of the shard's own
   */
  events({ u32, f64 }: RingConsumer, instruments: Int32Array, out: EventBatch): void {
    out.clear();
    let at = this.payloadAt + aligned(this.payloadBytes);
    for (let i = 0; i < this.#count; i += 1) {
      const word = at >> 2;
      const double = at >> 3;
      const kind = u32[word];
      const own = u32[word + 1];
      const levels = u32[word + 3];
      const row = out.begin(kind, instruments[own], f64[double + 2]);
      out.code[row] = u32[word + 2] >>> 16;
      out.reason[row] = u32[word + 2] & 0xffff;
      out.setSequence(row, f64[double + 3], f64[double + 4], f64[double + 5]);
      out.checksum[row] = f64[double + 6];
      at += EVENT_BYTES;
      if (hasValues(kind)) {
        const to = row * TICKER_FIELDS;
        for (let field = 0; field < TICKER_FIELDS; field += 1) {
          out.values[to + field] = f64[(at >> 3) + field];
        }
        at += VALUES_BYTES;
      }
      for (let level = 0; level < levels; level += 1) {
        out.level(u32[at >> 2], u32[(at >> 2) + 1] | 0, f64[(at >> 3) + 1]);
        at += LEVEL_BYTES;
      }
    }
    this.#featuresAt = at;
  }

  /** Reads the record's rows of features; its events must have been read before. */
  features({ u32 }: RingConsumer, instruments: Int32Array, out: FeatureRows): void {
    out.count = this.#features;
    let word = this.#featuresAt >> 2;
    for (let row = 0; row < out.count; row += 1) {
      const to = row * out.width;
      out.instrument[row] = instruments[u32[word]];
      for (let i = 0; i < BOOK_FEATURE_COUNT; i += 1) out.bits[to + i] = u32[word + 1 + i];
      word += FEATURE_WORDS;
    }
  }
}

function hasValues(kind: number): boolean {
  return kind === EVENT.ticker || kind === EVENT.signal;
}

function aligned(bytes: number): number {
  return (bytes + 7) & ~7;
}
