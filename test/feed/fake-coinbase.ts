import { type FakeVenue, VenueBook, type VenueSide } from "./fake-venue.ts";
import { type OrderStep, OrderVenueBook, type VenueOrder } from "./order-venue-book.ts";

const GRIDS = [
  { tick: 0.01, digits: 2 },
  { tick: 0.0001, digits: 4 },
] as const;
const TIME = "2026-01-02T03:04:05.123456Z";

/** The answer to `GET /products/<id>`. */
export function coinbaseProduct(id: string, increment: string, lot = "0.00000001"): string {
  const [base, quote] = id.split("-");
  return JSON.stringify({
    id,
    base_currency: base,
    quote_currency: quote,
    quote_increment: increment,
    base_increment: lot,
    display_name: id.replace("-", "/"),
    min_market_funds: "1",
    status: "online",
    trading_disabled: false,
  });
}

export function uuidOf(order: number): string {
  const hex = order.toString(16).padStart(12, "0");
  return `d50ec984-77a8-460a-b958-${hex}`;
}

/** What the next level-3 requests get instead of the book. */
export type BookFault = { readonly kind: "old" } | { readonly kind: "body"; readonly body: string };

/** A Coinbase Exchange server: `level2_batch` without sequence numbers, or `full` with them. */
export class FakeCoinbase implements FakeVenue {
  readonly venue = "coinbase" as const;
  readonly symbols = ["BTC-USD", "ETH-EUR"] as const;
  readonly books: readonly [VenueBook, VenueBook];
  readonly subscriptions: readonly string[];
  readonly isSequenced: boolean;
  readonly bookFaults: BookFault[] = [];
  bookRequests = 0;
  /** Messages the feed has sent. */
  readonly calls: { readonly type: string; readonly product_ids: string[]; readonly channels: string[] }[] =
    [];
  readonly #orderBooks: readonly [OrderVenueBook, OrderVenueBook] | null;
  #session: VenueSide | null = null;
  readonly #tradeIds = [100, 200];
  #time = 0;

  constructor(orders: boolean) {
    this.isSequenced = orders;
    this.#orderBooks = orders ? [new OrderVenueBook(1), new OrderVenueBook(2)] : null;
    this.books = this.#orderBooks ?? [new VenueBook(1), new VenueBook(2)];
    this.subscriptions = orders ? this.symbols.map((symbol) => `orders:${symbol}`) : this.symbols;
    for (const book of this.books) book.sequence = 5_000;
  }

  service(session: VenueSide): void {
    this.#session = session;
    for (const text of session.port.takeSent()) {
      const call = JSON.parse(text);
      this.calls.push(call);
      session.deliver(JSON.stringify({ type: "subscriptions", channels: [] }));
      if (call.type !== "subscribe" || !call.channels.includes("level2_batch")) continue;
      for (const symbol of call.product_ids) {
        const index = this.symbols.indexOf(symbol);
        const last = this.#match(index, { id: 1, side: 0, ticks: 1_000, lots: 1 }, 1);
        session.deliver(this.snapshot(index));
        if (call.channels.includes("matches")) session.deliver(last.replace('"match"', '"last_match"'));
      }
    }
    for (const { request, path } of session.port.takeRequests()) {
      const index = this.symbols.findIndex((symbol) => path.includes(symbol));
      const isBook = path.endsWith("/book?level=3");
      const body = isBook
        ? this.#answerBook(index)
        : coinbaseProduct(this.symbols[index], String(GRIDS[index].tick));
      session.feed.onResponse(request, 200, body, Number.NaN, session.timeUs, session.out);
      session.apply();
    }
  }

  disconnected(): void {}

