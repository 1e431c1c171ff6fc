import { describe, expect, test } from "bun:test";
import { SIDE } from "../../src/market/event-batch.ts";
import { BinanceFrames } from "../../src/sim/binance-frames.ts";
import { SimMarket } from "../../src/sim/market/market.ts";
import { NO_LEVEL } from "../../src/sim/market/sim-book.ts";
import { recordedMarket, START_US } from "./sim-support.ts";

type Levels = Map<string, string>;
type Row = [string, string];

const DEPTH = "btcusdt@depth@0ms";

function apply(levels: Levels, rows: readonly Row[]): void {
  for (const [price, size] of rows) {
    if (Number(size) === 0) levels.delete(price);
    else levels.set(price, size);
  }
}

function sorted(levels: Levels, side: number): Row[] {
  const sign = side === SIDE.bid ? -1 : 1;
  return [...levels].sort((a, b) => sign * (Number(a[0]) - Number(b[0])));
}

describe("BinanceFrames", () => {
  test("chains depth diffs by U, u and pu", () => {
    const { market, frames } = recordedMarket(1, (channel) => channel.includes("@depth"));
    market.advance(START_US + 5e6);
    for (const channel of [DEPTH, "btcusdt@depth@100ms", "btcusdt@depth", "btcusdt@depth@500ms"]) {
      let previous = Number.NaN;
      const diffs = frames.filter((frame) => frame.channel === channel).map(({ data }) => JSON.parse(data));
      expect(diffs.length).toBeGreaterThan(5);
      for (const { U, u, pu } of diffs) {
        expect(U).toBeLessThanOrEqual(u);
        expect(U).toBeGreaterThan(pu);
        if (!Number.isNaN(previous)) expect(pu).toBe(previous);
        previous = u;
      }
    }
  });

  test("gives a snapshot that the diffs continue to the market's own book", () => {
    const market = new SimMarket({ seed: 2, startUs: START_US });
    let onDiff = (_data: string): void => {};
    const emit = (_channel: string, data: string): void => onDiff(data);
    const binance = new BinanceFrames(market, { wanted: (channel) => channel === DEPTH, emit }, 2);
    market.advance(START_US + 1e6);
    const snapshot = JSON.parse(binance.snapshot(1_000));
    const sides: [Levels, Levels] = [new Map(snapshot.bids), new Map(snapshot.asks)];
    market.scheduleToxicEpisode(START_US + 2e6, "down", { jumpBp: 50 });
    let compared = 0;
    onDiff = (data) => {
      const diff = JSON.parse(data);
      apply(sides[0], diff.b);
      apply(sides[1], diff.a);
      if (compared === 0) expect(diff.U).toBeLessThanOrEqual(snapshot.lastUpdateId);
      const now = JSON.parse(binance.snapshot(10_000));
      expect(diff.u).toBe(now.lastUpdateId);
      expect(sorted(sides[0], SIDE.bid)).toEqual(now.bids);
      expect(sorted(sides[1], SIDE.ask)).toEqual(now.asks);
      compared += 1;
    };
    market.advance(START_US + 5e6);
    expect(compared).toBeGreaterThan(50);
  });

  test("writes what the exchange writes: same keys in the same order, same number formats", () => {
    const { market, frames } = recordedMarket(3);
    market.advance(START_US + 3e6);
    const first = (channel: string): string => frames.find((frame) => frame.channel === channel)?.data ?? "";
    expect(first("btcusdt@bookTicker")).toMatch(
      /^\{"e":"bookTicker","u":\d+,"s":"BTCUSDT","b":"\d+\.\d0","B":"\d+\.\d{3}","a":"\d+\.\d0","A":"\d+\.\d{3}","T":\d{13},"E":\d{13}\}$/,
    );
    expect(first("btcusdt@trade")).toMatch(
      /^\{"e":"trade","E":\d{13},"T":\d{13},"s":"BTCUSDT","t":\d+,"p":"\d+\.\d0","q":"\d+\.\d{3}","X":"MARKET","m":(true|false)\}$/,
    );
    expect(first(DEPTH)).toMatch(
      /^\{"e":"depthUpdate","E":\d{13},"T":\d{13},"s":"BTCUSDT","U":\d+,"u":\d+,"pu":\d+,"b":\[(\["\d+\.\d0","\d+\.\d{3}"\],?)*\],"a":\[.*\]\}$/,
    );
    expect(first("btcusdt@markPrice@1s")).toMatch(
      /^\{"e":"markPriceUpdate","E":\d{13},"s":"BTCUSDT","p":"[\d.]+","P":"[\d.]+","i":"[\d.]+","r":"-?0\.\d{8}","T":\d{13}\}$/,
    );
  });

  test("tells every change of the touch, and trades before the ticker they cause", () => {
    const { market, frames } = recordedMarket(4, (channel) => /@(bookTicker|trade)$/.test(channel));
    const { book } = market.leader;
    market.advance(START_US + 3e6);
    const last = JSON.parse(frames.findLast(({ channel }) => channel.endsWith("@bookTicker"))?.data ?? "");
    expect(book.best(SIDE.bid)).not.toBe(NO_LEVEL);
    expect(Math.round(Number(last.b) * 10)).toBe(book.best(SIDE.bid));
    expect(Math.round(Number(last.a) * 10)).toBe(book.best(SIDE.ask));
    expect(Math.round(Number(last.B) * 1_000)).toBe(book.bestLots(SIDE.bid));
    const trade = frames.findIndex(({ channel }) => channel.endsWith("@trade"));
    const next = frames.slice(trade).find(({ channel }) => channel.endsWith("@bookTicker"));
    expect(next?.timeUs).toBe(frames[trade]?.timeUs ?? 0);
  });

  test("marks sells that hit the bid as buyer-is-maker", () => {
    const { market, frames } = recordedMarket(5, (channel) => /@(bookTicker|trade)$/.test(channel));
    market.advance(START_US + 10e6);
    let ticker = { b: "0", a: "0" };
    let checked = 0;
    for (const { channel, data } of frames) {
      const payload = JSON.parse(data);
      if (channel.endsWith("@bookTicker")) ticker = payload;
      else if (payload.p === ticker.b || payload.p === ticker.a) {
        expect(payload.m).toBe(payload.p === ticker.b);
        checked += 1;
      }
    }
    expect(checked).toBeGreaterThan(50);
  });
});
