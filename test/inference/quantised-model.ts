import { Rng } from "../../src/core/rng.ts";
import { readOnnx } from "../../src/inference/onnx/model-proto.ts";
import {
  floats,
  type GraphSpec,
  int8s,
  type NodeSpec,
  type TensorSpec,
  uint8s,
  writeOnnx,
} from "../../src/inference/onnx/writer.ts";
import type { StepModel } from "../../src/inference/step-model.ts";
import { LSTM_CELL, type TestModelShape, testCard } from "./test-model.ts";

/**
 * An LSTM step with 8-bit weights (a scale for each output) and static activation scales, as QDQ: features clipped to
 * [0, 1] and quantised to uint8, the hidden state to int8.
 */
export function quantisedGraph({ featureCount: F, hidden: H, heads: K, seed }: TestModelShape): GraphSpec {
  const rng = new Rng(seed);
  const initializers: TensorSpec[] = [
    floats("low", [], [0]),
    floats("high", [], [1]),
    floats("unit_scale", [], [1 / 255]),
    uint8s("unit_zero", [], [0]),
    floats("h_scale", [], [1 / 127]),
    int8s("h_zero", [], [0]),
  ];
  const nodes: NodeSpec[] = [];
  const weights = (name: string, outputs: number, inputs: number, spread: number): string => {
    const levels = Array.from({ length: outputs * inputs }, () => rng.int(255) - 127);
    const scales = Array.from({ length: outputs }, () => (spread * (0.5 + rng.next())) / 127);
    initializers.push(
      int8s(`${name}_levels`, [outputs, inputs], levels),
      floats(`${name}_scales`, [outputs], scales),
      int8s(`${name}_zeros`, [outputs], new Array(outputs).fill(0)),
    );
    nodes.push({
      operator: "DequantizeLinear",
      inputs: [`${name}_levels`, `${name}_scales`, `${name}_zeros`],
      outputs: [name],
      ints: { axis: 0 },
    });
    return name;
  };
  const quantised = (name: string, kind: "unit" | "h"): string => {
    const operands = [`${kind}_scale`, `${kind}_zero`];
    nodes.push(
      { operator: "QuantizeLinear", inputs: [name, ...operands], outputs: [`${name}_levels`] },
      { operator: "DequantizeLinear", inputs: [`${name}_levels`, ...operands], outputs: [`${name}_q`] },
    );
    return `${name}_q`;
  };
  const bias = (name: string, count: number): string => {
    initializers.push(
      floats(
        name,
        [count],
        Array.from({ length: count }, () => rng.normal() * 0.2),
      ),
    );
    return name;
  };
  const gemm = { transB: 1 };
  nodes.push({ operator: "Clip", inputs: ["features", "low", "high"], outputs: ["unit"] });
  const x = quantised("unit", "unit");
  const past = quantised("h", "h");
  nodes.push(
    {
      operator: "Gemm",
      inputs: [x, weights("w_x", 4 * H, F, 0.5), bias("b", 4 * H)],
      outputs: ["gates_x"],
      ints: gemm,
    },
    { operator: "Gemm", inputs: [past, weights("w_h", 4 * H, H, 0.5)], outputs: ["gates_h"], ints: gemm },
    ...LSTM_CELL,
  );
  const next = quantised("h_next", "h");
  nodes.push(
    {
      operator: "Gemm",
      inputs: [next, weights("w_head", K, H, 0.5), bias("b_head", K)],
      outputs: ["logits"],
      ints: gemm,
    },
    { operator: "Sigmoid", inputs: ["logits"], outputs: ["probabilities"] },
  );
  return {
    initializers,
    nodes,
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
  };
}

/** Its card's self-test is that of another model: for tests that do not run it. */
export function quantisedModel(shape: TestModelShape): StepModel {
  const onnx = writeOnnx(quantisedGraph(shape));
  return { card: testCard(shape, onnx), onnx, graph: readOnnx("quantised", onnx), source: "test" };
}
