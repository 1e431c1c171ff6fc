import { type FakeVenue, VenueBook, type VenueSide } from "./fake-venue.ts";
import { type OrderStep, OrderVenueBook } from "./order-venue-book.ts";

const DIGITS = [0, 2] as const;

/** One market of the answer to `GET /api/v2/markets/`. */
export function bitstampMarket(symbol: string, priceDigits: number): object {
  return {
    name: `${symbol.slice(0, 3).toUpperCase()}/${symbol.slice(3).toUpperCase()}`,
    market_symbol: symbol,
    market_type: "SPOT",
    base_currency: symbol.slice(0, 3).toUpperCase(),
    base_decimals: 8,
    counter_currency: symbol.slice(3).toUpperCase(),
    counter_decimals: priceDigits,
    minimum_order_value: "10",
    trading: "Enabled",
  };
}

/** A Bitstamp server: times instead of sequence numbers, full books beside the changes. */
export class FakeBitstamp implements FakeVenue {
  readonly venue = "bitstamp" as const;
  readonly symbols = ["btcusd", "etheur"] as const;
  readonly books: readonly [VenueBook, VenueBook];
  readonly subscriptions: readonly string[];
  readonly isSequenced = false;
  readonly sent: string[] = [];
  snapshotRequests = 0;
  /** How many of the next snapshots are from before the subscription. */
  oldSnapshots = 0;
  readonly #orderBooks: readonly [OrderVenueBook, OrderVenueBook] | null;
  #session: VenueSide | null = null;
  #timeUs = 1_700_000_000_000_000;
  #trade = 1;

  constructor(orders: boolean) {
    this.#orderBooks = orders ? [new OrderVenueBook(1), new OrderVenueBook(2)] : null;
    this.books = this.#orderBooks ?? [new VenueBook(1), new VenueBook(2)];
    this.subscriptions = orders ? this.symbols.map((symbol) => `orders:${symbol}`) : this.symbols;
    for (const book of this.books) book.sequence = this.#timeUs;
  }

  service(session: VenueSide): void {
    this.#session = session;
    for (const text of session.port.takeSent()) {
      this.sent.push(text);
      const { event, data } = JSON.parse(text);
      if (event === "bts:heartbeat") session.deliver('{"event":"bts:heartbeat","data":{"status":"success"}}');
      else session.deliver(JSON.stringify({ event: `${event}d`, channel: data.channel, data: {} }));
    }
    for (const { request, path } of session.port.takeRequests()) {
      const body = path === "/api/v2/markets/" ? this.#markets() : this.#answerBook(path);
      session.feed.onResponse(request, 200, body, Number.NaN, session.timeUs, session.out);
      session.apply();
    }
  }

  disconnected(): void {}

