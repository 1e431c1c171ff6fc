import type { Feed } from "../../src/feed/feed.ts";
import { FRAME } from "../../src/feed/feed.ts";
import { LiveFeedPort } from "../../src/feed/live-port.ts";
import { createFeed, endpointAt } from "../../src/feed/registry.ts";
import { EVENT, EventBatch, FEED_STATE, UNSOUND } from "../../src/market/event-batch.ts";
import { type Instrument, InstrumentTable, type VenueName } from "../../src/market/instrument.ts";
import { BOOK_SHAPE, L2Book } from "../../src/market/l2-book.ts";
import { CaptureVenue } from "../../src/sim/capture-venue.ts";
import { ReferenceBook } from "../feed/reference-book.ts";

/** What a message does to books, as read by somebody who knows the venue's words and nothing of keel. */
export interface NaiveChange {
  readonly symbol: string;
  /** The message is the whole book. */
  readonly whole: boolean;
  /** Side 0 = bids; price and size as numbers; a size of 0 takes the level away. */
  readonly levels: readonly (readonly [side: number, price: number, size: number])[];
  /** Where the venue numbers its messages. */
  readonly sequence?: number;
  readonly top?: {
    readonly bid: number;
    readonly bidSize: number;
    readonly ask: number;
    readonly askSize: number;
  };
}

export interface NaiveReader {
  read(frame: string): NaiveChange | null;
  /** A REST answer that a book begins with. */
  readAnswer?(symbol: string, body: string): NaiveChange | null;
  /** A change that ends at the answer's sequence is applied to it as well. */
  readonly joinsAtSequence?: boolean;
  /** Levels a side beyond which the venue tells no more. */
  readonly depth?: number;
}

export interface Tally {
  compared: number;
  differences: string[];
  readonly live: Set<string>;
  frames: number;
  ignored: number;
  bad: number;
}

const CAPACITY = 64;

/** keel's own feed on a capture that is served as the venue itself, held against a naive book at every message. */
export class ServedCapture {
  readonly tally: Tally = { compared: 0, differences: [], live: new Set(), frames: 0, ignored: 0, bad: 0 };
  readonly feed: Feed;
  readonly #reader: NaiveReader;
  readonly #instruments = new InstrumentTable(CAPACITY);
  readonly #out = new EventBatch(4_096, 1 << 17);
  readonly #port: LiveFeedPort;
  readonly #books = new Map<number, L2Book>();
  readonly #references = new Map<string, ReferenceBook>();
  /** Changes since the subscription, for books that begin with a REST answer. */
  readonly #kept = new Map<string, NaiveChange[]>();
  readonly #asked = new Map<number, string>();
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(venue: CaptureVenue, name: VenueName, subscriptions: readonly string[], reader: NaiveReader) {
    this.#reader = reader;
    const live = new LiveFeedPort({
      endpoints: new Map([[0, endpointAt(name, venue.url)]]),
      callbacks: {
        onOpen: () => this.#turn((nowUs) => this.feed.onOpen(nowUs, this.#out)),
        onFrame: (_feed, text) => this.#onFrame(text),
        onClose: (_feed, code, reason) =>
          this.#turn((nowUs) => this.feed.onClose(code, reason, nowUs, this.#out)),
        onResponse: (_feed, request, status, body, retryAfterMs) => {
          this.#onAnswer(request, status, body);
          this.#turn((nowUs) => this.feed.onResponse(request, status, body, retryAfterMs, nowUs, this.#out));
          this.#compareAll();
        },
      },
    });
    this.#port = live;
    this.feed = createFeed({
      id: 0,
      venue: name,
      subscriptions,
      instruments: this.#instruments,
      port: {
        connect: (feed) => live.connect(feed),
        send: (feed, text) => live.send(feed, text),
        disconnect: (feed, reason) => live.disconnect(feed, reason),
        request: (feed, request, path) => {
          this.#asked.set(request, path);
          live.request(feed, request, path);
        },
      },
      seed: 1,
      silenceMs: 60_000,
    });
    this.feed.start(Date.now() * 1_000);
    this.#timer = setInterval(() => this.#turn((nowUs) => this.feed.onTimer(nowUs, this.#out)), 5);
  }

  /** The book of an instrument, as a desk would have it. */
  book(symbol: string): L2Book | undefined {
    const instrument = this.#instrument(symbol);
    return instrument === undefined ? undefined : this.#books.get(instrument.id);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#port.close();
  }

  #onFrame(text: string): void {
    const change = this.#reader.read(text);
    if (change !== null) this.#change(change);
    const outcome = this.#turn((nowUs) => this.feed.onFrame(text, nowUs, this.#out));
    this.tally.frames += 1;
    if (outcome === FRAME.ignored) this.tally.ignored += 1;
    else if (outcome !== FRAME.ok && outcome !== FRAME.control) this.tally.bad += 1;
    if (change !== null && this.#compare(change.symbol)) this.tally.compared += 1;
  }

  #change(change: NaiveChange): void {
    const { symbol } = change;
    const mayPrecedeAnswer = this.#reader.readAnswer !== undefined && !this.tally.live.has(symbol);
    // Best prices are told only of a live book.
    if (mayPrecedeAnswer && change.top !== undefined) return;
    if (mayPrecedeAnswer) this.#kept.set(symbol, [...(this.#kept.get(symbol) ?? []), change]);
    const reference = this.#references.get(symbol);
    const isOld = mayPrecedeAnswer && (reference === undefined || !this.#isNewer(change, reference.sequence));
    if (!isOld) this.#apply(symbol, change);
  }

