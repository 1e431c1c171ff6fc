/**
 * Renders the tables of `models/README.md` from the cards and `models/evaluation.json`, which `evaluate.py` writes.
 *
 *     bun models/train/tables.ts            says whether the README is up to date
 *     bun models/train/tables.ts --write    writes them between their markers
 *
 * @module
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { DEFAULT_MODEL } from "../../src/inference/builtin.ts";
import { HEADS, type ModelCard, modelCard } from "../../src/inference/card.ts";

export const MODELS_FOLDER = join(import.meta.dir, "..");

const intervals = z.record(z.string(), z.tuple([z.number(), z.number()]));
const evaluationSchema = z.strictObject({
  test: z.string(),
  rows: z.int(),
  host: z.string(),
  /** Trees of gradient boosting by head. */
  trees: z.record(z.string(), z.int()),
  models: z.record(
    z.string(),
    z.strictObject({
      modelBytes: z.int(),
      stepP50Us: z.number(),
      stepP99Us: z.number(),
      /** 95 % intervals of the difference in AUC on the test capture, by baseline and by head or `mean`. */
      difference: z.record(z.enum(["logisticRegression", "gradientBoosting"]), intervals),
    }),
  ),
});
export type Evaluation = z.infer<typeof evaluationSchema>;

type Metric = "auc" | "averagePrecision" | "brier" | "logLoss";
const METRICS: readonly (readonly [Metric, string])[] = [
  ["auc", "AUC"],
  ["averagePrecision", "average precision"],
  ["brier", "Brier"],
  ["logLoss", "log loss"],
];

const familyOf = (name: string): string => name.replace(/-int8$/, "").replace(/-pruned$/, "");
/** Under which name a model's scores through the engine stand in the cards of its family. */
const engineScores = (name: string): string =>
  name.endsWith("-pruned-int8") ? "prunedInt8Cpu" : name.endsWith("-int8") ? "int8Cpu" : "fp32Cpu";

/** Scores of one kind, such as `int8Cpu/test`: per head in order, and last their mean. */
function column(card: ModelCard, key: string, metric: Metric): number[] {
  const values = card.heads.map(({ name, metrics }) => {
    const scores = metrics[key];
    if (scores === undefined)
      throw new Error(`${card.name}, head ${name}: no scores ${key}; run evaluate.py`);
    return scores[metric];
  });
  return [...values, values.reduce((sum, value) => sum + value, 0) / values.length];
}

