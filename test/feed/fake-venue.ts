import { Rng } from "../../src/core/rng.ts";
import type { Feed, FrameOutcome } from "../../src/feed/feed.ts";
import { createFeed } from "../../src/feed/registry.ts";
import {
  EVENT,
  EventBatch,
  FEED_STATE,
  FEED_STATE_NAMES,
  UNSOUND_NAMES,
} from "../../src/market/event-batch.ts";
import { InstrumentTable, type VenueName } from "../../src/market/instrument.ts";
import { BOOK_SHAPE, L2Book } from "../../src/market/l2-book.ts";
import { ScriptedPort } from "./scripted-port.ts";

/** The book that a fake venue holds for a symbol: bids up to 1000 ticks, asks from 1001. */
export class VenueBook {
  readonly sides: readonly [Map<number, number>, Map<number, number>] = [new Map(), new Map()];
  sequence = 0;
  readonly #rng: Rng;

  constructor(seed: number) {
    this.#rng = new Rng(seed);
    for (let i = 0; i < 10; i += 1) {
      this.sides[0].set(1_000 - i, 1 + i);
      this.sides[1].set(1_001 + i, 1 + i);
    }
  }

  /** Changes a few levels. @returns the changes per side as [ticks, lots]. */
  change(): [[number, number][], [number, number][]] {
    const changes: [[number, number][], [number, number][]] = [[], []];
    for (const side of [0, 1] as const) {
      for (let i = 0; i < 2; i += 1) {
        const price = side === 0 ? 999 - this.#rng.int(30) : 1_002 + this.#rng.int(30);
        const size = this.#rng.int(4);
        if (size === 0) this.sides[side].delete(price);
        else this.sides[side].set(price, size);
        changes[side].push([price, size]);
      }
    }
    return changes;
  }
}

/** What a fake venue answers to: a {@link Session}, or a real connection. */
export interface VenueSide {
  readonly port: Pick<ScriptedPort, "takeSent" | "takeRequests">;
  readonly feed: Pick<Feed, "onFrame" | "onResponse">;
  readonly timeUs: number;
  readonly out: EventBatch;
  deliver(frame: string): unknown;
  apply(): void;
}

/** One venue's server, played by the test. */
export interface FakeVenue {
  readonly venue: VenueName;
  /** Two instruments that the feed subscribes. */
  readonly symbols: readonly [string, string];
  readonly books: readonly [VenueBook, VenueBook];
  /** What the feed is told to subscribe; default the symbols. */
  readonly subscriptions?: readonly string[];
  /** What a lost frame is found out by; default `gap`. */
  readonly gapReason?: "gap" | "checksum";
  /** Book frames carry sequence numbers; default true. */
  readonly isSequenced?: boolean;
  /** Instruments are known with their first book, not before; default false. */
  readonly isDescribedByBooks?: boolean;
  /** What a price between two ticks is to the feed; default `off-grid`. */
  readonly offGridReason?: "off-grid" | "unparsable";
  /** What a frame of an instrument that is not carried is; default {@link FRAME.ignored}, which is counted. */
  readonly strangersAre?: FrameOutcome;
  /** Neither instrument trades all the time; default false. */
  readonly mayBeQuiet?: boolean;
  /** Answers what the feed asked for; called after every input. */
  service(session: VenueSide): void;
  /** What the venue sends by itself besides; for servers that do not ask it all the time. */
  unasked?(timeUs: number): string[];
  /** The connection is gone: subscriptions with it. */
  disconnected(): void;
  /** The next book frame in sequence. */
  next(index: number): string;
  /** The frame that shows that book frames before it were lost; default the next book frame. */
  reveal?(index: number): string;
  trade(index: number): string;
  /** A book frame with a price between two ticks. */
  offGrid(index: number): string;
  /** A frame of an instrument that is not carried. */
  stranger(): string;
  /** A frame that is no market data. */
  heartbeat(): string;
}

