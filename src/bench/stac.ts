import { Rng } from "../core/rng.ts";
import type { ModelCard } from "../inference/card.ts";
import { readOnnx } from "../inference/onnx/model-proto.ts";
import {
  floats,
  int8s,
  int64s,
  type NodeSpec,
  type TensorSpec,
  writeOnnx,
} from "../inference/onnx/writer.ts";
import type { StepModel } from "../inference/step-model.ts";

/** Shapes of the STAC-ML Markets (Inference) benchmark's models (STAC-ML Tacana suite). */
export interface StacShape {
  readonly name: "STAC_LSTM_A" | "STAC_LSTM_B" | "STAC_LSTM_C";
  readonly layers: number;
  readonly units: number;
  readonly features: number;
  /** Time steps of a full window. */
  readonly window: number;
}

export const STAC_SHAPES: readonly StacShape[] = [
  { name: "STAC_LSTM_A", layers: 2, units: 100, features: 100, window: 50 },
  { name: "STAC_LSTM_B", layers: 3, units: 200, features: 250, window: 100 },
  { name: "STAC_LSTM_C", layers: 4, units: 1_000, features: 500, window: 100 },
];

/** Multiplications of one step. */
export function stacMacs({ layers, units, features }: StacShape): number {
  return 4 * units * (features + units) + (layers - 1) * 4 * units * 2 * units + units;
}

/**
 * A step model of the shape with random weights: the features are clipped to [-1, 1], each layer is an LSTM cell, and one
 * output is read from the last. With `int8`, weights have 8 bits with a scale for each output, and the features and hidden
 * states, which lie in [-1, 1], are quantised with the scale 1/127.
 */
export function stacModel(shape: StacShape, precision: "f32" | "int8", seed: number): StepModel {
  const { layers, units, features } = shape;
  const rng = new Rng(seed);
  const initializers: TensorSpec[] = [floats("low", [], [-1]), floats("high", [], [1])];
  if (precision === "int8")
    initializers.push(floats("unit_scale", [], [1 / 127]), int8s("unit_zero", [], [0]));
  const nodes: NodeSpec[] = [{ operator: "Clip", inputs: ["features", "low", "high"], outputs: ["x0"] }];
  const weights = (name: string, outputs: number, inputs: number): string => {
    const spread = 1 / Math.sqrt(inputs);
    const levels = Int8Array.from({ length: outputs * inputs }, () => rng.int(255) - 127);
    if (precision === "f32") {
      const values = Float32Array.from(levels, (level) => (level * spread) / 127);
      initializers.push(floats(name, [outputs, inputs], values));
      return name;
    }
    const scales = new Float32Array(outputs).fill(spread / 127);
    initializers.push(
      int8s(`${name}_levels`, [outputs, inputs], levels),
      floats(`${name}_scales`, [outputs], scales),
      int8s(`${name}_zeros`, [outputs], new Int8Array(outputs)),
    );
    const inputsOf = [`${name}_levels`, `${name}_scales`, `${name}_zeros`];
    nodes.push({ operator: "DequantizeLinear", inputs: inputsOf, outputs: [name], ints: { axis: 0 } });
    return name;
  };
  const unit = (name: string): string => {
    if (precision === "f32") return name;
    nodes.push(
      { operator: "QuantizeLinear", inputs: [name, "unit_scale", "unit_zero"], outputs: [`${name}_l`] },
      {
        operator: "DequantizeLinear",
        inputs: [`${name}_l`, "unit_scale", "unit_zero"],
        outputs: [`${name}_q`],
      },
    );
    return `${name}_q`;
  };
  const gemm = { transB: 1 };
  let x = "x0";
  for (let layer = 0; layer < layers; layer += 1) {
    const n = (name: string): string => `${name}${layer}`;
    initializers.push(floats(n("b"), [4 * units], new Float32Array(4 * units)));
    const ofInput = weights(n("w"), 4 * units, layer === 0 ? features : units);
    const ofState = weights(n("r"), 4 * units, units);
    nodes.push(
      { operator: "Gemm", inputs: [unit(x), ofInput, n("b")], outputs: [n("gx")], ints: gemm },
      { operator: "Gemm", inputs: [unit(n("h")), ofState], outputs: [n("gh")], ints: gemm },
      { operator: "Add", inputs: [n("gx"), n("gh")], outputs: [n("gates")] },
      {
        operator: "Split",
        inputs: [n("gates")],
        outputs: [n("zi"), n("zf"), n("zg"), n("zo")],
        ints: { axis: 1 },
      },
      { operator: "Sigmoid", inputs: [n("zi")], outputs: [n("i")] },
      { operator: "Sigmoid", inputs: [n("zf")], outputs: [n("f")] },
      { operator: "Tanh", inputs: [n("zg")], outputs: [n("g")] },
      { operator: "Sigmoid", inputs: [n("zo")], outputs: [n("o")] },
      { operator: "Mul", inputs: [n("f"), n("c")], outputs: [n("kept")] },
      { operator: "Mul", inputs: [n("i"), n("g")], outputs: [n("added")] },
      { operator: "Add", inputs: [n("kept"), n("added")], outputs: [`c${layer}_next`] },
      { operator: "Tanh", inputs: [`c${layer}_next`], outputs: [n("squashed")] },
      { operator: "Mul", inputs: [n("o"), n("squashed")], outputs: [`h${layer}_next`] },
    );
    x = `h${layer}_next`;
  }
  initializers.push(floats("b_out", [1], [0]));
  const out = weights("w_out", 1, units);
  nodes.push(
    { operator: "Gemm", inputs: [unit(x), out, "b_out"], outputs: ["logit"], ints: gemm },
    { operator: "Sigmoid", inputs: ["logit"], outputs: ["probabilities"] },
  );
  const names = Array.from({ length: layers }, (_, layer) => [`h${layer}`, `c${layer}`]).flat();
  const onnx = writeOnnx({
    nodes,
    initializers,
    inputs: [
      { name: "features", dims: ["B", features] },
      ...names.map((name) => ({ name, dims: ["B", units] })),
    ],
    outputs: [
      { name: "probabilities", dims: ["B", 1] },
      ...names.map((name) => ({ name: `${name}_next`, dims: ["B", units] })),
    ],
  });
  const card = randomCard(shape.name, features, units, names);
  return { card, onnx, graph: readOnnx(shape.name, onnx), source: "benchmark" };
}

