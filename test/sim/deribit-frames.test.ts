import { describe, expect, test } from "bun:test";
import { SIDE } from "../../src/market/event-batch.ts";
import { black76, OptionValue, yearsToExpiry } from "../../src/option/black76.ts";
import { deribitInstruments } from "../../src/sim/deribit-instruments.ts";
import { recordedMarket, START_US } from "./sim-support.ts";

type Row = [string, number, number];

/** A book as a naive client keeps it; complains about whatever does not fit. */
class NaiveBook {
  readonly sides = [new Map<number, number>(), new Map<number, number>()];
  changeId = Number.NaN;
  changes = 0;

  apply(data: {
    type: string;
    change_id: number;
    prev_change_id?: number;
    bids: readonly Row[];
    asks: readonly Row[];
  }): void {
    if (data.type === "snapshot") for (const side of this.sides) side.clear();
    else expect(data.prev_change_id).toBe(this.changeId);
    this.changeId = data.change_id;
    this.changes += 1;
    for (const [i, rows] of [data.bids, data.asks].entries()) {
      const side = this.sides[i];
      for (const [action, price, amount] of rows) {
        expect(side?.has(price)).toBe(action !== "new");
        if (action === "delete") {
          expect(amount).toBe(0);
          side?.delete(price);
        } else {
          expect(amount).toBeGreaterThan(0);
          side?.set(price, amount);
        }
      }
    }
  }

  get crossed(): boolean {
    return Math.max(...(this.sides[0]?.keys() ?? [])) >= Math.min(...(this.sides[1]?.keys() ?? []));
  }
}

