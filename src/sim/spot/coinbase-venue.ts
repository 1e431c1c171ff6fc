import { stepsToDecimal } from "../../core/decimal.ts";
import { COINBASE_CONTROL } from "../protocol/coinbase-control.ts";
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
const HEARTBEAT_US = 1_000_000;
const TICK = { mantissa: 1, scale: 2 } as const;
const LOT = { mantissa: 1, scale: 8 } as const;
const PRODUCT = "BTC-USD";
const TOPICS = ["full", "level2", "level2_batch", "matches", "ticker", "heartbeat"];
const CHANNELS = new Set(TOPICS.map((topic) => `${topic}:${PRODUCT}`));

/**
 * A Coinbase Exchange server of one product over a simulated market by order: `full` with a sequence that goes up by one with every
 * message, `level2` and `level2_batch`, `matches`, `ticker`, `heartbeat`, and the REST calls of a market data client.
 * Source: Coinbase Exchange, "WebSocket Channels".
 */
export class CoinbaseVenue implements VenueHandler, SpotListener {
  readonly server: VenueServer;
  readonly #market: SpotOrders;
  readonly #subscriptions = new Subscriptions<VenueClient>(CHANNELS_MAX);
  #sequence = 1_000;
  #tradeId = 500;
  #nextHeartbeatUs = 0;
  #lastMatch = "";

  constructor(market: SpotOrders, options: VenueServerOptions) {
    this.#market = market;
    this.server = new VenueServer(options, this);
    new LevelChanges(market, (changes) => this.#tellLevels(changes));
    market.listen(this);
  }

  accepts(url: URL): boolean {
    return COINBASE_CONTROL.accepts(url);
  }

  onOpen(): void {}

  onMessage(client: VenueClient, text: string): void {
    const begun = answerControl(COINBASE_CONTROL, text, {
      subscribe: (channel) => CHANNELS.has(channel) && this.#subscriptions.add(client, channel),
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
    switch (url.pathname) {
      case "/time":
        return { status: 200, body: JSON.stringify({ iso: this.#time(), epoch: this.#market.timeUs / 1e6 }) };
      case `/products/${PRODUCT}`:
        return { status: 200, body: JSON.stringify(PRODUCT_INFO) };
      case `/products/${PRODUCT}/book`:
        return { status: 200, body: this.#book(url.searchParams.get("level")) };
      default:
        return { status: 404, body: '{"message":"NotFound"}' };
    }
  }

  received(order: SpotOrder): void {
    this.#tellOrder("received", order, { size: size(order.lots), order_type: "limit" });
  }

  opened(order: SpotOrder): void {
    this.#tellOrder("open", order, { remaining_size: size(order.lots) });
  }

  matched(maker: SpotOrder, taker: SpotOrder, lots: number): void {
    this.#sequence += 1;
    this.#tradeId += 1;
    const match = {
      type: "match",
      trade_id: this.#tradeId,
      maker_order_id: uuidOf(maker),
      taker_order_id: uuidOf(taker),
      side: maker.side === 0 ? "buy" : "sell",
      size: size(lots),
      price: price(maker.priceTicks),
      product_id: PRODUCT,
      sequence: this.#sequence,
      time: this.#time(),
    };
    const text = JSON.stringify(match);
    this.#lastMatch = text.replace('"match"', '"last_match"');
    this.#send("full", text);
    this.#send("matches", text);
    const { price: last, time, sequence } = match;
    this.#send(
      "ticker",
      JSON.stringify({ type: "ticker", sequence, product_id: PRODUCT, price: last, time }),
    );
  }

  changed(order: SpotOrder, oldLots: number): void {
    const sizes = { new_size: size(order.lots), old_size: size(oldLots), reason: "modify_order" };
    const prices = { new_price: price(order.priceTicks), old_price: price(order.priceTicks) };
    this.#tellOrder("change", order, { ...sizes, ...prices });
  }

  done(order: SpotOrder, reason: "filled" | "canceled"): void {
    this.#tellOrder("done", order, { reason, remaining_size: size(order.lots) });
  }

  flushed(timeUs: number): void {
    if (timeUs < this.#nextHeartbeatUs) return;
    this.#nextHeartbeatUs = timeUs + HEARTBEAT_US;
    const heartbeat = { type: "heartbeat", last_trade_id: this.#tradeId, product_id: PRODUCT };
    this.#send("heartbeat", JSON.stringify({ ...heartbeat, sequence: this.#sequence, time: this.#time() }));
  }

  #begin(client: VenueClient, channel: string): void {
    if (channel.startsWith("matches:") && this.#lastMatch !== "") client.control(this.#lastMatch);
    if (!channel.startsWith("level2")) return;
    const [bids, asks] = this.#levels();
    client.send(channel, JSON.stringify({ type: "snapshot", product_id: PRODUCT, asks, bids }));
  }

  #book(level: string | null): string {
    const { timeUs } = this.#market;
    if (level !== "3") {
      const [bids, asks] = this.#levels();
      return JSON.stringify({ bids, asks, sequence: this.#sequence, time: timeUs });
    }
    const [bids, asks] = ([0, 1] as const).map((side) =>
      this.#market.orders(side).map((order) => [price(order.priceTicks), size(order.lots), uuidOf(order)]),
    );
    return JSON.stringify({ bids, asks, sequence: this.#sequence });
  }

  #levels(): [string, string][][] {
    return ([0, 1] as const).map((side) =>
      this.#market
        .prices(side)
        .map((ticks): [string, string] => [price(ticks), size(this.#market.lotsAt(side, ticks))]),
    );
  }

  #tellOrder(type: string, order: SpotOrder, fields: object): void {
    this.#sequence += 1;
    const head = { type, side: order.side === 0 ? "buy" : "sell", product_id: PRODUCT, time: this.#time() };
    const body = { sequence: this.#sequence, order_id: uuidOf(order), price: price(order.priceTicks) };
    this.#send("full", JSON.stringify({ ...head, ...body, ...fields }));
  }

  #tellLevels(levels: readonly LevelChange[]): void {
    const changes = levels.map(({ side, priceTicks, lots }) => [
      side === 0 ? "buy" : "sell",
      price(priceTicks),
      size(lots),
    ]);
    const text = JSON.stringify({ type: "l2update", product_id: PRODUCT, changes, time: this.#time() });
    this.#send("level2", text);
    this.#send("level2_batch", text);
  }

  #send(topic: string, text: string): void {
    const channel = `${topic}:${PRODUCT}`;
    for (const client of this.#subscriptions.sessions(channel)) client.send(channel, text);
  }

  #time(): string {
    const { timeUs } = this.#market;
    const micros = String(Math.floor(timeUs % 1_000)).padStart(3, "0");
    return `${new Date(Math.floor(timeUs / 1_000)).toISOString().slice(0, -1)}${micros}Z`;
  }
}

const PRODUCT_INFO = {
  id: PRODUCT,
  base_currency: "BTC",
  quote_currency: "USD",
  quote_increment: "0.01",
  base_increment: "0.00000001",
  display_name: "BTC/USD",
  min_market_funds: "1",
  status: "online",
  trading_disabled: false,
};

function price(ticks: number): string {
  return stepsToDecimal(ticks, TICK);
}

function size(lots: number): string {
  return stepsToDecimal(lots, LOT);
}

function uuidOf({ number }: SpotOrder): string {
  return `6a1f0b52-3c4d-4e5f-8a9b-${number.toString(16).padStart(12, "0")}`;
}