/** Where the gates of ONNX's LSTM (i, o, f, c) lie among those of {@link stacModel} (i, f, c, o). */
const ONNX_GATES = [0, 3, 1, 2] as const;

/**
 * The float32 model of the shape and seed as one graph over a window `window[T, 1, F]`, from the initial state to the
 * probability of the last step: ONNX's own LSTM, as a framework would export it.
 */
export function stacWindowGraph(shape: StacShape, seed: number): Uint8Array<ArrayBuffer> {
  const { layers, units, features, window } = shape;
  const rng = new Rng(seed);
  const initializers: TensorSpec[] = [
    floats("low", [], [-1]),
    floats("high", [], [1]),
    int64s("direction", [1]),
    int64s("rows", [1, units]),
  ];
  const nodes: NodeSpec[] = [{ operator: "Clip", inputs: ["window", "low", "high"], outputs: ["x0"] }];
  /** In the order in which {@link stacModel} draws them. */
  const draw = (outputs: number, inputs: number): Float32Array => {
    const spread = 1 / Math.sqrt(inputs);
    return Float32Array.from({ length: outputs * inputs }, () => ((rng.int(255) - 127) * spread) / 127);
  };
  const gates = (name: string, inputs: number): string => {
    const drawn = draw(4 * units, inputs);
    const size = units * inputs;
    const ordered = new Float32Array(4 * size);
    for (const [to, from] of ONNX_GATES.entries()) {
      ordered.set(drawn.subarray(from * size, (from + 1) * size), to * size);
    }
    initializers.push(floats(name, [1, 4 * units, inputs], ordered));
    return name;
  };
  for (let layer = 0; layer < layers; layer += 1) {
    const inputs = layer === 0 ? features : units;
    const last = layer === layers - 1;
    const outputs = last ? ["", "h"] : [`y${layer}`];
    nodes.push({
      operator: "LSTM",
      inputs: [`x${layer}`, gates(`w${layer}`, inputs), gates(`r${layer}`, units)],
      outputs,
      ints: { hidden_size: units },
    });
    if (!last) {
      const squeezed = [`y${layer}`, "direction"];
      nodes.push({ operator: "Squeeze", inputs: squeezed, outputs: [`x${layer + 1}`] });
    }
  }
  initializers.push(floats("w_out", [1, units], draw(1, units)));
  nodes.push(
    { operator: "Reshape", inputs: ["h", "rows"], outputs: ["row"] },
    { operator: "Gemm", inputs: ["row", "w_out"], outputs: ["logit"], ints: { transB: 1 } },
    { operator: "Sigmoid", inputs: ["logit"], outputs: ["probabilities"] },
  );
  return writeOnnx({
    nodes,
    initializers,
    inputs: [{ name: "window", dims: [window, 1, features] }],
    outputs: [{ name: "probabilities", dims: [1, 1] }],
  });
}

/** A card for a model that has learned nothing. */
function randomCard(name: string, features: number, units: number, states: readonly string[]): ModelCard {
  return {
    name,
    version: "0",
    description: "random weights, for measuring time only",
    schemaHash: "0".repeat(16),
    onnxSha256: "0".repeat(64),
    featureCount: features,
    states: states.map((state) => ({ name: state, shape: [units] })),
    heads: [
      {
        name: "down50",
        horizonMs: 50,
        thetaBp: null,
        depthFraction: null,
        meanMoveBp: null,
        baseRate: 0,
        metrics: {},
      },
    ],
    training: {
      command: "none",
      seed: 0,
      dataDigest: "",
      captures: [],
      rows: { train: 0, validate: 0, test: 0 },
    },
    selfTest: { features: [], probabilities: [], tolerance: 1 },
  };
}