describe("DeribitFrames", () => {
  test("chains every book by change ids, and each rebuilds to the market's own", () => {
    const { market, deribit, frames } = recordedMarket(1, (channel) => channel.startsWith("book."));
    market.advance(START_US + 500_000);
    const books = new Map<string, NaiveBook>();
    for (const channel of deribit.channels) {
      const first = channel.startsWith("book.") ? deribit.first(channel) : null;
      if (first === null) continue;
      const book = new NaiveBook();
      book.apply(JSON.parse(first));
      books.set(channel, book);
    }
    frames.length = 0;
    market.scheduleToxicEpisode(START_US + 1e6, "up", { jumpBp: 30 });
    market.advance(START_US + 4e6);
    for (const { channel, data } of frames) {
      const book = books.get(channel);
      book?.apply(JSON.parse(data));
      expect(book?.crossed).toBe(false);
    }
    for (const [channel, book] of books) {
      if (!channel.endsWith(".raw")) continue;
      const now = new NaiveBook();
      now.apply(JSON.parse(deribit.first(channel) ?? ""));
      expect(book.sides).toEqual(now.sides);
    }
    expect(books.get("book.BTC-PERPETUAL.raw")?.changes ?? 0).toBeGreaterThan(100);
    expect(books.get("book.BTC-PERPETUAL.100ms")?.changes ?? 0).toBeGreaterThan(20);
    expect(books.get("book.BTC-PERPETUAL.100ms")?.changes ?? 0).toBeLessThan(45);
  });

  test("begins an aggregated channel with a snapshot that its next change continues", () => {
    const { market, deribit, frames } = recordedMarket(
      2,
      (channel) => channel === "book.BTC-PERPETUAL.100ms",
    );
    market.advance(START_US + 1_030_000);
    const book = new NaiveBook();
    book.apply(JSON.parse(deribit.first("book.BTC-PERPETUAL.100ms") ?? ""));
    frames.length = 0;
    market.advance(START_US + 3e6);
    for (const { data } of frames) book.apply(JSON.parse(data));
    expect(book.changes).toBeGreaterThan(10);
  });

  test("gives tickers whose mark price is what Black-76 makes of its mark IV", () => {
    const { market, deribit } = recordedMarket(3);
    market.advance(START_US + 3e6);
    const value = new OptionValue();
    for (const option of market.options.chain) {
      const ticker = JSON.parse(deribit.first(`ticker.${option.symbol}.raw`) ?? "");
      const years = yearsToExpiry(option.expiryMs, ticker.timestamp * 1_000);
      black76(value, option.call, ticker.underlying_price, option.strike, years, ticker.mark_iv / 100);
      expect(Math.abs(value.price / ticker.underlying_price - ticker.mark_price)).toBeLessThan(2e-5);
      expect(Math.abs(value.delta - ticker.greeks.delta)).toBeLessThan(0.01);
      expect(ticker.best_bid_price).toBeLessThan(ticker.best_ask_price);
      if (ticker.bid_iv > 0) expect(ticker.bid_iv).toBeLessThanOrEqual(ticker.mark_iv + 1);
      expect(ticker.ask_iv).toBeGreaterThanOrEqual(ticker.mark_iv - 1);
    }
  });

  test("quotes options on the venue's grid and around their mark price", () => {
    const { market, deribit } = recordedMarket(4);
    market.advance(START_US + 5e6);
    let inside = 0;
    for (const option of market.options.chain) {
      const { bids, asks } = JSON.parse(deribit.first(`book.${option.symbol}.raw`) ?? "");
      const ticker = JSON.parse(deribit.first(`ticker.${option.symbol}.raw`) ?? "");
      for (const [, price] of [...bids, ...asks]) {
        const ticks = price * (price < 0.005 ? 10_000 : 2_000);
        expect(Math.abs(ticks - Math.round(ticks))).toBeLessThan(1e-9);
      }
      const bid = bids[0]?.[1] ?? 0;
      if (bid <= ticker.mark_price && asks[0][1] >= ticker.mark_price) inside += 1;
    }
    expect(inside / market.options.chain.length).toBeGreaterThan(0.95);
  });

  test("has a smile that falls with the strike at first and no call cheaper than one with a higher strike", () => {
    const { market } = recordedMarket(5);
    for (const [i, option] of market.options.chain.entries()) {
      const above = market.options.chain[i + 2];
      if (!option.call || above === undefined || above.expiry !== option.expiry) continue;
      expect(market.options.marks[i]?.price ?? 0).toBeGreaterThanOrEqual(
        market.options.marks[i + 2]?.price ?? 0,
      );
    }
    expect(market.options.marks[0]?.volatility ?? 0).toBeGreaterThan(
      market.options.marks[18]?.volatility ?? 0,
    );
  });

  test("lists 152 options and the perpetual in the venue's words", () => {
    const { market } = recordedMarket(6);
    const all = deribitInstruments(market, "BTC", undefined) ?? [];
    expect(all.length).toBe(153);
    expect(deribitInstruments(market, "BTC", "option")?.length).toBe(152);
    expect(deribitInstruments(market, "ETH", undefined)).toBeNull();
    expect(market.options.chain.map((option) => option.symbol)).toContain("BTC-29JAN27-60000-C");
    expect(new Set(market.options.chain.map((option) => option.expiryMs)).size).toBe(4);
    expect(market.options.chain.every((option) => new Date(option.expiryMs).getUTCHours() === 8)).toBe(true);
  });

  test("numbers trades in sequence, raw and aggregated alike", () => {
    const { market, frames } = recordedMarket(7, (channel) => channel.startsWith("trades.BTC-PERPETUAL"));
    market.advance(START_US + 20e6);
    const sequences = (channel: string): number[] =>
      frames
        .filter((frame) => frame.channel === channel)
        .flatMap(({ data }) => JSON.parse(data).map((trade: { trade_seq: number }) => trade.trade_seq));
    const raw = sequences("trades.BTC-PERPETUAL.raw");
    expect(raw.length).toBeGreaterThan(10);
    for (const [i, sequence] of raw.entries()) expect(sequence).toBe((raw[0] ?? 0) + i);
    const aggregated = sequences("trades.BTC-PERPETUAL.100ms");
    expect(aggregated).toEqual(raw.slice(0, aggregated.length));
    expect(market.follower.book.best(SIDE.bid)).toBeGreaterThan(0);
  });
});
