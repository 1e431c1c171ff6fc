import { describe, expect, test } from "bun:test";
import { systemClock } from "../../src/core/clock.ts";
import { type Feed, FRAME } from "../../src/feed/feed.ts";
import { LiveFeedPort } from "../../src/feed/live-port.ts";
import { createFeed, endpointAt } from "../../src/feed/registry.ts";
import { EVENT, EventBatch, FEED_STATE, SIDE, UNSOUND } from "../../src/market/event-batch.ts";
import { InstrumentTable } from "../../src/market/instrument.ts";
import { BOOK_SHAPE, L2Book } from "../../src/market/l2-book.ts";
import { NO_LEVEL, type SimBook } from "../../src/sim/market/sim-book.ts";
import { Simulation } from "../../src/sim/simulation.ts";

const DEPTH = 50;

/** keel's own feeds on the simulated venues, with a book per instrument. */
class Desk {
  readonly instruments = new InstrumentTable(256);
  readonly books = new Map<number, L2Book>();
  readonly states = new Map<number, number>();
  readonly out = new EventBatch();
  readonly port: LiveFeedPort;
  readonly feeds: Feed[];
  wrong = 0;
  crossed = 0;

  constructor(simulation: Simulation, subscriptions: Record<"binance-usdm" | "deribit", string[]>) {
    const endpoints = new Map([
      [0, endpointAt("binance-usdm", simulation.binance.server.url)],
      [1, endpointAt("deribit", simulation.deribit.server.url)],
    ]);
    this.port = new LiveFeedPort({
      endpoints,
      callbacks: {
        onOpen: (id) => this.#turn(id, (feed, now) => feed.onOpen(now, this.out)),
        onFrame: (id, text) =>
          this.#turn(id, (feed, now) => {
            const outcome = feed.onFrame(text, now, this.out);
            if (outcome !== FRAME.ok && outcome !== FRAME.control) this.wrong += 1;
          }),
        onClose: (id, code, reason) =>
          this.#turn(id, (feed, now) => feed.onClose(code, reason, now, this.out)),
        onResponse: (id, request, status, body, retryAfterMs) =>
          this.#turn(id, (feed, now) => feed.onResponse(request, status, body, retryAfterMs, now, this.out)),
      },
    });
    const common = { instruments: this.instruments, port: this.port, seed: 1, silenceMs: 5_000 };
    this.feeds = [
      createFeed({ ...common, id: 0, venue: "binance-usdm", subscriptions: subscriptions["binance-usdm"] }),
      createFeed({ ...common, id: 1, venue: "deribit", subscriptions: subscriptions.deribit }),
    ];
    for (const feed of this.feeds) feed.start(systemClock.wallUs());
  }

  onTimer(): void {
    for (const { id } of this.feeds) this.#turn(id, (feed, now) => feed.onTimer(now, this.out));
  }

  live(instrument: number): boolean {
    return this.states.get(instrument) === FEED_STATE.live;
  }

  book(venue: "binance-usdm" | "deribit", symbol: string): L2Book | undefined {
    const instrument = this.instruments.find(venue, symbol);
    return instrument === undefined ? undefined : this.books.get(instrument.id);
  }

  #turn(id: number, act: (feed: Feed, nowUs: number) => void): void {
    const feed = this.feeds[id];
    if (feed === undefined) return;
    this.out.clear();
    const nowUs = systemClock.wallUs();
    act(feed, nowUs);
    for (let row = 0; row < this.out.count; row += 1) this.#apply(feed, row, nowUs);
  }

  #apply(feed: Feed, row: number, nowUs: number): void {
    const { out } = this;
    const instrument = out.instrument[row] ?? 0;
    let book = this.books.get(instrument);
    if (book === undefined) {
      book = new L2Book(BOOK_SHAPE[this.instruments.get(instrument).kind]);
      this.books.set(instrument, book);
    }
    const kind = out.kind[row];
    if (kind === EVENT.bookSnapshot) book.applySnapshot(out, row);
    else if (kind === EVENT.bookDelta) book.applyDelta(out, row);
    else if (kind === EVENT.top) book.applyTop(out, row);
    else if (kind === EVENT.status) this.states.set(instrument, out.code[row] ?? 0);
    if (book.crossed && this.live(instrument)) {
      this.crossed += 1;
      feed.onUnsound(instrument, UNSOUND.crossed, nowUs, new EventBatch(16, 16));
    }
  }
}

function differences(book: L2Book, own: SimBook, side: number): number {
  const prices = new Int32Array(DEPTH);
  const sizes = new Float64Array(DEPTH);
  const count = book.top(side, DEPTH, prices, sizes);
  let wrong = count === DEPTH ? 0 : 1;
  let level = own.best(side);
  for (let i = 0; i < count && level !== NO_LEVEL; i += 1) {
    if (prices[i] !== level || sizes[i] !== own.lotsAt(side, level)) wrong += 1;
    level = own.outward(side, level + (side === SIDE.bid ? -1 : 1));
  }
  return wrong;
}

