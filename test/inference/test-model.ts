import { Rng } from "../../src/core/rng.ts";
import { HEADS, type ModelCard } from "../../src/inference/card.ts";
import { parseModel } from "../../src/inference/model.ts";
import {
  floats,
  type GraphSpec,
  type NodeSpec,
  type TensorSpec,
  writeOnnx,
} from "../../src/inference/onnx/writer.ts";
import type { StepModel } from "../../src/inference/step-model.ts";

export const TEST_SCHEMA_HASH = "0123456789abcdef";

export interface TestModelShape {
  readonly featureCount: number;
  readonly hidden: number;
  readonly heads: number;
  readonly seed: number;
}

export const SMALL: TestModelShape = { featureCount: 11, hidden: 13, heads: 7, seed: 7 };

interface Weights {
  readonly mean: number[];
  readonly scale: number[];
  /** `[4H, F]`, `[4H, H]`, `[4H]`; gates in the order i, f, g, o. */
  readonly input: number[];
  readonly recurrent: number[];
  readonly bias: number[];
  /** `[K, F]`, `[K, H]`, `[K]`. */
  readonly linear: number[];
  readonly head: number[];
  readonly headBias: number[];
}

function drawWeights({ featureCount: F, hidden: H, heads: K, seed }: TestModelShape): Weights {
  const rng = new Rng(seed);
  const draw = (count: number, scale: number): number[] =>
    Array.from({ length: count }, () => Math.fround(rng.normal() * scale));
  return {
    mean: draw(F, 1),
    scale: draw(F, 1).map((value) => Math.fround(0.5 + Math.abs(value))),
    input: draw(4 * H * F, 0.4),
    recurrent: draw(4 * H * H, 0.4),
    bias: draw(4 * H, 0.2),
    linear: draw(K * F, 0.2),
    head: draw(K * H, 0.5),
    headBias: draw(K, 0.2),
  };
}

/** From the gates of the input and of the last `h` to the next `h` and `c`. */
export const LSTM_CELL: readonly NodeSpec[] = [
  { operator: "Add", inputs: ["gates_x", "gates_h"], outputs: ["gates"] },
  { operator: "Split", inputs: ["gates"], outputs: ["gi", "gf", "gg", "go"], ints: { axis: 1 } },
  { operator: "Sigmoid", inputs: ["gi"], outputs: ["i"] },
  { operator: "Sigmoid", inputs: ["gf"], outputs: ["f"] },
  { operator: "Tanh", inputs: ["gg"], outputs: ["g"] },
  { operator: "Sigmoid", inputs: ["go"], outputs: ["o"] },
  { operator: "Mul", inputs: ["f", "c"], outputs: ["kept"] },
  { operator: "Mul", inputs: ["i", "g"], outputs: ["added"] },
  { operator: "Add", inputs: ["kept", "added"], outputs: ["c_next"] },
  { operator: "Tanh", inputs: ["c_next"], outputs: ["c_tanh"] },
  { operator: "Mul", inputs: ["o", "c_tanh"], outputs: ["h_next"] },
];

/** A linear branch plus an LSTM residual, written with elementary operators as the trained models are. */
export function lstmGraph(shape: TestModelShape): GraphSpec {
  const { featureCount: F, hidden: H, heads: K } = shape;
  const w = drawWeights(shape);
  const initializers: TensorSpec[] = [
    floats("mean", [F], w.mean),
    floats("scale", [F], w.scale),
    floats("low", [], [-5]),
    floats("high", [], [5]),
    floats("w_x", [4 * H, F], w.input),
    floats("w_h", [4 * H, H], w.recurrent),
    floats("b", [4 * H], w.bias),
    floats("w_linear", [K, F], w.linear),
    floats("w_head", [K, H], w.head),
    floats("b_head", [K], w.headBias),
  ];
  const gemm = { transB: 1 };
  return {
    initializers,
    inputs: [
      { name: "features", dims: ["B", F] },
      { name: "h", dims: ["B", H] },
      { name: "c", dims: ["B", H] },
    ],
    outputs: [
      { name: "probabilities", dims: ["B", K] },
      { name: "h_next", dims: ["B", H] },
      { name: "c_next", dims: ["B", H] },
    ],
    nodes: [
      { operator: "Sub", inputs: ["features", "mean"], outputs: ["centred"] },
      { operator: "Div", inputs: ["centred", "scale"], outputs: ["scaled"] },
      { operator: "Clip", inputs: ["scaled", "low", "high"], outputs: ["x"] },
      { operator: "Gemm", inputs: ["x", "w_x", "b"], outputs: ["gates_x"], ints: gemm },
      { operator: "Gemm", inputs: ["h", "w_h"], outputs: ["gates_h"], ints: gemm },
      ...LSTM_CELL,
      { operator: "Gemm", inputs: ["x", "w_linear", "b_head"], outputs: ["linear"], ints: gemm },
      { operator: "Gemm", inputs: ["h_next", "w_head"], outputs: ["residual"], ints: gemm },
      { operator: "Add", inputs: ["linear", "residual"], outputs: ["logits"] },
      { operator: "Sigmoid", inputs: ["logits"], outputs: ["probabilities"] },
    ],
  };
}

