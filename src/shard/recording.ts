import { invariant } from "../core/invariant.ts";
import { RingProducer, ringMemory } from "../core/ring.ts";
import { EventBatch } from "../market/event-batch.ts";
import { SHARD_RECORD } from "./protocol.ts";
import { turnBytes, writeTurn } from "./turn-codec.ts";

/** An input of a feed, as a journal has it; type is one of `RECORD`. */
export interface RecordedInput {
  readonly type: number;
  readonly feed: number;
  readonly timeUs: number;
  readonly payload: string;
}

const NOTHING = { batch: new EventBatch(1, 1), rows: new Int32Array(0), count: 0 };
const RECORD_OVERHEAD = 16;
const SMALLEST = 1_024;

/**
 * The inputs of some feeds in a ring of their own, for a shard to play as fast as it can.
 *
 * @param inputs in the order of their times
 */
export function recordingOf(inputs: readonly RecordedInput[], feeds: readonly number[]): SharedArrayBuffer {
  const own = inputs.filter(({ feed }) => feeds.includes(feed));
  const last = own.at(-1)?.timeUs ?? 0;
  let bytes = 0;
  const sizes = own.map(({ payload }) => Buffer.byteLength(payload));
  for (const size of sizes) bytes += turnBytes(NOTHING, size) + RECORD_OVERHEAD;
  let capacity = SMALLEST;
  while (capacity < bytes + SMALLEST) capacity *= 2;
  const memory = ringMemory(capacity);
  const ring = new RingProducer(memory);
  const put = ({ type, feed, timeUs, payload }: RecordedInput, size: number): void => {
    const at = ring.reserve(turnBytes(NOTHING, size));
    invariant(at >= 0, "a recording's ring holds all of it");
    const turn = { type, feed, timeUs, exchangeUs: Number.NaN, hadEvents: false };
    ring.commit(writeTurn(ring, at, turn, payload, size, NOTHING));
  };
  for (const [i, input] of own.entries()) put(input, sizes[i]);
  put({ type: SHARD_RECORD.end, feed: feeds[0] ?? 0, timeUs: last, payload: "" }, 0);
  return memory;
}
