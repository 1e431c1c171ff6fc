import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  MODELS_FOLDER,
  readCards,
  readEvaluation,
  renderTables,
  withTables,
} from "../../models/train/tables.ts";
import { BUILTIN_MODELS, DEFAULT_MODEL } from "../../src/inference/builtin.ts";
import type { ModelCard } from "../../src/inference/card.ts";

const cards = readCards();
const evaluation = readEvaluation();

/** Under which name the card's own scores through the engine stand. */
const ownScores = (name: string): string =>
  `${name.includes("-pruned-int8") ? "prunedInt8" : name.endsWith("-int8") ? "int8" : "fp32"}Cpu`;

test("models/README.md shows what the cards and evaluation.json say", () => {
  const document = readFileSync(join(MODELS_FOLDER, "README.md"), "utf8");
  expect(withTables(document, renderTables(cards, evaluation))).toBe(document);
  expect(document).toContain("<!-- table: test -->");
});

test("a marker that no table has is told by name", () => {
  const document = "<!-- table: nothing -->\n<!-- end -->";
  expect(() => withTables(document, renderTables(cards, evaluation))).toThrow("table nothing");
});

test("every model in the executable is evaluated, and no other", () => {
  expect(Object.keys(evaluation.models).sort()).toEqual(Object.keys(BUILTIN_MODELS).sort());
  expect([...cards.keys()].sort()).toEqual(Object.keys(BUILTIN_MODELS).sort());
});

test("the default gains most AUC per µs on validation rows among those that lose next to nothing to their float32 form", () => {
  const rates = [...cards].flatMap(([name, { heads }]) => {
    const own = heads.map(({ metrics }) => metrics[`${ownScores(name)}/validate`].auc);
    const losses = heads.map(({ metrics }, k) => metrics["fp32Cpu/validate"].auc - own[k]);
    const gains = heads.map(({ metrics }, k) => own[k] - metrics["logisticRegression/validate"].auc);
    const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / 7;
    if (mean(losses) > 0.0005 || Math.max(...losses) > 0.002) return [];
    return [{ name, rate: mean(gains) / evaluation.models[name].stepP50Us }];
  });
  const best = rates.reduce((a, b) => (b.rate > a.rate ? b : a));
  expect(rates.length).toBe(cards.size - 1);
  expect(best.name).toBe(DEFAULT_MODEL);
});

describe.each([...cards])("%s", (name, card: ModelCard) => {
  const own = ownScores(name);

  test("has scores of both baselines, the ceiling and itself, in torch and through the engine, on both sets of rows", () => {
    const kinds = [
      "queueImbalance",
      "logisticRegression",
      "gradientBoosting",
      "fp32",
      "fp32Cpu",
      own,
      own.slice(0, -3),
    ];
    const expected = kinds.flatMap((kind) => [`${kind}/test`, `${kind}/validate`]);
    for (const head of card.heads) {
      const missing = expected.filter((key) => head.metrics[key] === undefined);
      expect(`${head.name}: ${missing.join(" ")}`).toBe(`${head.name}: `);
    }
  });

  test("keeps the gate on captures never trained on, through the engine", () => {
    let gain = 0;
    for (const { name: head, metrics } of card.heads) {
      const {
        [`${own}/test`]: model,
        "logisticRegression/test": baseline,
        "queueImbalance/test": queue,
      } = metrics;
      for (const metric of ["auc", "averagePrecision"] as const) {
        const short = model[metric] < baseline[metric] ? metric : "nothing";
        expect(`${head} falls short in ${short}`).toBe(`${head} falls short in nothing`);
      }
      expect(model.auc - queue.auc).toBeGreaterThan(0.04);
      gain += (model.auc - baseline.auc) / card.heads.length;
    }
    expect(gain).toBeGreaterThanOrEqual(0.004);
    expect(evaluation.models[name].difference.logisticRegression.mean[0]).toBeGreaterThan(0);
  });

  test("scores through the engine as in torch", () => {
    for (const { name: head, metrics } of card.heads) {
      for (const rows of ["test", "validate"]) {
        const { [`${own}/${rows}`]: engine, [`${own.slice(0, -3)}/${rows}`]: torch } = metrics;
        const apart = Math.max(
          Math.abs(engine.auc - torch.auc),
          Math.abs(engine.averagePrecision - torch.averagePrecision),
        );
        expect(`${head} ${rows} ${apart < 1e-3 ? "agree" : apart}`).toBe(`${head} ${rows} agree`);
      }
    }
  });

  test("loses at most 0.0005 of AUC on average and 0.002 on a head in INT8", () => {
    const losses = card.heads.map(({ metrics }) => metrics["fp32Cpu/test"].auc - metrics[`${own}/test`].auc);
    const most = own === "prunedInt8Cpu" ? 0.005 : 0.002;
    expect(Math.max(...losses)).toBeLessThanOrEqual(most);
    expect(losses.reduce((sum, loss) => sum + loss, 0) / losses.length).toBeLessThanOrEqual(most / 4);
  });
});
