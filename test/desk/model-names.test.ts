import { expect, setDefaultTimeout, test } from "bun:test";
import { HEADS, modelLabel } from "../../src/inference/card.ts";
import type { FillOutcome } from "../../src/learn/outcomes/table.ts";
import { OutcomeTap } from "../../src/learn/outcomes/tap.ts";
import { OutcomeTracker } from "../../src/learn/outcomes/tracker.ts";
import type { RfqQuote } from "../../src/rfq/message.ts";
import { DEFAULT_RFQ_PARAMETERS } from "../../src/rfq/parameters.ts";
import { DeskBed } from "./desk-bed.ts";
import { ScriptedEngine } from "./scripted-engine.ts";

setDefaultTimeout(120_000);

test("profit by model: a fill is kept under the model whose quote was hit, which may no longer be in force", () => {
  const engine = new ScriptedEngine();
  const bed = new DeskBed(engine);
  bed.run(4_000);
  const { desk } = bed;
  const next = { ...engine.card, name: "next", onnxSha256: "9".repeat(64) };
  const [first, second] = [modelLabel(engine.card), modelLabel(next)];
  const fillsBy = (): Record<string, number> =>
    Object.fromEntries(
      [...desk.book.sums].map(([key, { fills }]) => [key.slice(key.indexOf(" ") + 1), fills]),
    );
  const hit = (id: string): void => {
    const { instrument, bidTicks, bidLots } = bed.last;
    desk.onExecution(id, instrument, 0, bidTicks, bidLots, bed.timeUs);
  };
  const { quoteId } = bed.last;
  desk.nameModel(0, next);
  expect(bed.last.quoteId).toBe(quoteId);
  hit("E1");
  expect(fillsBy()).toEqual({ [first]: 1 });
  bed.run(500);
  expect(bed.last.quoteId).toBeGreaterThan(quoteId);
  hit("E2");
  expect(fillsBy()).toEqual({ [first]: 1, [second]: 1 });
});

test("a request's trade is credited to the model that priced the answer, in profits and in outcomes, with what it said then", () => {
  const engine = new ScriptedEngine();
  const bed = new DeskBed(engine, {}, false, {}, { ...DEFAULT_RFQ_PARAMETERS, lastLookTolerance: 10 });
  const { desk } = bed;
  const fills: FillOutcome[] = [];
  const [first, second] = [engine.card, { ...engine.card, name: "next", onnxSha256: "9".repeat(64) }];
  const tracker = new OutcomeTracker([...HEADS], modelLabel(first), {
    outcome: (table, row) => void (table === "fill" && fills.push(row as FillOutcome)),
  });
  const tap = new OutcomeTap(desk.market, desk.predictions, modelLabel(first), tracker);
  const quotes: RfqQuote[] = [];
  bed.tap = {
    onQuotes: (batch, timeUs) => tap.onQuotes(batch, timeUs),
    onFill: (...fill) => tap.onFill(...fill),
    onAnswer: (action, timeUs) => {
      tap.onAnswer(action, timeUs);
      if (action.do === "quote") quotes.push(action);
      else expect(action).toMatchObject({ do: "trade" });
    },
  };
  const say = (probability: number): void => {
    engine.answer.fill(probability);
    bed.run(50);
  };
  const ask = (requestId: string): void => {
    desk.onRfq(
      {
        ...{ on: "request", channel: "fix", client: "ACME", requestId, side: null, quantity: "0.01" },
        ...{ validUntilUs: null, tiedPrice: null },
        legs: [{ symbol: "BTCUSDT", venue: null, side: "buy", ratio: "1" }],
      },
      bed.timeUs,
    );
  };
  const hit = (quoteId: string): void => {
    const about = { responseId: quoteId, quoteId, quantity: null, price: null, orderId: null } as const;
    desk.onRfq(
      { on: "response", channel: "fix", client: "ACME", kind: "hit", side: "buy", ...about },
      bed.timeUs,
    );
  };
  bed.run(4_000);
  say(0.125);
  ask("R1");
  const stateUs = desk.predictions.stateUs[0];
  // Nothing is quoted between the exchange and the second request.
  desk.nameModel(0, second);
  tap.onModel(0, second);
  ask("R2");
  say(0.25);
  expect(quotes).toHaveLength(2);
  for (const { quoteId } of quotes) hit(quoteId);
  tracker.finish(bed.timeUs);
  expect([...desk.book.sums.keys()]).toEqual([`ACME ${modelLabel(first)}`, `ACME ${modelLabel(second)}`]);
  expect(fills.map(({ model, rfq_quote_id }) => [model, rfq_quote_id])).toEqual([
    [modelLabel(first), quotes[0]?.quoteId],
    [modelLabel(second), quotes[1]?.quoteId],
  ]);
  expect(fills[0]).toMatchObject({ p_down50: 0.125, predicted_us: stateUs, fill_p_down50: 0.25 });
});
