import { FeedLatency } from "./latency.ts";
import type { Recording } from "./recording.ts";
import type { BacktestSpec } from "./spec.ts";
import { Tape } from "./tape.ts";
import { VenueReader } from "./venue-reader.ts";

const INSTRUMENT_CAPACITY = 8_192;

/**
 * Reads a recording once for how its clocks stand to each other: local less exchange time of the fastest event of each feed, µs,
 * which is the clocks' offset and the shortest way together (D. Mills' minimum filter). Infinity for a feed without times. Clocks
 * that drift apart within a recording are not followed.
 */
export async function measureClocks(recording: Recording, spec: BacktestSpec): Promise<readonly number[]> {
  const tape = new Tape();
  const reader = new VenueReader({
    recording,
    capacity: INSTRUMENT_CAPACITY,
    seed: recording.feedSeed ?? spec.seed,
    silenceMs: recording.timed ? spec.silenceMs : Number.MAX_SAFE_INTEGER,
    latency: new FeedLatency({ ...spec.latency, feed: 0 }, []),
    tape,
  });
  await reader.begin();
  for await (const entries of recording.entries()) {
    for (const entry of entries) {
      const settled = reader.read(entry, recording.timeUs(entry));
      if (settled !== null) await settled;
      for (let slot = tape.take(); slot >= 0; slot = tape.take()) tape.release(slot);
    }
  }
  await reader.player.finish();
  return reader.fastestUs;
}
