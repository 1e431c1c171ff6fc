import type { Feed } from "../../src/feed/feed.ts";
import { LiveFeedPort } from "../../src/feed/live-port.ts";
import { createFeed } from "../../src/feed/registry.ts";
import { EVENT, EventBatch, FEED_STATE } from "../../src/market/event-batch.ts";
import { InstrumentTable } from "../../src/market/instrument.ts";
import type { FakeVenue } from "./fake-venue.ts";
import { SocketVenue } from "./socket-venue.ts";

const TIMER_MS = 2;

/** A feed on a real network port, connected to a fake venue behind a real server. */
export class ReconnectSession {
  readonly server: SocketVenue;
  readonly feed: Feed;
  readonly live = new Set<number>();
  readonly #port: LiveFeedPort;
  readonly #out = new EventBatch(512, 16_384);
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #startMs = performance.now();
  readonly #haste: number;

  /** @param haste so much more time passes for the feed than really does, so that backoffs do not take theirs */
  constructor(venue: FakeVenue, haste = 50) {
    this.#haste = haste;
    this.server = new SocketVenue(venue);
    this.#port = new LiveFeedPort({
      endpoints: new Map([[0, this.server.endpoint]]),
      callbacks: {
        onOpen: () => this.#tell((timeUs) => this.feed.onOpen(timeUs, this.#out)),
        onFrame: (_feed, text) => this.#tell((timeUs) => this.feed.onFrame(text, timeUs, this.#out)),
        onClose: (_feed, code, reason) =>
          this.#tell((timeUs) => this.feed.onClose(code, reason, timeUs, this.#out)),
        onResponse: (_feed, request, status, body, retryAfterMs) =>
          this.#tell((timeUs) =>
            this.feed.onResponse(request, status, body, retryAfterMs, timeUs, this.#out),
          ),
      },
    });
    this.feed = createFeed({
      id: 0,
      venue: venue.venue,
      subscriptions: venue.subscriptions ?? venue.symbols,
      instruments: new InstrumentTable(8),
      port: this.#port,
      seed: 1,
      silenceMs: 60_000,
    });
    this.feed.start(this.#timeUs());
    this.#timer = setInterval(() => this.#tell((timeUs) => this.feed.onTimer(timeUs, this.#out)), TIMER_MS);
  }

  /** Waits until both books are live. @throws Error when they are not in time */
  async untilLive(withinMs = 60_000): Promise<void> {
    for (const start = performance.now(); this.live.size < 2; await Bun.sleep(1)) {
      if (performance.now() - start > withinMs)
        throw new Error(`${this.live.size} of 2 books are live; ${this.feed.problem}`);
    }
  }

  /** Waits for so much of the feed's time. */
  async pass(ms: number): Promise<void> {
    await Bun.sleep(ms / this.#haste);
  }

  /** Loses the connection and waits until both books are live on a new one. */
  async reconnect(inGoodOrder: boolean): Promise<void> {
    const { opened } = this.server;
    this.server.cut(inGoodOrder);
    while (this.server.opened === opened || this.server.connected === 0) await Bun.sleep(1);
    await this.untilLive();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#port.close();
    await this.server.stop();
  }

  #timeUs(): number {
    return 1_700_000_000_000_000 + (performance.now() - this.#startMs) * 1_000 * this.#haste;
  }

  #tell(what: (timeUs: number) => unknown): void {
    const out = this.#out;
    what(this.#timeUs());
    for (let row = 0; row < out.count; row += 1) {
      if (out.kind[row] !== EVENT.status) continue;
      if (out.code[row] === FEED_STATE.live) this.live.add(out.instrument[row]);
      else this.live.delete(out.instrument[row]);
    }
    out.clear();
  }
}
