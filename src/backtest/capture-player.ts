import type { CaptureEntry } from "../feed/capture.ts";
import type { MemoryVenue } from "../sim/memory-venue.ts";
import type { Player, RecordingSink } from "./recording.ts";

/** Plays a capture through the simulated venue that serves it, so that requests are answered whenever they are made. */
export class CapturePlayer implements Player<CaptureEntry> {
  readonly #venue: MemoryVenue;

  constructor(venue: MemoryVenue) {
    this.#venue = venue;
  }

  connect(feed: number): void {
    this.#venue.connect(feed);
  }

  send(feed: number, text: string): void {
    this.#venue.send(feed, text);
  }

  disconnect(feed: number, reason: string): void {
    this.#venue.disconnect(feed, reason);
  }

  request(feed: number, request: number, path: string): void {
    this.#venue.request(feed, request, path);
  }

  begin(sink: RecordingSink): Promise<void> {
    return this.#venue.begin({
      onOpen: (feed, timeUs) => sink.onOpen(feed, timeUs),
      onFrame: (feed, text, timeUs) => sink.onFrame(feed, text, timeUs),
      onResponse: (feed, request, status, body, timeUs) =>
        sink.onResponse(feed, request, status, body, Number.NaN, timeUs),
    });
  }

  take(entry: CaptureEntry): Promise<void> | null {
    return this.#venue.take(entry);
  }

  finish(): Promise<void> {
    return this.#venue.finish();
  }
}
