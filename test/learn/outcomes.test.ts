import { describe, expect, test } from "bun:test";
import { HEADS, type ModelCard } from "../../src/inference/card.ts";
import {
  OBSERVED,
  OBSERVED_VALUES_MAX,
  type ObservedFill,
  type ObservedInstrument,
  QUOTED,
} from "../../src/learn/outcomes/observation.ts";
import type { OutcomeRows, OutcomeTable } from "../../src/learn/outcomes/table.ts";
import { type ObservedDesk, OutcomeTap } from "../../src/learn/outcomes/tap.ts";
import { OutcomeTracker } from "../../src/learn/outcomes/tracker.ts";
import { InstrumentTable } from "../../src/market/instrument.ts";
import { QuoteBatch, REASON } from "../../src/quote/quote-batch.ts";
import { TERM } from "../../src/quote/term.ts";

const T0 = 1_700_000_000_000_000;
const MS = 1_000;

const PERPETUAL: ObservedInstrument = {
  venue: "deribit",
  symbol: "BTC-PERP",
  base: "BTC",
  tick: 0.5,
  lot: 10,
  option: false,
  inverse: true,
  contractSize: 1,
};
const LINEAR: ObservedInstrument = { ...PERPETUAL, symbol: "BTCUSDT", lot: 0.001, inverse: false };

interface Quoted {
  readonly quoteId: number;
  readonly bid: number;
  readonly ask: number;
  readonly lots?: number;
  readonly moveBid?: number;
  readonly moveAsk?: number;
  readonly predictedBid?: number;
}

/** A tracker with one instrument, told what happens in ticks and ms after T0. */
class Story {
  readonly rows: { [T in OutcomeTable]: OutcomeRows[T][] } = {
    prediction: [],
    quote: [],
    fill: [],
    unfilled: [],
  };
  readonly tracker = new OutcomeTracker([...HEADS], "first@1", {
    outcome: (table, row) => {
      (this.rows[table] as unknown[]).push(row);
    },
  });
  readonly #values = new Float64Array(OBSERVED_VALUES_MAX);

  constructor(about: ObservedInstrument = LINEAR) {
    this.tracker.describe(OBSERVED.instrument, 0, T0, JSON.stringify(about));
    this.tracker.describe(OBSERVED.underlying, 0, T0, "BTC");
  }

  top(ms: number, bid: number, ask: number): void {
    this.#observe(OBSERVED.top, ms, [bid, ask]);
  }

  trade(ms: number, aggressor: "buy" | "sell", ticks: number): void {
    this.#observe(OBSERVED.trade, ms, [aggressor === "buy" ? 0 : 1, ticks]);
  }

  quote(ms: number, quote: Quoted): void {
    const { lots = 100, moveBid = 0, moveAsk = 0, predictedBid = 1 } = quote;
    const values = new Array<number>(QUOTED.terms + 20).fill(0);
    values[QUOTED.quoteId] = quote.quoteId;
    values[QUOTED.bidTicks] = quote.bid;
    values[QUOTED.bidLots] = lots;
    values[QUOTED.askTicks] = quote.ask;
    values[QUOTED.askLots] = lots;
    values[QUOTED.terms + TERM.moveBid] = moveBid;
    values[QUOTED.terms + TERM.moveAsk] = moveAsk;
    values[QUOTED.terms + TERM.predictedBid] = predictedBid;
    values[QUOTED.terms + TERM.predictedAsk] = 1;
    this.#observe(OBSERVED.quote, ms, values);
  }

  fill(ms: number, fill: ObservedFill): void {
    this.tracker.describe(OBSERVED.fill, 0, T0 + ms * MS, JSON.stringify(fill));
  }

  model(ms: number, label: string): void {
    this.tracker.describe(OBSERVED.modelName, 0, T0 + ms * MS, label);
  }

  lose(ms: number): void {
    this.#observe(OBSERVED.lost, ms, [1]);
  }

  basis(ms: number, probability: number, stateMs = ms, status = 0): void {
    this.#observe(OBSERVED.basis, ms, [
      status,
      T0 + stateMs * MS,
      ...HEADS.map((_, head) => probability + head / 100),
    ]);
  }

  answer(ms: number, rfqQuoteId: string, instruments: readonly number[] = [0]): void {
    this.tracker.describe(OBSERVED.answer, -1, T0 + ms * MS, JSON.stringify({ rfqQuoteId, instruments }));
  }

  order(ms: number, orderId: number): void {
    this.#observe(OBSERVED.order, ms, [orderId]);
  }

  cancelAll(ms: number): void {
    this.#observe(OBSERVED.cancelAll, ms, []);
  }

  predict(
    ms: number,
    midTicks: number,
    bidDepth: number,
    askDepth: number,
    probability = 0.5,
    status = 0,
  ): void {
    this.#observe(OBSERVED.prediction, ms, [
      status,
      midTicks,
      bidDepth,
      askDepth,
      ...HEADS.map(() => probability),
    ]);
  }

  end(ms: number): void {
    this.tracker.finish(T0 + ms * MS);
  }

  #observe(kind: (typeof OBSERVED)[keyof typeof OBSERVED], ms: number, values: readonly number[]): void {
    this.#values.set(values);
    this.tracker.observe(kind, 0, T0 + ms * MS, this.#values, values.length);
  }
}

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