  next(index: number): string {
    if (this.#orderBooks !== null) return this.#order(index, this.#orderBooks[index].step());
    const [bids, asks] = this.books[index]
      .change()
      .map((side) => side.map(([t, l]) => this.#texts(index, t, l)));
    return this.#data(index, "diff_order_book", "data", { microtimestamp: this.#time(index), bids, asks });
  }

  /** The second full book in a row that is not the feed's. */
  reveal(index: number): string {
    const session = this.#session;
    this.#time(index);
    session?.feed.onFrame(this.fullBook(index), session.timeUs, session.out);
    session?.feed.onFrame(this.#quiet(index), session.timeUs, session.out);
    session?.out.clear();
    session?.feed.onFrame(this.fullBook(index), session.timeUs, session.out);
    return this.#quiet(index);
  }

  trade(index: number): string {
    this.#trade += 1;
    const [price_str, amount_str] = this.#texts(index, 1_000, 1);
    const head = {
      id: this.#trade,
      timestamp: "1",
      amount: Number(amount_str),
      amount_str,
      price: Number(price_str),
    };
    return this.#data(index, "live_trades", "trade", {
      ...head,
      price_str,
      type: 1,
      microtimestamp: this.#time(index),
    });
  }

  offGrid(index: number): string {
    if (this.#orderBooks === null) return this.next(index).replace(/\[\["[\d.]+"/, '[["9.005"');
    const order = { id: 9, side: 0, ticks: 1, lots: 1 } as const;
    return this.#order(index, { kind: "add", order, by: 0 }).replace(
      /"price_str":"[\d.]+"/,
      '"price_str":"9.005"',
    );
  }

  stranger(): string {
    return '{"event":"trade","channel":"live_trades_dogeusd","data":{"id":1,"type":0}}';
  }

  heartbeat(): string {
    return '{"event":"bts:heartbeat","channel":"","data":{"status":"success"}}';
  }

  /** The hundred best levels, as of the last change. */
  fullBook(index: number): string {
    const [bids, asks] = this.#levels(index);
    const microtimestamp = String(this.books[index].sequence);
    return this.#data(index, "order_book", "data", { timestamp: "1", microtimestamp, bids, asks });
  }

  /** A change that is none. */
  #quiet(index: number): string {
    const microtimestamp = this.#time(index);
    if (this.#orderBooks === null) {
      return this.#data(index, "diff_order_book", "data", { microtimestamp, bids: [], asks: [] });
    }
    const order = { id: 1, side: 0, ticks: 1, lots: 0 } as const;
    return this.#order(index, { kind: "add", order, by: 0 });
  }

  #levels(index: number): [string, string][][] {
    return this.books[index].sides.map((levels, side) =>
      [...levels]
        .sort(([a], [b]) => (side === 0 ? b - a : a - b))
        .slice(0, 100)
        .map(([ticks, lots]) => this.#texts(index, ticks, lots)),
    );
  }

  #markets(): string {
    return JSON.stringify(this.symbols.map((symbol, at) => bitstampMarket(symbol, DIGITS[at])));
  }

  #answerBook(path: string): string {
    this.snapshotRequests += 1;
    const index = this.symbols.findIndex((symbol) => path.includes(symbol));
    const old = this.oldSnapshots > 0;
    if (old) this.oldSnapshots -= 1;
    const microtimestamp = String(this.books[index].sequence - (old ? 1e9 : 0));
    if (!path.endsWith("group=2")) {
      const [bids, asks] = this.#levels(index);
      return JSON.stringify({ timestamp: "1", microtimestamp, bids, asks });
    }
    const orders = this.#orderBooks?.[index].orders ?? [];
    const [bids, asks] = [0, 1].map((side) =>
      orders
        .filter((order) => order.side === side)
        .map(({ id, ticks, lots }) => [...this.#texts(index, ticks, lots), String(id)]),
    );
    return JSON.stringify({ timestamp: "1", microtimestamp, bids, asks });
  }

  #order(index: number, { kind, order }: OrderStep): string {
    const [price_str, amount_str] = this.#texts(index, order.ticks, order.lots);
    const event = { add: "order_created", reduce: "order_changed", remove: "order_deleted" }[kind];
    return this.#data(index, "live_orders", event, {
      id: order.id,
      id_str: String(order.id),
      order_type: order.side,
      datetime: "1",
      microtimestamp: this.#time(index),
      amount: Number(amount_str),
      amount_str,
      amount_traded: "0",
      amount_at_create: amount_str,
      price: Number(price_str),
      price_str,
    });
  }

  #data(index: number, channel: string, event: string, data: object): string {
    return JSON.stringify({ data, channel: `${channel}_${this.symbols[index]}`, event });
  }

  #time(index: number): string {
    this.#timeUs += 1_000;
    this.books[index].sequence = this.#timeUs;
    return String(this.#timeUs);
  }

  #texts(index: number, ticks: number, lots: number): [string, string] {
    return [(ticks / 10 ** DIGITS[index]).toFixed(DIGITS[index]), (lots / 1e8).toFixed(8)];
  }
}
