import { Rng } from "../../src/core/rng.ts";
import { Distributor } from "../../src/distribution/distributor.ts";
import { KafkaFeedSource } from "../../src/distribution/feed/source.ts";
import type { KafkaOptions } from "../../src/distribution/options.ts";
import type { Feed } from "../../src/feed/feed.ts";
import { LiveFeedPort } from "../../src/feed/live-port.ts";
import { createFeed } from "../../src/feed/registry.ts";
import {
  EVENT,
  EventBatch,
  FEED_STATE,
  SIDE,
  TICKER,
  TICKER_FIELDS,
  UNSOUND,
} from "../../src/market/event-batch.ts";
import { InstrumentTable } from "../../src/market/instrument.ts";
import { BOOK_SHAPE, L2Book } from "../../src/market/l2-book.ts";
import { PERPETUAL } from "../support/perpetuals.ts";

export const SYMBOL = "BTC-PERPETUAL";
const DEPTH = 40;

export async function until(what: string, condition: () => boolean, ms = 60_000): Promise<void> {
  const deadline = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited ${ms} ms for ${what}`);
    await Bun.sleep(10);
  }
}

export function levelsOf(book: L2Book): string {
  const [prices, sizes] = [new Int32Array(DEPTH), new Float64Array(DEPTH)];
  return [SIDE.bid, SIDE.ask]
    .map((side) => {
      const count = book.top(side, DEPTH, prices, sizes);
      return `${book.levels(side)}:${prices.subarray(0, count)}:${sizes.subarray(0, count)}`;
    })
    .join(" ");
}

export function bestOf({ bestBidTicks, bestBidLots, bestAskTicks, bestAskLots }: L2Book): string {
  return [bestBidTicks, bestBidLots, bestAskTicks, bestAskLots].join();
}

/** A desk whose one instrument's book changes at random, as far as the distribution sees one. */
export class Market {
  readonly instruments = new InstrumentTable(4);
  readonly book = new L2Book(BOOK_SHAPE.perpetual);
  /** What the book held by its sequence. */
  readonly held = new Map<number, string>();
  readonly distributor: Distributor;
  readonly problems: string[] = [];
  trades = 0;
  readonly #events = new EventBatch();
  readonly #rows = new Int32Array(this.#events.maxEvents).map((_, row) => row);
  readonly #rng = new Rng(11);
  #sequence = 1_000;
  #middle = 60_000;

  readonly kafka: KafkaOptions;

  constructor(kafka: KafkaOptions, ringBytes?: number) {
    this.kafka = kafka;
    this.instruments.add({
      ...PERPETUAL,
      symbol: SYMBOL,
      tickSteps: [{ fromPriceTicks: 100_000, multiple: 2 }],
    });
    this.distributor = new Distributor({
      kafka,
      redis: undefined,
      desk: {
        instruments: this.instruments,
        books: [this.book],
        underlyings: { size: 1, base: () => "BTC" },
        underlyingCapacity: 4,
        heads: [],
        model: "none",
      },
      onSignal: () => {},
      onProblem: (problem) => this.problems.push(problem),
      shutdownMs: 2_000,
      ...(ringBytes === undefined ? {} : { ringBytes }),
    });
  }

  /** The venue sends the whole book, and it is trusted. */
  open(): void {
    const row = this.#begin(EVENT.bookSnapshot);
    for (let level = 1; level <= 30; level += 1) {
      this.#events.level(SIDE.bid, this.#middle - level, level);
      this.#events.level(SIDE.ask, this.#middle + level, 2 * level);
    }
    this.book.applySnapshot(this.#events, row);
    this.#events.status(0, FEED_STATE.live, UNSOUND.none);
    this.#show();
  }

  distrust(): void {
    this.#events.status(0, FEED_STATE.unsound, UNSOUND.gap);
    this.#show();
  }

  /** As the desk's timer does it. */
  turn(): void {
    this.distributor.onTimer(Date.now() * 1_000);
  }

  /** One change, and now and then a best price ahead of it, a trade, a ticker. */
  step(): void {
    const row = this.#begin(EVENT.bookDelta);
    if (this.#rng.next() < 0.1) this.#middle += this.#rng.next() < 0.5 ? -1 : 1;
    for (let i = 0; i < 4; i += 1) {
      const distance = 1 + Math.floor(this.#rng.next() * 30);
      const lots = this.#rng.next() < 0.3 ? 0 : 1 + Math.floor(this.#rng.next() * 500) / 4;
      if (this.#rng.next() < 0.5) this.#events.level(SIDE.bid, this.#middle - distance, lots);
      else this.#events.level(SIDE.ask, this.#middle + distance, lots);
    }
    this.#events.level(SIDE.bid, this.#middle + 1, 0);
    this.#events.level(SIDE.ask, this.#middle - 1, 0);
    this.book.applyDelta(this.#events, row);
    this.held.set(this.book.lastSequence, levelsOf(this.book));
    if (this.#rng.next() < 0.3) {
      const top = this.#begin(EVENT.top);
      this.#events.level(SIDE.bid, this.#middle - 1, 7);
      this.#events.level(SIDE.ask, this.#middle + 1, 9);
      this.book.applyTop(this.#events, top);
    }
    if (this.#rng.next() < 0.3) {
      this.#begin(EVENT.trade);
      this.#events.level(SIDE.ask, this.#middle, 3);
      this.trades += 1;
    }
    if (this.#rng.next() < 0.1) {
      const ticker = this.#begin(EVENT.ticker);
      this.#events.values[ticker * TICKER_FIELDS + TICKER.markPrice] = this.#middle / 2;
    }
    this.#show();
  }

  /** Goes on at some hundred changes a second until the condition holds. */
  async until(what: string, condition: () => boolean, ms = 60_000): Promise<void> {
    const deadline = performance.now() + ms;
    while (!condition()) {
      if (performance.now() > deadline) throw new Error(`waited ${ms} ms for ${what}`);
      this.step();
      this.turn();
      await Bun.sleep(3);
    }
  }

  #begin(kind: number): number {
    const row = this.#events.begin(kind, 0, Date.now() * 1_000 - 700);
    this.#sequence += 1;
    this.#events.setSequence(row, this.#sequence, this.#sequence, this.#sequence - 1);
    return row;
  }

  #show(): void {
    this.distributor.onEvents(this.#events, this.#rows, this.#events.count, Date.now() * 1_000);
    this.#events.clear();
  }
}

/** Another keel's feed and book behind the topic. */
export class Reader {
  readonly book = new L2Book(BOOK_SHAPE.perpetual);
  readonly feed: Feed;
  state = -1;
  readonly states: number[] = [];
  compared = 0;
  wrong: string[] = [];
  trades = 0;
  mark = Number.NaN;
  /** What an operator was told of the thread. */
  readonly problems: string[] = [];
  readonly source: KafkaFeedSource;
  readonly #out = new EventBatch();
  readonly #port: LiveFeedPort;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #market: Market;
  readonly #startUs = Date.now() * 1_000;
  readonly #pace: number;

  /** @param pace of its clock: with one that runs slowly nothing is late, however busy the host is */
  constructor(kafka: KafkaOptions, market: Market, pace = 1) {
    this.#market = market;
    this.#pace = pace;
    this.source = new KafkaFeedSource(kafka, new Map([[0, "deribit"]]), (problem) =>
      this.problems.push(problem),
    );
    this.#port = new LiveFeedPort({
      endpoints: new Map([[0, this.source]]),
      callbacks: {
        onOpen: () => this.#turn((nowUs) => this.feed.onOpen(nowUs, this.#out)),
        onFrame: (_feed, text) => this.#turn((nowUs) => this.feed.onFrame(text, nowUs, this.#out)),
        onClose: (_feed, code, reason) =>
          this.#turn((nowUs) => this.feed.onClose(code, reason, nowUs, this.#out)),
        onResponse: () => {},
      },
    });
    this.feed = createFeed({
      id: 0,
      venue: "deribit",
      subscriptions: ["relay:futures:BTC"],
      instruments: new InstrumentTable(4),
      port: this.#port,
      seed: 1,
      silenceMs: 10_000,
    });
    this.feed.start(this.#startUs);
    this.#timer = setInterval(() => this.#turn((nowUs) => this.feed.onTimer(nowUs, this.#out)), 10);
  }

  get live(): boolean {
    return this.state === FEED_STATE.live;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#port.close();
  }

  #turn(act: (nowUs: number) => unknown): void {
    const out = this.#out;
    out.clear();
    act(this.#startUs + (Date.now() * 1_000 - this.#startUs) * this.#pace);
    for (let row = 0; row < out.count; row += 1) {
      const kind = out.kind[row];
      if (kind === EVENT.bookSnapshot) this.book.applySnapshot(out, row);
      else if (kind === EVENT.bookDelta) this.book.applyDelta(out, row);
      else if (kind === EVENT.top) this.book.applyTop(out, row);
      else if (kind === EVENT.trade) this.trades += 1;
      else if (kind === EVENT.ticker)
        this.mark = out.values[row * TICKER_FIELDS + TICKER.markPrice] ?? Number.NaN;
      else if (kind === EVENT.status) {
        this.state = out.code[row] ?? -1;
        this.states.push(this.state);
      }
      if (kind !== EVENT.bookSnapshot && kind !== EVENT.bookDelta) continue;
      const expected = this.#market.held.get(this.book.lastSequence);
      this.compared += 1;
      if (expected !== undefined && expected !== levelsOf(this.book) && this.wrong.length < 3)
        this.wrong.push(`at ${this.book.lastSequence}: ${levelsOf(this.book)}, expected ${expected}`);
    }
  }
}
