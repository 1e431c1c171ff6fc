import type { NaiveChange, NaiveReader } from "./served-capture.ts";

type Level = readonly [price: unknown, size: unknown];

function side(at: number, levels: readonly Level[] = []): [number, number, number][] {
  return levels.map(([price, size]) => [at, Number(price), Number(size)]);
}

/** Books of Binance begin with the answer to a depth request, and `bookTicker` is ahead of them. */
export const BINANCE_SPOT: NaiveReader = {
  read(frame) {
    const { data } = JSON.parse(frame);
    if (data?.e === "depthUpdate")
      return {
        symbol: data.s,
        whole: false,
        levels: [...side(0, data.b), ...side(1, data.a)],
        sequence: data.u,
      };
    if (data?.u === undefined || data?.B === undefined) return null;
    const top = {
      bid: Number(data.b),
      bidSize: Number(data.B),
      ask: Number(data.a),
      askSize: Number(data.A),
    };
    return { symbol: data.s, whole: false, levels: [], sequence: data.u, top };
  },
  readAnswer(path, body) {
    const symbol = /\/depth\?symbol=(\w+)/.exec(path)?.[1];
    if (symbol === undefined) return null;
    const { lastUpdateId, bids, asks } = JSON.parse(body);
    return { symbol, whole: true, levels: [...side(0, bids), ...side(1, asks)], sequence: lastUpdateId };
  },
};

/** On futures the event that ends at the answer's id is not old: it may tell of levels beyond the answer's. */
export const BINANCE_FUTURES: NaiveReader = { ...BINANCE_SPOT, joinsAtSequence: true };

export const DERIBIT: NaiveReader = {
  read(frame) {
    const { params } = JSON.parse(frame);
    if (!params?.channel?.startsWith("book.")) return null;
    const { data } = params;
    const levels = [data.bids, data.asks].flatMap((entries: readonly [string, number, number][], at) =>
      entries.map(([action, price, size]): [number, number, number] => [
        at,
        price,
        action === "delete" ? 0 : size,
      ]),
    );
    return { symbol: data.instrument_name, whole: data.type === "snapshot", levels };
  },
};

export const OKX: NaiveReader = {
  read(frame) {
    const { arg, action, data } = JSON.parse(frame);
    if (arg?.channel !== "books" || data === undefined) return null;
    const [{ bids, asks }] = data;
    return { symbol: arg.instId, whole: action === "snapshot", levels: [...side(0, bids), ...side(1, asks)] };
  },
};

export const BYBIT: NaiveReader = {
  read(frame) {
    const { topic, type, data } = JSON.parse(frame);
    if (!topic?.startsWith("orderbook.")) return null;
    return { symbol: data.s, whole: type === "snapshot", levels: [...side(0, data.b), ...side(1, data.a)] };
  },
};

export const KRAKEN: NaiveReader = {
  depth: 1_000,
  read(frame) {
    const { channel, type, data } = JSON.parse(frame);
    if (channel !== "book") return null;
    const [{ symbol, bids, asks }] = data;
    const pairs = (levels: readonly { price: number; qty: number }[]): Level[] =>
      levels.map(({ price, qty }) => [price, qty]);
    return { symbol, whole: type === "snapshot", levels: [...side(0, pairs(bids)), ...side(1, pairs(asks))] };
  },
};

export const COINBASE: NaiveReader = {
  read(frame) {
    const { type, product_id: symbol, bids, asks, changes } = JSON.parse(frame);
    if (type === "snapshot") return { symbol, whole: true, levels: [...side(0, bids), ...side(1, asks)] };
    if (type !== "l2update") return null;
    const levels = changes.map(([way, price, size]: readonly string[]) => [
      way === "buy" ? 0 : 1,
      Number(price),
      Number(size),
    ]);
    return { symbol, whole: false, levels };
  },
};

/** Bitstamp's book by order: what rests at a price is the sum of its orders. A deletion may come before the creation. */
export class BitstampOrdersReader implements NaiveReader {
  readonly #orders = new Map<
    string,
    { readonly side: number; readonly price: number; readonly size: number }
  >();
  readonly #deleted = new Set<string>();
  readonly #frames: string[] = [];
  #answered = Number.NEGATIVE_INFINITY;

  read(frame: string): NaiveChange | null {
    const { event, channel, data } = JSON.parse(frame);
    if (!channel?.startsWith("live_orders_") || !event.startsWith("order_")) return null;
    const symbol = channel.slice("live_orders_".length);
    const sequence = Number(data.microtimestamp);
    if (this.#answered === Number.NEGATIVE_INFINITY) this.#frames.push(frame);
    const id = String(data.id_str ?? data.id);
    if (sequence <= this.#answered || this.#deleted.has(id))
      return { symbol, whole: false, levels: [], sequence };
    if (event === "order_deleted") this.#deleted.add(id);
    const before = this.#orders.get(id);
    const size = event === "order_deleted" ? 0 : Number(data.amount_str ?? data.amount);
    const now = { side: Number(data.order_type), price: Number(data.price_str ?? data.price), size };
    if (size > 0) this.#orders.set(id, now);
    else this.#orders.delete(id);
    const touched = [before, now].flatMap((order) =>
      order === undefined ? [] : [[order.side, order.price, this.#sum(order.side, order.price)] as const],
    );
    return { symbol, whole: false, levels: touched, sequence };
  }

  /** The answer may be ahead of the messages: those that it holds already are not taken again. */
  readAnswer(path: string, body: string): NaiveChange | null {
    const symbol = /\/order_book\/(\w+)\//.exec(path)?.[1];
    if (symbol === undefined) return null;
    const { bids, asks, microtimestamp } = JSON.parse(body);
    this.#answered = Number(microtimestamp);
    this.#orders.clear();
    this.#deleted.clear();
    for (const [at, orders] of [bids, asks].entries()) {
      for (const [price, size, id] of orders)
        this.#orders.set(String(id), { side: at, price: Number(price), size: Number(size) });
    }
    let sequence = this.#answered;
    for (const frame of this.#frames) sequence = Math.max(sequence, this.read(frame)?.sequence ?? 0);
    const levels = [...this.#orders.values()].map(
      (order) => [order.side, order.price, this.#sum(order.side, order.price)] as const,
    );
    return { symbol, whole: true, levels, sequence };
  }

  #sum(at: number, price: number): number {
    let lots = 0;
    for (const order of this.#orders.values())
      if (order.side === at && order.price === price) lots += Math.round(order.size * 1e8);
    return lots / 1e8;
  }
}