/** A feed, its venue, and a desk that applies what the feed tells. */
export class Session {
  readonly port = new ScriptedPort();
  readonly instruments = new InstrumentTable(8);
  readonly out = new EventBatch(512, 16_384);
  readonly books = new Map<number, L2Book>();
  readonly live = new Set<string>();
  readonly feed: Feed;
  readonly venue: FakeVenue;
  /** Statuses as `symbol state reason`, in order. */
  log: string[] = [];
  kinds: number[] = [];
  timeUs = 1_000_000;
  acceptsConnections = true;
  #connects = 0;

  constructor(venue: FakeVenue, options: { readonly silenceMs?: number; readonly seed?: number } = {}) {
    this.venue = venue;
    this.feed = createFeed({
      id: 0,
      venue: venue.venue,
      subscriptions: venue.subscriptions ?? venue.symbols,
      instruments: this.instruments,
      port: this.port,
      seed: options.seed ?? 1,
      silenceMs: options.silenceMs ?? 2_000,
    });
  }

  /** Starts and serves until both instruments are live. */
  goLive(): void {
    this.feed.start(this.timeUs);
    this.service();
    for (let i = 0; i < 20 && this.live.size < 2; i += 1) {
      this.deliver(this.venue.next(0));
      this.deliver(this.venue.next(1));
      this.advance(10);
    }
    this.log = [];
    this.kinds = [];
  }

  deliver(frame: string): FrameOutcome {
    const outcome = this.feed.onFrame(frame, this.timeUs, this.out);
    this.apply();
    this.service();
    return outcome;
  }

  disconnect(): void {
    this.venue.disconnected();
    this.feed.onClose(1_006, "reset", this.timeUs, this.out);
    this.apply();
    this.service();
  }

  /** Lets time pass in steps of the timer; with `stream`, both books change every 20 ms. */
  advance(ms: number, stream = false): void {
    for (let passed = 0; passed < ms; passed += 10) {
      this.timeUs += 10_000;
      this.feed.onTimer(this.timeUs, this.out);
      this.apply();
      this.service();
      if (stream && passed % 20 === 0) {
        this.deliver(this.venue.next(0));
        this.deliver(this.venue.next(1));
      }
    }
  }

  /** The process stands still, and its timer is the first to be called thereafter. */
  stall(ms: number): void {
    this.timeUs += ms * 1_000;
    this.feed.onTimer(this.timeUs, this.out);
    this.apply();
  }

  service(): void {
    if (this.port.connects > this.#connects) {
      this.#connects = this.port.connects;
      if (this.acceptsConnections) this.feed.onOpen(this.timeUs, this.out);
      else this.feed.onClose(1_006, "refused", this.timeUs, this.out);
      this.apply();
    }
    if (this.port.disconnects.length > 0) {
      this.port.disconnects.length = 0;
      this.venue.disconnected();
    }
    this.venue.service(this);
    if (this.port.connects > this.#connects) this.service();
  }

  apply(): void {
    const { out } = this;
    for (let row = 0; row < out.count; row += 1) {
      const id = out.instrument[row];
      const { symbol } = this.instruments.get(id);
      const book = this.books.get(id) ?? new L2Book(BOOK_SHAPE.option);
      this.books.set(id, book);
      const kind = out.kind[row];
      this.kinds.push(kind);
      if (kind === EVENT.bookSnapshot) book.applySnapshot(out, row);
      else if (kind === EVENT.bookDelta) book.applyDelta(out, row);
      else if (kind === EVENT.status) {
        if (out.code[row] === FEED_STATE.live) this.live.add(symbol);
        else this.live.delete(symbol);
        this.log.push(`${symbol} ${FEED_STATE_NAMES[out.code[row]]} ${UNSOUND_NAMES[out.reason[row]]}`);
      }
    }
    out.clear();
  }

  /** Feed's book and venue's book hold the same levels. */
  agrees(index: number): boolean {
    const symbol = this.venue.symbols[index];
    const instrument = this.instruments.find(this.venue.venue, symbol);
    const book = instrument === undefined ? undefined : this.books.get(instrument.id);
    if (book === undefined) return false;
    return this.venue.books[index].sides.every((levels, side) => {
      if (book.levels(side) !== levels.size) return false;
      return [...levels].every(([price, size]) => book.sizeAt(side, price) === size);
    });
  }
}
