/**
 * A capture played to a feed in the same process, without sockets: the same protocol code as {@link CaptureVenue}, for
 * benchmarks and backtests, where time is the recording's.
 *
 * @module
 */
import { type CaptureEntry, CaptureReader, captureFiles } from "../feed/capture.ts";
import type { FeedPort } from "../feed/feed.ts";
import { VENUE_ENTRIES } from "../feed/venues.ts";
import type { VenueName } from "../market/instrument.ts";
import { BinanceCapture } from "./capture/binance.ts";
import { ChannelsCapture } from "./capture/channels.ts";
import { CaptureClient } from "./capture/client.ts";
import { DeribitCapture } from "./capture/deribit.ts";
import { describeInstruments } from "./capture/deribit-instruments.ts";
import { captureDialect } from "./capture/dialects.ts";
import type { CaptureAnswer, CaptureHost, CaptureProtocol } from "./capture/protocol.ts";
import { type CaptureScan, scanCapture } from "./capture/scan.ts";

/** What reaches the consumer; the times are the recording's local times, µs. */
export interface MemoryVenueSink {
  onOpen(feed: number, timeUs: number): void;
  onFrame(feed: number, text: string, timeUs: number): void;
  onResponse(feed: number, request: number, status: number, body: string, timeUs: number): void;
}

/** Serves one feed. Give it to the feed as its port, start the feed, then call {@link play}. */
export class MemoryVenue implements FeedPort {
  readonly scan: CaptureScan;
  readonly #files: readonly string[];
  readonly #makeProtocol: (host: CaptureHost) => CaptureProtocol;
  readonly #protocol: CaptureProtocol;
  #sink: MemoryVenueSink | null = null;
  #client: CaptureClient | null = null;
  #feed = 0;
  #timeUs: number;
  /** Calls to the sink that wait for the feed's own call to end. */
  readonly #due: (() => void)[] = [];
  #unanswered = 0;

  /** @throws BadInputError when the capture cannot be served. */
  static async open(capture: string): Promise<MemoryVenue> {
    const files = captureFiles(capture);
    const scan = await scanCapture(files);
    const instruments =
      scan.venue === "deribit" ? await describeInstruments(scan, files[0] ?? "", undefined) : null;
    return new MemoryVenue(files, scan, (host) => {
      // What a dialect remembers is of one playing.
      const dialect = captureDialect(scan.venue);
      if (dialect !== null) return new ChannelsCapture(scan, dialect, host);
      return instruments === null
        ? new BinanceCapture(scan, host)
        : new DeribitCapture(scan, instruments, host);
    });
  }

