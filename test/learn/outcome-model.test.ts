import { describe, expect, test } from "bun:test";
import type { ModelCard } from "../../src/inference/card.ts";
import { OBSERVED } from "../../src/learn/outcomes/observation.ts";
import { type ObservedDesk, OutcomeTap } from "../../src/learn/outcomes/tap.ts";
import { InstrumentTable } from "../../src/market/instrument.ts";
import { QuoteBatch, REASON } from "../../src/quote/quote-batch.ts";
import { MS, Story, T0 } from "./outcome-story.ts";

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
