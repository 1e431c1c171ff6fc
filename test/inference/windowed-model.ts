import { Rng } from "../../src/core/rng.ts";
import type { ModelCard, ModelWindow } from "../../src/inference/card.ts";
import { parseModel } from "../../src/inference/model.ts";
import { floats, type GraphSpec, int64s, writeOnnx } from "../../src/inference/onnx/writer.ts";
import type { StepModel } from "../../src/inference/step-model.ts";
import { drawFeatures, TEST_SCHEMA_HASH, testCard } from "./test-model.ts";

/** A model in the manner of DeepLOB, small: normalise each event, convolve along the window, pool, three classes. */
export interface WindowedShape {
  readonly featureCount: number;
  readonly window: ModelWindow;
  /** A file that was exported for single rows. */
  readonly batch: "B" | 1;
}

export const SMALL_WINDOW: WindowedShape = {
  featureCount: 7,
  window: {
    length: 5,
    layout: "B1TF",
    input: "lob",
    output: "classes",
    features: [6, 0, 3],
    columns: [2, 0],
  },
  batch: "B",
};

const CHANNELS = 4;
const CLASSES = 3;
const KERNEL = 2;

function drawWeights(width: number) {
  const rng = new Rng(17);
  const draw = (count: number) => Array.from({ length: count }, () => Math.fround(rng.normal() * 0.5));
  return {
    mean: draw(width),
    kernel: draw(CHANNELS * KERNEL * width),
    dense: draw(CHANNELS * CLASSES),
    bias: draw(CLASSES),
  };
}

const widthOf = ({ featureCount, window }: WindowedShape): number => window.features?.length ?? featureCount;

export function windowedGraph(shape: WindowedShape): GraphSpec {
  const width = widthOf(shape);
  const w = drawWeights(width);
  const { length, layout, input, output } = shape.window;
  const rows = [length, width];
  const flat = layout === "BTF";
  return {
    inputs: [{ name: input, dims: flat ? [shape.batch, ...rows] : [shape.batch, 1, ...rows] }],
    outputs: [{ name: output, dims: [shape.batch, CLASSES] }],
    initializers: [
      floats("mean", [width], w.mean),
      floats("kernel", [CHANNELS, 1, KERNEL, width], w.kernel),
      floats("dense", [CHANNELS, CLASSES], w.dense),
      floats("bias", [CLASSES], w.bias),
      int64s("image", [-1, 1, ...rows]),
      int64s("vector", [-1, CHANNELS]),
    ],
    nodes: [
      ...(flat ? [{ operator: "Reshape", inputs: [input, "image"], outputs: ["lifted"] }] : []),
      { operator: "Sub", inputs: [flat ? "lifted" : input, "mean"], outputs: ["x"] },
      { operator: "Conv", inputs: ["x", "kernel"], outputs: ["convolved"] },
      { operator: "Tanh", inputs: ["convolved"], outputs: ["active"] },
      { operator: "GlobalAveragePool", inputs: ["active"], outputs: ["pooled"] },
      { operator: "Reshape", inputs: ["pooled", "vector"], outputs: ["hidden"] },
      { operator: "Gemm", inputs: ["hidden", "dense", "bias"], outputs: ["logits"] },
      { operator: "Softmax", inputs: ["logits"], outputs: [output], ints: { axis: 1 } },
    ],
  };
}

/** The same function in plain arithmetic, on whole rows of the feature schema, oldest first. */
export function windowedReference(shape: WindowedShape, rows: readonly (readonly number[])[]): number[] {
  const { length, features, columns } = shape.window;
  const width = widthOf(shape);
  const w = drawWeights(width);
  const x = rows
    .slice(-length)
    .map((row) => Array.from({ length: width }, (_, i) => row[features?.[i] ?? i] - w.mean[i]));
  const hidden = Array.from({ length: CHANNELS }, (_, channel) => {
    let sum = 0;
    for (let t = 0; t + KERNEL <= length; t += 1) {
      let dot = 0;
      for (let k = 0; k < KERNEL; k += 1) {
        for (let i = 0; i < width; i += 1) dot += x[t + k][i] * w.kernel[(channel * KERNEL + k) * width + i];
      }
      sum += Math.tanh(dot);
    }
    return sum / (length - KERNEL + 1);
  });
  const powers = w.bias.map((bias, c) =>
    Math.exp(hidden.reduce((sum, value, channel) => sum + value * w.dense[channel * CLASSES + c], bias)),
  );
  const total = powers.reduce((sum, power) => sum + power, 0);
  return (columns ?? [0, 1, 2]).map((column) => powers[column] / total);
}

export function windowedCard(shape: WindowedShape, onnx: Uint8Array): ModelCard {
  const heads = shape.window.columns?.length ?? CLASSES;
  const { featureCount, window } = shape;
  const card = testCard({ featureCount, hidden: 1, heads, seed: 1 }, onnx, "windowed");
  const rng = new Rng(5);
  const features = Array.from({ length: window.length + 3 }, () => drawFeatures(rng, featureCount));
  const probabilities = features
    .slice(window.length - 1)
    .map((_, i) => windowedReference(shape, features.slice(0, i + window.length)));
  return { ...card, states: [], window, selfTest: { features, probabilities, tolerance: 1e-5 } };
}

export function windowedModel(shape: WindowedShape = SMALL_WINDOW): StepModel {
  const onnx = writeOnnx(windowedGraph(shape));
  const expected = { schemaHash: TEST_SCHEMA_HASH, featureCount: shape.featureCount };
  return parseModel("windowed", JSON.stringify(windowedCard(shape, onnx)), onnx, "test", expected);
}
