import { invariant } from "../core/invariant.ts";
import type { FeedPort } from "../feed/feed.ts";
import { createFeed } from "../feed/registry.ts";
import { SupervisedFeed } from "../feed/supervised-feed.ts";
import { EVENT, EventBatch } from "../market/event-batch.ts";
import { InstrumentTable, type VenueName } from "../market/instrument.ts";
import { MemoryVenue } from "../sim/memory-venue.ts";

export const INSTRUMENTS_MAX = 1_024;
/** No part of an answer that a feed works off with a turn of its timer is shorter. */
const PART_CHARS = 16_384;

/** One thing that a venue says to a feed. */
export type IngestInput =
  | { readonly type: "open" }
  /** The feed's timer turns: an answer is worked off in parts. */
  | { readonly type: "timer"; readonly timeUs: number }
  /** `levels`: how many levels of books it changes. */
  | { readonly type: "frame"; readonly text: string; readonly timeUs: number; readonly levels: number }
  | {
      readonly type: "response";
      readonly request: number;
      readonly status: number;
      readonly body: string;
      readonly timeUs: number;
    };

/** All that a venue says while a capture is played. */
export interface IngestScript {
  readonly venue: VenueName;
  readonly subscriptions: readonly string[];
  readonly inputs: readonly IngestInput[];
}

/** Something that is fed all that a venue says. */
export interface IngestSubject {
  readonly name: string;
  /** Forgets everything: the capture begins anew. */
  restart(): void;
  onOpen(): void;
  onResponse(request: number, status: number, body: string, timeUs: number): void;
  onFrame(text: string, timeUs: number): void;
  onTimer?(timeUs: number): void;
}

/** Tells a subject what is no frame. */
export function tellOther(subject: IngestSubject, input: IngestInput): void {
  if (input.type === "open") subject.onOpen();
  else if (input.type === "timer") subject.onTimer?.(input.timeUs);
  else if (input.type === "response")
    subject.onResponse(input.request, input.status, input.body, input.timeUs);
}

/** Lets a feed hear a capture once and notes what it was told. */
export async function readScript(path: string): Promise<IngestScript> {
  const venue = await MemoryVenue.open(path);
  const { subscriptions } = venue;
  const inputs: IngestInput[] = [];
  const out = new EventBatch();
  const feed = feedOf(venue.venue, subscriptions, venue, new InstrumentTable(INSTRUMENTS_MAX));
  feed.start(0);
  // What is asked before has no time yet by which a connection could be late.
  let isOpen = false;
  await venue.play({
    onOpen: (_feed, timeUs) => {
      isOpen = true;
      inputs.push({ type: "open" });
      out.clear();
      feed.onOpen(timeUs, out);
    },
    onFrame: (_feed, text, timeUs) => {
      // Text as a socket gives it: in one piece, on its own.
      const flat = Buffer.from(text).toString();
      out.clear();
      feed.onFrame(flat, timeUs, out);
      inputs.push({ type: "frame", text: flat, timeUs, levels: levelsIn(out) });
    },
    onResponse: (_feed, request, status, body, timeUs) => {
      inputs.push({ type: "response", request, status, body, timeUs });
      out.clear();
      feed.onResponse(request, status, body, Number.NaN, timeUs, out);
      for (let part = 0; isOpen && part <= body.length / PART_CHARS; part += 1) {
        inputs.push({ type: "timer", timeUs });
        out.clear();
        feed.onTimer(timeUs, out);
      }
    },
  });
  return { venue: venue.venue, subscriptions, inputs };
}

function levelsIn(out: EventBatch): number {
  let levels = 0;
  for (let row = 0; row < out.count; row += 1) {
    if (out.kind[row] <= EVENT.bookDelta) levels += out.levelCount[row];
  }
  return levels;
}

/** A feed as the live process has it, asking `port` for what it needs. */
export function feedOf(
  venue: VenueName,
  subscriptions: readonly string[],
  port: FeedPort,
  instruments: InstrumentTable,
): SupervisedFeed {
  const feed = createFeed({
    ...{ id: 0, venue, subscriptions, instruments, port, seed: 1 },
    silenceMs: Number.MAX_SAFE_INTEGER,
  });
  invariant(feed instanceof SupervisedFeed, "a venue's feed is supervised");
  return feed;
}
