import { afterEach, describe, expect, test } from "bun:test";
import { systemClock } from "../../src/core/clock.ts";
import { Rng } from "../../src/core/rng.ts";
import type { Feed } from "../../src/feed/feed.ts";
import { LiveFeedPort } from "../../src/feed/live-port.ts";
import { createFeed, endpointAt } from "../../src/feed/registry.ts";
import { SnapshotFeed } from "../../src/feed/snapshot-feed.ts";
import { EVENT, EventBatch, FEED_STATE, UNSOUND } from "../../src/market/event-batch.ts";
import { InstrumentTable, type VenueName } from "../../src/market/instrument.ts";
import { BOOK_SHAPE, L2Book } from "../../src/market/l2-book.ts";
import type { Fault } from "../../src/sim/protocol/faults.ts";
import type { VenueServer, VenueServerOptions } from "../../src/sim/protocol/venue-server.ts";
import { BitstampVenue } from "../../src/sim/spot/bitstamp-venue.ts";
import { CoinbaseVenue } from "../../src/sim/spot/coinbase-venue.ts";
import { KrakenVenue } from "../../src/sim/spot/kraken-venue.ts";
import { SpotOrders } from "../../src/sim/spot/orders.ts";

type MakeVenue = (market: SpotOrders, options: VenueServerOptions) => { readonly server: VenueServer };

const VENUES: readonly (readonly [string, VenueName, string, MakeVenue])[] = [
  ["kraken", "kraken", "BTC/USD", (market, options) => new KrakenVenue(market, options)],
  ["coinbase by level", "coinbase", "BTC-USD", (market, options) => new CoinbaseVenue(market, options)],
  [
    "coinbase by order",
    "coinbase",
    "orders:BTC-USD",
    (market, options) => new CoinbaseVenue(market, options),
  ],
  ["bitstamp by level", "bitstamp", "btcusd", (market, options) => new BitstampVenue(market, options)],
  ["bitstamp by order", "bitstamp", "orders:btcusd", (market, options) => new BitstampVenue(market, options)],
];

const SEED = 7;
const START_US = 1_760_000_000_000_000;

/** A feed on a simulated venue over a real socket, and a desk that applies what it tells. */
class Link {
  readonly market = new SpotOrders({ seed: SEED, startUs: START_US, middleTicks: 6_000_000 });
  readonly server: VenueServer;
  readonly feed: Feed;
  readonly book = new L2Book(BOOK_SHAPE.spot);
  readonly port: LiveFeedPort;
  live = false;
  crossed = 0;
  trades = 0;
  readonly #instruments = new InstrumentTable(4);
  readonly #out = new EventBatch();

