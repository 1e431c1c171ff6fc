import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { blockSums } from "../../src/backtest/compare/sums.ts";
import { readRuleFile } from "../../src/backtest/fitted-rule.ts";
import { runBacktest } from "../../src/backtest/run.ts";
import { DEFAULT_SPEC } from "../../src/backtest/spec.ts";
import { simulatedCapture } from "../../src/bench/input.ts";
import { runCommandLine } from "../../src/command/cli.ts";
import { skipUnlessNative } from "../support/native.ts";

const noModel = await skipUnlessNative("a comparison with the model");

const folder = mkdtempSync(join(tmpdir(), "keel-compare-"));
const capture = join(folder, "simulated.txt");
writeFileSync(capture, simulatedCapture(1, 20));
afterAll(() => rmSync(folder, { recursive: true }));
const env = {
  KEEL_QUOTE_DELTA_ONE_HALF_SPREAD_BP: "0.1",
  KEEL_QUOTE_MIN_QUOTE_LIFE_MS: "0",
  KEEL_QUOTE_TIGHTEN_HYSTERESIS: "0.05",
};

async function compare(args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ["", ""];
  const code = await runCommandLine(["backtest", "compare", ...args], {
    env,
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    shutdown: new AbortController().signal,
  });
  return { code, out, err };
}

const report = join(folder, "comparison");
const common = ["--out", join(folder, "runs"), "--report", report, "--scales", "0.5,1,2", "--block-s", "1"];

test.skipIf(noModel)(
  "compares strategies at equal volume, walks forward with fitted rules, and says what latency costs",
  async () => {
    const args = [
      capture,
      "--strategy",
      "static",
      "--variant",
      "static,KEEL_QUOTE_RETREAT_TOLERANCE=0.4",
      "--variant",
      "model,KEEL_QUOTE_SAFE_SIDE_SHARE=0",
      "--parts",
      "2",
    ];
    const more = ["--fit", "logistic", "--latencies-us", "0,5000", "--resamples", "200", "--json", ...common];
    const { code, out, err } = await compare([...args, ...more]);
    expect([code, err]).toEqual([0, ""]);
    const told = JSON.parse(out.trim().split("\n").at(-1) ?? "");
    const [first, second, third] = told.equalVolume;
    expect([second.variant, third.variant]).toEqual([
      "static RETREAT_TOLERANCE=0.4",
      "model SAFE_SIDE_SHARE=0",
    ]);
    expect(second.volume).toBeCloseTo(first.volume, 3);
    expect(second.shortIn).toEqual([]);
    expect(second.differences.adverseBp.low).toBeLessThanOrEqual(second.differences.adverseBp.high);
    // In so calm a market the model trades less than it is asked for, and that is said.
    expect(third.shortIn).toEqual(["binance-usdm:BTCUSDT"]);
    const families = told.walkForward.map(({ family }: { family: string }) => family);
    expect(families).toEqual(["static", "static, chosen", "model", "logistic, fitted"]);
    const json = JSON.parse(readFileSync(`${report}.json`, "utf8"));
    expect(json.latency[0].points.map(({ latencyUs }: { latencyUs: number }) => latencyUs)).toEqual([
      0, 5_000,
    ]);
    expect(json.runs).toHaveLength(3 * 5 + 3);
    expect(json.asRun[0].course[0].points.length).toBeGreaterThan(10);
    const page = readFileSync(`${report}.html`, "utf8");
    expect(page).not.toMatch(/<script|NaN|undefined|(src|href)="(?!#)/);
    expect(page.match(/<svg /g)?.length).toBeGreaterThan(6);

    // Again: every run is there, and what is computed from them is the same to the last digit.
    const before = readFileSync(`${report}.json`, "utf8");
    const again = await compare([...args, ...more]);
    expect(again.code).toBe(0);
    expect(readFileSync(`${report}.json`, "utf8")).toBe(before);
  },
  120_000,
);

describe("what cannot be compared is refused by name", () => {
  test.each([
    ["a scale without 1", ["--scales", "0.5,2"], "1 must be among them"],
    ["no number", ["--scales", "1,x"], "--scales"],
    ["an unknown strategy", ["--strategy", "nobody"], "nobody"],
    ["a variant twice", ["--strategy", "static", "--variant", "static"], "named twice"],
    ["no variable", ["--variant", "model,SAFE=0"], "KEEL_"],
    [
      "a value out of bounds",
      ["--variant", "model,KEEL_QUOTE_SAFE_SIDE_SHARE=7"],
      "KEEL_QUOTE_SAFE_SIDE_SHARE",
    ],
  ])("%s", async (_name, args, word) => {
    const { code, out, err } = await compare([capture, ...common.slice(0, 4), ...args]);
    expect(code).toBe(2);
    expect(out + err).toContain(word);
  });

  test("a recording that is not there", async () => {
    const missing = join(folder, "none.gz");
    const { code, err, out } = await compare([
      missing,
      "--strategy",
      "static",
      ...common,
      "--latencies-us",
      "none",
    ]);
    expect(code).toBe(6);
    expect(out + err).toContain("none.gz");
  });
});

describe("sums of a run", () => {
  test("are its summary's, whatever the blocks are", async () => {
    const quote = {
      ...DEFAULT_SPEC.quote,
      deltaOneHalfSpreadBp: 0.1,
      minQuoteLifeMs: 0,
      tightenHysteresis: 0.05,
    };
    const { result } = await runBacktest({
      ...DEFAULT_SPEC,
      quote,
      strategy: "static",
      recordings: [capture],
    });
    const { summary } = result;
    for (const blockUs of [700_000, 5_000_000]) {
      const blocks = [...blockSums(result, { blockUs, horizon: 2 }).values()];
      const sum = (at: number): number => blocks.reduce((total, block) => total + (block[at] ?? 0), 0);
      expect(sum(0)).toBe(summary.fills);
      expect(sum(1)).toBeCloseTo(summary.volume, 4);
      expect(sum(3)).toBeCloseTo(summary.markouts[2]?.notional ?? 0, 4);
      expect(sum(5)).toBeCloseTo(summary.markouts[2]?.markout ?? 0, 6);
      expect(sum(4)).toBeCloseTo(-(summary.markouts[2]?.adverse ?? 0), 6);
      expect(sum(6)).toBeCloseTo(summary.profit, 6);
      expect(sum(7)).toBe(summary.desk.quotesSent);
    }
  });
});

describe("a fitted rule", () => {
  test("that is none, or was made for other features, is refused by name", () => {
    const path = join(folder, "rule.json");
    writeFileSync(path, "{}");
    expect(() => readRuleFile(path)).toThrow(/rule\.json/);
    const head = { intercept: 0, weights: [] };
    const names = ["down50", "down100", "up50", "up100", "bidWithdraw50", "askWithdraw50", "volatilitySpike"];
    const heads = Object.fromEntries(names.map((name) => [name, head]));
    const rule = { schemaHash: "0", features: [], mean: [], deviation: [], clip: 4, heads, about: "" };
    writeFileSync(path, JSON.stringify(rule));
    expect(() => readRuleFile(path)).toThrow(/schema/);
  });
});
