import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { equalVolume } from "../../src/backtest/compare/equal-volume.ts";
import { Ladder, mixFor } from "../../src/backtest/compare/ladder.ts";
import { bootstrapP, holm, intervalOf, resample } from "../../src/backtest/compare/score.ts";
import { deflatedSharpe, normalQuantile, sharpe } from "../../src/backtest/compare/sharpe.ts";
import { SUM, SUMS } from "../../src/backtest/compare/sums.ts";
import type { LadderTable } from "../../src/backtest/compare/table.ts";
import { foldsOf, walkForwardOf } from "../../src/backtest/compare/walk-forward.ts";
import { Rng } from "../../src/core/rng.ts";

const OPTIONS = { resamples: 400, seed: 1, level: 0.95 };

/** Sums of a block that trades so much at so many bp of cost and spread. */
function block(volume: number, adverseBp: number, spreadBp = 1): Float64Array {
  const sums = new Float64Array(SUMS);
  sums[SUM.fills] = volume > 0 ? 1 : 0;
  sums[SUM.volume] = volume;
  sums[SUM.judged] = volume;
  sums[SUM.spread] = volume * spreadBp * 1e-4;
  sums[SUM.adverse] = volume * adverseBp * 1e-4;
  sums[SUM.markout] = sums[SUM.spread] - sums[SUM.adverse];
  return sums;
}

type Cost = (block: number, rung: number) => number;

/** Ladders of strategies whose rungs trade 4, 2 and 1 a block, each at its own cost. */
function tableOf(blocks: number, costs: readonly Cost[]): LadderTable {
  const scales = [0.5, 1, 2];
  const ladders = costs.map((cost) => {
    const ladder = new Ladder(scales, blocks);
    for (let at = 0; at < blocks; at += 1)
      for (const [rung, volume] of [4, 2, 1].entries()) ladder.add(rung, at, block(volume, cost(at, rung)));
    return [ladder];
  });
  return { blocksUs: Array.from({ length: blocks }, (_, at) => at * 1e6), markets: ["m"], ladders };
}

describe("a ladder", () => {
  test("mixes the two rungs that have the volume between them", () => {
    expect(mixFor([400, 200, 100], 150)).toEqual({ near: 1, wide: 2, share: 0.5, isShort: false });
    expect(mixFor([400, 200, 100], 200)).toEqual({ near: 1, wide: 2, share: 1, isShort: false });
  });

  test("does not quote part of the time where even the widest trades more", () => {
    expect(mixFor([400, 200, 100], 25)).toEqual({ near: 2, wide: -1, share: 0.25, isShort: false });
  });

  test("says where the nearest trades less", () => {
    expect(mixFor([400, 200], 500)).toEqual({ near: 0, wide: -1, share: 1, isShort: true });
  });

  test("has exactly the volume asked for, whatever its rungs trade", () => {
    const volume = fc.double({ min: 0, max: 1e9, noNaN: true });
    fc.assert(
      fc.property(fc.array(volume, { minLength: 1, maxLength: 6 }), volume, (volumes, target) => {
        const ladder = new Ladder(
          volumes.map((_, at) => at + 1),
          1,
        );
        for (const [rung, of] of volumes.entries()) ladder.add(rung, 0, block(of, 1));
        const mix = ladder.mixFor(target, [1]);
        const traded = ladder.mixed(mix, [1])[SUM.volume];
        if (mix.isShort) expect(target).toBeGreaterThan(Math.max(...volumes));
        else expect(Math.abs(traded - target)).toBeLessThanOrEqual(1e-6 * Math.max(1, target));
      }),
    );
  });
});

describe("at equal volume", () => {
  test("a strategy that costs less at the same volume is told, with an interval", () => {
    const rng = new Rng(7);
    const noise = Array.from({ length: 40 }, () => rng.int(1_000) / 1_000 - 0.5);
    const table = tableOf(40, [(at) => 3 + noise[at], (at) => 2 + noise[at]]);
    const [, other] = equalVolume(table, ["a", "b"], [...Array(40).keys()], OPTIONS);
    expect(other?.volume).toBeCloseTo(80, 9);
    expect(other?.differences?.adverseBp.value).toBeCloseTo(-1, 9);
    expect(other?.differences?.adverseBp.high).toBeLessThan(-0.99);
    expect(other?.differences?.markoutBp.value).toBeCloseTo(1, 9);
    expect(other?.pHolm).toBeLessThan(0.01);
  });

  test("strategies that cost the same are not told apart", () => {
    const rng = new Rng(3);
    const noise = (): number => rng.int(1_000) / 500 - 1;
    const table = tableOf(40, [() => 2 + noise(), () => 2 + noise()]);
    const [, other] = equalVolume(table, ["a", "b"], [...Array(40).keys()], OPTIONS);
    const { low, high } = other?.differences?.adverseBp ?? { low: 1, high: -1 };
    expect([low < 0, high > 0, (other?.pHolm ?? 0) > 0.05]).toEqual([true, true, true]);
  });

  test("the reference stays at scale 1 and is compared with nothing", () => {
    const [first] = equalVolume(tableOf(4, [() => 1]), ["a"], [0, 1, 2, 3], OPTIONS);
    expect([first?.volume, first?.scales, first?.differences]).toEqual([8, [1], null]);
  });
});

