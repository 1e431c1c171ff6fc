import type { VenueName } from "../../src/market/instrument.ts";
import { type FakeVenue, Session, VenueBook, type VenueSide } from "./fake-venue.ts";

/** A symbol as `exchangeInfo` describes it. */
export interface SymbolGrid {
  readonly symbol: string;
  readonly base: string;
  readonly tick: string;
  readonly lot: string;
}

/** An `exchangeInfo` answer in the venue's own form. */
export function exchangeInfo(venue: VenueName, grids: readonly SymbolGrid[]): string {
  const futures = {
    contractType: "PERPETUAL",
    deliveryDate: 4_133_404_800_000,
    ...(venue === "binance-coinm" ? { contractSize: 100 } : {}),
  };
  if (venue === "binance-option") return optionInfo(grids);
  return JSON.stringify({
    timezone: "UTC",
    serverTime: 1,
    symbols: grids.map(({ symbol, base, tick, lot }) => ({
      symbol,
      pair: symbol.replace("_PERP", ""),
      baseAsset: base,
      quoteAsset: venue === "binance-coinm" ? "USD" : "USDT",
      ...(venue === "binance-spot"
        ? {}
        : { marginAsset: venue === "binance-coinm" ? base : "USDT", ...futures }),
      filters: [
        { filterType: "PRICE_FILTER", minPrice: tick, maxPrice: "1000000", tickSize: tick },
        { filterType: "LOT_SIZE", minQty: lot, maxQty: "1000", stepSize: lot },
      ],
    })),
  });
}

function optionInfo(grids: readonly SymbolGrid[]): string {
  return JSON.stringify({
    timezone: "UTC",
    optionContracts: [{ baseAsset: "BTC", quoteAsset: "USDT", underlying: "BTCUSDT", settleAsset: "USDT" }],
    optionSymbols: grids.map(({ symbol, tick, lot }) => ({
      symbol,
      underlying: "BTCUSDT",
      side: symbol.endsWith("C") ? "CALL" : "PUT",
      strikePrice: "60000.000",
      expiryDate: 1_735_286_400_000,
      unit: 1,
      quoteAsset: "USDT",
      filters: [
        { filterType: "PRICE_FILTER", minPrice: tick, maxPrice: "1000000", tickSize: tick },
        { filterType: "LOT_SIZE", minQty: lot, maxQty: "1000", stepSize: lot },
      ],
    })),
  });
}

const SYMBOLS: Readonly<Record<string, readonly [string, string]>> = {
  "binance-coinm": ["BTCUSD_PERP", "ETHUSD_PERP"],
  "binance-option": ["BTC-241227-60000-C", "BTC-241227-60000-P"],
};

/** What the next REST depth requests get instead of the book. */
export type DepthFault =
  | { readonly kind: "status"; readonly status: number; readonly retryAfterMs: number }
  | { readonly kind: "body"; readonly body: string }
  | { readonly kind: "silent" };

/** A Binance server with the sequence numbers of its venue. */
export class FakeBinance implements FakeVenue {
  readonly venue: VenueName;
  readonly symbols: readonly [string, string];
  readonly books: readonly [VenueBook, VenueBook] = [new VenueBook(1), new VenueBook(2)];
  readonly mayBeQuiet: boolean;
  /** Symbols that the venue does not list yet. */
  readonly unlisted = new Set<string>();
  /** Answers of the options exchange to requests for marks and indices. */
  marks = "[]";
  index = '{"time":1656647305000,"indexPrice":"60000"}';
  readonly depthFaults: DepthFault[] = [];
  depthRequests = 0;
  markRequests = 0;
  /** Body of premium index answers; empty = 404. */
  premiumIndex = "";
  readonly #grids: readonly SymbolGrid[];
  #engineSequence = 1_000;
  #trade = 1;

