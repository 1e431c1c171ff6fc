import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runGrid } from "../../src/backtest/grid.ts";
import { runBacktest } from "../../src/backtest/run.ts";
import { type BacktestSpec, DEFAULT_SPEC } from "../../src/backtest/spec.ts";
import { ResultStore } from "../../src/backtest/store.ts";
import type { Strategy } from "../../src/backtest/strategy.ts";
import { simulatedCapture } from "../../src/bench/input.ts";
import { skipUnlessNative } from "../support/native.ts";

const noModel = await skipUnlessNative("a backtest with the model");

const folder = mkdtempSync(join(tmpdir(), "keel-backtest-"));
const capture = join(folder, "simulated.txt");
writeFileSync(capture, simulatedCapture(1, 20));
afterAll(() => rmSync(folder, { recursive: true }));

/** Tight enough to be traded with in a market as calm as the simulated one. */
const quote = {
  ...DEFAULT_SPEC.quote,
  deltaOneHalfSpreadBp: 0.1,
  minQuoteLifeMs: 0,
  tightenHysteresis: 0.05,
};
const spec: BacktestSpec = { ...DEFAULT_SPEC, strategy: "static", quote, recordings: [capture] };
const run = async (changes: Partial<BacktestSpec> = {}) =>
  (await runBacktest({ ...spec, ...changes })).result;
const latency = (orderUs: number) => ({ ...DEFAULT_SPEC.latency, orderUs, jitterUs: 0 });

describe("a run", () => {
  test("is the same bit for bit when it is made again, and another one with another seed", async () => {
    const first = await run();
    const again = await run();
    expect(first.fills.length).toBeGreaterThan(10);
    expect([again.checksum, again.digest, again.summary]).toEqual([
      first.checksum,
      first.digest,
      first.summary,
    ]);
    const other = await run({ seed: 2 });
    expect(other.digest).not.toBe(first.digest);
    expect(other.checksum).not.toBe(first.checksum);
  });

  test("adds up: the position is what was bought less what was sold, the books' profit is cash and what is held", async () => {
    const { fills, summary } = await run();
    const lots = fills.reduce((sum, fill) => sum + (fill.side === "buy" ? fill.lots : -fill.lots), 0);
    expect(summary.positions).toEqual({ "binance-usdm:BTCUSDT": lots });
    const cash = fills.reduce(
      (sum, { side, notional, feeQuote }) => sum + (side === "buy" ? -notional : notional) - feeQuote,
      0,
    );
    const last = fills.at(-1);
    const held = (lots * (last?.notional ?? 0)) / (last?.lots ?? 1);
    // The position is worth the last mid rather than the last fill's price.
    expect(Math.abs(summary.profit - (cash + held))).toBeLessThan(0.002 * Math.abs(held) + 1e-6);
    expect(summary.volume).toBeCloseTo(
      fills.reduce((sum, { notional }) => sum + notional, 0),
      6,
    );
  });

  test("charges fees by who made the price", async () => {
    const free = await run();
    const fees = { ...spec.fees, deltaOneMakerBp: 2 };
    const charged = await run({ fees });
    expect(free.summary.fees).toBe(0);
    expect(charged.summary.fees).toBeCloseTo(charged.summary.volume * 2e-4, 6);
    expect(charged.summary.profit).toBeCloseTo(free.summary.profit - charged.summary.fees, 6);
  });

  test("is worse the longer orders are under way", async () => {
    const [fast, slow] = [await run({ latency: latency(0) }), await run({ latency: latency(50_000) })];
    const oneSecond = ({ summary }: typeof fast) => summary.markouts[2]?.markoutBp ?? Number.NaN;
    expect(oneSecond(slow)).toBeLessThan(oneSecond(fast));
  });

  test("trades within its window alone", async () => {
    const whole = await run();
    const fromUs = whole.summary.fromUs + 8e6;
    const toUs = fromUs + 6e6;
    const { fills, summary } = await run({ fromUs, toUs });
    expect(fills.length).toBeGreaterThan(0);
    expect(fills.every(({ timeUs }) => timeUs >= fromUs && timeUs <= toUs)).toBe(true);
    expect([summary.fromUs, summary.seconds]).toEqual([fromUs, 6]);
  });

  test("is refused what the venue's rate does not allow", async () => {
    const { summary } = await run({ matching: { ...spec.matching, rate: { perSecond: 1, burst: 1 } } });
    expect(summary.matching.rejects.rate).toBeGreaterThan(0);
    expect(summary.desk.quotesRejected).toBe(summary.matching.rejects.rate);
  });

  const models: Strategy[] = noModel ? [] : ["model"];
  test.each([...(["static", "queue-imbalance", "logistic"] satisfies Strategy[]), ...models])(
    "%s predicts in the model's place",
    async (strategy) => {
      const { summary, intervals } = await run({ strategy, toUs: null });
      expect(summary.desk.predictions).toBeGreaterThan(100);
      const probabilities = intervals.at(-1)?.probabilities ?? [];
      expect(probabilities).toHaveLength(7);
      expect(probabilities.some((value) => value !== null && value > 0)).toBe(strategy !== "static");
    },
  );

  test("without a model the desk quotes defensively", async () => {
    const { summary } = await run({ strategy: "defensive" });
    expect([summary.desk.predictions, summary.desk.quotesSent > 0]).toEqual([0, true]);
  });
});

describe("a grid", () => {
  const out = join(folder, "results");
  const specs = [1, 2, 3].map((seed) => ({ ...spec, seed }));

  test("runs each cell, and not again what is there", async () => {
    const first = await runGrid({ specs: specs.slice(0, 2), out, workers: 2 });
    expect(first.map(({ error, resumed }) => [error, resumed])).toEqual([
      [null, false],
      [null, false],
    ]);
    const all = await runGrid({ specs, out, workers: 2 });
    expect(all.map(({ resumed }) => resumed)).toEqual([true, true, false]);
    expect(all[0]?.result?.checksum).toBe((await run()).checksum);
    const files = readdirSync(out);
    expect(files).toHaveLength(9);
    const loaded = new ResultStore(out).load(all[0]?.digest ?? "");
    expect(loaded.fills).toEqual((await run()).fills);
  });

  test("a cell that cannot be run fails by itself, and says why", async () => {
    const bad = { ...spec, recordings: [join(folder, "none.gz")] };
    const unknown = { ...spec, strategy: "model:nobody" as const };
    const outcomes = await runGrid({ specs: [bad, unknown, specs[0] ?? spec], out, workers: 1 });
    expect(outcomes.map(({ error }) => error === null)).toEqual([false, false, true]);
    expect(outcomes[0]?.error).toContain("none.gz");
    expect(outcomes[1]?.error).toContain("nobody");
  });

  test("tells how far it has come", async () => {
    const shares: number[] = [];
    await runGrid({ specs, out, onProgress: ({ share }) => shares.push(share) });
    expect(shares.at(-1)).toBe(1);
  });
});
