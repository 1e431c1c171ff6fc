import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { executionReports, writeReports } from "../../src/command/report/write.ts";
import { OutcomeWriter, outcomeHeaderOf } from "../../src/learn/outcomes/file.ts";
import { fillMeasures } from "../../src/learn/outcomes/measures.ts";
import { OutcomeSummary } from "../../src/learn/outcomes/summary.ts";
import {
  FILL,
  type FillOutcome,
  PREDICTION,
  type PredictionOutcome,
  QUOTE,
  type QuoteOutcome,
  UNFILLED,
  type UnfilledOutcome,
} from "../../src/learn/outcomes/table.ts";
import { BOOTSTRAP_OPTIONS, RatioBootstrap } from "../../src/learn/report/bootstrap.ts";
import { TERM_NAMES } from "../../src/quote/term.ts";

const DAY_US = Date.parse("2026-11-20") * 1_000;
const root = mkdtempSync(join(tmpdir(), "keel-report-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

function blank(columns: Readonly<Record<string, string>>): Record<string, number | string> {
  return Object.fromEntries(
    Object.entries(columns).map(([name, type]) => [name, type === "text" ? "" : Number.NaN]),
  );
}

function fill(row: Partial<FillOutcome>): FillOutcome {
  return {
    ...blank(FILL),
    ...Object.fromEntries(TERM_NAMES.map((name) => [`term_${name}`, 0])),
    source: "quote",
    counterparty: "ALFA",
    instrument: "BTC-X",
    model: "lstm@12345678",
    reasons: 3,
    level: 0,
    ...row,
  } as FillOutcome;
}

function unfilled(row: Partial<UnfilledOutcome>): UnfilledOutcome {
  return {
    ...blank(UNFILLED),
    model: "lstm@12345678",
    pass: "trade",
    reasons: 3,
    level: 0,
    ...row,
  } as UnfilledOutcome;
}

/** We bought 2 at 99 with the mark at 100; it stood at 98 after 1 s. The quote was sent at a mark of 101; the static bid was 99.5. */
const BOUGHT = fill({
  time_us: DAY_US + 3_600e6,
  side: 1,
  price: 99,
  size: 2,
  unit_value: 2,
  mark: 100,
  arrival_mark: 101,
  mark_10ms: 100,
  mark_100ms: 99,
  mark_1s: 98,
  mark_10s: 97,
  static_price: 99.5,
  static_ratio: 1.25,
  quote_id: 77,
  quote_time_us: DAY_US + 3_600e6 - 5_000,
  fair: 100,
  widen_bp: 12,
  term_base: 0.5,
  term_moveBid: 0.5,
  rfq_quote_id: "",
  predicted_us: DAY_US + 3_600e6 - 6_500,
  p_down50: 0.75,
  p_bidWithdraw50: 0.5 ** 11,
  fill_predicted_us: DAY_US + 3_600e6 - 250,
  fill_p_down50: 0.25,
});
/** We sold 1 at 103 with the mark at 102; it stood at 101 after 1 s. Not widened. */
const SOLD = fill({
  ...BOUGHT,
  time_us: DAY_US + 7_200e6,
  side: -1,
  price: 103,
  size: 1,
  unit_value: 1,
  mark: 102,
  mark_1s: 101,
  static_price: 103,
  static_ratio: 1,
  counterparty: "<b>BETA</b>",
  rfq_quote_id: "K-1",
  source: "rfq",
  quote_id: Number.NaN,
  quote_time_us: DAY_US + 7_200e6 - 2_000,
  predicted_us: Number.NaN,
});
/** The model kept us from buying 4 at 99.5 before it fell to 98; and from selling 1 at 103 before it fell to 101. */
const AVOIDED = unfilled({
  time_us: DAY_US + 3_601e6,
  side: 1,
  static_price: 99.5,
  unit_value: 4,
  mark_1s: 98,
});
const MISSED = unfilled({
  time_us: DAY_US + 7_201e6,
  side: -1,
  static_price: 103,
  unit_value: 1,
  mark_1s: 101,
});

describe("measures", () => {
  test("spreads, markouts, slippage and the static quote's, as computed by hand", () => {
    const measures = fillMeasures(BOUGHT);
    expect(measures).toMatchObject({ turnover: 198, captured: 2, slippage: -4 });
    expect(measures.markout).toEqual([2, 0, -2, -4, Number.NaN]);
    expect(measures.adverse).toEqual([0, 2, 4, 6, Number.NaN]);
    // At 99.5 and 1.25 times the size: (98 − 99.5) × 2 × 1.25.
    expect(measures.staticMarkout[2]).toBe(-3.75);
    expect(fillMeasures(SOLD)).toMatchObject({ captured: 1, turnover: 103 });
    expect(fillMeasures(SOLD).markout[2]).toBe(2);
  });

  test("of predictions: Brier, log loss, AUC and calibration from known numbers", () => {
    const summary = new OutcomeSummary();
    for (const [p, y] of [
      [0.12, 0],
      [0.12, 1],
      [0.82, 1],
      [0.82, 1],
    ] as const) {
      summary.outcome("prediction", {
        ...blank(PREDICTION),
        time_us: 1,
        p_down50: p,
        y_down50: y,
      } as PredictionOutcome);
    }
    const head = summary.view().heads.down50;
    expect(head).toMatchObject({ rows: 4, baseRate: 0.75 });
    expect(head?.brier).toBeCloseTo((0.12 ** 2 + 0.88 ** 2 + 2 * 0.18 ** 2) / 4, 12);
    expect(head?.logLoss).toBeCloseTo(-(Math.log(0.88) + Math.log(0.12) + 2 * Math.log(0.82)) / 4, 12);
    // Three pairs: two won, one tied.
    expect(head?.auc).toBeCloseTo(2.5 / 3, 12);
    expect(head?.calibrationError).toBeCloseTo((Math.abs(0.24 - 1) + Math.abs(1.64 - 2)) / 4, 12);
    expect(summary.view().heads.up50?.auc).toBeNull();
  });
});

describe("the block bootstrap", () => {
  test("gives the ratio, the same interval for the same seed, and none with one block", () => {
    const make = (): RatioBootstrap => {
      const bootstrap = new RatioBootstrap({ ...BOOTSTRAP_OPTIONS, blockUs: 10 });
      for (let at = 0; at < 200; at += 1) bootstrap.add(at, at % 7, 2);
      return bootstrap;
    };
    const one = make().interval();
    expect(one).toEqual(make().interval());
    expect(one.low).toBeLessThan(one.value);
    expect(one.high).toBeGreaterThan(one.value);
    const single = new RatioBootstrap();
    single.add(0, 3, 2);
    single.add(1, Number.NaN, 2);
    expect(single.interval()).toEqual({ value: 1.5, low: Number.NaN, high: Number.NaN });
  });

  test("covers the mean about as often as it says, for values that hang together within a block", () => {
    let covered = 0;
    const trials = 120;
    for (let trial = 0; trial < trials; trial += 1) {
      const bootstrap = new RatioBootstrap({
        ...BOOTSTRAP_OPTIONS,
        blockUs: 10,
        resamples: 200,
        seed: trial,
      });
      let state = trial + 1;
      const random = (): number => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        return state / 4_294_967_296;
      };
      for (let block = 0; block < 60; block += 1) {
        const level = random() - 0.5;
        for (let at = 0; at < 10; at += 1) bootstrap.add(block * 10 + at, level);
      }
      const { low, high } = bootstrap.interval();
      if (low <= 0 && high >= 0) covered += 1;
    }
    expect(covered / trials).toBeGreaterThan(0.86);
    expect(covered / trials).toBeLessThanOrEqual(1);
  });
});

describe("a day's report", () => {
  test("adds up what the files hold, with and without the model, and escapes what a counterparty is called", async () => {
    const directory = join(root, "outcomes");
    const header = outcomeHeaderOf({
      keel: "1",
      run: "run",
      schemaHash: "0".repeat(16),
      model: "lstm@12345678",
    });
    const writer = new OutcomeWriter({ directory, header, partBytes: 1e6, totalBytes: 1e9 });
    for (const row of [BOUGHT, SOLD, { ...SOLD, time_us: DAY_US + 86_400e6 }]) writer.outcome("fill", row);
    for (const row of [AVOIDED, MISSED]) writer.outcome("unfilled", row);
    const quote = {
      ...blank(QUOTE),
      model: "tcn@87654321",
      end: "replaced",
      reasons: 1,
      level: 0,
      widen_bp: 3,
    };
    writer.outcome("quote", {
      ...quote,
      time_us: DAY_US + 1,
      until_us: DAY_US + 1 + 200_000,
      bid_best_us: 50_000,
      ask_best_us: 0,
    } as QuoteOutcome);
    writer.close();
    const source = {
      outcomes: directory,
      journal: undefined,
      run: undefined,
      fromUs: -Infinity,
      toUs: Infinity,
    };
    const reports = await executionReports(source, () => {});
    expect(reports.map(({ day, all }) => [day, all.fills])).toEqual([
      ["2026-11-20", 2],
      ["2026-11-21", 1],
    ]);
    const [first] = reports;
    expect(first?.value).toMatchObject({
      withModel: 0, // −2 + 2
      sameFillsStatic: -1.75, // −3.75 + 2
      kept: 4, // 6 avoided − 2 missed
      unfilled: { avoided: 1, avoidedLoss: 6, missed: 1, missedProfit: 2 },
    });
    expect(first?.value.difference.value).toBeCloseTo(5.75, 12);
    // 2 of captured + 1 over a turnover of 198 + 103.
    expect(first?.all.capturedBp.value).toBeCloseTo((3 / 301) * 10_000, 9);
    expect(first?.counterparties.map(({ name }) => name)).toEqual(["ALFA", "<b>BETA</b>"]);
    // The file began with the one model; each row is credited to its own.
    const models = first?.models.map(({ name, fills, quotes, value }) => [
      name,
      fills,
      quotes.count,
      value.kept,
    ]);
    expect(models).toEqual([
      ["lstm@12345678", 2, 0, 4],
      ["tcn@87654321", 0, 1, 0],
    ]);
    expect(first?.quotes).toMatchObject({
      count: 1,
      meanLifeMs: 200,
      brief: 0,
      widened: 1,
      bidAtBest: 0.25,
      askAtBest: 0,
    });
    expect(first?.worst[0]).toMatchObject({
      side: "bought",
      quote: { quoteId: 77, ageMs: 5, reasons: ["base", "modelMove"] },
    });
    expect(first?.worst[0]?.said).toEqual({
      sent: { ageMs: 1.5, probabilities: { down50: 0.75, bidWithdraw50: 0.5 ** 11 } },
      filled: { ageMs: 0.25, probabilities: { down50: 0.25 } },
    });
    expect(first?.worst[1]).toMatchObject({
      quote: null,
      answer: { rfqQuoteId: "K-1", ageMs: 2 },
      said: { sent: null },
    });
    expect(first?.worst[0]?.quote?.terms.map(({ term }) => term)).toEqual(["base", "adverse move"]);

    const [written] = writeReports(reports, join(root, "pages"));
    const html = readFileSync(written?.html ?? "", "utf8");
    expect(html).not.toContain("<b>BETA");
    expect(html).toContain("&lt;b&gt;BETA");
    expect(html).not.toMatch(/https?:|<script|NaN|\de\+/);
    expect(html).toMatch(/markout after 60s, of \d fills/);
    expect(html).toContain("sizes as sent, of full size: bid × ");
    expect(html).toContain("when it was sent, from features 1.500 ms old");
    expect(html).toMatch(/bidWithdraw50<\/td><td[^>]*>0\.0005</);
    expect(html).toContain("Answer K-1, 2.000 ms old.");
    const json = JSON.parse(readFileSync(written?.json ?? "", "utf8")) as { value: { kept: number } };
    expect(json.value.kept).toBe(4);
  });

  test("of a time without outcomes is refused", async () => {
    const source = {
      outcomes: join(root, "outcomes"),
      journal: undefined,
      run: undefined,
      fromUs: 0,
      toUs: 1,
    };
    await expect(executionReports(source, () => {})).rejects.toThrow("no outcome in what was asked for");
  });
});