describe("a walk-forward", () => {
  test("tests each part but the first on what was before it, less a block", () => {
    expect(foldsOf(9, 3)).toEqual([
      { train: [0, 1], test: [3, 4, 5] },
      { train: [0, 1, 2, 3, 4], test: [6, 7, 8] },
    ]);
    expect(foldsOf(2, 4).every(({ train, test }) => train.length > 0 && test.length > 0)).toBe(true);
  });

  test("chooses by the past alone", () => {
    const blocks = 20;
    // One is better in the first half, the other in the second: what is chosen for the second half is the first one.
    const early: Cost = (at) => (at < 10 ? 1 : 5);
    const late: Cost = (at) => (at < 10 ? 4 : 2);
    const table = tableOf(blocks, [() => 3, early, late]);
    const candidates = [
      { name: "static", family: "static", row: 0, fold: null },
      { name: "early", family: "model", row: 1, fold: null },
      { name: "late", family: "model", row: 2, fold: null },
    ];
    const [, model] = walkForwardOf(table, candidates, foldsOf(blocks, 2), "adverseBp", OPTIONS);
    expect(model?.folds.map((fold) => fold?.chosen)).toEqual(["early"]);
    expect(model?.scores.adverseBp.value).toBeCloseTo(5, 9);
    expect(model?.volumeShare).toBeCloseTo(1, 9);
  });

  test("a rule that was fitted for one part stands in that part alone", () => {
    const table = tableOf(9, [() => 3, () => 2, () => 1]);
    const candidates = [
      { name: "static", family: "static", row: 0, fold: null },
      { name: "fitted", family: "fitted", row: 1, fold: 0 },
      { name: "fitted", family: "fitted", row: 2, fold: 1 },
    ];
    const [, fitted] = walkForwardOf(table, candidates, foldsOf(9, 3), "markoutBp", OPTIONS);
    expect(fitted?.folds.map((fold) => Math.round(fold?.scores.adverseBp ?? 0))).toEqual([2, 1]);
  });
});

describe("statistics", () => {
  test("an interval covers the mean about as often as it says", () => {
    let covered = 0;
    for (let seed = 1; seed <= 60; seed += 1) {
      const rng = new Rng(seed);
      const values = Array.from({ length: 40 }, () => normalQuantile((rng.int(9_999) + 0.5) / 10_000));
      const blocks = [...values.keys()];
      const mean = (weights: Float64Array): number[] => [
        values.reduce((sum, value, at) => sum + value * weights[at], 0) / 40,
      ];
      const drawn = resample(blocks, 40, mean, { resamples: 200, seed, level: 0.9 });
      const { low, high } = intervalOf(0, drawn[0] ?? [], 0.9);
      if (low <= 0 && high >= 0) covered += 1;
    }
    expect(covered).toBeGreaterThan(45);
    expect(covered).toBeLessThan(60);
  });

  test("p-values are raised by how many were looked at", () => {
    expect(holm([0.01, 0.04, 0.03])).toEqual([0.03, 0.06, 0.06]);
    expect(holm([0.5, 0.9])).toEqual([1, 1]);
    expect(bootstrapP([1, 2, 3, 4])).toBeCloseTo(0.4, 12);
  });

  test("the Sharpe ratio's standard error is Lo's for independent returns, and larger where they hang together", () => {
    const rng = new Rng(11);
    const normal = (): number => normalQuantile((rng.int(99_999) + 0.5) / 100_000);
    const independent = Array.from({ length: 2_000 }, () => 0.1 + normal());
    const { value, standardError } = sharpe(independent);
    expect(value).toBeCloseTo(0.1, 1);
    expect(standardError / Math.sqrt((1 + value ** 2 / 2) / 2_000)).toBeGreaterThan(0.85);
    expect(standardError / Math.sqrt((1 + value ** 2 / 2) / 2_000)).toBeLessThan(1.15);
    let last = 0;
    const related = independent.map((one) => {
      last = 0.5 * last + one;
      return last;
    });
    expect(sharpe(related).standardError).toBeGreaterThan(1.4 * standardError);
    expect(sharpe([1, 1, 1]).value).toBeNaN();
  });

  test("the best of many must clear a higher bar", () => {
    const one = { value: 0.2, standardError: 0.1, intervals: 100 };
    const alone = deflatedSharpe(one, [0.2]);
    const ofMany = deflatedSharpe(one, [0.2, 0.1, -0.1, 0, -0.2, 0.05]);
    expect(alone.probability).toBeCloseTo(0.97725, 4);
    expect(ofMany.bar).toBeGreaterThan(0.1);
    expect(ofMany.probability).toBeLessThan(alone.probability);
    expect(normalQuantile(0.975)).toBeCloseTo(1.959963985, 8);
  });
});