  private constructor(
    files: readonly string[],
    scan: CaptureScan,
    protocol: (host: CaptureHost) => CaptureProtocol,
  ) {
    this.#files = files;
    this.scan = scan;
    this.#timeUs = scan.firstUs;
    this.#makeProtocol = protocol;
    this.#protocol = protocol({
      deliver: (_channel, _text, clients, shape) => {
        for (const client of clients) this.#sink?.onFrame(this.#feed, shape(client), this.#timeUs);
      },
      reply: (_client, text) => this.#due.push(() => this.#sink?.onFrame(this.#feed, text, this.#timeUs)),
      listening: () => {},
      caughtUp: () => null,
      answering: () => {},
      wallUs: () => this.#timeUs,
    });
  }

  get venue(): VenueName {
    return this.scan.venue;
  }

  connect(feed: number): void {
    this.#feed = feed;
    this.#due.push(() => {
      const { webSocketPath } = VENUE_ENTRIES[this.venue];
      this.#client = new CaptureClient(new URL(`ws://capture${webSocketPath}`), false);
      this.#protocol.open(this.#client);
      this.#sink?.onOpen(feed, this.#timeUs);
    });
  }

  send(_feed: number, text: string): void {
    const client = this.#client;
    if (client !== null) this.#protocol.message(client, text);
  }

  disconnect(_feed: number, _reason: string): void {
    if (this.#client !== null) this.#protocol.close(this.#client);
    this.#client = null;
  }

  request(feed: number, request: number, path: string): void {
    const answer = this.#protocol.request(new URL(`http://capture${path}`));
    const deliver = ({ status, body }: CaptureAnswer): void => {
      this.#due.push(() => this.#sink?.onResponse(feed, request, status, body, this.#timeUs));
    };
    if (answer === null) deliver({ status: 404, body: "" });
    else if (answer instanceof Promise) {
      this.#unanswered += 1;
      void answer.then((late) => {
        this.#unanswered -= 1;
        deliver(late);
      });
    } else deliver(answer);
  }

  /** What everything in the capture is heard by, as written in `KEEL_FEEDS` after the venue. */
  get subscriptions(): string[] {
    const { channels, dialect } = this.scan;
    if (dialect !== null) {
      const books = [...channels].filter((channel) => dialect.isBook(channel));
      const byOrder = books.filter((channel) => /^(?:full:|live_orders_)/.test(channel));
      const named = byOrder.map((channel) => dialect.symbolOf(channel));
      const byLevel = books
        .map((channel) => dialect.symbolOf(channel))
        .filter((each) => !named.includes(each));
      return [...byLevel, ...named.map((symbol) => `orders:${symbol}`)];
    }
    if (this.venue === "deribit") {
      const bases = [...channels].map((channel) => channel.split(".")[1]?.split("-")[0] ?? "");
      return [...new Set(bases.filter((base) => base !== ""))].map((base) => `options:${base}`);
    }
    return [...new Set([...channels].map((stream) => (stream.split("@")[0] ?? "").toUpperCase()))];
  }

  /** Another server of the same capture, at its beginning. */
  twin(): MemoryVenue {
    return new MemoryVenue(this.#files, this.scan, this.#makeProtocol);
  }

  /**
   * Plays the whole capture.
   *
   * @param before called before each entry with its time, for whatever else is due by then (timers)
   * @param after awaited after each entry, for results of an asynchronous engine; left out where there is none
   */
  async play(
    sink: MemoryVenueSink,
    before: (timeUs: number) => void = () => {},
    after?: (timeUs: number) => Promise<void> | null,
  ): Promise<void> {
    await this.begin(sink);
    for await (const entries of this.entries()) {
      for (const entry of entries) {
        before(Math.max(this.#timeUs, entry.timeUs));
        this.#step(entry);
        const late = after?.(this.#timeUs);
        if (late) await late;
        if (this.#unsettled) await this.#settle();
      }
    }
    await this.finish();
  }

  /** Entries of the capture's files in order, in batches. */
  async *entries(): AsyncGenerator<readonly CaptureEntry[]> {
    for (const file of this.#files) yield* new CaptureReader(file).batches();
  }

  /** From now on `sink` hears what the venue says. For those who play the entries themselves, by {@link take}. */
  begin(sink: MemoryVenueSink): Promise<void> {
    this.#sink = sink;
    return this.#settle();
  }

  /** Plays one entry. @returns null when all that it caused has been said; else what is to be awaited before the next one */
  take(entry: CaptureEntry): Promise<void> | null {
    this.#step(entry);
    return this.#unsettled ? this.#settle() : null;
  }

  /** The capture is at its end: what still waits is answered. */
  finish(): Promise<void> {
    this.#protocol.ended();
    return this.#settle();
  }

  get #unsettled(): boolean {
    return this.#unanswered > 0 || this.#due.length > 0;
  }

  #step(entry: CaptureEntry): void {
    this.#timeUs = Math.max(this.#timeUs, entry.timeUs);
    this.#protocol.play(entry);
  }

  /** Lets answers that are there arrive, and what they cause. */
  async #settle(): Promise<void> {
    do {
      for (let call = this.#due.shift(); call !== undefined; call = this.#due.shift()) call();
      await Promise.resolve();
      await Promise.resolve();
    } while (this.#due.length > 0);
  }
}
