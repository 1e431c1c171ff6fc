import { expect, test } from "bun:test";
import { EVENT, EventBatch, FEED_STATE, TICKER, TICKER_FIELDS } from "../../src/market/event-batch.ts";
import { BOOK_SHAPE, L2Book } from "../../src/market/l2-book.ts";
import { skipUnlessShared } from "../support/shared-data.ts";
import { exchangeInfo } from "./fake-binance.ts";
import { ReferenceBook } from "./reference-book.ts";
import { scriptedFeed } from "./scripted-port.ts";
import { sharedLines } from "./shared-data.ts";

interface Received {
  readonly timeUs: number;
  readonly text: string;
}

/** Frames received in a recorded session: `epoch: json`. */
function received(lines: readonly string[]): Received[] {
  return lines.flatMap((line) => {
    const match = /^(\d+\.\d+): (.*)$/.exec(line);
    return match === null ? [] : [{ timeUs: Math.round(Number(match[1]) * 1e6), text: match[2] }];
  });
}

/** Feed's events applied to one book per instrument. */
class Books {
  readonly out = new EventBatch();
  readonly books = new Map<number, L2Book>();
  readonly live = new Set<number>();
  readonly tickers = new Map<number, Float64Array>();
  trades = 0;

  apply(): void {
    const { out } = this;
    for (let row = 0; row < out.count; row += 1) {
      const id = out.instrument[row];
      const book = this.books.get(id) ?? new L2Book(BOOK_SHAPE.future);
      this.books.set(id, book);
      const kind = out.kind[row];
      if (kind === EVENT.bookSnapshot) book.applySnapshot(out, row);
      else if (kind === EVENT.bookDelta) book.applyDelta(out, row);
      else if (kind === EVENT.top) book.applyTop(out, row);
      else if (kind === EVENT.trade) this.trades += 1;
      else if (kind === EVENT.ticker) {
        this.tickers.set(id, out.values.slice(row * TICKER_FIELDS, (row + 1) * TICKER_FIELDS));
      } else if (kind === EVENT.status) {
        if (out.code[row] === FEED_STATE.live) this.live.add(id);
        else this.live.delete(id);
      }
    }
    out.clear();
  }
}

test.skipIf(skipUnlessShared("data/ws/DERIBIT.ws.1.0.gz", "data/ws/DERIBIT.0.gz"))(
  "Deribit session: ten option books equal the reference at every message",
  () => {
    const session = sharedLines("ws/DERIBIT.ws.1.0.gz");
    const answers = sharedLines("ws/DERIBIT.0.gz");
    if (session === null || answers === null) return;
    const described = new Map<string, unknown[]>();
    for (const line of answers) {
      const match = /currency=(\w+)&\S* -> [\d.]+: (.*)$/.exec(line);
      if (match !== null) described.set(match[1], JSON.parse(match[2]).result);
    }
    const frames = received(session);
    const channels: string[] = JSON.parse(frames[0].text).result;
    const symbols = channels.filter((name) => name.startsWith("book.")).map((name) => name.split(".")[1]);
    expect(symbols.length).toBe(10);

    const { feed, port, instruments } = scriptedFeed({
      venue: "deribit",
      subscriptions: symbols,
    });
    const desk = new Books();
    const { timeUs } = frames[0];
    feed.start(timeUs);
    feed.onOpen(timeUs, desk.out);
    const subscribed: string[] = [];
    for (let sent = port.takeSent(); sent.length > 0; sent = port.takeSent()) {
      for (const text of sent) {
        const { id, method, params } = JSON.parse(text);
        let result: unknown = "ok";
        if (method === "public/get_instruments") {
          result = described.get(params.currency)?.filter((entry) => kindOf(entry) === params.kind);
        } else if (method === "public/subscribe") {
          subscribed.push(...params.channels);
          result = params.channels;
        }
        feed.onFrame(JSON.stringify({ jsonrpc: "2.0", id, result }), timeUs, desk.out);
      }
    }
    desk.apply();
    expect(subscribed.toSorted()).toEqual(channels.toSorted());
    expect(
      feed.carried.map(
        ({ kind, inverse, lot, quote }) => `${kind} ${inverse} ${lot.mantissa}/${lot.scale} ${quote}`,
      ),
    ).toContain("option true 1/1 BTC");

    const references = new Map<number, ReferenceBook>();
    let compared = 0;
    for (const frame of frames.slice(1)) {
      feed.onFrame(frame.text, frame.timeUs, desk.out);
      const { channel, data } = JSON.parse(frame.text).params;
      const [topic, symbol] = channel.split(".");
      const instrument = instruments.find("deribit", symbol);
      if (instrument === undefined) throw new Error(`${symbol} is not carried`);
      if (topic === "book") {
        const reference = references.get(instrument.id) ?? new ReferenceBook();
        references.set(instrument.id, reference);
        if (data.type === "snapshot") reference.clear();
        for (const [side, levels] of [data.bids, data.asks].entries()) {
          for (const [action, price, amount] of levels) {
            const ticks = Math.round(price / 0.0005);
            const lots = Math.round(amount / (symbol.startsWith("BTC") ? 0.1 : 1));
            reference.sides[side].set(ticks, action === "delete" ? 0 : lots);
          }
        }
        reference.sequence = data.change_id;
      }
      desk.apply();
      for (const [id, reference] of references) {
        compared += 1;
        const book = desk.books.get(id);
        expect(book === undefined ? "no book" : reference.difference(book)).toBe("");
      }
      if (topic === "ticker") {
        const values = desk.tickers.get(instrument.id);
        expect(values?.[TICKER.markPrice]).toBe(data.mark_price);
        expect(values?.[TICKER.markIv]).toBe(data.mark_iv / 100);
        expect(values?.[TICKER.bidIv]).toBe(data.bid_iv > 0 ? data.bid_iv / 100 : Number.NaN);
        expect(values?.[TICKER.vega]).toBe(data.greeks.vega);
        expect(values?.[TICKER.underlyingPrice]).toBe(data.underlying_price);
      }
    }
    expect(compared).toBeGreaterThan(1_000);
    expect(desk.live.size).toBe(10);
    expect(feed.problem).toBe("");
    expect(feed.counters).toMatchObject({
      gaps: 0,
      unparsable: 0,
      ignored: 0,
      resyncs: 0,
    });
  },
);

