import { floats, type GraphSpec, int64s, writeOnnx } from "../../src/inference/onnx/writer.ts";
import { lstmGraph, SMALL } from "./test-model.ts";

/** An ONNX file that is wrong in one way, and what is to be said about it. */
export interface MalformedModel {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Stands in why the model is refused, or in what the cpu engine says of it. */
  readonly told: RegExp;
}

const good = lstmGraph(SMALL);
const file = (changes: Partial<GraphSpec>): Uint8Array => writeOnnx({ ...good, ...changes });
const swapped = (name: string, by: GraphSpec["initializers"][number]): GraphSpec["initializers"] =>
  good.initializers.map((tensor) => (tensor.name === name ? by : tensor));
const first = (operator: string, by: object): GraphSpec["nodes"] =>
  good.nodes.map((node, at) =>
    at === good.nodes.findIndex((each) => each.operator === operator) ? { ...node, ...by } : node,
  );

const weights = good.initializers.find(({ name }) => name === "w_x");
const weightCount = weights === undefined ? 0 : weights.raw.byteLength / 4;

/** One of each kind of malformed file. */
export const MALFORMED_MODELS: readonly MalformedModel[] = [
  { name: "empty", bytes: new Uint8Array(0), told: /found/ },
  { name: "text", bytes: new TextEncoder().encode("not a model\n"), told: /found/ },
  { name: "truncated", bytes: file({}).subarray(0, file({}).length / 2), told: /ends|beyond|bytes/ },
  {
    name: "weights of another shape",
    bytes: file({ initializers: swapped("w_x", floats("w_x", [3, 5], new Float32Array(15))) }),
    told: /\(Gemm\).*shape/,
  },
  {
    name: "a state of another shape",
    bytes: file({
      inputs: good.inputs.map((input) => (input.name === "h" ? { ...input, dims: ["B", 99] } : input)),
    }),
    told: /\bh\b|h_next/,
  },
  {
    name: "unknown operator",
    bytes: file({ nodes: first("Clip", { operator: "FrobnicateX", name: "odd" }) }),
    told: /node odd \(FrobnicateX\)/,
  },
  {
    name: "huge dimensions in a weight",
    bytes: file({
      initializers: swapped("w_x", { ...floats("w_x", [1], [1]), dims: [2 ** 30, 2 ** 30, 2 ** 30] }),
    }),
    told: /tensor w_x of shape/,
  },
  {
    name: "huge dimensions in a result",
    bytes: file({
      nodes: [{ operator: "Expand", inputs: ["features", "wide"], outputs: ["huge"] }, ...good.nodes],
      initializers: [...good.initializers, int64s("wide", [2 ** 40, 1, 1])],
    }),
    told: /\(Expand\).*shape \[/,
  },
  {
    name: "NaN weights",
    bytes: file({
      initializers: swapped("w_x", {
        ...floats("w_x", [], new Float32Array(weightCount).fill(Number.NaN)),
        dims: weights?.dims ?? [],
      }),
    }),
    told: /tensor w_x with NaN at element 0/,
  },
  {
    name: "a node that reads its own result",
    bytes: file({ nodes: first("Sub", { outputs: ["features"] }) }),
    told: /features/,
  },
];
