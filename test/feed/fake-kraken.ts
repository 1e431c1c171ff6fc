import { type FakeVenue, VenueBook, type VenueSide } from "./fake-venue.ts";

/** An `instrument` pair in the venue's own form: BTC/USD with more digits in its checksums than its tick has. */
export function krakenPair(symbol: string, increment: number, precision: number): object {
  const [base, quote] = symbol.split("/");
  return {
    base,
    quote,
    symbol,
    status: "online",
    marginable: true,
    price_increment: increment,
    price_precision: precision,
    qty_increment: 0.00000001,
    qty_min: 0.0001,
    qty_precision: 8,
    cost_min: 0.5,
    cost_precision: 5,
    has_index: true,
  };
}

/** The checksum as the venue's documentation spells it: texts without point and leading zeros, asks first. */
export function krakenChecksum(levels: readonly (readonly [string, string])[]): number {
  const bare = (text: string): string => text.replace(".", "").replace(/^0+/, "");
  return Bun.hash.crc32(levels.map(([price, qty]) => bare(price) + bare(qty)).join(""));
}

const GRIDS = [
  { increment: 0.1, precision: 1 },
  { increment: 0.05, precision: 3 },
] as const;

/** A Kraken server: books by channel, a checksum with every message, no sequence. */
export class FakeKraken implements FakeVenue {
  readonly venue = "kraken" as const;
  readonly symbols = ["BTC/USD", "ETH/USD"] as const;
  readonly books: readonly [VenueBook, VenueBook] = [new VenueBook(1), new VenueBook(2)];
  readonly gapReason = "checksum" as const;
  readonly isSequenced = false;
  /** Messages the feed has sent, without their numbers. */
  readonly calls: { readonly method: string; readonly params: Record<string, unknown> }[] = [];
  #trade = 1;
  #time = 0;

  service(session: VenueSide): void {
    for (const text of session.port.takeSent()) {
      const { method, params, req_id } = JSON.parse(text);
      this.calls.push({ method, params });
      if (params.channel === "instrument") {
        session.deliver(JSON.stringify({ method, result: { channel: "instrument" }, success: true, req_id }));
        session.deliver(this.instruments());
        continue;
      }
      for (const symbol of params.symbol) {
        const result = { channel: params.channel, symbol, depth: params.depth };
        session.deliver(JSON.stringify({ method, result, success: true, req_id }));
        if (method === "subscribe" && params.channel === "book") {
          session.deliver(this.snapshot(this.symbols.indexOf(symbol)));
        }
      }
    }
  }

  disconnected(): void {}

  next(index: number): string {
    const [bids, asks] = this.books[index].change();
    return this.#book(index, "update", bids, asks);
  }

  trade(index: number): string {
    this.#trade += 1;
    const trade = {
      symbol: this.symbols[index],
      side: "sell",
      price: 100,
      qty: 0.002,
      ord_type: "market",
      trade_id: this.#trade,
      timestamp: "2023-09-25T07:49:37.708706Z",
    };
    return JSON.stringify({ channel: "trade", type: "update", data: [trade] });
  }

  offGrid(index: number): string {
    return this.next(index).replace(/"price":[\d.]+/, '"price":0.00042');
  }

  stranger(): string {
    return '{"channel":"ticker","type":"update","data":[{"symbol":"DOGE/USD","last":0.1}]}';
  }

  heartbeat(): string {
    return '{"channel":"heartbeat"}';
  }

  instruments(): string {
    const pairs = this.symbols.map((symbol, at) =>
      krakenPair(symbol, GRIDS[at].increment, GRIDS[at].precision),
    );
    const others = [krakenPair("DOGE/USD", 0.0000001, 7)];
    return JSON.stringify({
      channel: "instrument",
      type: "snapshot",
      data: { assets: [], pairs: [...others, ...pairs.toReversed()] },
    });
  }

  snapshot(index: number): string {
    const [bids, asks] = this.books[index].sides;
    return this.#book(index, "snapshot", [...bids], [...asks]);
  }

  #book(index: number, type: string, bids: [number, number][], asks: [number, number][]): string {
    this.#time += 1;
    const grid = GRIDS[index];
    const price = (ticks: number): string => (ticks * grid.increment).toFixed(grid.precision);
    const qty = (lots: number): string => (lots / 1e8).toFixed(8);
    const json = (levels: readonly [number, number][]): string =>
      levels.map(([ticks, lots]) => `{"price":${price(ticks)},"qty":${qty(lots)}}`).join(",");
    const best = (side: 0 | 1): [string, string][] =>
      [...this.books[index].sides[side]]
        .sort(([a], [b]) => (side === 0 ? b - a : a - b))
        .slice(0, 10)
        .map(([ticks, lots]) => [price(ticks), qty(lots)]);
    const checksum = krakenChecksum([...best(1), ...best(0)]);
    const time = `2023-10-06T17:35:55.${String(this.#time).padStart(6, "0")}Z`;
    return `{"channel":"book","type":"${type}","data":[{"symbol":"${this.symbols[index]}","bids":[${json(bids)}],"asks":[${json(asks)}],"checksum":${checksum},"timestamp":"${time}"}]}`;
  }
}
