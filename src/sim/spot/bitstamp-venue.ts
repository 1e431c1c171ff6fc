import { BITSTAMP_CONTROL } from "../protocol/bitstamp-control.ts";
import type { HttpAnswer, VenueServerOptions } from "../protocol/venue-server.ts";
import type { LevelChange } from "./level-changes.ts";
import type { SpotOrder, SpotOrders } from "./orders.ts";
import { SpotVenue } from "./spot-venue.ts";

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
export class BitstampVenue extends SpotVenue {
  /** Time of the last message, µs. */
  #timeUs = 0;
  #tradeId = 0;
  #batches = 0;

  constructor(market: SpotOrders, options: VenueServerOptions) {
    const has = (channel: string): boolean => channel.endsWith(`_${SYMBOL}`);
    super(market, { control: BITSTAMP_CONTROL, tick: TICK, lot: LOT, has }, options);
  }

  onRequest(url: URL): HttpAnswer {
    if (url.pathname === "/api/v2/markets/") return { status: 200, body: JSON.stringify([MARKET]) };
    if (url.pathname !== `/api/v2/order_book/${SYMBOL}/`) return { status: 404, body: '{"code":"404.001"}' };
    const group = url.searchParams.get("group");
    const [bids, asks] = ([0, 1] as const).map((side) =>
      group === "2"
        ? this.market
            .orders(side)
            .map(({ priceTicks, lots, number }) => [this.price(priceTicks), this.size(lots), String(number)])
        : this.levels(side),
    );
    return { status: 200, body: JSON.stringify({ ...this.#stamps(), bids, asks }) };
  }

  override opened(order: SpotOrder): void {
    this.#tellOrder("order_created", order);
  }

  matched(maker: SpotOrder, taker: SpotOrder, lots: number): void {
    this.#tradeId += 1;
    if (maker.lots > 0) this.#tellOrder("order_changed", maker);
    this.#pass();
    this.#send("live_trades", "trade", {
      id: this.#tradeId,
      amount: Number(this.size(lots)),
      amount_str: this.size(lots),
      price: Number(this.price(maker.priceTicks)),
      price_str: this.price(maker.priceTicks),
      type: taker.side,
      ...this.#stamps(),
    });
  }

  override changed(order: SpotOrder): void {
    this.#tellOrder("order_changed", order);
  }

  override done(order: SpotOrder, _reason: string, rested: boolean): void {
    if (rested) this.#tellOrder("order_deleted", order);
  }

  flushed(): void {
    this.#batches += 1;
    if (this.#batches % FULL_BOOK_EVERY !== 0) return;
    const [bids, asks] = ([0, 1] as const).map((side) => this.levels(side).slice(0, FULL_BOOK_LEVELS));
    this.#send("order_book", "data", { ...this.#stamps(), bids, asks });
  }

  #tellOrder(event: string, order: SpotOrder): void {
    this.#pass();
    this.#send("live_orders", event, {
      id: order.number,
      id_str: String(order.number),
      order_type: order.side,
      amount: Number(this.size(order.lots)),
      amount_str: this.size(order.lots),
      price: Number(this.price(order.priceTicks)),
      price_str: this.price(order.priceTicks),
      ...this.#stamps(),
    });
  }

  protected tellLevels(changes: readonly LevelChange[]): void {
    this.#pass();
    const [bids, asks] = ([0, 1] as const).map((side) =>
      changes
        .filter((change) => change.side === side)
        .map((change) => [this.price(change.priceTicks), this.size(change.lots)]),
    );
    this.#send("diff_order_book", "data", { ...this.#stamps(), bids, asks });
  }

  /** No two messages have the same time. */
  #pass(): void {
    this.#timeUs = Math.max(this.#timeUs + 1, Math.floor(this.market.timeUs));
  }

  #stamps(): { readonly timestamp: string; readonly microtimestamp: string } {
    return { timestamp: String(Math.floor(this.#timeUs / 1e6)), microtimestamp: String(this.#timeUs) };
  }

  #send(topic: string, event: string, data: object): void {
    const channel = `${topic}_${SYMBOL}`;
    let text: string | null = null;
    for (const client of this.subscriptions.sessions(channel)) {
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
