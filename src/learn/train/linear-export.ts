import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Rng } from "../../core/rng.ts";
import { FEATURE_COUNT, FEATURES, SCHEMA_HASH } from "../../feature/schema.ts";
import { HEADS, type ModelCard } from "../../inference/card.ts";
import { floats, type GraphSpec, writeOnnx } from "../../inference/onnx/writer.ts";
import { LABEL_OPTIONS, LONG_HORIZON_MS, SHORT_HORIZON_MS } from "../labels.ts";
import type { LinearModel } from "./linear-trainer.ts";

const SELF_TEST_ROWS = 8;
const TOLERANCE = 1e-4;

/** What a card tells besides what was fitted. */
export interface LinearAbout {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly training: ModelCard["training"];
}

/**
 * The fitted model as a step model without states: `unit = clip((feature − low) / (high − low), 0, 1)`, a linear layer, sigmoid. A
 * feature that is no number counts as 0. Operators are those that every engine has.
 */
export function linearGraph({ weights, bias }: LinearModel): GraphSpec {
  const columns = FEATURES.map(({ clip }) => ({ low: clip[0], range: clip[1] - clip[0] }));
  const onUnit = new Float64Array(weights.length);
  const shifted = bias.slice();
  for (const [column, { low, range }] of columns.entries()) {
    for (let head = 0; head < HEADS.length; head += 1) {
      const at = column * HEADS.length + head;
      onUnit[at] = weights[at] * range;
      shifted[head] += weights[at] * low;
    }
  }
  return {
    nodes: [
      { operator: "Equal", inputs: ["features", "features"], outputs: ["known"] },
      { operator: "Where", inputs: ["known", "features", "zero"], outputs: ["finite"] },
      { operator: "Mul", inputs: ["finite", "unit_factor"], outputs: ["unit_scaled"] },
      { operator: "Add", inputs: ["unit_scaled", "unit_offset"], outputs: ["unit_open"] },
      { operator: "Clip", inputs: ["unit_open", "zero", "one"], outputs: ["unit"] },
      { operator: "Gemm", inputs: ["unit", "weight", "bias"], outputs: ["logits"] },
      { operator: "Sigmoid", inputs: ["logits"], outputs: ["probabilities"] },
    ],
    initializers: [
      floats("zero", [], [0]),
      floats("one", [], [1]),
      floats(
        "unit_factor",
        [FEATURE_COUNT],
        columns.map(({ range }) => 1 / range),
      ),
      floats(
        "unit_offset",
        [FEATURE_COUNT],
        columns.map(({ low, range }) => -low / range),
      ),
      floats("weight", [FEATURE_COUNT, HEADS.length], onUnit),
      floats("bias", [HEADS.length], shifted),
    ],
    inputs: [{ name: "features", dims: ["B", FEATURE_COUNT] }],
    outputs: [{ name: "probabilities", dims: ["B", HEADS.length] }],
  };
}

/** Writes `model.onnx` and `card.json`. */
export function writeLinearModel(
  folder: string,
  model: LinearModel,
  { name, version, description, training }: LinearAbout,
): void {
  const onnx = writeOnnx(linearGraph(model));
  const features = selfTestRows();
  const card: ModelCard = {
    ...{ name, version, description, schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT, states: [] },
    onnxSha256: new Bun.CryptoHasher("sha256").update(onnx).digest("hex"),
    heads: HEADS.map((head, at) => ({
      name: head,
      horizonMs: head.endsWith("50") ? SHORT_HORIZON_MS : LONG_HORIZON_MS,
      thetaBp: at < 4 ? LABEL_OPTIONS.thetaBp : null,
      depthFraction: head.includes("Withdraw") ? LABEL_OPTIONS.depthFraction : null,
      meanMoveBp: model.meanMoveBp[at] > 0 ? model.meanMoveBp[at] : null,
      baseRate: model.baseRates[at],
      metrics: {},
    })),
    training,
    selfTest: {
      features,
      probabilities: features.map((row) => linearProbabilities(model, row)),
      tolerance: TOLERANCE,
    },
  };
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "model.onnx"), onnx);
  writeFileSync(join(folder, "card.json"), `${JSON.stringify(card)}\n`);
}

/** In double precision; what an engine must give within {@link TOLERANCE}. */
function linearProbabilities({ weights, bias }: LinearModel, features: ArrayLike<number>): number[] {
  return HEADS.map((_, head) => {
    let logit = bias[head];
    for (const [column, { clip }] of FEATURES.entries()) {
      const value = Math.min(Math.max(features[column], clip[0]), clip[1]);
      logit += weights[column * HEADS.length + head] * value;
    }
    return 1 / (1 + Math.exp(-logit));
  });
}

/** Values within the clip, then all zero, then far outside of it on both sides. */
function selfTestRows(): number[][] {
  const rng = new Rng(1);
  const within = Array.from({ length: SELF_TEST_ROWS }, () =>
    FEATURES.map(({ clip: [low, high] }) => Math.fround(low + rng.next() * (high - low))),
  );
  const all = (value: number): number[] => FEATURES.map(() => value);
  return [...within, all(0), all(1e6), all(-1e6)];
}
