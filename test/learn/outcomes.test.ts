import { describe, expect, test } from "bun:test";
import { MS, PERPETUAL, type Quoted, Story, T0 } from "./outcome-story.ts";

describe("fills", () => {
  test("every horizon has the last mark at or before it, an event at the very time included", () => {
    const story = new Story();
    story.top(0, 200, 202);
    story.quote(1, { quoteId: 7, bid: 199, ask: 203 });
    story.fill(2, { id: "a", side: 0, priceTicks: 199, sizeLots: 5, counterparty: "ALFA" });
    story.top(12, 198, 200); // exactly 10 ms after: mark 99.5
    story.top(50, 196, 198); // 98.5
    story.top(102.001, 190, 192); // one µs too late for 100 ms
    story.top(1_500, 210, 212); // 105.5
    story.top(30_000, 180, 182); // 90.5
    story.end(60_003);
    const [fill] = story.rows.fill;
    expect(fill).toMatchObject({
      instrument: "BTCUSDT",
      counterparty: "ALFA",
      source: "quote",
      side: 1,
      price: 99.5,
      size: 0.005,
      unit_value: 0.005,
      quote_id: 7,
      arrival_mark: 100.5,
      mark: 100.5,
      mark_10ms: 99.5,
      mark_100ms: 98.5,
      mark_1s: 95.5,
      mark_10s: 105.5,
      mark_60s: 90.5,
    });
  });

  test("a horizon that has not passed by the end has no mark", () => {
    const story = new Story();
    story.top(0, 200, 202);
    story.fill(1, { id: "a", side: 1, priceTicks: 203, sizeLots: 1 });
    story.end(1_500);
    const [fill] = story.rows.fill;
    expect(fill?.mark_1s).toBe(100.5);
    expect(fill?.mark_10s).toBeNaN();
    expect(fill?.mark_60s).toBeNaN();
  });

  test("a hit on a quote that was replaced meanwhile is that quote's, and the newest of equal ones", () => {
    const story = new Story();
    story.top(0, 200, 202);
    story.quote(1, { quoteId: 1, bid: 198, ask: 204 });
    story.quote(2, { quoteId: 2, bid: 197, ask: 204 });
    story.quote(3, { quoteId: 3, bid: 196, ask: 205 });
    story.fill(4, { id: "a", side: 0, priceTicks: 198, sizeLots: 1 });
    story.fill(5, { id: "b", side: 1, priceTicks: 204, sizeLots: 1 });
    story.fill(6, { id: "c", side: 1, priceTicks: 300, sizeLots: 1 });
    story.end(70_000);
    expect(story.rows.fill.map(({ quote_id }) => quote_id)).toEqual([1, 2, Number.NaN]);
  });

  test("an order's arrival mark is that of its sending", () => {
    const story = new Story();
    story.top(0, 200, 202);
    story.order(1, 42);
    story.top(5, 202, 204);
    story.fill(6, { id: "a", side: 0, priceTicks: 204, sizeLots: 1, orderId: 42 });
    story.end(70_000);
    expect(story.rows.fill[0]).toMatchObject({
      source: "order",
      arrival_mark: 100.5,
      mark: 101.5,
      price: 102,
    });
  });

  test("an inverse future's unit value is its money over the price; an inverse option's its coins times the forward", () => {
    const story = new Story(PERPETUAL);
    story.top(0, 100_000, 100_002);
    story.fill(1, { id: "a", side: 0, priceTicks: 100_000, sizeLots: 50 });
    story.end(70_000);
    // 50 lots of 10 USD at 50,000: 0.01 coin, so 1 USD of price is worth 0.01 USD.
    expect(story.rows.fill[0]?.unit_value).toBeCloseTo(0.01, 15);
  });
});

