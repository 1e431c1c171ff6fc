import type { FeedPort } from "../feed/feed.ts";
import { DeribitFrames } from "./deribit-frames.ts";
import { deribitInstruments } from "./deribit-instruments.ts";
import { SimMarket } from "./market/market.ts";
import { type DeribitBackend, DeribitSession } from "./protocol/deribit-session.ts";
import { channelFrame } from "./protocol/json-rpc.ts";

/** Who is told what the venue says. */
export interface MemoryDeribitSink {
  onFeedOpen(feed: number, timeUs: number): void;
  onFrame(feed: number, text: string, timeUs: number): void;
}

/**
 * The simulated Deribit, perpetual and option chain, for one feed in the same process, without sockets and clocks: the feed's port
 * on one side, Deribit's frames on the other. Time passes when it is told to.
 */
export class MemoryDeribit implements FeedPort, DeribitBackend<DeribitSession> {
  readonly market: SimMarket;
  readonly #frames: DeribitFrames;
  readonly #session = new DeribitSession(this);
  readonly #due: (() => void)[] = [];
  readonly #channels = new Set<string>();
  /** Channels whose first frame is due after the answer now being written. */
  readonly #begun: string[] = [];
  #sink: MemoryDeribitSink | null = null;
  #timeUs: number;

  constructor(seed: number, startUs: number) {
    this.#timeUs = startUs;
    this.market = new SimMarket({ seed, startUs });
    this.#frames = new DeribitFrames(
      this.market,
      {
        wanted: (channel) => this.#channels.has(channel),
        emit: (channel, data) => this.#sink?.onFrame(0, channelFrame(channel, data), this.#timeUs),
      },
      seed,
    );
  }

  timeUs(): number {
    return this.#timeUs;
  }

  /** Lets time pass up to `toUs` and delivers what happens meanwhile. */
  advance(toUs: number, sink: MemoryDeribitSink): void {
    this.#sink = sink;
    this.#timeUs = toUs;
    this.market.advance(toUs);
    this.#session.onTimer(toUs, (text) => sink.onFrame(0, text, toUs));
    for (let call = this.#due.shift(); call !== undefined; call = this.#due.shift()) call();
  }

  connect(feed: number): void {
    this.#due.push(() => this.#sink?.onFeedOpen(feed, this.#timeUs));
  }

  send(feed: number, text: string): void {
    this.#due.push(() => {
      const answer = this.#session.onMessage(text, this.#timeUs);
      if (answer !== null) this.#sink?.onFrame(feed, answer, this.#timeUs);
      for (const channel of this.#begun.splice(0)) {
        this.#channels.add(channel);
        const first = this.#frames.first(channel);
        if (first !== null) this.#sink?.onFrame(feed, channelFrame(channel, first), this.#timeUs);
      }
    });
  }

  disconnect(): void {
    this.#channels.clear();
  }

  /** Deribit is asked nothing over HTTP. */
  request(): void {}

  instruments(currency: string, kind: string | undefined): readonly unknown[] | null {
    return deribitInstruments(this.market, currency, kind);
  }

  subscribe(_session: DeribitSession, channel: string): boolean {
    if (!this.#frames.has(channel)) return false;
    if (!this.#channels.has(channel)) this.#begun.push(channel);
    return true;
  }

  unsubscribe(_session: DeribitSession, channel: string): boolean {
    return this.#channels.delete(channel);
  }

  channels(): string[] {
    return [...this.#channels];
  }
}