test.skipIf(skipUnlessShared("data/ws/BINANCE_FUTURES.ws.1.0.gz"))(
  "Binance futures session: four books equal the reference at every message",
  () => {
    const session = sharedLines("ws/BINANCE_FUTURES.ws.1.0.gz");
    if (session === null) return;
    const symbols = ["SUSHIUSDT", "AKROUSDT", "KEEPUSDT", "CTKUSDT"];
    const TICK = 1e-5;
    const { feed, port, instruments } = scriptedFeed({
      venue: "binance-usdm",
      subscriptions: symbols,
    });
    const desk = new Books();
    const frames = received(session);
    const { timeUs } = frames[0];
    feed.start(timeUs);
    const info = exchangeInfo(
      "binance-usdm",
      symbols.map((symbol) => ({ symbol, base: symbol.replace("USDT", ""), tick: "0.00001", lot: "1" })),
    );
    for (const { request } of port.takeRequests())
      feed.onResponse(request, 200, info, Number.NaN, timeUs, desk.out);
    feed.onOpen(timeUs, desk.out);
    desk.apply();

    const references = new Map<string, ReferenceBook>();
    let compared = 0;
    for (const frame of frames) {
      const outcomeBefore = feed.counters.ignored;
      feed.onFrame(frame.text, frame.timeUs, desk.out);
      const { stream, data } = JSON.parse(frame.text);
      if (/aggTrade|kline/.test(stream)) expect(feed.counters.ignored).toBe(outcomeBefore + 1);
      // The session holds no snapshots: each book starts empty where its first event starts.
      for (const { request, path } of port.takeRequests()) {
        const symbol = /symbol=(\w+)/.exec(path)?.[1] ?? "";
        references.set(symbol, new ReferenceBook());
        const snapshot = JSON.stringify({ lastUpdateId: data.U, bids: [], asks: [] });
        feed.onResponse(request, 200, snapshot, Number.NaN, frame.timeUs, desk.out);
      }
      desk.apply();
      const reference = references.get(data.s);
      const instrument = instruments.find("binance-usdm", data.s);
      if (reference === undefined || instrument === undefined) continue;
      if (data.e === "depthUpdate") {
        for (const [side, levels] of [data.b, data.a].entries()) {
          for (const [price, size] of levels) {
            reference.sides[side].set(Math.round(Number(price) / TICK), Number(size));
          }
        }
        reference.sequence = data.u;
      } else if (data.e === "bookTicker") {
        reference.top = {
          sequence: data.u,
          bid: Math.round(Number(data.b) / TICK),
          bidSize: Number(data.B),
          ask: Math.round(Number(data.a) / TICK),
          askSize: Number(data.A),
        };
      }
      compared += 1;
      const book = desk.books.get(instrument.id);
      expect(book === undefined ? "no book" : reference.difference(book)).toBe("");
    }
    expect(desk.live.size).toBe(4);
    expect(compared).toBeGreaterThan(800);
    expect(feed.counters).toMatchObject({ gaps: 0, unparsable: 0, resyncs: 0 });
  },
);

function kindOf(entry: unknown): unknown {
  return typeof entry === "object" && entry !== null && "kind" in entry ? entry.kind : undefined;
}
