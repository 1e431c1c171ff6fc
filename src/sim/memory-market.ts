import type { FeedPort } from "../feed/feed.ts";
import { BinanceFrames } from "./binance-frames.ts";
import { exchangeInfo } from "./binance-venue.ts";
import { SimMarket } from "./market/market.ts";

const SNAPSHOT_LEVELS = 1_000;

/** Who is told what the market says. */
export interface MemoryMarketSink {
  onFeedOpen(feed: number, timeUs: number): void;
  onFrame(feed: number, text: string, timeUs: number): void;
  onFeedResponse(
    feed: number,
    request: number,
    status: number,
    body: string,
    retryAfterMs: number,
    timeUs: number,
  ): void;
}

/**
 * The simulated BTCUSDT of Binance USD-M for one feed in the same process, without sockets and clocks: the feed's port on
 * one side, Binance's frames on the other. Time passes when it is told to.
 */
export class MemoryMarket implements FeedPort {
  readonly market: SimMarket;
  /** Frames are withheld while set; what is withheld is lost. */
  muted = false;
  /** Rewrites a frame on its way. */
  alter: ((frame: string) => string) | null = null;
  readonly #frames: BinanceFrames;
  readonly #due: (() => void)[] = [];
  #streams = new Set<string>();
  #sink: MemoryMarketSink | null = null;
  #timeUs: number;

  constructor(seed: number, startUs: number) {
    this.#timeUs = startUs;
    this.market = new SimMarket({ seed, startUs });
    this.#frames = new BinanceFrames(
      this.market,
      {
        wanted: (channel) => this.#streams.has(channel),
        emit: (channel, data) => this.#emit(channel, data),
      },
      seed,
    );
  }

  get timeUs(): number {
    return this.#timeUs;
  }

  /** Lets time pass up to `toUs` and delivers what happens meanwhile. */
  advance(toUs: number, sink: MemoryMarketSink): void {
    this.#sink = sink;
    this.#timeUs = toUs;
    this.market.advance(toUs);
    for (let call = this.#due.shift(); call !== undefined; call = this.#due.shift()) call();
  }

  connect(feed: number): void {
    this.#due.push(() => this.#sink?.onFeedOpen(feed, this.#timeUs));
  }

  send(feed: number, text: string): void {
    const { method, params, id } = JSON.parse(text) as { method: string; params: string[]; id: number };
    if (method === "SUBSCRIBE") this.#streams = new Set([...this.#streams, ...params]);
    const answer = JSON.stringify({ result: null, id });
    this.#due.push(() => this.#sink?.onFrame(feed, answer, this.#timeUs));
  }

  disconnect(): void {
    this.#streams.clear();
  }

  request(feed: number, request: number, path: string): void {
    const body = this.#answer(path);
    this.#due.push(() => this.#sink?.onFeedResponse(feed, request, 200, body, Number.NaN, this.#timeUs));
  }

  #answer(path: string): string {
    if (path.includes("exchangeInfo")) {
      return JSON.stringify(exchangeInfo(Math.floor(this.#timeUs / 1_000), this.#frames.symbol));
    }
    return path.includes("premiumIndex")
      ? this.#frames.premiumIndex()
      : this.#frames.snapshot(SNAPSHOT_LEVELS);
  }

  #emit(channel: string, data: string): void {
    if (this.muted) return;
    const frame = `{"stream":"${channel}","data":${data}}`;
    this.#sink?.onFrame(0, this.alter === null ? frame : this.alter(frame), this.#timeUs);
  }
}
