import { type BothSides, DepthWindow } from "./depth-window.ts";
import type { Actor } from "./market/event-queue.ts";
import { SIM } from "./market/instruments.ts";
import type { SimMarket } from "./market/market.ts";
import type { MarketSink } from "./market/market-sink.ts";
import { Subscriptions } from "./protocol/subscriptions.ts";
import { answerControl, type VenueControl } from "./protocol/venue-control.ts";
import {
  type HttpAnswer,
  type VenueClient,
  type VenueHandler,
  VenueServer,
  type VenueServerOptions,
} from "./protocol/venue-server.ts";

const KIND = { book: 0, ticker: 1 } as const;
const BOOK_US = 50_000;
const TICKER_US = 500_000;
const CHANNELS_MAX = 1_024;

export interface SimTrade {
  readonly side: number;
  readonly priceTicks: number;
  readonly lots: number;
}

/** How a venue of channels spells what it is asked and what it tells. Channels are named by a text of the dialect's own. */
export interface ChannelDialect {
  readonly control: VenueControl;
  readonly bookChannel: string;
  readonly tradeChannel: string;
  /** Levels a side of the book channel. */
  readonly depth: number;
  /** A book message; `whole` gives it as a snapshot at the last sequence, others count on. */
  book(levels: BothSides, whole: boolean, timeMs: number): string;
  trades(trades: readonly SimTrade[], timeMs: number): string;
  /** Ticker messages that are due, by channel. */
  tickers(market: SimMarket, timeMs: number): readonly (readonly [channel: string, text: string])[];
  request(url: URL, timeMs: number): HttpAnswer;
}

/**
 * A server over the simulated perpetual that speaks one dialect of "subscribe to channels": WebSocket with a snapshot on
 * subscription, changes and trades as they come, and the REST calls that list instruments.
 */
export class ChannelVenue implements VenueHandler, MarketSink, Actor {
  readonly server: VenueServer;
  readonly #market: SimMarket;
  readonly #dialect: ChannelDialect;
  readonly #window: DepthWindow;
  readonly #subscriptions = new Subscriptions<VenueClient>(CHANNELS_MAX);
  readonly #actor: number;
  #trades: SimTrade[] = [];

  /** @throws KeelError when the port cannot be had. */
  constructor(market: SimMarket, dialect: ChannelDialect, options: VenueServerOptions) {
    this.#market = market;
    this.#dialect = dialect;
    this.#window = new DepthWindow(market.leader.book, dialect.depth);
    market.addSink(this);
    this.#actor = market.queue.register(this);
    market.queue.schedule(this.#actor, KIND.book, 0, BOOK_US);
    market.queue.schedule(this.#actor, KIND.ticker, 0, TICKER_US);
    this.server = new VenueServer(options, this);
  }

  accepts(url: URL): boolean {
    return this.#dialect.control.accepts(url);
  }

  onOpen(): void {}

  onMessage(client: VenueClient, text: string): void {
    const begun = answerControl(this.#dialect.control, text, {
      subscribe: (channel) => this.#subscriptions.add(client, channel),
      unsubscribe: (channel) => this.#subscriptions.remove(client, channel),
      list: () => this.#subscriptions.channels(client),
      reply: (answer) => client.control(answer),
    });
    for (const channel of begun) this.#begin(client, channel);
  }

  onClose(client: VenueClient): void {
    this.#subscriptions.drop(client);
  }

  onRequest(url: URL): HttpAnswer {
    return this.#dialect.request(url, this.#timeMs());
  }

  onLevel(): void {}

  onTrade(instrument: number, side: number, priceTicks: number, lots: number): void {
    if (instrument === SIM.binanceBtc) this.#trades.push({ side, priceTicks, lots });
  }

  onTurn(): void {
    if (this.#trades.length === 0) return;
    const trades = this.#trades;
    this.#trades = [];
    const { tradeChannel } = this.#dialect;
    if (this.#subscriptions.wanted(tradeChannel))
      this.#emit(tradeChannel, this.#dialect.trades(trades, this.#timeMs()));
  }

  act(kind: number): void {
    if (kind === KIND.ticker) {
      this.#market.queue.schedule(this.#actor, KIND.ticker, 0, TICKER_US);
      for (const [channel, text] of this.#dialect.tickers(this.#market, this.#timeMs()))
        this.#emit(channel, text);
      return;
    }
    this.#market.queue.schedule(this.#actor, KIND.book, 0, BOOK_US);
    const changes = this.#window.advance();
    if (changes !== null)
      this.#emit(this.#dialect.bookChannel, this.#dialect.book(changes, false, this.#timeMs()));
  }

  #begin(client: VenueClient, channel: string): void {
    if (channel !== this.#dialect.bookChannel) return;
    client.send(channel, this.#dialect.book(this.#window.shown, true, this.#timeMs()));
  }

  #emit(channel: string, text: string): void {
    for (const client of this.#subscriptions.sessions(channel)) client.send(channel, text);
  }

  #timeMs(): number {
    return Math.floor(this.#market.timeUs / 1_000);
  }
}
