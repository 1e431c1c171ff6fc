import { Rng } from "../../src/core/rng.ts";
import { readOnnx } from "../../src/inference/onnx/model-proto.ts";
import { floats, int64s, writeOnnx } from "../../src/inference/onnx/writer.ts";
import type { StepModel } from "../../src/inference/step-model.ts";
import { SMALL, testCard } from "./test-model.ts";

/**
 * An LSTM and a GRU as ONNX's own operators, one time step each, the form in which PyTorch exports its layers. Its card's
 * self-test is that of another model: for tests that do not run it.
 */
export function recurrentModel(): StepModel {
  const [F, H, K] = [9, 12, 4];
  const rng = new Rng(31);
  const draw = (...dims: number[]): number[] =>
    Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => rng.normal() * 0.4);
  const states = ["h", "c", "g"];
  const onnx = writeOnnx({
    inputs: [{ name: "features", dims: ["B", F] }, ...states.map((name) => ({ name, dims: ["B", H] }))],
    outputs: [
      { name: "probabilities", dims: ["B", K] },
      ...states.map((name) => ({ name: `${name}_next`, dims: ["B", H] })),
    ],
    initializers: [
      floats("lw", [1, 4 * H, F], draw(4 * H, F)),
      floats("lr", [1, 4 * H, H], draw(4 * H, H)),
      floats("lb", [1, 8 * H], draw(8 * H)),
      floats("gw", [1, 3 * H, H], draw(3 * H, H)),
      floats("gr", [1, 3 * H, H], draw(3 * H, H)),
      floats("gb", [1, 6 * H], draw(6 * H)),
      floats("w", [H, K], draw(H, K)),
      int64s("front", [0]),
    ],
    nodes: [
      ...["features", ...states].map((name) => ({
        operator: "Unsqueeze",
        inputs: [name, "front"],
        outputs: [`${name}_1`],
      })),
      {
        operator: "LSTM",
        inputs: ["features_1", "lw", "lr", "lb", "", "h_1", "c_1"],
        outputs: ["", "h_2", "c_2"],
        ints: { hidden_size: H },
      },
      { operator: "Squeeze", inputs: ["h_2", "front"], outputs: ["h_next"] },
      { operator: "Squeeze", inputs: ["c_2", "front"], outputs: ["c_next"] },
      {
        operator: "GRU",
        inputs: ["h_2", "gw", "gr", "gb", "", "g_1"],
        outputs: ["", "g_2"],
        ints: { hidden_size: H, linear_before_reset: 1 },
      },
      { operator: "Squeeze", inputs: ["g_2", "front"], outputs: ["g_next"] },
      { operator: "MatMul", inputs: ["g_next", "w"], outputs: ["logits"] },
      { operator: "Sigmoid", inputs: ["logits"], outputs: ["probabilities"] },
    ],
  });
  const card = {
    ...testCard({ ...SMALL, featureCount: F, heads: K }, onnx),
    states: states.map((name) => ({ name, shape: [H] })),
  };
  return { card, onnx, graph: readOnnx("recurrent", onnx), source: "test" };
}