describe("what the model kept from us", () => {
  // The model moved the bid 4.0 (8 ticks) away: it stands at 190, the static one would at 198.
  const WIDENED: Quoted = { quoteId: 1, bid: 190, ask: 220, moveBid: 4, predictedBid: 0.5, lots: 50 };

  test("a trade through the static level and not through the quote is a fill that was not had", () => {
    const story = new Story();
    story.top(0, 200, 202);
    story.quote(1, WIDENED);
    story.trade(10, "sell", 198); // at the level: who was first in the queue is not known
    story.trade(11, "buy", 195); // the other side's
    story.trade(12, "sell", 197);
    story.trade(13, "sell", 196); // counted once
    story.top(500, 180, 182); // 1 s later the mark is 90.5
    story.end(70_000);
    expect(story.rows.unfilled).toHaveLength(1);
    expect(story.rows.unfilled[0]).toMatchObject({
      time_us: T0 + 12 * MS,
      pass: "trade",
      side: 1,
      price: 95,
      static_price: 99,
      static_size: 0.1,
      unit_value: 0.1,
      mark: 100.5,
      mark_10ms: 100.5,
      mark_1s: 90.5,
    });
  });

  test("one that goes through both levels is not", () => {
    const story = new Story();
    story.top(0, 200, 202);
    story.quote(1, WIDENED);
    story.trade(10, "sell", 189);
    story.end(70_000);
    expect(story.rows.unfilled).toHaveLength(0);
  });

  test("the book passes too, and again only after a quote that was sent with the market on its right side", () => {
    const story = new Story();
    story.top(0, 200, 202);
    story.quote(1, WIDENED);
    story.top(10, 194, 196);
    story.quote(11, { ...WIDENED, quoteId: 2 }); // the market is still through
    story.top(12, 193, 195);
    story.top(13, 200, 202);
    story.quote(14, { ...WIDENED, quoteId: 3 });
    story.top(15, 194, 196);
    story.end(70_000);
    expect(story.rows.unfilled.map(({ pass, quote_id }) => [pass, quote_id])).toEqual([
      ["book", 1],
      ["book", 3],
    ]);
  });

  test("a quote that the model did not move has none", () => {
    const story = new Story();
    story.top(0, 200, 202);
    story.quote(1, { quoteId: 1, bid: 198, ask: 204 });
    story.trade(2, "sell", 190);
    story.top(3, 190, 192);
    story.end(70_000);
    expect(story.rows.unfilled).toHaveLength(0);
  });

  test("the fill of a widened quote says where the static one would have stood", () => {
    const story = new Story();
    story.top(0, 200, 202);
    story.quote(1, WIDENED);
    story.fill(2, { id: "a", side: 0, priceTicks: 190, sizeLots: 10 });
    story.end(70_000);
    expect(story.rows.fill[0]).toMatchObject({ price: 95, static_price: 99, static_ratio: 2 });
  });
});

describe("quotes", () => {
  test("time at best counts while a side is no worse than the book, from its sending to its end", () => {
    const story = new Story();
    story.top(0, 200, 202);
    story.quote(10, { quoteId: 1, bid: 200, ask: 204 });
    story.top(30, 201, 203); // bid best for 20 ms
    story.top(40, 199, 205); // ask best from here
    story.quote(100, { quoteId: 2, bid: 198, ask: 206 });
    story.cancelAll(130);
    story.end(200);
    expect(story.rows.quote).toHaveLength(2);
    expect(story.rows.quote[0]).toMatchObject({
      end: "replaced",
      until_us: T0 + 100 * MS,
      bid: 100,
      bid_size: 0.1,
      bid_best_us: 80_000, // 10 → 30 and 40 → 100
      ask_best_us: 60_000, // 40 → 100
      mark: 100.5,
    });
    expect(story.rows.quote[1]).toMatchObject({ end: "cancelled", bid_best_us: 0, ask_best_us: 0 });
  });
});

describe("predictions", () => {
  test("get the labels of training: moves at any time within the horizon, depth at its end", () => {
    const story = new Story();
    // θ = 0.5 bp of 200,000 ticks is 10 ticks.
    story.predict(0, 200_000, 100, 100, 0.25);
    story.predict(30, 199_990, 100, 79); // a fall of 10 ticks = 0.5 bp, back before the end
    story.predict(50, 200_000, 81, 80); // the end of the short horizon, itself included
    story.predict(90, 200_012, 100, 100); // 0.6 bp up within 100 ms only
    story.predict(150.001, 200_000, 100, 100);
    story.end(400);
    const [first] = story.rows.prediction;
    expect(first).toMatchObject({
      time_us: T0,
      underlying: "BTC",
      p_down50: 0.25,
      y_down50: 1,
      y_down100: 1,
      y_up50: 0,
      y_up100: 1,
      y_bidWithdraw50: 0, // 81 of 100 are left
      y_askWithdraw50: 1, // 80 of 100
    });
    expect(first?.fall_50_bp).toBeCloseTo(0.5, 12);
    expect(first?.rise_100_bp).toBeCloseTo(0.6, 12);
    expect(story.rows.prediction).toHaveLength(5);
  });

  test("those that wait when the model goes out of force get none, and are counted", () => {
    const story = new Story();
    story.predict(0, 200_000, 100, 100);
    story.predict(10, 200_000, 100, 100);
    story.predict(20, 200_000, 100, 100, 0.5, 1);
    story.predict(500, 200_000, 100, 100);
    story.end(1_000);
    expect(story.rows.prediction.map(({ time_us }) => time_us)).toEqual([T0 + 500 * MS]);
    expect(story.tracker.counters).toMatchObject({ predictions: 1, unlabelled: 2 });
  });
});