describe("the model", () => {
  test("of a fill is that of the quote that was hit or of the order when it was sent, of all else the one in force", () => {
    const story = new Story();
    story.top(0, 200, 202);
    story.predict(0, 200_000, 100, 100);
    story.quote(1, { quoteId: 1, bid: 198, ask: 204, moveBid: 2 });
    story.order(1, 42);
    story.model(2, "second@2");
    story.fill(3, { id: "a", side: 0, priceTicks: 198, sizeLots: 1 });
    story.fill(3, { id: "b", side: 1, priceTicks: 201, sizeLots: 1, orderId: 42 });
    story.fill(3, { id: "c", side: 1, priceTicks: 300, sizeLots: 1 });
    story.trade(4, "sell", 200); // through the static bid, which the first model's quote would have been
    story.quote(5, { quoteId: 2, bid: 197, ask: 203 });
    story.fill(6, { id: "d", side: 1, priceTicks: 203, sizeLots: 1 });
    story.predict(7, 200_000, 100, 100);
    story.end(70_000);
    expect(story.rows.fill.map(({ fill_id, model }) => [fill_id, model])).toEqual([
      ["a", "first@1"],
      ["b", "first@1"],
      ["c", "second@2"],
      ["d", "second@2"],
    ]);
    expect(story.rows.unfilled.map(({ model }) => model)).toEqual(["first@1"]);
    expect(story.rows.quote.map(({ quote_id, model }) => [quote_id, model])).toEqual([
      [1, "first@1"],
      [2, "second@2"],
    ]);
    expect(story.rows.prediction.map(({ model }) => model)).toEqual(["first@1", "second@2"]);
  });

  test("is not named after a loss, in which it may have changed, before it is told again", () => {
    const story = new Story();
    story.top(0, 200, 202);
    story.quote(1, { quoteId: 1, bid: 198, ask: 204 });
    story.lose(2);
    story.quote(3, { quoteId: 2, bid: 197, ask: 204 });
    story.model(4, "second@2");
    story.quote(5, { quoteId: 3, bid: 196, ask: 204 });
    story.end(70_000);
    expect(story.rows.quote.map(({ model }) => model)).toEqual(["first@1", "", "second@2"]);
  });

  test("is told by the tap when it changes, and again once a second", () => {
    const told: string[] = [];
    const desk: ObservedDesk = {
      instruments: new InstrumentTable(4),
      books: [],
      underlyings: { size: 2, reference: new Int32Array(2), base: (at) => ["BTC", "ETH"][at] ?? "" },
      underlyingOf: () => -1,
    };
    const tap = new OutcomeTap(desk, null, "first@1", {
      observe: () => {},
      describe: (kind, subject, _timeUs, text) => {
        if (kind === OBSERVED.modelName) told.push(`${subject} ${text}`);
      },
    });
    tap.onTimer(T0);
    expect(told.splice(0)).toEqual(["0 first@1", "1 first@1"]);
    const card = { name: "second", onnxSha256: "2".repeat(64) } as ModelCard;
    tap.onModel(1, card);
    tap.onModel(1, card);
    tap.onTimer(T0 + 500 * MS);
    expect(told.splice(0)).toEqual(["1 second@22222222"]);
    tap.onTimer(T0 + 1_000 * MS);
    expect(told.splice(0)).toEqual(["0 first@1", "1 second@22222222"]);
  });
});

