/**
 * In place of the thread that reads a topic: one whose topic has had a message every so many ms since it began, and which
 * hands them over as the reader does, as fast as it may. A message is its number.
 */
import { Credit } from "../../src/distribution/feed/credit.ts";
import { Handover } from "../../src/distribution/feed/handover.ts";
import type { FeedSourceStart } from "../../src/distribution/feed/source.ts";
import { keepBeat } from "../../src/distribution/kept-thread.ts";

declare const self: Worker;

export interface FloodStart extends FeedSourceStart {
  /** How many batches have been posted so far. */
  readonly posted: SharedArrayBuffer;
  readonly messages: number;
  /** Between two messages; 0 = all of them are there from the start. */
  readonly everyMs: number;
}

self.onmessage = ({ data }: MessageEvent<FloodStart>) => {
  keepBeat(data.beat);
  void flood(data);
};

async function flood({ credit, posted, venues, messages, everyMs }: FloodStart): Promise<void> {
  const counts = new Int32Array(posted);
  const handover = new Handover(venues, new Credit(credit), (batch) => {
    Atomics.add(counts, 0, 1);
    self.postMessage(batch);
  });
  self.postMessage({ up: true });
  const startMs = performance.now();
  for (let number = 0; number < messages; number += 1) {
    do await new Promise(setImmediate);
    while (performance.now() - startMs < number * everyMs);
    handover.add(`${venues[0]}:x`, String(number));
    if (handover.isFull) await handover.flush();
  }
  await handover.flush();
  self.postMessage({ down: "the end" });
}
