import type { FeedOptions, FeedPort } from "../../src/feed/feed.ts";
import { createFeed } from "../../src/feed/registry.ts";
import { EventBatch } from "../../src/market/event-batch.ts";
import { InstrumentTable } from "../../src/market/instrument.ts";

export interface Request {
  readonly request: number;
  readonly path: string;
}

/** A port that notes what the feed asks for; the test plays the network. */
export class ScriptedPort implements FeedPort {
  connects = 0;
  disconnects: string[] = [];
  sent: string[] = [];
  requests: Request[] = [];

  connect(): void {
    this.connects += 1;
  }

  send(_feed: number, text: string): void {
    this.sent.push(text);
  }

  disconnect(_feed: number, reason: string): void {
    this.disconnects.push(reason);
  }

  request(_feed: number, request: number, path: string): void {
    this.requests.push({ request, path });
  }

  takeSent(): string[] {
    return this.sent.splice(0);
  }

  takeRequests(): Request[] {
    return this.requests.splice(0);
  }
}

/** A feed with a port of its own, and where its events go. `options` over what most tests do not care for. */
export function scriptedFeed(options: Pick<FeedOptions, "venue" | "subscriptions"> & Partial<FeedOptions>) {
  const port = new ScriptedPort();
  const instruments = options.instruments ?? new InstrumentTable(16);
  const feed = createFeed({ id: 0, port, seed: 1, silenceMs: 60_000, ...options, instruments });
  return { feed, port, instruments, out: new EventBatch() };
}
