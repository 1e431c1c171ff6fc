import { describe, expect, test } from "bun:test";
import { fitRule, type LabelledRows } from "../../src/backtest/compare/fit.ts";
import { FittedRule } from "../../src/backtest/fitted-rule.ts";
import { Rng } from "../../src/core/rng.ts";
import { FEATURE_COUNT, featureIndex, mirrorMap } from "../../src/feature/schema.ts";
import { HEADS } from "../../src/inference/card.ts";
import { MIRRORED_HEAD } from "../../src/learn/train/linear-trainer.ts";

const IMBALANCE = featureIndex("queueImbalance");
const ROWS = 4_000;
const DOWN = HEADS.indexOf("down50");
const UP = HEADS.indexOf("up50");

/** Minutes in which the price fell: the imbalance says when, and it never rose. */
function falling(): LabelledRows {
  const rng = new Rng(5);
  const features = new Float32Array(ROWS * FEATURE_COUNT);
  const labels = new Uint8Array(ROWS * HEADS.length);
  const timesUs = new Float64Array(ROWS);
  for (let row = 0; row < ROWS; row += 1) {
    timesUs[row] = row;
    for (let column = 0; column < FEATURE_COUNT; column += 1)
      features[row * FEATURE_COUNT + column] = rng.int(2_001) / 1_000 - 1;
    const p = 1 / (1 + Math.exp(2 * features[row * FEATURE_COUNT + IMBALANCE] + 1));
    labels[row * HEADS.length + DOWN] = rng.int(1_000_000) < p * 1e6 ? 1 : 0;
  }
  return { features, labels, timesUs };
}

function answer(rule: FittedRule, features: Float32Array): Float32Array {
  const into = new Float32Array(HEADS.length);
  rule.predict(features, 0, into, 0);
  return into;
}

function fitted(name: "logistic" | "queue-imbalance"): FittedRule {
  const file = fitRule(name, [falling()], () => true, "");
  if (file === null) throw new Error("no rows");
  return new FittedRule(file);
}

describe("a rule fitted to the past", () => {
  test("finds what the labels follow", () => {
    const rule = fitted("queue-imbalance");
    const at = (imbalance: number): number => {
      const features = new Float32Array(FEATURE_COUNT);
      features[IMBALANCE] = imbalance;
      return answer(rule, features)[DOWN];
    };
    // Half of the rows are mirror images, in which nothing falls.
    for (const imbalance of [-1, -0.5, 0, 0.5, 1]) {
      const known = 0.5 / (1 + Math.exp(2 * imbalance + 1));
      expect(Math.abs(at(imbalance) - known)).toBeLessThan(0.03);
    }
  });

  test("foretells no direction of its own: mirrored features are answered with the sides exchanged", () => {
    const rule = fitted("logistic");
    const mirror = mirrorMap();
    const rng = new Rng(9);
    for (let sample = 0; sample < 50; sample += 1) {
      const features = Float32Array.from({ length: FEATURE_COUNT }, () => rng.int(2_001) / 1_000 - 1);
      const other = features.map((_, column) => features[mirror.index[column]] * mirror.factor[column]);
      const [said, mirrored] = [answer(rule, features), answer(rule, other)];
      for (const [head, source] of MIRRORED_HEAD.entries())
        expect(mirrored[head]).toBeCloseTo(said[source], 4);
    }
    expect(answer(rule, new Float32Array(FEATURE_COUNT))[UP]).toBeWithin(0.05, 0.35);
  });

  test("does not follow a feature beyond what the schema clips it to", () => {
    const rule = fitted("logistic");
    const features = new Float32Array(FEATURE_COUNT);
    features[IMBALANCE] = 1;
    const edge = answer(rule, features);
    features[IMBALANCE] = 1e6;
    expect(answer(rule, features)).toEqual(edge);
    expect(answer(rule, new Float32Array(FEATURE_COUNT).fill(Number.NaN))).toEqual(
      answer(rule, new Float32Array(FEATURE_COUNT)),
    );
  });

  test("is none where no row is of the past", () => {
    expect(fitRule("logistic", [falling()], () => false, "")).toBeNull();
  });
});
