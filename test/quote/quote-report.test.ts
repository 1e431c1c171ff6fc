import { expect, test } from "bun:test";
import { DecisionEncoder, decodeDecision } from "../../src/desk/decision.ts";
import { reasonNames } from "../../src/quote/quote-batch.ts";
import { quoteReport, quoteReportLines } from "../../src/quote/quote-report.ts";
import { FORWARD, Scenario } from "./harness.ts";

const SCARED = [0.7, 0, 0, 0, 0.6, 0, 0.9];

function quoted() {
  const scenario = new Scenario({ levels: 2, counterpartyBp: 1, minQuoteLifeMs: 0 }).ready();
  const option = scenario.option();
  scenario.requote();
  scenario.quoter.onPosition(option.id, 400);
  scenario.move(FORWARD, SCARED);
  scenario.requote();
  return { scenario, option };
}

test("fair and the terms of a side give its price, to the step that it was rounded by", () => {
  const { scenario, option } = quoted();
  for (const level of [0, 1]) {
    const standing = scenario.quoter.standing(option.id, level);
    const report = quoteReport(option, standing, reasonNames(standing.reasons));
    const sum = (side: "bid" | "ask"): number =>
      report.terms.reduce((total, term) => total + term[side], report.fair);
    expect(sum("bid")).toBeCloseTo(report.bid ?? Number.NaN, 9);
    expect(sum("ask")).toBeCloseTo(report.ask ?? Number.NaN, 9);
    const rest = report.terms.at(-1);
    expect(rest?.term).toStartWith("rounding");
    expect(rest?.bid).toBeLessThanOrEqual(1e-8);
    expect(rest?.bid).toBeGreaterThan(-5e-4 - 1e-8);
    expect(rest?.ask).toBeGreaterThanOrEqual(-1e-8);
    expect(rest?.ask).toBeLessThan(5e-4 + 1e-8);
    const names = report.terms.map(({ term }) => term);
    for (const name of [
      "base",
      "adverse move",
      "volatility jump",
      "counterparty",
      "skew vega",
      "skew gamma",
    ]) {
      expect(names).toContain(name);
    }
    expect(names.includes("level")).toBe(level === 1);
    expect(quoteReportLines(report).join("\n")).toContain("modelMove");
  }
});

test("a journalled quote tells the same as the standing one", () => {
  const { scenario, option } = quoted();
  const encoder = new DecisionEncoder(64, 7);
  const payload = encoder.encode(scenario.batch, 0, Float32Array.from(SCARED), 0, 7);
  const decoded = decodeDecision(payload).quotes;
  expect(decoded.map(({ level }) => level)).toEqual([0, 1]);
  for (const quote of decoded) {
    const standing = scenario.quoter.standing(option.id, quote.level);
    expect(quoteReport(option, quote, quote.reasons)).toEqual(
      quoteReport(option, standing, reasonNames(standing.reasons)),
    );
  }
});

test("a decision from before terms were recorded is still read", () => {
  const payload = new Uint8Array(16 + 64);
  const view = new DataView(payload.buffer);
  view.setUint32(8, 1, true);
  view.setInt32(16, 3, true);
  view.setFloat64(24, 77, true);
  const [quote] = decodeDecision(payload).quotes;
  expect(quote).toMatchObject({ instrument: 3, quoteId: 77, level: 0, terms: null });
  view.setUint32(12, 9, true);
  expect(() => decodeDecision(payload)).toThrow("form 9");
});
