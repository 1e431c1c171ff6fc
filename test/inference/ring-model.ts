import { Rng } from "../../src/core/rng.ts";
import { readOnnx } from "../../src/inference/onnx/model-proto.ts";
import { floats, type GraphSpec, int64s, writeOnnx } from "../../src/inference/onnx/writer.ts";
import type { StepModel } from "../../src/inference/step-model.ts";
import { SMALL, testCard } from "./test-model.ts";

/** A decoder layer over a ring of past states, the form of the attention and convolution models. */
function ringGraph(): GraphSpec {
  const [F, H, R, K] = [10, 16, 6, 3];
  const rng = new Rng(12);
  const draw = (...dims: number[]): number[] =>
    Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => rng.normal() * 0.5);
  return {
    inputs: [
      { name: "features", dims: ["B", F] },
      { name: "ring", dims: ["B", R, H] },
    ],
    outputs: [
      { name: "probabilities", dims: ["B", K] },
      { name: "ring_next", dims: ["B", R, H] },
    ],
    initializers: [
      floats("w_in", [F, H], draw(F, H)),
      floats("w_q", [H, H], draw(H, H)),
      floats("w_k", [H, H], draw(H, H)),
      floats("kernel", [H, H, 3], draw(H, H, 3)),
      floats("kernel_bias", [H], draw(H)),
      floats("gamma", [H], draw(H)),
      floats("beta", [H], draw(H)),
      floats("root", [], [4]),
      floats("w_out", [K, H], draw(K, H)),
      floats("b_out", [K], draw(K)),
      int64s("one", [1]),
      int64s("end", [R]),
      int64s("last3", [-3]),
      int64s("as_row", [-1, 1, H]),
      int64s("flat", [0, H]),
    ],
    nodes: [
      { operator: "MatMul", inputs: ["features", "w_in"], outputs: ["projected"] },
      { operator: "Gelu", inputs: ["projected"], outputs: ["state"] },
      { operator: "Reshape", inputs: ["state", "as_row"], outputs: ["state_row"] },
      { operator: "Slice", inputs: ["ring", "one", "end", "one"], outputs: ["older"] },
      { operator: "Concat", inputs: ["older", "state_row"], outputs: ["ring_next"], ints: { axis: 1 } },
      { operator: "MatMul", inputs: ["state_row", "w_q"], outputs: ["query"] },
      { operator: "MatMul", inputs: ["ring_next", "w_k"], outputs: ["keys"] },
      { operator: "Transpose", inputs: ["keys"], outputs: ["keys_t"], intLists: { perm: [0, 2, 1] } },
      { operator: "MatMul", inputs: ["query", "keys_t"], outputs: ["scores"] },
      { operator: "Div", inputs: ["scores", "root"], outputs: ["scaled"] },
      { operator: "Softmax", inputs: ["scaled"], outputs: ["attention"], ints: { axis: -1 } },
      { operator: "MatMul", inputs: ["attention", "ring_next"], outputs: ["context"] },
      { operator: "Slice", inputs: ["ring_next", "last3", "end", "one"], outputs: ["recent"] },
      { operator: "Transpose", inputs: ["recent"], outputs: ["recent_t"], intLists: { perm: [0, 2, 1] } },
      { operator: "Conv", inputs: ["recent_t", "kernel", "kernel_bias"], outputs: ["convolved"] },
      { operator: "Reshape", inputs: ["convolved", "flat"], outputs: ["convolved_flat"] },
      { operator: "Reshape", inputs: ["context", "flat"], outputs: ["context_flat"] },
      { operator: "Add", inputs: ["convolved_flat", "context_flat"], outputs: ["joined"] },
      { operator: "LayerNormalization", inputs: ["joined", "gamma", "beta"], outputs: ["normal"] },
      { operator: "Gemm", inputs: ["normal", "w_out", "b_out"], outputs: ["logits"], ints: { transB: 1 } },
      { operator: "Sigmoid", inputs: ["logits"], outputs: ["probabilities"] },
    ],
    opset: 20,
  };
}

/** Its card's self-test is that of another model: for tests that do not run it. */
export function ringModel(): StepModel {
  const onnx = writeOnnx(ringGraph());
  const card = {
    ...testCard({ ...SMALL, featureCount: 10, heads: 3 }, onnx),
    states: [{ name: "ring", shape: [6, 16] }],
  };
  return { card, onnx, graph: readOnnx("ring", onnx), source: "test" };
}
