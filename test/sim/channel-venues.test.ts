import { describe, expect, test } from "bun:test";
import { systemClock } from "../../src/core/clock.ts";
import { LiveFeedPort } from "../../src/feed/live-port.ts";
import { createFeed, endpointAt } from "../../src/feed/registry.ts";
import { EVENT, EventBatch, FEED_STATE, SIDE } from "../../src/market/event-batch.ts";
import { InstrumentTable, type VenueName } from "../../src/market/instrument.ts";
import { BOOK_SHAPE, L2Book } from "../../src/market/l2-book.ts";
import { BybitDialect } from "../../src/sim/bybit-dialect.ts";
import { type ChannelDialect, ChannelVenue } from "../../src/sim/channel-venue.ts";
import { SimMarket } from "../../src/sim/market/market.ts";
import { OkxDialect } from "../../src/sim/okx-dialect.ts";
import type { Fault } from "../../src/sim/protocol/faults.ts";
import { START_US } from "./sim-support.ts";

const STEP_US = 10_000;

/** keel's own feed, over a real socket, on the simulated perpetual behind one venue's server. */
class Rig {
  readonly market = new SimMarket({ seed: 3, startUs: START_US });
  readonly venue: ChannelVenue;
  readonly out = new EventBatch();
  readonly book = new L2Book(BOOK_SHAPE.perpetual);
  readonly kinds = new Set<number>();
  readonly feed;
  live = false;
  readonly #port: LiveFeedPort;

  constructor(name: VenueName, symbol: string, dialect: ChannelDialect) {
    this.venue = new ChannelVenue(this.market, dialect, {
      hostname: "127.0.0.1",
      port: 0,
      clock: systemClock,
      seed: 5,
    });
    this.#port = new LiveFeedPort({
      endpoints: new Map([[0, endpointAt(name, this.venue.server.url)]]),
      callbacks: {
        onOpen: () => this.#turn((now) => this.feed.onOpen(now, this.out)),
        onFrame: (_id, text) => this.#turn((now) => this.feed.onFrame(text, now, this.out)),
        onClose: (_id, code, why) => this.#turn((now) => this.feed.onClose(code, why, now, this.out)),
        onResponse: (_id, request, status, body, retryAfterMs) =>
          this.#turn((now) => this.feed.onResponse(request, status, body, retryAfterMs, now, this.out)),
      },
    });
    this.feed = createFeed({
      id: 0,
      venue: name,
      subscriptions: [symbol],
      instruments: new InstrumentTable(4),
      port: this.#port,
      seed: 1,
      silenceMs: 5_000,
    });
    this.feed.start(systemClock.wallUs());
  }

  /** Lets the market go on until the condition holds. */
  async until(holds: () => boolean): Promise<void> {
    for (const untilMs = performance.now() + 60_000; !holds(); ) {
      if (performance.now() > untilMs) throw new Error(`waited in vain; ${this.feed.problem}`);
      this.market.advance(this.market.timeUs + STEP_US);
      this.#turn((now) => this.feed.onTimer(now, this.out));
      await Bun.sleep(1);
    }
  }

  /** The feed's book is the best of the market's, as it was told last. */
  agrees(): boolean {
    const { book: own } = this.market.leader;
    const ticks = new Int32Array(20);
    const lots = new Float64Array(20);
    return [SIDE.bid, SIDE.ask].every((side) => {
      const count = this.book.top(side, 20, ticks, lots);
      return count === 20 && lots.every((size, i) => own.lotsAt(side, ticks[i]) === size);
    });
  }

  async stop(): Promise<void> {
    this.#port.close();
    await this.venue.server.stop();
  }

  #turn(what: (nowUs: number) => unknown): void {
    const { out, book } = this;
    what(systemClock.wallUs());
    for (let row = 0; row < out.count; row += 1) {
      const kind = out.kind[row];
      this.kinds.add(kind);
      if (kind === EVENT.bookSnapshot) book.applySnapshot(out, row);
      if (kind === EVENT.bookDelta) book.applyDelta(out, row);
      if (kind === EVENT.status) this.live = out.code[row] === FEED_STATE.live;
    }
    expect(book.crossed).toBe(false);
    out.clear();
  }
}

const VENUES: readonly {
  readonly name: string;
  readonly venue: VenueName;
  readonly symbol: string;
  readonly dialect: () => ChannelDialect;
}[] = [
  { name: "bybit-linear", venue: "bybit-linear", symbol: "BTCUSDT", dialect: () => new BybitDialect() },
  { name: "okx with checksums", venue: "okx", symbol: "BTC-USDT-SWAP", dialect: () => new OkxDialect(true) },
  { name: "okx", venue: "okx", symbol: "BTC-USDT-SWAP", dialect: () => new OkxDialect(false) },
];

const FAULTS: readonly Fault[] = [
  { kind: "drop", count: 2, channel: "book" },
  { kind: "duplicate", count: 3, channel: "book" },
  { kind: "garble", count: 2 },
  { kind: "half", count: 2 },
  { kind: "disconnect", code: 1_006, reason: "cut" },
];

describe.each([...VENUES])("simulated $name over a real socket", ({ venue, symbol, dialect }) => {
  test("is followed, and healed after every fault", async () => {
    const rig = new Rig(venue, symbol, dialect());
    try {
      await rig.until(() => rig.live && rig.kinds.has(EVENT.trade) && rig.kinds.has(EVENT.ticker));
      await rig.until(() => rig.agrees());
      expect(rig.feed.counters).toMatchObject({
        gaps: 0,
        unparsable: 0,
        checksums: 0,
        resyncs: 0,
        ignored: 0,
      });
      expect(rig.feed.counters.decodeFallbacks).toBe(0);
      for (const fault of FAULTS) {
        const { frames } = rig.feed.counters;
        rig.venue.server.faults.inject(fault, systemClock.wallUs());
        await rig.until(() => rig.feed.counters.frames > frames + 12);
        await rig.until(() => rig.live && rig.agrees());
      }
      expect(rig.feed.counters.resyncs).toBeGreaterThanOrEqual(3);
      expect(rig.feed.counters).toMatchObject({ reconnects: 1, checksums: 0 });
    } finally {
      await rig.stop();
    }
  }, 120_000);

  test("answers strange messages and unknown paths without falling over", async () => {
    const rig = new Rig(venue, symbol, dialect());
    try {
      const socket = new WebSocket(endpointAt(venue, rig.venue.server.url).webSocketUrl);
      const answers: string[] = [];
      await new Promise((resolve) => {
        socket.onmessage = ({ data }) => answers.push(String(data)) === 4 && resolve(null);
        socket.onopen = () => {
          for (const text of ["{", "[]", '{"op":"dance"}', '{"op":"subscribe","args":[{}]}'])
            socket.send(text);
        };
      });
      socket.close();
      for (const answer of answers) expect(answer).toMatch(/false|error/);
      const response = await fetch(`${rig.venue.server.url.replace("ws", "http")}/nothing`);
      expect(response.status).toBe(404);
    } finally {
      await rig.stop();
    }
  });
});