const ROWS = [...HEADS, "**mean**"];
const signed = (value: number): string => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(4)}`;
const range = ([low, high]: readonly [number, number]): string => `${signed(low)}…${signed(high)}`;

function markdown(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(header), `|${"---|".repeat(header.length)}`, ...rows.map(line)].join("\n");
}

/** Heads down, metrics across, in each cell the scores of `keys` by their titles. */
function byHead(card: ModelCard, keys: readonly (readonly [key: string, title: string])[]): string {
  const titles = keys.map(([, title]) => title).join(" / ");
  const columns = METRICS.map(([metric]) => keys.map(([key]) => column(card, key, metric)));
  return markdown(
    ["head", ...METRICS.map(([, title]) => `${title}: ${titles}`)],
    ROWS.map((name, row) => [
      name,
      ...columns.map((values) => values.map((each) => each[row].toFixed(4)).join(" / ")),
    ]),
  );
}

/** All tables by the name of their marker. */
export function renderTables(
  cards: ReadonlyMap<string, ModelCard>,
  evaluation: Evaluation,
): ReadonlyMap<string, string> {
  const card = cards.get(DEFAULT_MODEL);
  if (card === undefined) throw new Error(`no card of ${DEFAULT_MODEL}`);
  const own = engineScores(DEFAULT_MODEL);
  const baselines = (rows: string): [string, string][] => [
    [`queueImbalance/${rows}`, "queue"],
    [`logisticRegression/${rows}`, "LR"],
    [`${own}/${rows}`, "model"],
    [`gradientBoosting/${rows}`, "ceiling"],
  ];
  const measured = (name: string): Evaluation["models"][string] => {
    const found = evaluation.models[name];
    if (found === undefined) throw new Error(`models/evaluation.json has no ${name}; run evaluate.py`);
    return found;
  };
  const { difference } = measured(DEFAULT_MODEL);
  const last = ROWS.length - 1;
  const tables = new Map<string, string>();
  tables.set("test", byHead(card, baselines("test")));
  tables.set("validation", byHead(card, baselines("validate")));
  tables.set(
    "ceiling",
    markdown(
      ["head", "AUC over LR, 95 %", "AUC over gradient boosting, 95 %", "trees"],
      ROWS.map((name, row) => {
        const key = row === last ? "mean" : name;
        const trees = row === last ? "" : String(evaluation.trees[name]);
        return [
          name,
          range(difference.logisticRegression[key]),
          range(difference.gradientBoosting[key]),
          trees,
        ];
      }),
    ),
  );
  const names = [...cards.keys()].sort(
    (a, b) => familyOf(a).localeCompare(familyOf(b)) || a.length - b.length,
  );
  tables.set(
    "models",
    markdown(
      [
        "model",
        "AUC over LR, test",
        "95 %",
        "average precision, test",
        "AUC / AP, validation",
        "step on `cpu`, µs, p50 / p99",
        "AUC gained per µs, validation",
        "`model.onnx`, kB",
      ],
      names.map((name) => {
        const each = cards.get(name);
        if (each === undefined) throw new Error(`no card of ${name}`);
        const key = engineScores(name);
        const mean = (of: string, metric: Metric): number => column(each, of, metric)[last];
        const { stepP50Us, stepP99Us, modelBytes, difference: against } = measured(name);
        const gain = mean(`${key}/test`, "auc") - mean("logisticRegression/test", "auc");
        const held = mean(`${key}/validate`, "auc") - mean("logisticRegression/validate", "auc");
        return [
          name === DEFAULT_MODEL ? `**\`${name}\`** (default)` : `\`${name}\``,
          signed(gain),
          range(against.logisticRegression.mean),
          mean(`${key}/test`, "averagePrecision").toFixed(4),
          `${mean(`${key}/validate`, "auc").toFixed(4)} / ${mean(`${key}/validate`, "averagePrecision").toFixed(4)}`,
          `${stepP50Us.toFixed(2)} / ${stepP99Us.toFixed(2)}`,
          (held / stepP50Us).toFixed(4),
          (modelBytes / 1e3).toFixed(0),
        ];
      }),
    ),
  );
  for (const family of new Set(names.map(familyOf))) {
    const shown: [string, string][] = [["fp32Cpu/test", "fp32"]];
    if (names.includes(`${family}-int8`)) shown.push(["int8Cpu/test", "INT8"]);
    if (names.includes(`${family}-pruned-int8`)) shown.push(["prunedInt8Cpu/test", "pruned INT8"]);
    const any = cards.get(family);
    if (any !== undefined) tables.set(`cost-${family}`, byHead(any, shown));
    const quantised = cards.get(`${family}-int8`);
    if (quantised !== undefined) {
      tables.set(
        `quantisation-${family}`,
        byHead(quantised, [
          ["fp32Cpu/test", "fp32"],
          ["int8Ptq/test", "PTQ"],
          ["int8Qat/test", "QAT"],
        ]),
      );
    }
  }
  return tables;
}

/** The document with every marked table replaced. @throws Error naming a marker that no table has. */
export function withTables(document: string, tables: ReadonlyMap<string, string>): string {
  return document.replace(/<!-- table: (\S+) -->\n[\s\S]*?<!-- end -->/g, (_, name: string) => {
    const table = tables.get(name);
    if (table === undefined)
      throw new Error(`marker for table ${name}, expected one of ${[...tables.keys()].join(", ")}`);
    return `<!-- table: ${name} -->\n${table}\n<!-- end -->`;
  });
}

export function readCards(folder = MODELS_FOLDER): Map<string, ModelCard> {
  const cards = new Map<string, ModelCard>();
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (!entry.isDirectory() || entry.name === "train") continue;
    const path = join(folder, entry.name, "card.json");
    cards.set(entry.name, modelCard.parse(JSON.parse(readFileSync(path, "utf8"))));
  }
  return cards;
}

export function readEvaluation(folder = MODELS_FOLDER): Evaluation {
  return evaluationSchema.parse(JSON.parse(readFileSync(join(folder, "evaluation.json"), "utf8")));
}

if (import.meta.main) {
  const path = join(MODELS_FOLDER, "README.md");
  const before = readFileSync(path, "utf8");
  const after = withTables(before, renderTables(readCards(), readEvaluation()));
  if (process.argv.includes("--write")) {
    writeFileSync(path, after);
  } else if (after !== before) {
    console.error("models/README.md is not what the cards and evaluation.json say: run with --write");
    process.exitCode = 1;
  }
}