/** Simulated time passes with real sockets, at the test's own pace. */
async function pass(simulation: Simulation, desk: Desk, seconds: number): Promise<void> {
  for (let step = 0; step < seconds * 50; step += 1) {
    simulation.market.advance(simulation.market.timeUs + 20_000);
    desk.onTimer();
    await Bun.sleep(0);
  }
}

describe("keel's feeds on the simulated venues", () => {
  test("keep books equal to the market's own, without a gap, through a jump", async () => {
    const simulation = new Simulation({ seed: 31, clock: systemClock });
    const { market } = simulation;
    const desk = new Desk(simulation, {
      "binance-usdm": ["BTCUSDT"],
      deribit: ["BTC-PERPETUAL", "options:BTC"],
    });
    const allLive = (): boolean =>
      desk.instruments.size === 2 + market.options.chain.length &&
      desk.instruments.all().every(({ id }) => desk.live(id));
    for (const untilMs = performance.now() + 60_000; !allLive() && performance.now() < untilMs; )
      await pass(simulation, desk, 0.1);
    expect(allLive()).toBe(true);

    const episode = market.scheduleToxicEpisode(market.timeUs + 200_000, "down", { leadUs: 200_000 });
    await pass(simulation, desk, 2);
    expect(episode?.jumpUs ?? Number.POSITIVE_INFINITY).toBeLessThan(market.timeUs);

    const binance = desk.book("binance-usdm", "BTCUSDT");
    const deribit = desk.book("deribit", "BTC-PERPETUAL");
    if (binance === undefined || deribit === undefined) throw new Error("no books");
    for (let i = 0; i < 10_000 && binance.lastSequence !== simulation.binance.frames.updateId; i += 1) {
      market.advance(market.queue.nextUs);
      await Bun.sleep(2);
    }
    expect(binance.lastSequence).toBe(simulation.binance.frames.updateId);
    const behind = (): boolean =>
      [SIDE.bid, SIDE.ask].some((side) => differences(deribit, market.follower.book, side) > 0);
    for (const untilMs = performance.now() + 30_000; behind() && performance.now() < untilMs; )
      await Bun.sleep(5);
    await Bun.sleep(50);
    for (const side of [SIDE.bid, SIDE.ask]) {
      expect(differences(binance, market.leader.book, side)).toBe(0);
      expect(differences(deribit, market.follower.book, side)).toBe(0);
      expect(desk.wrong + desk.crossed).toBe(0);
    }
    for (const [i, option] of market.options.chain.entries()) {
      const book = desk.book("deribit", option.symbol);
      expect(book?.bestBidTicks).toBe(market.options.best(i, SIDE.bid));
      expect(book?.bestAskTicks).toBe(market.options.best(i, SIDE.ask));
      expect(book?.bestAskLots).toBe(market.options.bestLots(i, SIDE.ask));
    }
    expect(binance.bestBidTicks).toBe(market.leader.book.best(SIDE.bid));
    expect(binance.bestAskTicks).toBe(market.leader.book.best(SIDE.ask));
    for (const feed of desk.feeds) {
      const { gaps, unparsable, ignored, overflows, silences } = feed.counters;
      expect({ gaps, unparsable, ignored, overflows, silences }).toEqual({
        gaps: 0,
        unparsable: 0,
        ignored: 0,
        overflows: 0,
        silences: 0,
      });
    }
    desk.port.close();
    await simulation.stop();
  }, 120_000);

  test("notice every injected gap and piece of noise, and recover", async () => {
    const simulation = new Simulation({ seed: 32, clock: systemClock });
    const desk = new Desk(simulation, { "binance-usdm": ["BTCUSDT"], deribit: ["BTC-PERPETUAL"] });
    const bothLive = (): boolean => desk.instruments.size === 2 && desk.live(0) && desk.live(1);
    const recover = async (): Promise<void> => {
      for (const untilMs = performance.now() + 45_000; !bothLive() && performance.now() < untilMs; ) {
        await pass(simulation, desk, 0.1);
        await Bun.sleep(5);
      }
      expect(bothLive()).toBe(true);
    };
    await recover();
    const [binance, deribit] = desk.feeds;
    for (const kind of ["drop", "garble", "half"] as const) {
      const before = [binance?.counters.resyncs ?? 0, deribit?.counters.resyncs ?? 0];
      simulation.binance.server.faults.inject({ kind, count: 1, channel: "@depth" }, systemClock.wallUs());
      simulation.deribit.server.faults.inject({ kind, count: 1, channel: "book." }, systemClock.wallUs());
      const noticed = (): boolean =>
        (binance?.counters.resyncs ?? 0) > (before[0] ?? 0) &&
        (deribit?.counters.resyncs ?? 0) > (before[1] ?? 0);
      const untilMs = performance.now() + 45_000;
      while (!(noticed() && bothLive()) && performance.now() < untilMs) {
        await pass(simulation, desk, 0.1);
        await Bun.sleep(5);
      }
      expect([kind, noticed()]).toEqual([kind, true]);
      await recover();
    }
    expect(simulation.binance.server.faults.counters).toMatchObject({ drop: 1, garble: 1, half: 1 });
    desk.port.close();
    await simulation.stop();
  }, 120_000);
});