/** The same function in double precision, row by row: what the engines are compared with. */
export class ReferenceLstm {
  readonly #shape: TestModelShape;
  readonly #w: Weights;
  h: number[];
  c: number[];

  constructor(shape: TestModelShape) {
    this.#shape = shape;
    this.#w = drawWeights(shape);
    this.h = new Array(shape.hidden).fill(0);
    this.c = new Array(shape.hidden).fill(0);
  }

  step(features: ArrayLike<number>): number[] {
    const { featureCount: F, hidden: H, heads: K } = this.#shape;
    const w = this.#w;
    const x = Array.from({ length: F }, (_, i) =>
      Math.min(5, Math.max(-5, (features[i] - w.mean[i]) / w.scale[i])),
    );
    const dot = (matrix: number[], row: number, vector: number[]): number =>
      vector.reduce((sum, value, i) => sum + value * matrix[row * vector.length + i], 0);
    const sigmoid = (value: number): number => 1 / (1 + Math.exp(-value));
    const gates = Array.from(
      { length: 4 * H },
      (_, row) => dot(w.input, row, x) + dot(w.recurrent, row, this.h) + w.bias[row],
    );
    for (let j = 0; j < H; j += 1) {
      this.c[j] = sigmoid(gates[H + j]) * this.c[j] + sigmoid(gates[j]) * Math.tanh(gates[2 * H + j]);
    }
    for (let j = 0; j < H; j += 1) this.h[j] = sigmoid(gates[3 * H + j]) * Math.tanh(this.c[j]);
    return Array.from({ length: K }, (_, row) =>
      sigmoid(dot(w.linear, row, x) + dot(w.head, row, this.h) + w.headBias[row]),
    );
  }
}

export function drawFeatures(rng: Rng, count: number): number[] {
  return Array.from({ length: count }, () => Math.fround(rng.normal() * 2));
}

export function testCard(shape: TestModelShape, onnx: Uint8Array, name = "test"): ModelCard {
  const reference = new ReferenceLstm(shape);
  const rng = new Rng(99);
  const features = Array.from({ length: 8 }, () => drawFeatures(rng, shape.featureCount));
  return {
    name,
    version: "1",
    description: "a test model",
    schemaHash: TEST_SCHEMA_HASH,
    onnxSha256: new Bun.CryptoHasher("sha256").update(onnx).digest("hex"),
    featureCount: shape.featureCount,
    states: [
      { name: "h", shape: [shape.hidden] },
      { name: "c", shape: [shape.hidden] },
    ],
    heads: HEADS.slice(0, shape.heads).map((head) => ({
      name: head,
      horizonMs: 50,
      thetaBp: null,
      depthFraction: null,
      meanMoveBp: null,
      baseRate: 0.1,
      metrics: {},
    })),
    training: {
      command: "none",
      seed: 1,
      dataDigest: "",
      captures: [],
      rows: { train: 0, validate: 0, test: 0 },
    },
    selfTest: { features, probabilities: features.map((row) => reference.step(row)), tolerance: 1e-5 },
  };
}

export function testModel(shape: TestModelShape = SMALL): StepModel {
  const onnx = writeOnnx(lstmGraph(shape));
  const card = JSON.stringify(testCard(shape, onnx));
  return parseModel("test", card, onnx, "test", {
    schemaHash: TEST_SCHEMA_HASH,
    featureCount: shape.featureCount,
  });
}
