import { KRAKEN_CONTROL, KRAKEN_INSTRUMENTS } from "../protocol/kraken-control.ts";
import type { HttpAnswer, VenueClient, VenueServerOptions } from "../protocol/venue-server.ts";
import type { LevelChange } from "./level-changes.ts";
import type { SpotOrder, SpotOrders } from "./orders.ts";
import { SpotVenue } from "./spot-venue.ts";

const HEARTBEAT_US = 1_000_000;
const TICK = { mantissa: 1, scale: 1 } as const;
const LOT = { mantissa: 1, scale: 8 } as const;
const SYMBOL = "BTC/USD";
const CHECKSUM_LEVELS = 10;
const CHANNELS = new Set([
  KRAKEN_INSTRUMENTS,
  ...["book", "trade", "ticker"].map((topic) => `${topic}:${SYMBOL}`),
]);

/**
 * A Kraken server of one pair over a simulated market: WebSocket v2 with `instrument`, `book` with the checksum of its ten best levels a side,
 * `trade`, `ticker` and heartbeats. The market has fewer levels than the smallest depth that keel asks for, so no level falls out.
 * Source: Kraken WebSocket API v2.
 */
export class KrakenVenue extends SpotVenue {
  #tradeId = 0;
  #nextHeartbeatUs = 0;

  constructor(market: SpotOrders, options: VenueServerOptions) {
    const has = (channel: string): boolean => CHANNELS.has(channel);
    super(market, { control: KRAKEN_CONTROL, tick: TICK, lot: LOT, has }, options);
  }

  override onOpen(client: VenueClient): void {
    const greeting = KRAKEN_CONTROL.greeting();
    if (greeting !== null) client.control(greeting);
  }

  onRequest(url: URL): HttpAnswer {
    if (url.pathname !== "/0/public/Time")
      return { status: 404, body: '{"error":["EGeneral:Unknown method"]}' };
    const unixtime = Math.floor(this.market.timeUs / 1e6);
    return { status: 200, body: JSON.stringify({ error: [], result: { unixtime } }) };
  }

  matched(maker: SpotOrder, _taker: SpotOrder, lots: number): void {
    this.#tradeId += 1;
    const head = `"symbol":"${SYMBOL}","side":"${maker.side === 0 ? "sell" : "buy"}"`;
    const body = `"price":${this.price(maker.priceTicks)},"qty":${this.size(lots)},"ord_type":"limit","trade_id":${this.#tradeId}`;
    const trade = `{${head},${body},"timestamp":"${this.time()}"}`;
    this.#send("trade", `{"channel":"trade","type":"update","data":[${trade}]}`);
    const ticker = `{"symbol":"${SYMBOL}","last":${this.price(maker.priceTicks)}}`;
    this.#send("ticker", `{"channel":"ticker","type":"update","data":[${ticker}]}`);
  }

  flushed(timeUs: number): void {
    if (timeUs < this.#nextHeartbeatUs) return;
    this.#nextHeartbeatUs = timeUs + HEARTBEAT_US;
    for (const client of this.server.clients) client.control('{"channel":"heartbeat"}');
  }

  protected override begin(client: VenueClient, channel: string): void {
    if (channel === KRAKEN_INSTRUMENTS) {
      client.control(JSON.stringify({ channel, type: "snapshot", data: { assets: [], pairs: [PAIR] } }));
    }
    if (channel !== `book:${SYMBOL}`) return;
    const levels = ([0, 1] as const).flatMap((side) =>
      this.market
        .prices(side)
        .map((priceTicks) => ({ side, priceTicks, lots: this.market.lotsAt(side, priceTicks) })),
    );
    client.send(channel, this.#book("snapshot", levels));
  }

  protected tellLevels(changes: readonly LevelChange[]): void {
    this.#send("book", this.#book("update", changes));
  }

  #book(type: "snapshot" | "update", levels: readonly LevelChange[]): string {
    const [bids, asks] = ([0, 1] as const).map((side) =>
      levels
        .filter((level) => level.side === side)
        .map(({ priceTicks, lots }) => `{"price":${this.price(priceTicks)},"qty":${this.size(lots)}}`)
        .join(","),
    );
    const data = `"symbol":"${SYMBOL}","bids":[${bids}],"asks":[${asks}],"checksum":${this.#checksum()}`;
    return `{"channel":"book","type":"${type}","data":[{${data},"timestamp":"${this.time()}"}]}`;
  }

  #checksum(): number {
    const texts = ([1, 0] as const).flatMap((side) =>
      this.market
        .prices(side)
        .slice(0, CHECKSUM_LEVELS)
        .map((ticks) => `${ticks}${this.market.lotsAt(side, ticks)}`),
    );
    return Bun.hash.crc32(texts.join(""));
  }

  #send(topic: string, text: string): void {
    this.send(`${topic}:${SYMBOL}`, text);
  }
}

const PAIR = {
  base: "BTC",
  quote: "USD",
  symbol: SYMBOL,
  status: "online",
  price_increment: 0.1,
  price_precision: 1,
  qty_increment: 0.00000001,
  qty_min: 0.00005,
  qty_precision: 8,
};