describe("what the model said", () => {
  test("is told of a fill as it was when the quote that was hit was sent, and as it was at the fill", () => {
    const story = new Story();
    story.top(0, 200, 202);
    story.basis(1, 0.25, 0.5);
    story.quote(1, { quoteId: 1, bid: 198, ask: 204 });
    story.basis(2, 0.5);
    story.quote(2, { quoteId: 2, bid: 197, ask: 204 });
    story.basis(3, 0.75);
    story.fill(4, { id: "a", side: 0, priceTicks: 198, sizeLots: 1 });
    story.basis(5, 0, 5, REASON.inputUnsound);
    story.fill(6, { id: "b", side: 0, priceTicks: 197, sizeLots: 1 });
    story.fill(7, { id: "c", side: 0, priceTicks: 1, sizeLots: 1 });
    story.end(70_000);
    const said = story.rows.fill.map((fill) => [
      [fill.predicted_us - T0, fill.p_down50, fill.p_volatilitySpike],
      [fill.fill_predicted_us - T0, fill.fill_p_down50, fill.fill_p_volatilitySpike],
    ]);
    const nothing = [Number.NaN, Number.NaN, Number.NaN];
    expect(said).toEqual([
      [
        [500, 0.25, 0.31],
        [3_000, 0.75, 0.81],
      ],
      [[2_000, 0.5, 0.56], nothing],
      [nothing, nothing],
    ]);
  });

  test("is as it was when the order, or the answer to a request, was sent; not known after a loss until it is told again", () => {
    const story = new Story();
    story.top(0, 200, 202);
    story.basis(1, 0.125);
    story.order(1, 42);
    story.answer(2, "r-1");
    story.top(3, 202, 204);
    story.basis(3, 0.5);
    story.fill(4, { id: "a", side: 0, priceTicks: 204, sizeLots: 1, orderId: 42 });
    story.fill(5, { id: "b", side: 1, priceTicks: 204, sizeLots: 1, structureId: 1, rfqQuoteId: "r-1" });
    story.lose(6);
    story.fill(7, { id: "c", side: 1, priceTicks: 204, sizeLots: 1, structureId: 1, rfqQuoteId: "r-1" });
    story.end(70_000);
    expect(story.rows.fill).toMatchObject([
      { source: "order", quote_time_us: T0 + MS, p_down50: 0.125, fill_p_down50: 0.5, rfq_quote_id: "" },
      {
        source: "rfq",
        quote_time_us: T0 + 2 * MS,
        arrival_mark: 100.5,
        p_down50: 0.125,
        fill_p_down50: 0.5,
        rfq_quote_id: "r-1",
      },
      { source: "rfq", p_down50: 0.125, fill_p_down50: Number.NaN },
    ]);
  });

  test("of a request's fill is the model's that priced the answer, however long it stood after an exchange", () => {
    const story = new Story();
    story.top(0, 200, 202);
    story.answer(1, "r-1");
    story.model(2, "second@2");
    story.answer(3, "r-2");
    story.model(4, "third@3");
    for (const [at, rfqQuoteId] of ["r-1", "r-2", "forgotten"].entries()) {
      story.fill(5 + at, { id: `f${at}`, side: 1, priceTicks: 204, sizeLots: 1, structureId: 1, rfqQuoteId });
    }
    story.end(70_000);
    expect(story.rows.fill.map(({ model }) => model)).toEqual(["first@1", "second@2", "third@3"]);
  });

  test("a quote that answers a fill is told before it, and is not the one that was hit", () => {
    const story = new Story();
    story.top(0, 200, 202);
    story.basis(1, 0.25);
    story.quote(1, { quoteId: 1, bid: 198, ask: 204 });
    story.basis(5, 0.5);
    story.quote(5, { quoteId: 2, bid: 198, ask: 204 });
    story.fill(5, { id: "a", side: 0, priceTicks: 198, sizeLots: 1 });
    story.end(70_000);
    expect(story.rows.fill[0]).toMatchObject({
      quote_id: 1,
      quote_time_us: T0 + MS,
      p_down50: 0.25,
      fill_p_down50: 0.5,
    });
  });

  test("is told by the tap before a quote, once as long as it is the same", () => {
    const told: unknown[] = [];
    const desk: ObservedDesk = {
      instruments: new InstrumentTable(4),
      books: [],
      underlyings: { size: 1, reference: new Int32Array(1), base: () => "BTC" },
      underlyingOf: (instrument) => (instrument < 2 ? 0 : -1),
    };
    let status = 0;
    const predictions = {
      heads: 2,
      probabilities: Float32Array.of(0.25, 0.5),
      stateUs: Float64Array.of(7),
      status: () => status,
    };
    const tap = new OutcomeTap(desk, predictions, "first@1", {
      describe: () => {},
      observe: (kind, subject, _timeUs, values, count) => {
        if (kind === OBSERVED.basis) told.push([subject, ...values.subarray(0, count)]);
        if (kind === OBSERVED.quote) told.push(`quote ${subject}`);
      },
    });
    const batch = new QuoteBatch(4);
    const quote = (...instruments: number[]): unknown[] => {
      batch.count = instruments.length;
      batch.instrument.set(instruments);
      tap.onQuotes(batch, T0);
      return told.splice(0);
    };
    expect(quote(0, 1, 2)).toEqual([[0, 0, 7, 0.25, 0.5], "quote 0", "quote 1", "quote 2"]);
    expect(quote(1)).toEqual(["quote 1"]);
    predictions.probabilities[1] = 0.75;
    expect(quote(1)).toEqual([[0, 0, 7, 0.25, 0.75], "quote 1"]);
    status = REASON.modelMissing;
    expect(quote(1)).toEqual([[0, REASON.modelMissing], "quote 1"]);
    predictions.stateUs[0] = 8;
    expect(quote(1)).toEqual(["quote 1"]);
    status = 0;
    expect(quote(0)).toEqual([[0, 0, 8, 0.25, 0.75], "quote 0"]);
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
