import { HEADS, type ModelCard } from "../../inference/card.ts";
import { type OnnxGraph, type OnnxValueInfo, shownValue } from "../../inference/onnx/model-proto.ts";
import { FEATURES_INPUT, nextName, PROBABILITIES_OUTPUT } from "../../inference/step-model.ts";

type Form = Pick<ModelCard, "featureCount" | "states" | "window"> & { readonly outputs: number };

/**
 * The card that an ONNX file without one would need for an engine to run it, as far as its inputs and outputs tell: a step
 * model (`features`, `probabilities`, states with their `_next`), or a windowed one (a single input of rank 3, or of rank 4
 * with one channel). Heads get names in order, which mean nothing.
 *
 * @returns why there is none, as text, when the graph is neither
 */
export function impliedCard(graph: OnnxGraph, name: string, onnxSha256: string): ModelCard | string {
  const form = stepForm(graph) ?? windowForm(graph);
  if (form === null) {
    return (
      `inputs ${graph.inputs.map(shownValue).join("; ") || "none"}: neither a step model (${FEATURES_INPUT} [B,F], ` +
      `${PROBABILITIES_OUTPUT} [B,K], states with their _next) nor a windowed one (one input [B,T,F] or [B,1,T,F], an output [B,N])`
    );
  }
  const { outputs, ...shape } = form;
  return {
    name,
    version: "0",
    description: "",
    schemaHash: "0".repeat(16),
    onnxSha256,
    ...shape,
    heads: HEADS.slice(0, outputs).map((head) => ({
      name: head,
      horizonMs: 1,
      thetaBp: null,
      depthFraction: null,
      meanMoveBp: null,
      baseRate: 0,
      metrics: {},
    })),
    training: {
      command: "",
      seed: 0,
      dataDigest: "",
      captures: [],
      rows: { train: 0, validate: 0, test: 0 },
    },
    selfTest: { features: [], probabilities: [], tolerance: 1 },
  };
}

function stepForm({ inputs, outputs }: OnnxGraph): Form | null {
  const featureCount = fixedDims(inputs, FEATURES_INPUT, 2)?.[0];
  const heads = fixedDims(outputs, PROBABILITIES_OUTPUT, 2)?.[0];
  if (featureCount === undefined || heads === undefined || heads > HEADS.length) return null;
  const states: { name: string; shape: number[] }[] = [];
  for (const { name, dims } of inputs) {
    if (name === FEATURES_INPUT) continue;
    const shape = fixedDims(inputs, name, dims?.length ?? 0);
    if (shape === null || shape.length === 0 || !outputs.some((output) => output.name === nextName(name)))
      return null;
    states.push({ name, shape });
  }
  return { featureCount, states, outputs: heads };
}

function windowForm({ inputs, outputs }: OnnxGraph): Form | null {
  const [input] = inputs;
  if (input === undefined || inputs.length !== 1) return null;
  const image = fixedDims(inputs, input.name, 4);
  const rows = image === null ? fixedDims(inputs, input.name, 3) : image[0] === 1 ? image.slice(1) : null;
  if (rows === null) return null;
  const [length, featureCount] = rows;
  for (const { name } of outputs) {
    const width = fixedDims(outputs, name, 2)?.[0];
    if (width === undefined) continue;
    const heads = Math.min(width, HEADS.length);
    return {
      featureCount,
      states: [],
      window: {
        length,
        layout: image === null ? "BTF" : "B1TF",
        input: input.name,
        output: name,
        features: null,
        columns: Array.from({ length: heads }, (_, column) => column),
      },
      outputs: heads,
    };
  }
  return null;
}

/** Dimensions behind the batch of a value that has this rank and fixes all of them; null otherwise. */
function fixedDims(values: readonly OnnxValueInfo[], name: string, rank: number): number[] | null {
  const dims = values.find((value) => value.name === name)?.dims;
  if (dims === null || dims === undefined || dims.length !== rank) return null;
  const fixed = dims.slice(1).filter((dim) => typeof dim === "number" && dim >= 1);
  return fixed.length === rank - 1 ? (fixed as number[]) : null;
}