  #isNewer({ sequence = 0 }: NaiveChange, than: number): boolean {
    return this.#reader.joinsAtSequence === true ? sequence >= than : sequence > than;
  }

  #onAnswer(request: number, status: number, body: string): void {
    const path = this.#asked.get(request) ?? "";
    const change = status === 200 ? (this.#reader.readAnswer?.(path, body) ?? null) : null;
    if (change === null || this.tally.live.has(change.symbol)) return;
    const { symbol, sequence = 0 } = change;
    this.#references.delete(symbol);
    this.#apply(symbol, change);
    for (const kept of this.#kept.get(symbol) ?? []) {
      if (this.#isNewer(kept, sequence)) this.#apply(symbol, kept);
    }
  }

  #apply(symbol: string, change: NaiveChange): void {
    const instrument = this.#instrument(symbol);
    if (instrument === undefined) return;
    const { tick, lot } = instrument;
    const ticks = (price: number): number => Math.round((price * 10 ** tick.scale) / tick.mantissa);
    const lots = (size: number): number => {
      const exact = (size * 10 ** lot.scale) / lot.mantissa;
      return Math.abs(exact - Math.round(exact)) < 1e-6 + exact * 1e-12 ? Math.round(exact) : exact;
    };
    const reference = this.#references.get(symbol) ?? new ReferenceBook();
    this.#references.set(symbol, reference);
    if (change.whole) reference.clear();
    for (const [side, price, size] of change.levels) {
      if (ticks(price) < 2 ** 31 - 1) reference.sides[side === 0 ? 0 : 1].set(ticks(price), lots(size));
    }
    const { top, sequence } = change;
    if (top === undefined) reference.sequence = sequence ?? Number.NaN;
    else if (sequence !== undefined) {
      const { bid, bidSize, ask, askSize } = top;
      reference.top = {
        sequence,
        bid: ticks(bid),
        bidSize: lots(bidSize),
        ask: ticks(ask),
        askSize: lots(askSize),
      };
    }
    const depth = this.#reader.depth ?? Number.POSITIVE_INFINITY;
    for (const side of reference.sides) {
      while (side.prices.length > depth) side.set(side.prices[side.prices.length - 1] ?? 0, 0);
    }
  }

  #compareAll(): void {
    for (const symbol of this.#references.keys()) this.#compare(symbol);
  }

  /** @returns whether there is a live book to compare */
  #compare(symbol: string): boolean {
    const { tally } = this;
    const instrument = this.#instrument(symbol);
    if (instrument === undefined || !tally.live.has(symbol)) return false;
    const book = this.#books.get(instrument.id);
    const difference =
      book === undefined ? "no book" : (this.#references.get(symbol)?.difference(book) ?? "no reference");
    if (difference !== "" && tally.differences.length < 5)
      tally.differences.push(`${symbol} after ${tally.frames}: ${difference}`);
    return true;
  }

  #instrument(symbol: string): Instrument | undefined {
    return this.feed.carried.find((carried) => carried.symbol === symbol);
  }

  #turn<T>(act: (nowUs: number) => T): T {
    const out = this.#out;
    out.clear();
    const nowUs = Date.now() * 1_000;
    const result = act(nowUs);
    for (let row = 0; row < out.count; row += 1) {
      const id = out.instrument[row] ?? 0;
      const { symbol, kind: shape } = this.#instruments.get(id);
      const book = this.#books.get(id) ?? new L2Book(BOOK_SHAPE[shape]);
      this.#books.set(id, book);
      const kind = out.kind[row];
      if (kind === EVENT.bookSnapshot) book.applySnapshot(out, row);
      else if (kind === EVENT.bookDelta) book.applyDelta(out, row);
      else if (kind === EVENT.top) book.applyTop(out, row);
      else if (kind === EVENT.status) {
        if (out.code[row] === FEED_STATE.live) this.tally.live.add(symbol);
        else this.tally.live.delete(symbol);
        if (out.reason[row] !== UNSOUND.none && out.reason[row] !== UNSOUND.disconnect)
          this.tally.differences.push(`${symbol} is unsound: ${this.feed.problem}`);
      }
    }
    return result;
  }
}

/** Serves a capture at full speed to keel's feed until its end. */
export async function playThrough(
  capture: string,
  name: VenueName,
  subscriptions: readonly string[],
  reader: NaiveReader,
  prepare: (venue: CaptureVenue) => void = () => {},
): Promise<{ readonly served: ServedCapture; readonly venue: CaptureVenue }> {
  const venue = await CaptureVenue.start({ capture, speed: "max" });
  prepare(venue);
  const served = new ServedCapture(venue, name, subscriptions, reader);
  try {
    await venue.end();
    const { framesSent } = venue.summary();
    for (let i = 0, seen = -1; i < 1_000 && served.tally.frames < framesSent; i += 1) {
      // Frames on a connection that was cut never come.
      if (i % 20 === 0 && seen === served.tally.frames) break;
      if (i % 20 === 0) seen = served.tally.frames;
      await Bun.sleep(5);
    }
  } finally {
    served.stop();
    await venue.stop();
  }
  return { served, venue };
}
