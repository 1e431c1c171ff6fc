import { createFeed } from "../feed/registry.ts";
import { EventBatch } from "../market/event-batch.ts";
import { type Instrument, InstrumentTable } from "../market/instrument.ts";
import type { MemoryVenue } from "../sim/memory-venue.ts";

/** All that a venue says to a feed while a capture is played. */
export interface CollectedInputs {
  readonly instruments: readonly Instrument[];
  readonly frames: readonly string[];
  readonly timesUs: readonly number[];
  /** Bodies of REST answers. */
  readonly responses: readonly string[];
}

/** Plays a capture to a feed and keeps what it was told. */
export async function collectInputs(venue: MemoryVenue): Promise<CollectedInputs> {
  const table = new InstrumentTable(4_096);
  const out = new EventBatch();
  const frames: string[] = [];
  const timesUs: number[] = [];
  const responses: string[] = [];
  const feed = createFeed({
    id: 0,
    venue: venue.venue,
    subscriptions: venue.subscriptions,
    instruments: table,
    port: venue,
    seed: 1,
    silenceMs: Number.MAX_SAFE_INTEGER,
  });
  feed.start(venue.scan.firstUs);
  await venue.play({
    onOpen: (_feed, timeUs) => {
      out.clear();
      feed.onOpen(timeUs, out);
    },
    onFrame: (_feed, text, timeUs) => {
      frames.push(text);
      timesUs.push(timeUs);
      out.clear();
      feed.onFrame(text, timeUs, out);
    },
    onResponse: (_feed, request, status, body, timeUs) => {
      responses.push(body);
      out.clear();
      feed.onResponse(request, status, body, Number.NaN, timeUs, out);
    },
  });
  return { instruments: table.all(), frames, timesUs, responses };
}