  constructor(venue: VenueName) {
    this.venue = venue;
    this.mayBeQuiet = venue === "binance-option";
    this.symbols = SYMBOLS[venue] ?? ["BTCUSDT", "ETHUSDT"];
    this.#grids = this.symbols.map((symbol) => ({
      symbol,
      base: symbol.slice(0, 3),
      tick: "0.10",
      lot: "0.001",
    }));
    for (const book of this.books) book.sequence = this.#engineSequence;
  }

  service(session: VenueSide): void {
    for (const text of session.port.takeSent()) {
      session.deliver(JSON.stringify({ result: null, id: JSON.parse(text).id }));
    }
    for (const { request, path } of session.port.takeRequests()) {
      const answer = this.#answer(path);
      if (answer === null) continue;
      const { status, body, retryAfterMs } = answer;
      session.feed.onResponse(request, status, body, retryAfterMs, session.timeUs, session.out);
      session.apply();
    }
  }

  disconnected(): void {}

  next(index: number): string {
    const book = this.books[index];
    const [bids, asks] = book.change();
    return this.#depth(index, bids.map(priced), asks.map(priced));
  }

  trade(index: number): string {
    this.#trade += 1;
    return this.#frame(index, "trade", {
      e: "trade",
      E: 1,
      T: 1,
      t: this.#trade,
      p: "100.00",
      q: "0.002",
      m: true,
    });
  }

  offGrid(index: number): string {
    return this.#depth(index, [["99.95", "0.001"]], []);
  }

  stranger(): string {
    return '{"stream":"dogeusdt@trade","data":{"e":"trade","s":"DOGEUSDT","t":1,"p":"1","q":"1","m":true}}';
  }

  heartbeat(): string {
    return '{"result":null,"id":77}';
  }

  #answer(path: string): { status: number; body: string; retryAfterMs: number } | null {
    if (path.includes("exchangeInfo")) {
      const listed = this.#grids.filter(({ symbol }) => !this.unlisted.has(symbol));
      return { status: 200, body: exchangeInfo(this.venue, listed), retryAfterMs: Number.NaN };
    }
    if (path === "/eapi/v1/mark") return { status: 200, body: this.marks, retryAfterMs: Number.NaN };
    if (path === "/eapi/v1/index?underlying=BTCUSDT")
      return { status: 200, body: this.index, retryAfterMs: Number.NaN };
    if (path.includes("premiumIndex")) {
      this.markRequests += 1;
      return {
        status: this.premiumIndex === "" ? 404 : 200,
        body: this.premiumIndex,
        retryAfterMs: Number.NaN,
      };
    }
    this.depthRequests += 1;
    const fault = this.depthFaults.shift();
    if (fault?.kind === "silent") return null;
    if (fault?.kind === "status")
      return { status: fault.status, body: "{}", retryAfterMs: fault.retryAfterMs };
    const body =
      fault?.body ?? this.snapshot(this.symbols.findIndex((symbol) => path.includes(`symbol=${symbol}&`)));
    return { status: 200, body, retryAfterMs: Number.NaN };
  }

  snapshot(index: number): string {
    const book = this.books[index];
    return JSON.stringify({
      lastUpdateId: book.sequence,
      bids: [...book.sides[0]].map(priced),
      asks: [...book.sides[1]].map(priced),
    });
  }

  #depth(index: number, b: string[][], a: string[][]): string {
    const book = this.books[index];
    const pu = book.sequence;
    const first = this.venue === "binance-spot" ? pu + 1 : Math.max(this.#engineSequence, pu) + 7;
    book.sequence = first + 5;
    this.#engineSequence = book.sequence;
    const sequence = this.venue === "binance-spot" ? {} : { T: 1, pu };
    return this.#frame(index, "depth@0ms", {
      e: "depthUpdate",
      E: 1,
      U: first,
      u: book.sequence,
      ...sequence,
      b,
      a,
    });
  }

  #frame(index: number, stream: string, data: object): string {
    const symbol = this.symbols[index];
    return JSON.stringify({ stream: `${symbol.toLowerCase()}@${stream}`, data: { ...data, s: symbol } });
  }
}

function priced([ticks, lots]: readonly [number, number]): string[] {
  return [(ticks / 10).toFixed(2), (lots / 1_000).toFixed(3)];
}

/** A connected session whose venue has sent nothing yet. */
export function connected(venue = new FakeBinance("binance-usdm")): { session: Session; venue: FakeBinance } {
  const session = new Session(venue);
  session.feed.start(session.timeUs);
  session.service();
  return { session, venue };
}
