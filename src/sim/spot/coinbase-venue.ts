import { COINBASE_CONTROL } from "../protocol/coinbase-control.ts";
import type { HttpAnswer, VenueClient, VenueServerOptions } from "../protocol/venue-server.ts";
import type { LevelChange } from "./level-changes.ts";
import type { SpotOrder, SpotOrders } from "./orders.ts";
import { SpotVenue } from "./spot-venue.ts";

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
export class CoinbaseVenue extends SpotVenue {
  #sequence = 1_000;
  #tradeId = 500;
  #nextHeartbeatUs = 0;
  #lastMatch = "";

  constructor(market: SpotOrders, options: VenueServerOptions) {
    const has = (channel: string): boolean => CHANNELS.has(channel);
    super(market, { control: COINBASE_CONTROL, tick: TICK, lot: LOT, has }, options);
  }

  onRequest(url: URL): HttpAnswer {
    switch (url.pathname) {
      case "/time":
        return { status: 200, body: JSON.stringify({ iso: this.time(), epoch: this.market.timeUs / 1e6 }) };
      case `/products/${PRODUCT}`:
        return { status: 200, body: JSON.stringify(PRODUCT_INFO) };
      case `/products/${PRODUCT}/book`:
        return { status: 200, body: this.#book(url.searchParams.get("level")) };
      default:
        return { status: 404, body: '{"message":"NotFound"}' };
    }
  }

  override received(order: SpotOrder): void {
    this.#tellOrder("received", order, { size: this.size(order.lots), order_type: "limit" });
  }

  override opened(order: SpotOrder): void {
    this.#tellOrder("open", order, { remaining_size: this.size(order.lots) });
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
      size: this.size(lots),
      price: this.price(maker.priceTicks),
      product_id: PRODUCT,
      sequence: this.#sequence,
      time: this.time(),
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

  override changed(order: SpotOrder, oldLots: number): void {
    const sizes = { new_size: this.size(order.lots), old_size: this.size(oldLots), reason: "modify_order" };
    const prices = { new_price: this.price(order.priceTicks), old_price: this.price(order.priceTicks) };
    this.#tellOrder("change", order, { ...sizes, ...prices });
  }

  override done(order: SpotOrder, reason: "filled" | "canceled"): void {
    this.#tellOrder("done", order, { reason, remaining_size: this.size(order.lots) });
  }

  flushed(timeUs: number): void {
    if (timeUs < this.#nextHeartbeatUs) return;
    this.#nextHeartbeatUs = timeUs + HEARTBEAT_US;
    const heartbeat = { type: "heartbeat", last_trade_id: this.#tradeId, product_id: PRODUCT };
    this.#send("heartbeat", JSON.stringify({ ...heartbeat, sequence: this.#sequence, time: this.time() }));
  }

  protected override begin(client: VenueClient, channel: string): void {
    if (channel.startsWith("matches:") && this.#lastMatch !== "") client.control(this.#lastMatch);
    if (!channel.startsWith("level2")) return;
    const [bids, asks] = [this.levels(0), this.levels(1)];
    client.send(channel, JSON.stringify({ type: "snapshot", product_id: PRODUCT, asks, bids }));
  }

  #book(level: string | null): string {
    const { timeUs } = this.market;
    if (level !== "3") {
      const [bids, asks] = [this.levels(0), this.levels(1)];
      return JSON.stringify({ bids, asks, sequence: this.#sequence, time: timeUs });
    }
    const [bids, asks] = ([0, 1] as const).map((side) =>
      this.market
        .orders(side)
        .map((order) => [this.price(order.priceTicks), this.size(order.lots), uuidOf(order)]),
    );
    return JSON.stringify({ bids, asks, sequence: this.#sequence });
  }

  #tellOrder(type: string, order: SpotOrder, fields: object): void {
    this.#sequence += 1;
    const head = { type, side: order.side === 0 ? "buy" : "sell", product_id: PRODUCT, time: this.time() };
    const body = { sequence: this.#sequence, order_id: uuidOf(order), price: this.price(order.priceTicks) };
    this.#send("full", JSON.stringify({ ...head, ...body, ...fields }));
  }

  protected tellLevels(levels: readonly LevelChange[]): void {
    const changes = levels.map(({ side, priceTicks, lots }) => [
      side === 0 ? "buy" : "sell",
      this.price(priceTicks),
      this.size(lots),
    ]);
    const text = JSON.stringify({ type: "l2update", product_id: PRODUCT, changes, time: this.time() });
    this.#send("level2", text);
    this.#send("level2_batch", text);
  }

  #send(topic: string, text: string): void {
    this.send(`${topic}:${PRODUCT}`, text);
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

function uuidOf({ number }: SpotOrder): string {
  return `6a1f0b52-3c4d-4e5f-8a9b-${number.toString(16).padStart(12, "0")}`;
}
