import type { BybitVenueName } from "../../src/feed/bybit/venue.ts";
import { type FakeVenue, VenueBook, type VenueSide } from "./fake-venue.ts";

/** A symbol as `instruments-info` describes it. */
export interface BybitListing {
  readonly symbol: string;
  readonly base: string;
  readonly tick: string;
  readonly lot: string;
}

const SYMBOLS: Readonly<Record<BybitVenueName, readonly [string, string]>> = {
  "bybit-spot": ["BTCUSDT", "ETHUSDT"],
  "bybit-linear": ["BTCUSDT", "ETHUSDT"],
  "bybit-inverse": ["BTCUSD", "ETHUSD"],
  "bybit-option": ["BTC-27DEC24-60000-C-USDT", "BTC-27DEC24-60000-P-USDT"],
};

/** An entry of an `instruments-info` answer in the venue's own form. */
export function bybitInstrument(venue: BybitVenueName, { symbol, base, tick, lot }: BybitListing): object {
  const isSpot = venue === "bybit-spot";
  const inverse = venue === "bybit-inverse";
  const quote = inverse ? "USD" : "USDT";
  return {
    symbol,
    status: "Trading",
    baseCoin: base,
    quoteCoin: quote,
    ...(isSpot ? {} : { settleCoin: inverse ? base : quote }),
    ...(venue === "bybit-linear" ? { contractType: "LinearPerpetual", deliveryTime: "0" } : {}),
    ...(inverse ? { contractType: "InversePerpetual", deliveryTime: "0" } : {}),
    ...(venue === "bybit-option"
      ? { optionsType: symbol.includes("-C-") ? "Call" : "Put", deliveryTime: "1735300800000" }
      : {}),
    priceFilter: { tickSize: tick, minPrice: tick, maxPrice: "1999999" },
    lotSizeFilter: isSpot ? { basePrecision: lot, minOrderQty: lot } : { qtyStep: lot, minOrderQty: lot },
  };
}

/** A Bybit server: topics, update ids, snapshots on subscription. */
export class FakeBybit implements FakeVenue {
  readonly venue: BybitVenueName;
  readonly symbols: readonly [string, string];
  readonly mayBeQuiet: boolean;
  readonly books: readonly [VenueBook, VenueBook] = [new VenueBook(1), new VenueBook(2)];
  readonly subscribed = new Set<string>();
  readonly sent: string[] = [];
  /** Symbols that the venue does not list yet. */
  readonly unlisted = new Set<string>();
  /** Answers to the next requests, instead of the right ones. */
  readonly answers: { readonly status: number; readonly body: string; readonly retryAfterMs: number }[] = [];
  requests = 0;
  #cross = 50_000;

  constructor(venue: BybitVenueName) {
    this.venue = venue;
    this.symbols = SYMBOLS[venue];
    this.mayBeQuiet = venue === "bybit-option";
    for (const book of this.books) book.sequence = 500;
  }

  service(session: VenueSide): void {
    for (const text of session.port.takeSent()) {
      this.sent.push(text);
      const { op, args } = JSON.parse(text);
      if (op === "ping") {
        session.deliver('{"success":true,"ret_msg":"pong","conn_id":"x","op":"ping"}');
        continue;
      }
      session.deliver(JSON.stringify({ success: true, ret_msg: "", conn_id: "x", op }));
      for (const topic of args as string[]) {
        if (op === "unsubscribe") this.subscribed.delete(topic);
        else {
          this.subscribed.add(topic);
          const index = this.symbols.findIndex((symbol) => topic.endsWith(`.${symbol}`));
          if (index >= 0 && topic.startsWith("orderbook.")) session.deliver(this.snapshot(index));
        }
      }
    }
    for (const { request, path } of session.port.takeRequests()) {
      this.requests += 1;
      const { status, body, retryAfterMs } = this.answers.shift() ?? {
        status: 200,
        body: this.#listing(new URLSearchParams(path.split("?")[1])),
        retryAfterMs: Number.NaN,
      };
      session.feed.onResponse(request, status, body, retryAfterMs, session.timeUs, session.out);
      session.apply();
    }
  }

  disconnected(): void {
    this.subscribed.clear();
  }

  next(index: number): string {
    const book = this.books[index];
    const [bids, asks] = book.change();
    book.sequence += 1;
    return this.#book(index, "delta", bids.map(priced), asks.map(priced));
  }

  snapshot(index: number): string {
    const [bids, asks] = this.books[index].sides.map((levels) => [...levels].map(priced));
    return this.#book(index, "snapshot", bids, asks);
  }

  trade(index: number): string {
    const symbol = this.symbols[index];
    const trade = { T: 1, s: symbol, S: "Sell", v: "0.001", p: "100.0", i: "9dc75fca", BT: false, seq: 7 };
    const topic = `publicTrade.${this.venue === "bybit-option" ? "BTC" : symbol}`;
    return JSON.stringify({ topic, type: "snapshot", ts: 1, data: [trade] });
  }

  ticker(index: number, type: "snapshot" | "delta", data: object): string {
    const symbol = this.symbols[index];
    return JSON.stringify({ topic: `tickers.${symbol}`, type, data: { symbol, ...data }, cs: 1, ts: 2 });
  }

  offGrid(index: number): string {
    this.books[index].sequence += 1;
    return this.#book(index, "delta", [["99.95", "0.001"]], []);
  }

  stranger(): string {
    return '{"topic":"tickers.XRPUSDT","type":"delta","data":{"symbol":"XRPUSDT","markPrice":"1"},"cs":1,"ts":1}';
  }

  heartbeat(): string {
    return '{"success":true,"ret_msg":"pong","conn_id":"x","req_id":"","op":"ping"}';
  }

  #book(index: number, type: string, b: string[][], a: string[][]): string {
    this.#cross += 7;
    const s = this.symbols[index];
    const depth = this.venue === "bybit-option" ? 100 : 200;
    return JSON.stringify({
      topic: `orderbook.${depth}.${s}`,
      type,
      ts: 1_700_000_000_000,
      data: { s, b, a, u: this.books[index].sequence, seq: this.#cross },
      cts: 1_699_999_999_998,
    });
  }

  #listing(query: URLSearchParams): string {
    const asked = query.get("symbol");
    const list = this.symbols
      .filter((symbol) => (asked === null || asked === symbol) && !this.unlisted.has(symbol))
      .map((symbol) =>
        bybitInstrument(this.venue, { symbol, base: symbol.slice(0, 3), tick: "0.10", lot: "0.001" }),
      );
    return JSON.stringify({
      retCode: 0,
      retMsg: "OK",
      result: { category: query.get("category"), nextPageCursor: "", list },
      time: 1,
    });
  }
}

function priced([ticks, lots]: readonly [number, number]): string[] {
  return [(ticks / 10).toFixed(2), lots === 0 ? "0" : (lots / 1_000).toFixed(3)];
}
