import { describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { ModelRefusedError } from "../../src/core/errors.ts";
import { loadNative } from "../../src/core/native.ts";
import { type CpuIsa, NativeStep } from "../../src/inference/cpu/native-step.ts";
import { OP, reference, SPACE, shift } from "../../src/inference/cpu/program.ts";
import { verifyProgram } from "../../src/inference/cpu/verify.ts";
import { cpuIsas } from "../../src/inference/cpu.ts";
import { Lowering } from "../../src/inference/onnx/lowering.ts";
import { type OnnxTensor, readOnnx, readOnnxTensor } from "../../src/inference/onnx/model-proto.ts";
import { OPERATORS } from "../../src/inference/onnx/operators.ts";
import { at, constant, sizeOf } from "../../src/inference/onnx/value.ts";

const VECTORS = join(import.meta.dir, "../../../shared/vectors/onnx");

/** Operands that the cpu engine takes only as constants, as they are in a model. */
const CONSTANT_OPERANDS: Readonly<Record<string, readonly number[]>> = {
  Conv: [1, 2],
  LSTM: [1, 2, 3, 4, 7],
  GRU: [1, 2, 3, 4, 7],
  QuantizeLinear: [1, 2],
  DequantizeLinear: [1, 2],
};
/** Operators whose second operand is either computed or a weight; both ways are tested. */
const WITH_WEIGHTS: Readonly<Record<string, readonly number[]>> = { Gemm: [1, 2], MatMul: [1] };
/** Its tensors have no elements, which no model's have. */
const EMPTY = "test_reshape_allowzero_reordered";
/** Operators of the vectors that the engine does not have. */
const NOT_THERE = new Set(["DynamicQuantizeLinear", "MatMulInteger"]);

/** Runs one ONNX node test: every float operand computed, all others constants. */
function run(
  native: Extract<Awaited<ReturnType<typeof loadNative>>, { missing: null }>["functions"],
  isa: CpuIsa,
  folder: string,
  asWeights: readonly number[],
): void {
  const graph = readOnnx(folder, new Uint8Array(Bun.mmap(join(VECTORS, folder, "model.onnx"))));
  const data = join(VECTORS, folder, "test_data_set_0");
  const read = (name: string): OnnxTensor => readOnnxTensor(name, new Uint8Array(Bun.mmap(join(data, name))));
  const lowering = new Lowering(graph);
  const constants = [...asWeights, ...(CONSTANT_OPERANDS[graph.nodes[0].operator] ?? [])];
  const features: { offset: number; tensor: OnnxTensor }[] = [];
  let featureCount = 0;
  for (const [i, input] of graph.inputs.entries()) {
    const tensor = read(`input_${i}.pb`);
    const operand = graph.nodes[0].inputs.indexOf(input.name);
    const computed =
      tensor.type === "float" || (graph.nodes[0].operator === "DequantizeLinear" && operand === 0);
    if (!computed || constants.includes(operand)) {
      lowering.define(input.name, constant(tensor.dims, tensor.data));
      continue;
    }
    lowering.define(input.name, at(tensor.dims, -1, reference(SPACE.features, featureCount)));
    features.push({ offset: featureCount, tensor });
    featureCount += Math.ceil(sizeOf(tensor.dims) / 16) * 16;
  }
  lowering.run(OPERATORS);
  const expected = graph.outputs.map((_, i) => read(`output_${i}.pb`));
  const headCount = expected.reduce((sum, { dims }) => sum + sizeOf(dims), 0);
  const { program } = lowering;
  const gathered = program.scratch(headCount);
  let offset = 0;
  for (const [i, { name }] of graph.outputs.entries()) {
    const value = lowering.value(name);
    if (value === undefined) throw new Error(`no output ${name}`);
    expect(value.dims).toEqual(expected[i].dims);
    const a = value.kind === "dynamic" ? value.place() : program.constant(Float32Array.from(value.data));
    program.emit(OP.copy, shift(gathered, offset), { a }, [sizeOf(value.dims)]);
    offset += sizeOf(value.dims);
  }
  verifyProgram(program, { featureCount, slotFloats: 0 });
  const compiled = { program, probabilitiesAt: gathered, slotFloats: 0, moves: [] };
  const step = new NativeStep(native, isa, compiled, { featureCount, headCount, slotCount: 1, maxBatch: 1 });
  for (const { offset: start, tensor } of features) step.features.set(Float32Array.from(tensor.data), start);
  step.run(1);
  offset = 0;
  for (const tensor of expected) {
    for (const value of tensor.data) {
      const found = step.probabilities[offset];
      const tolerance = 1e-6 + 1e-5 * Math.abs(value);
      if (!(Math.abs(found - value) <= tolerance)) expect(`${folder}: ${found}`).toBe(`${folder}: ${value}`);
      offset += 1;
    }
  }
}

const present = existsSync(VECTORS);
if (!present) console.warn("ONNX node tests not run: no ../shared/vectors/onnx");
const native = await loadNative();
if (native.missing !== null) console.warn(`ONNX node tests not run: ${native.missing}`);

describe.skipIf(!present || native.missing !== null)("ONNX's node tests", async () => {
  const { functions } = native;
  if (functions === null || !present) return;
  const folders = readdirSync(VECTORS).filter((name) => existsSync(join(VECTORS, name, "model.onnx")));
  for (const isa of await cpuIsas()) {
    for (const folder of folders.sort()) {
      const graph = readOnnx(
        folder,
        new Uint8Array(await Bun.file(join(VECTORS, folder, "model.onnx")).arrayBuffer()),
      );
      const operators = graph.nodes.map(({ operator }) => operator);
      if (operators.some((operator) => NOT_THERE.has(operator))) {
        if (isa !== "portable") continue;
        test(`${folder}: an operator it does not have is refused by name`, () => {
          expect(() => new Lowering(graph).run(OPERATORS)).toThrow(ModelRefusedError);
          expect(() => new Lowering(graph).run(OPERATORS)).toThrow(`(${operators[0]})`);
        });
        continue;
      }
      if (folder === EMPTY) {
        test(`${isa}: ${folder} is refused`, () => {
          expect(() => run(functions, isa, folder, [])).toThrow(/node .* \(Reshape\): .*shape \[/);
        });
        continue;
      }
      test(`${isa}: ${folder}`, () => run(functions, isa, folder, []));
      const weights = WITH_WEIGHTS[operators[0]];
      if (weights !== undefined) {
        test(`${isa}: ${folder} with weights`, () => run(functions, isa, folder, weights));
      }
    }
  }
});
