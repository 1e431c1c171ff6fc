import { stepsToDecimal } from "../../core/decimal.ts";
import { BITSTAMP_CONTROL } from "../protocol/bitstamp-control.ts";
import { Subscriptions } from "../protocol/subscriptions.ts";
import { answerControl } from "../protocol/venue-control.ts";
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
const FULL_BOOK_LEVELS = 100;
/** A full book goes out with every so many batches of changes. */
const FULL_BOOK_EVERY = 4;
const TICK = { mantissa: 1, scale: 2 } as const;
const LOT = { mantissa: 1, scale: 8 } as const;
const SYMBOL = "btcusd";

/**
 * A Bitstamp server of one market over a simulated market by order: `live_orders`, `diff_order_book`, `order_book`, `live_trades`, and the REST
 * order book with and without ids. Nothing has a sequence number; `microtimestamp` is the market's time, later with every message.
 * Source: Bitstamp WebSocket API v2.
 */
export class BitstampVenue implements VenueHandler, SpotListener {
  readonly server: VenueServer;
  readonly #market: SpotOrders;
  readonly #subscriptions = new Subscriptions<VenueClient>(CHANNELS_MAX);
  /** Time of the last message, µs. */
  #timeUs = 0;
  #tradeId = 0;
  #batches = 0;

  constructor(market: SpotOrders, options: VenueServerOptions) {
    this.#market = market;
    this.server = new VenueServer(options, this);
    new LevelChanges(market, (changes) => this.#tellLevels(changes));
    market.listen(this);
  }

  accepts(url: URL): boolean {
    return BITSTAMP_CONTROL.accepts(url);
  }

  onOpen(): void {}

  onMessage(client: VenueClient, text: string): void {
    answerControl(BITSTAMP_CONTROL, text, {
      subscribe: (channel) => channel.endsWith(`_${SYMBOL}`) && this.#subscriptions.add(client, channel),
      unsubscribe: (channel) => this.#subscriptions.remove(client, channel),
      list: () => this.#subscriptions.channels(client),
      reply: (answer) => client.control(answer),
    });
  }

  onClose(client: VenueClient): void {
    this.#subscriptions.drop(client);
  }

  onRequest(url: URL): HttpAnswer {
    if (url.pathname === "/api/v2/markets/") return { status: 200, body: JSON.stringify([MARKET]) };
    if (url.pathname !== `/api/v2/order_book/${SYMBOL}/`) return { status: 404, body: '{"code":"404.001"}' };
    const group = url.searchParams.get("group");
    const [bids, asks] = ([0, 1] as const).map((side) =>
      group === "2"
        ? this.#market
            .orders(side)
            .map(({ priceTicks, lots, number }) => [price(priceTicks), size(lots), String(number)])
        : this.#levels(side),
    );
    return { status: 200, body: JSON.stringify({ ...this.#stamps(), bids, asks }) };
  }

  received(): void {}

  opened(order: SpotOrder): void {
    this.#tellOrder("order_created", order);
  }

  matched(maker: SpotOrder, taker: SpotOrder, lots: number): void {
    this.#tradeId += 1;
    if (maker.lots > 0) this.#tellOrder("order_changed", maker);
    this.#pass();
    this.#send("live_trades", "trade", {
      id: this.#tradeId,
      amount: Number(size(lots)),
      amount_str: size(lots),
      price: Number(price(maker.priceTicks)),
      price_str: price(maker.priceTicks),
      type: taker.side,
      ...this.#stamps(),
    });
  }

  changed(order: SpotOrder): void {
    this.#tellOrder("order_changed", order);
  }

  done(order: SpotOrder, _reason: string, rested: boolean): void {
    if (rested) this.#tellOrder("order_deleted", order);
  }

  flushed(): void {
    this.#batches += 1;
    if (this.#batches % FULL_BOOK_EVERY !== 0) return;
    const [bids, asks] = ([0, 1] as const).map((side) => this.#levels(side).slice(0, FULL_BOOK_LEVELS));
    this.#send("order_book", "data", { ...this.#stamps(), bids, asks });
  }

  #tellOrder(event: string, order: SpotOrder): void {
    this.#pass();
    this.#send("live_orders", event, {
      id: order.number,
      id_str: String(order.number),
      order_type: order.side,
      amount: Number(size(order.lots)),
      amount_str: size(order.lots),
      price: Number(price(order.priceTicks)),
      price_str: price(order.priceTicks),
      ...this.#stamps(),
    });
  }

  #tellLevels(changes: readonly LevelChange[]): void {
    this.#pass();
    const [bids, asks] = ([0, 1] as const).map((side) =>
      changes
        .filter((change) => change.side === side)
        .map((change) => [price(change.priceTicks), size(change.lots)]),
    );
    this.#send("diff_order_book", "data", { ...this.#stamps(), bids, asks });
  }

  /** No two messages have the same time. */
  #pass(): void {
    this.#timeUs = Math.max(this.#timeUs + 1, Math.floor(this.#market.timeUs));
  }

  #stamps(): { readonly timestamp: string; readonly microtimestamp: string } {
    return { timestamp: String(Math.floor(this.#timeUs / 1e6)), microtimestamp: String(this.#timeUs) };
  }

  #levels(side: 0 | 1): [string, string][] {
    return this.#market
      .prices(side)
      .map((ticks): [string, string] => [price(ticks), size(this.#market.lotsAt(side, ticks))]);
  }

  #send(topic: string, event: string, data: object): void {
    const channel = `${topic}_${SYMBOL}`;
    let text: string | null = null;
    for (const client of this.#subscriptions.sessions(channel)) {
      text ??= JSON.stringify({ data, channel, event });
      client.send(channel, text);
    }
  }
}

const MARKET = {
  name: "BTC/USD",
  market_symbol: SYMBOL,
  market_type: "SPOT",
  base_currency: "BTC",
  base_decimals: 8,
  counter_currency: "USD",
  counter_decimals: 2,
  minimum_order_value: "10",
  trading: "Enabled",
};

function price(ticks: number): string {
  return stepsToDecimal(ticks, TICK);
}

function size(lots: number): string {
  return stepsToDecimal(lots, LOT);
}
