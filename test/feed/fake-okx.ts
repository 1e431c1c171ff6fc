import { type FakeVenue, VenueBook, type VenueSide } from "./fake-venue.ts";

/** Entries of an instruments answer in the venue's own form. */
export const OKX_SWAP = {
  instId: "BTC-USDT-SWAP",
  instType: "SWAP",
  instFamily: "BTC-USDT",
  uly: "BTC-USDT",
  baseCcy: "",
  quoteCcy: "",
  settleCcy: "USDT",
  ctVal: "0.01",
  ctMult: "1",
  ctType: "linear",
  ctValCcy: "BTC",
  expTime: "",
  stk: "",
  optType: "",
  tickSz: "0.1",
  lotSz: "0.01",
  minSz: "0.01",
  state: "live",
};

export const OKX_OPTION = {
  ...OKX_SWAP,
  instId: "BTC-USD-241227-60000-C",
  instType: "OPTION",
  instFamily: "BTC-USD",
  uly: "BTC-USD",
  settleCcy: "BTC",
  ctVal: "1",
  ctMult: "0.01",
  ctType: "",
  expTime: "1735286400000",
  stk: "60000",
  optType: "C",
  tickSz: "0.0001",
  lotSz: "1",
  minSz: "1",
};

const GRIDS = [
  { tickDecimals: 1, lotDecimals: 2 },
  { tickDecimals: 4, lotDecimals: 0 },
];

/** An OKX server: channels, sequence ids, checksums, snapshots on subscription. */
export class FakeOkx implements FakeVenue {
  readonly venue = "okx" as const;
  readonly symbols: readonly [string, string] = [OKX_SWAP.instId, OKX_OPTION.instId];
  readonly books: readonly [VenueBook, VenueBook] = [new VenueBook(1), new VenueBook(2)];
  readonly sent: string[] = [];
  readonly unlisted = new Set<string>();
  requests = 0;
  /** Sends checksums as it did until June 2026, and 0 otherwise. */
  readonly #sums: boolean;
  #sequence = 9_000;

  constructor(sums: boolean) {
    this.#sums = sums;
    for (const book of this.books) book.sequence = this.#sequence;
  }

  service(session: VenueSide): void {
    for (const text of session.port.takeSent()) {
      this.sent.push(text);
      if (text === "ping") {
        session.deliver("pong");
        continue;
      }
      const { op, args } = JSON.parse(text);
      for (const arg of args) {
        session.deliver(JSON.stringify({ event: op, arg, connId: "a4d3ae55" }));
        const index = this.symbols.indexOf(arg.instId);
        if (op === "subscribe" && arg.channel === "books" && index >= 0)
          session.deliver(this.snapshot(index));
      }
    }
    for (const { request, path } of session.port.takeRequests()) {
      this.requests += 1;
      const type = new URLSearchParams(path.split("?")[1]).get("instType");
      const data = [OKX_SWAP, OKX_OPTION].filter(
        ({ instType, instId }) => instType === type && !this.unlisted.has(instId),
      );
      const body = JSON.stringify({ code: "0", msg: "", data });
      session.feed.onResponse(request, 200, body, Number.NaN, session.timeUs, session.out);
      session.apply();
    }
  }

  disconnected(): void {}

  next(index: number): string {
    const [bids, asks] = this.books[index].change();
    return this.#update(index, this.#priced(index, bids), this.#priced(index, asks));
  }

  /** What the venue sends once a minute where nothing has changed. */
  nothing(index: number): string {
    const { sequence } = this.books[index];
    return this.#book(index, "update", [], [], sequence, sequence);
  }

  /** An update after which the venue counts from the start again. */
  startedAnew(index: number): string {
    this.#sequence = 10;
    return this.next(index);
  }

  snapshot(index: number): string {
    const [bids, asks] = this.books[index].sides.map((levels) => this.#priced(index, [...levels]));
    return this.#book(index, "snapshot", bids, asks, -1, this.books[index].sequence);
  }

  top(index: number, bid: [number, number], ask: [number, number] | null, seqId: number): string {
    const asks = ask === null ? [] : this.#priced(index, [ask]);
    const data = [{ asks, bids: this.#priced(index, [bid]), ts: "1", seqId }];
    return JSON.stringify({ arg: { channel: "bbo-tbt", instId: this.symbols[index] }, data });
  }

  trade(index: number): string {
    const instId = this.symbols[index];
    const [px, sz] = this.#priced(index, [[1_000, 1]])[0];
    const trade = { instId, tradeId: "130639474", px, sz, side: "sell", ts: "1", count: "3" };
    return JSON.stringify({ arg: { channel: "trades", instId }, data: [trade] });
  }

  offGrid(index: number): string {
    const [px, sz] = this.#priced(index, [[999, 1]])[0];
    return this.#update(index, [[`${px}${px.includes(".") ? "" : "."}00005`, sz, "0", "1"]], []);
  }

  stranger(): string {
    return '{"arg":{"channel":"mark-price","instId":"XRP-USDT-SWAP"},"data":[{"instId":"XRP-USDT-SWAP","markPx":"1","ts":"1"}]}';
  }

  heartbeat(): string {
    return "pong";
  }

  #update(index: number, bids: string[][], asks: string[][]): string {
    const book = this.books[index];
    const previous = book.sequence;
    this.#sequence += 5;
    book.sequence = this.#sequence;
    return this.#book(index, "update", bids, asks, previous, book.sequence);
  }

  #book(
    index: number,
    action: string,
    bids: string[][],
    asks: string[][],
    prevSeqId: number,
    seqId: number,
  ): string {
    const checksum = this.#sums ? this.#checksum(index) : 0;
    return JSON.stringify({
      arg: { channel: "books", instId: this.symbols[index] },
      action,
      data: [{ asks, bids, ts: "1700000000000", checksum, seqId, prevSeqId }],
    });
  }

  /** As the documentation says it, by strings. */
  #checksum(index: number): number {
    const [bids, asks] = this.books[index].sides.map((levels, side) => {
      const sorted = [...levels].toSorted(([a], [b]) => (side === 0 ? b - a : a - b)).slice(0, 25);
      return this.#priced(index, sorted).map(([px, sz]) => `${px}:${sz}`);
    });
    const parts: string[] = [];
    for (let i = 0; i < 25; i += 1) parts.push(...bids.slice(i, i + 1), ...asks.slice(i, i + 1));
    return Bun.hash.crc32(parts.join(":")) | 0;
  }

  #priced(index: number, levels: readonly (readonly [number, number])[]): string[][] {
    const { tickDecimals, lotDecimals } = GRIDS[index];
    return levels.map(([ticks, lots]) => [
      String(Number((ticks / 10 ** tickDecimals).toFixed(tickDecimals))),
      String(Number((lots / 10 ** lotDecimals).toFixed(lotDecimals))),
      "0",
      "1",
    ]);
  }
}
