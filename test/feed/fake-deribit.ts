import { type FakeVenue, VenueBook, type VenueSide } from "./fake-venue.ts";

/** `get_instruments` entries in the venue's own form. */
export const PERPETUAL = {
  instrument_name: "BTC-PERPETUAL",
  kind: "future",
  base_currency: "BTC",
  quote_currency: "USD",
  settlement_currency: "BTC",
  settlement_period: "perpetual",
  tick_size: 0.5,
  tick_size_steps: [],
  contract_size: 10,
  min_trade_amount: 10,
  expiration_timestamp: 32_503_708_800_000,
  instrument_type: "reversed",
  is_active: true,
};

export const OPTION = {
  instrument_name: "BTC-27DEC24-60000-C",
  kind: "option",
  base_currency: "BTC",
  quote_currency: "BTC",
  settlement_currency: "BTC",
  settlement_period: "month",
  tick_size: 0.0001,
  tick_size_steps: [{ above_price: 0.005, tick_size: 0.0005 }],
  contract_size: 1,
  min_trade_amount: 0.1,
  expiration_timestamp: 1_735_300_800_000,
  instrument_type: "reversed",
  strike: 60_000,
  option_type: "call",
  is_active: true,
};

const GRIDS = [
  { tick: 0.5, lot: 10 },
  { tick: 0.0001, lot: 0.1 },
];

/** A Deribit server: channels, change ids, snapshots on subscription. */
export class FakeDeribit implements FakeVenue {
  readonly venue = "deribit" as const;
  readonly symbols: readonly [string, string] = [PERPETUAL.instrument_name, OPTION.instrument_name];
  readonly books: readonly [VenueBook, VenueBook] = [new VenueBook(1), new VenueBook(2)];
  readonly calls: { readonly method: string; readonly channels: readonly string[] }[] = [];
  readonly subscribed = new Set<string>();
  /** Answers raw subscriptions with error 13778, as the real venue does without authentication. */
  refusesRaw = false;
  /** How many of the next subscribe calls are answered with error 10028. */
  tooManyRequests = 0;
  interval = "raw";
  #changeId = 5_000;

  constructor() {
    for (const book of this.books) book.sequence = this.#changeId;
  }

  service(session: VenueSide): void {
    for (const text of session.port.takeSent()) {
      const { id, method, params } = JSON.parse(text);
      const channels: string[] = params.channels ?? [];
      this.calls.push({ method, channels });
      if (method === "public/subscribe" && this.tooManyRequests > 0) {
        this.tooManyRequests -= 1;
        session.deliver(
          JSON.stringify({ jsonrpc: "2.0", id, error: { code: 10_028, message: "too_many_requests" } }),
        );
        continue;
      }
      if (this.refusesRaw && channels.some((channel) => channel.endsWith(".raw"))) {
        session.deliver(JSON.stringify({ jsonrpc: "2.0", id, error: { code: 13_778, message: "raw" } }));
        continue;
      }
      session.deliver(JSON.stringify({ jsonrpc: "2.0", id, result: this.#result(method, params, channels) }));
      if (method !== "public/subscribe") continue;
      for (const channel of channels) {
        const index = this.symbols.findIndex((symbol) => channel.startsWith(`book.${symbol}.`));
        if (index >= 0) session.deliver(this.snapshot(index));
      }
    }
  }

  disconnected(): void {
    this.subscribed.clear();
  }

  next(index: number): string {
    const book = this.books[index];
    const known = book.sides.map((levels) => new Set(levels.keys()));
    const changes = book.change();
    const [bids, asks] = changes.map((side, at) =>
      side.map(([ticks, lots]) => [
        lots === 0 ? "delete" : known[at].has(ticks) ? "change" : "new",
        ...this.#priced(index, ticks, lots),
      ]),
    );
    return this.#change(index, bids, asks);
  }

  trade(index: number): string {
    const trade = {
      timestamp: 1,
      price: this.#priced(index, 1_000, 1)[0],
      amount: GRIDS[index].lot,
      direction: "sell",
      trade_seq: 9,
    };
    return this.#notify(`trades.${this.symbols[index]}.${this.interval}`, [trade]);
  }

  ticker(index: number): string {
    return this.#notify(`ticker.${this.symbols[index]}.${this.interval}`, {
      timestamp: 1_700_000_000_000,
      mark_price: 0.05,
      index_price: 60_000,
      underlying_price: 60_500,
      mark_iv: 55.5,
      bid_iv: 0,
      ask_iv: 57,
      greeks: { delta: 0.5, gamma: 0.00001, vega: 70, theta: -30, rho: 1 },
      open_interest: 12,
      last_price: null,
      interest_rate: 0.01,
    });
  }

  offGrid(index: number): string {
    return this.#change(
      index,
      [["new", this.#priced(index, 999, 1)[0] + GRIDS[index].tick / 2, GRIDS[index].lot]],
      [],
    );
  }

  stranger(): string {
    return this.#notify("ticker.ETH-PERPETUAL.raw", { timestamp: 1, mark_price: 3_000 });
  }

  heartbeat(): string {
    return '{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"test_request"}}';
  }

  snapshot(index: number): string {
    const book = this.books[index];
    const [bids, asks] = book.sides.map((levels) =>
      [...levels].map(([ticks, lots]) => ["new", ...this.#priced(index, ticks, lots)]),
    );
    return this.#notify(`book.${this.symbols[index]}.${this.interval}`, {
      type: "snapshot",
      timestamp: 1,
      instrument_name: this.symbols[index],
      change_id: book.sequence,
      bids,
      asks,
    });
  }

  #change(index: number, bids: unknown, asks: unknown): string {
    const book = this.books[index];
    const previous = book.sequence;
    this.#changeId += 3;
    book.sequence = this.#changeId;
    return this.#notify(`book.${this.symbols[index]}.${this.interval}`, {
      type: "change",
      timestamp: 1,
      instrument_name: this.symbols[index],
      change_id: book.sequence,
      prev_change_id: previous,
      bids,
      asks,
    });
  }

  #result(method: string, params: { kind?: string }, channels: readonly string[]): unknown {
    if (method === "public/get_instruments")
      return [PERPETUAL, OPTION].filter(({ kind }) => kind === params.kind);
    if (method === "public/subscribe") {
      for (const channel of channels) this.subscribed.add(channel);
      return channels;
    }
    if (method === "public/unsubscribe") {
      for (const channel of channels) this.subscribed.delete(channel);
      return channels;
    }
    return "ok";
  }

  #priced(index: number, ticks: number, lots: number): [number, number] {
    const { tick, lot } = GRIDS[index];
    return [Number((ticks * tick).toFixed(6)), Number((lots * lot).toFixed(6))];
  }

  #notify(channel: string, data: unknown): string {
    return JSON.stringify({ jsonrpc: "2.0", method: "subscription", params: { channel, data } });
  }
}
