import { type DecimalStep, stepsToDecimal } from "../../core/decimal.ts";
import { Subscriptions } from "../protocol/subscriptions.ts";
import { answerControl, type VenueControl } from "../protocol/venue-control.ts";
import {
  type HttpAnswer,
  type VenueClient,
  type VenueHandler,
  VenueServer,
  type VenueServerOptions,
} from "../protocol/venue-server.ts";
import { type LevelChange, LevelChanges } from "./level-changes.ts";
import type { SpotListener, SpotOrder, SpotOrders } from "./orders.ts";

const CHANNELS_MAX = 64;

/** How a spot venue spells what it is asked, and on which grid it trades. */
export interface SpotDialect {
  readonly control: VenueControl;
  readonly tick: DecimalStep;
  readonly lot: DecimalStep;
  /** Whether a channel may be subscribed to. */
  readonly has: (channel: string) => boolean;
}

/** A server of one instrument over a simulated market by order. A venue adds what it tells of the market and its REST calls. */
export abstract class SpotVenue implements VenueHandler, SpotListener {
  readonly server: VenueServer;
  protected readonly market: SpotOrders;
  protected readonly subscriptions = new Subscriptions<VenueClient>(CHANNELS_MAX);
  readonly #dialect: SpotDialect;

  /** @throws KeelError when the port cannot be had. */
  constructor(market: SpotOrders, dialect: SpotDialect, options: VenueServerOptions) {
    this.market = market;
    this.#dialect = dialect;
    this.server = new VenueServer(options, this);
    new LevelChanges(market, (changes) => this.tellLevels(changes));
    market.listen(this);
  }

  accepts(url: URL): boolean {
    return this.#dialect.control.accepts(url);
  }

  onOpen(_client: VenueClient): void {}

  onMessage(client: VenueClient, text: string): void {
    const { control, has } = this.#dialect;
    const begun = answerControl(control, text, {
      subscribe: (channel) => has(channel) && this.subscriptions.add(client, channel),
      unsubscribe: (channel) => this.subscriptions.remove(client, channel),
      list: () => this.subscriptions.channels(client),
      reply: (answer) => client.control(answer),
    });
    for (const channel of begun) this.begin(client, channel);
  }

  onClose(client: VenueClient): void {
    this.subscriptions.drop(client);
  }

  abstract onRequest(url: URL): HttpAnswer;

  received(_order: SpotOrder): void {}

  opened(_order: SpotOrder): void {}

  abstract matched(maker: SpotOrder, taker: SpotOrder, lots: number): void;

  changed(_order: SpotOrder, _oldLots: number): void {}

  done(_order: SpotOrder, _reason: "filled" | "canceled", _rested: boolean): void {}

  abstract flushed(timeUs: number): void;

  /** Levels that a batch of the market's actions has changed. */
  protected abstract tellLevels(changes: readonly LevelChange[]): void;

  /** A client has subscribed: what it is sent first. */
  protected begin(_client: VenueClient, _channel: string): void {}

  /** Prices and sizes of a side as they travel, the best first. */
  protected levels(side: 0 | 1): [price: string, size: string][] {
    return this.market
      .prices(side)
      .map((ticks): [string, string] => [this.price(ticks), this.size(this.market.lotsAt(side, ticks))]);
  }

  protected price(ticks: number): string {
    return stepsToDecimal(ticks, this.#dialect.tick);
  }

  protected size(lots: number): string {
    return stepsToDecimal(lots, this.#dialect.lot);
  }

  /** The market's time by RFC 3339, to the microsecond. */
  protected time(): string {
    const { timeUs } = this.market;
    const micros = String(Math.floor(timeUs % 1_000)).padStart(3, "0");
    return `${new Date(Math.floor(timeUs / 1_000)).toISOString().slice(0, -1)}${micros}Z`;
  }

  /** To all that have subscribed to a channel. */
  protected send(channel: string, text: string): void {
    for (const client of this.subscriptions.sessions(channel)) client.send(channel, text);
  }
}
