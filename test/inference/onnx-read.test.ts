import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ModelRefusedError } from "../../src/core/errors.ts";
import { readOnnx } from "../../src/inference/onnx/model-proto.ts";
import { floats, int64s, writeOnnx } from "../../src/inference/onnx/writer.ts";
import { lstmGraph } from "./test-model.ts";

const GRAPH = lstmGraph({ featureCount: 3, hidden: 2, heads: 2, seed: 1 });
const FILE = writeOnnx(GRAPH);

const readsOrRefuses = (bytes: Uint8Array): void => {
  try {
    readOnnx("fuzz", bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(ModelRefusedError);
  }
};

describe("reading an ONNX file", () => {
  test("gives nodes, attributes, weights and the graph's values", () => {
    const graph = readOnnx("test", FILE);
    expect(graph.opset).toBe(17);
    expect(graph.inputs.map(({ name, dims }) => [name, dims])).toEqual([
      ["features", ["B", 3]],
      ["h", ["B", 2]],
      ["c", ["B", 2]],
    ]);
    expect(graph.nodes.map((node) => node.operator).slice(0, 4)).toEqual(["Sub", "Div", "Clip", "Gemm"]);
    expect(graph.nodes[3].attributes.get("transB")?.int).toBe(1);
    expect(graph.nodes[3].name).toBe("#3");
    expect(graph.initializers.get("w_x")?.dims).toEqual([8, 3]);
    expect(graph.initializers.get("low")?.data).toEqual(Float32Array.of(-5));
  });

  test("saturates 64-bit integers beyond 2^53 and keeps negative ones", () => {
    const spec = int64s("ends", [-1, 5, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]);
    const view = new DataView(spec.raw.buffer);
    view.setBigInt64(24, 0x7fff_ffff_ffff_ffffn, true);
    const graph = readOnnx("test", writeOnnx({ ...GRAPH, initializers: [spec] }));
    expect([...(graph.initializers.get("ends")?.data ?? [])]).toEqual([
      -1,
      5,
      Number.MIN_SAFE_INTEGER,
      Number.MAX_SAFE_INTEGER,
    ]);
  });

  test("refuses every truncation", () => {
    for (let length = 0; length < FILE.length; length += 1) {
      expect(() => readOnnx("cut", FILE.subarray(0, length))).toThrow(ModelRefusedError);
    }
  });

  test("never fails otherwise, whatever bytes are changed", () => {
    const change = fc.tuple(fc.nat(FILE.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 6 }), (changes) => {
        const bytes = FILE.slice();
        for (const [position, value] of changes) bytes[position] = value;
        readsOrRefuses(bytes);
      }),
      { numRuns: 3_000, seed: 1 },
    );
  });

  test("never fails otherwise on noise", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), readsOrRefuses), { numRuns: 2_000, seed: 2 });
  });

  test("refuses NaN weights, naming the tensor", () => {
    const spec = { ...GRAPH, initializers: [floats("w", [3], [1, Number.NaN, 2])] };
    expect(() => readOnnx("test", writeOnnx(spec))).toThrow(/tensor w with NaN at element 1/);
  });

  test("refuses dimensions that the data does not fill before it allocates", () => {
    const spec = {
      ...GRAPH,
      initializers: [{ ...floats("w", [1], [1]), dims: [1 << 30, 1 << 30, 1 << 30] }],
    };
    expect(() => readOnnx("test", writeOnnx(spec))).toThrow(/tensor w of shape .* with data for 1 values/);
  });

  test("refuses negative dimensions and unknown data types", () => {
    const negative = { ...GRAPH, initializers: [{ ...floats("w", [1], [1]), dims: [-1, -1] }] };
    expect(() => readOnnx("test", writeOnnx(negative))).toThrow(/dimension -1/);
    const typed = { ...GRAPH, initializers: [{ ...floats("w", [1], [1]), type: 99 as 1 }] };
    expect(() => readOnnx("test", writeOnnx(typed))).toThrow(/data type 99/);
  });

  test("refuses an opset out of range", () => {
    expect(() => readOnnx("test", writeOnnx({ ...GRAPH, opset: 3 }))).toThrow("opset 3");
  });
});