  next(index: number): string {
    if (this.#orderBooks !== null) return this.#order(index, this.#orderBooks[index].step());
    const changes = this.books[index]
      .change()
      .flatMap((side, at) =>
        side.map(([ticks, lots]) => [at === 0 ? "buy" : "sell", ...this.#texts(index, ticks, lots)]),
      );
    this.#time += 1;
    const time = `2026-01-02T03:04:05.${String(this.#time).padStart(6, "0")}Z`;
    return JSON.stringify({ type: "l2update", product_id: this.symbols[index], changes, time });
  }

  /** Without sequence numbers only a second heartbeat tells that a trade of the first one has not come. */
  reveal(index: number): string {
    if (this.#orderBooks !== null) return this.next(index);
    this.#tradeIds[index] += 1;
    const session = this.#session;
    session?.feed.onFrame(this.heartbeat(index), session.timeUs, session.out);
    return this.heartbeat(index);
  }

  trade(index: number): string {
    if (this.#orderBooks !== null) {
      const book = this.#orderBooks[index];
      const maker = book.orders.find(({ side, lots }) => side === 0 && lots > 1);
      if (maker !== undefined) return this.#order(index, book.reduce(maker, 1));
      return this.#order(index, { kind: "add", order: book.add(0, 998, 5), by: 0 });
    }
    return this.#match(index, { id: 1, side: 0, ticks: 1_000, lots: 1 }, 1);
  }

  offGrid(index: number): string {
    const { digits } = GRIDS[index];
    if (this.#orderBooks === null) {
      return this.next(index).replace(/"(buy|sell)","[\d.]+"/, `"$1","9.${"0".repeat(digits)}5"`);
    }
    const order = { id: 9, side: 0, ticks: 1, lots: 1 } as const;
    return this.#order(index, { kind: "add", order, by: 0 }).replace(
      /"price":"[\d.]+"/,
      `"price":"9.${"0".repeat(digits)}5"`,
    );
  }

  stranger(): string {
    return '{"type":"ticker","product_id":"DOGE-USD","price":"0.1","sequence":1}';
  }

  heartbeat(index = 0): string {
    const sequence = this.books[index].sequence;
    const last_trade_id = this.#tradeIds[index];
    return JSON.stringify({
      type: "heartbeat",
      sequence,
      last_trade_id,
      product_id: this.symbols[index],
      time: TIME,
    });
  }

  snapshot(index: number): string {
    const [bids, asks] = this.books[index].sides.map((levels) =>
      [...levels].map(([ticks, lots]) => this.#texts(index, ticks, lots)),
    );
    return JSON.stringify({ type: "snapshot", product_id: this.symbols[index], asks, bids });
  }

  #answerBook(index: number): string {
    this.bookRequests += 1;
    const fault = this.bookFaults.shift();
    if (fault?.kind === "body") return fault.body;
    const orders = this.#orderBooks?.[index].orders ?? [];
    const [bids, asks] = [0, 1].map((side) =>
      orders
        .filter((order) => order.side === side)
        .map(({ id, ticks, lots }) => [...this.#texts(index, ticks, lots), uuidOf(id)]),
    );
    return JSON.stringify({
      sequence: this.books[index].sequence - (fault?.kind === "old" ? 50 : 0),
      bids,
      asks,
    });
  }

  #order(index: number, { kind, order, by }: OrderStep): string {
    if (kind === "reduce") return this.#match(index, order, by);
    const [price, size] = this.#texts(index, order.ticks, order.lots);
    const message = {
      type: kind === "add" ? "open" : "done",
      side: order.side === 0 ? "buy" : "sell",
      product_id: this.symbols[index],
      time: TIME,
      sequence: this.#sequence(index),
      price,
      order_id: uuidOf(order.id),
      ...(kind === "add" ? { remaining_size: size } : { reason: "canceled", remaining_size: size }),
    };
    return JSON.stringify(message);
  }

  #match(index: number, maker: VenueOrder, lots: number): string {
    this.#tradeIds[index] += 1;
    const [price, size] = this.#texts(index, maker.ticks, lots);
    return JSON.stringify({
      type: "match",
      trade_id: this.#tradeIds[index],
      maker_order_id: uuidOf(maker.id),
      taker_order_id: uuidOf(0),
      side: maker.side === 0 ? "buy" : "sell",
      size,
      price,
      product_id: this.symbols[index],
      sequence: this.#sequence(index),
      time: TIME,
    });
  }

  #sequence(index: number): number {
    this.books[index].sequence += 1;
    return this.books[index].sequence;
  }

  #texts(index: number, ticks: number, lots: number): [string, string] {
    const { tick, digits } = GRIDS[index];
    return [(ticks * tick).toFixed(digits), (lots / 1e8).toFixed(8)];
  }
}