  constructor(venue: VenueName, subscription: string, make: MakeVenue) {
    this.server = make(this.market, {
      hostname: "127.0.0.1",
      port: 0,
      clock: systemClock,
      seed: SEED,
    }).server;
    const turn = (act: (nowUs: number) => void): void => {
      this.#out.clear();
      act(systemClock.wallUs());
      this.#apply();
    };
    this.port = new LiveFeedPort({
      endpoints: new Map([[0, endpointAt(venue, this.server.url)]]),
      callbacks: {
        onOpen: () => turn((now) => this.feed.onOpen(now, this.#out)),
        onFrame: (_id, text) => turn((now) => this.feed.onFrame(text, now, this.#out)),
        onClose: (_id, code, reason) => turn((now) => this.feed.onClose(code, reason, now, this.#out)),
        onResponse: (_id, request, status, body, retryAfterMs) =>
          turn((now) => this.feed.onResponse(request, status, body, retryAfterMs, now, this.#out)),
      },
    });
    this.feed = createFeed({
      ...{ id: 0, venue, subscriptions: [subscription], instruments: this.#instruments, port: this.port },
      ...{ seed: SEED, silenceMs: 3_000 },
    });
    this.feed.start(systemClock.wallUs());
    this.turn = turn;
  }

  readonly turn: (act: (nowUs: number) => void) => void;

  /** Lets the market act, a few actions a turn of the loop, until `done` or too long. */
  async pass(done: () => boolean, limitMs = 60_000): Promise<boolean> {
    const until = performance.now() + limitMs;
    while (!done() && performance.now() < until) {
      this.market.advance(this.market.timeUs + 20_000, 5);
      this.turn((now) => this.feed.onTimer(now, this.#out));
      await Bun.sleep(2);
    }
    return done();
  }

  /** Waits without a new action until all that was sent has come, then tells what differs from the market's own book. */
  async difference(): Promise<string> {
    let found = "";
    for (const untilMs = performance.now() + 30_000; performance.now() < untilMs; ) {
      await Bun.sleep(5);
      found = this.#difference();
      if (found === "") return "";
    }
    return found;
  }

  /** Where the queue of a level is not the market's, order by order; empty also where the feed keeps no orders. */
  queueDifference(): string {
    const orders = this.feed instanceof SnapshotFeed ? this.feed.orderBook(this.feed.carried[0].id) : null;
    if (orders === null) return "";
    const sizes = new Float64Array(1_000);
    for (const side of [0, 1] as const) {
      for (const ticks of this.market.prices(side)) {
        const expected = (this.market.levels[side].get(ticks) ?? []).map(({ lots }) => lots);
        const count = orders.queue(side, ticks, sizes.length, sizes, new Float64Array(sizes.length));
        const found = [...sizes.subarray(0, count)];
        if (found.join() !== expected.join())
          return `at ${ticks} stand ${found.join()}, expected ${expected.join()}`;
      }
    }
    return "";
  }

  async close(): Promise<void> {
    this.port.close();
    await this.server.stop();
  }

  #difference(): string {
    if (!this.live) return "the book is not live";
    for (const side of [0, 1] as const) {
      const prices = this.market.prices(side);
      if (this.book.levels(side) !== prices.length)
        return `${this.book.levels(side)} levels, expected ${prices.length}`;
      for (const ticks of prices) {
        const expected = this.market.lotsAt(side, ticks);
        const lots = this.book.sizeAt(side, ticks);
        if (lots !== expected) return `${lots} lots at ${ticks}, expected ${expected}`;
      }
    }
    return "";
  }

  #apply(): void {
    const out = this.#out;
    for (let row = 0; row < out.count; row += 1) {
      const kind = out.kind[row];
      if (kind === EVENT.bookSnapshot) this.book.applySnapshot(out, row);
      else if (kind === EVENT.bookDelta) this.book.applyDelta(out, row);
      else if (kind === EVENT.trade) this.trades += 1;
      else if (kind === EVENT.status) this.live = out.code[row] === FEED_STATE.live;
    }
    if (!this.live || !this.book.crossed) return;
    this.crossed += 1;
    const [instrument] = this.feed.carried;
    out.clear();
    this.feed.onUnsound(instrument.id, UNSOUND.crossed, systemClock.wallUs(), out);
    this.live = false;
  }
}

let link: Link | null = null;
afterEach(async () => {
  await link?.close();
  link = null;
});

describe.each(VENUES.map(([name, venue, subscription, make]) => ({ name, venue, subscription, make })))(
  "$name over a real socket",
  ({ venue, subscription, make }) => {
    test("keeps the market's own book, without a gap", async () => {
      const own = new Link(venue, subscription, make);
      link = own;
      expect(await own.pass(() => own.live)).toBe(true);
      const startUs = own.market.timeUs;
      await own.pass(() => own.market.timeUs - startUs > 4_000_000);
      expect(await own.difference()).toBe("");
      const { gaps, checksums, unparsable, ignored, reconnects } = own.feed.counters;
      expect({ gaps, checksums, unparsable, ignored, reconnects, crossed: own.crossed }).toEqual({
        ...{ gaps: 0, checksums: 0, unparsable: 0, ignored: 0, reconnects: 0, crossed: 0 },
      });
      expect(own.trades).toBeGreaterThan(20);
      expect(own.queueDifference()).toBe("");
    });

    test(`comes back from all sorts of trouble (seed ${SEED})`, async () => {
      const own = new Link(venue, subscription, make);
      link = own;
      expect(await own.pass(() => own.live)).toBe(true);
      const rng = new Rng(SEED);
      const faults: readonly Fault[] = [
        { kind: "drop", count: 1 },
        { kind: "duplicate", count: 2 },
        { kind: "garble", count: 1 },
        { kind: "disconnect", code: 1_006, reason: "cut" },
        { kind: "refuse", status: 429, forMs: 300, retryAfterSeconds: 1 },
        { kind: "half", count: 1 },
      ];
      for (const fault of faults) {
        own.server.faults.inject(fault, systemClock.wallUs());
        if (fault.kind === "refuse")
          own.server.faults.inject({ kind: "drop", count: 1 }, systemClock.wallUs());
        const untilUs = own.market.timeUs + 100_000 + rng.int(200_000);
        await own.pass(() => own.market.timeUs > untilUs);
        expect(await own.pass(() => own.live)).toBe(true);
      }
      // What was lost without a number to notice it by shows within two heartbeats or full books.
      const startUs = own.market.timeUs;
      await own.pass(() => own.market.timeUs - startUs > 3_500_000);
      expect(await own.pass(() => own.live)).toBe(true);
      expect(await own.difference()).toBe("");
      expect(own.feed.counters.resyncs).toBeGreaterThan(2);
    }, 60_000);
  },
);
