import { heapStats } from "bun:jsc";
import { afterAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ModelRefusedError } from "../../src/core/errors.ts";
import { Rng } from "../../src/core/rng.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../../src/feature/schema.ts";
import { DEFAULT_MODEL } from "../../src/inference/builtin.ts";
import { CalibratedEngine } from "../../src/inference/calibration.ts";
import { compileStep } from "../../src/inference/cpu/compile.ts";
import { OP } from "../../src/inference/cpu/program.ts";
import { CpuEngine, cpuIsas } from "../../src/inference/cpu.ts";
import { loadModel } from "../../src/inference/model.ts";
import { readOnnx } from "../../src/inference/onnx/model-proto.ts";
import { int64s, type NodeSpec, writeOnnx } from "../../src/inference/onnx/writer.ts";
import { checkInterface, type StepModel } from "../../src/inference/step-model.ts";
import { WasmEngine } from "../../src/inference/wasm.ts";
import { quantisedModel } from "./quantised-model.ts";
import { recurrentModel } from "./recurrent-model.ts";
import { ringModel } from "./ring-model.ts";
import { drawFeatures, lstmGraph, SMALL, testModel } from "./test-model.ts";

const isas = await cpuIsas();
/** Steps after which the JIT has compiled what they run, and steps that are then looked at. */
const STEPS_COMPILED = 100_000;
const STEPS_MEASURED = 300_000;
if (isas.length === 0) console.warn("cpu engine not tested: no native library");

function refusal(nodes: readonly NodeSpec[]): string {
  const spec = lstmGraph(SMALL);
  const model = testModel();
  const graph = readOnnx("test", writeOnnx({ ...spec, nodes }));
  try {
    compileStep({ ...model, graph });
  } catch (error) {
    expect(error).toBeInstanceOf(ModelRefusedError);
    return error instanceof Error ? error.message : "";
  }
  return "accepted";
}

describe.skipIf(isas.length === 0)("cpu engine", () => {
  const started: { dispose(): Promise<void> }[] = [];
  afterAll(() => Promise.all(started.map((engine) => engine.dispose())));

  async function expectParity(model: StepModel, steps: number): Promise<void> {
    const slots = 3;
    const wasm = await WasmEngine.start(model, slots, slots);
    const engines = await Promise.all(isas.map((isa) => CpuEngine.start(model, slots, slots, isa)));
    started.push(wasm, ...engines);
    const rng = new Rng(21);
    let worst = 0;
    for (let i = 0; i < steps; i += 1) {
      const features = drawFeatures(rng, slots * model.card.featureCount);
      for (const engine of [wasm, ...engines]) {
        engine.features.set(features);
        engine.slots.set([2, 0, 1]);
        await engine.submit(slots);
      }
      for (const engine of engines) {
        for (const [j, expected] of wasm.probabilities.entries()) {
          worst = Math.max(worst, Math.abs(engine.probabilities[j] - expected));
        }
      }
    }
    expect(worst).toBeLessThanOrEqual(1e-5);
  }

  test("gives what ONNX Runtime gives over thousands of steps of an LSTM", async () => {
    await expectParity(testModel({ featureCount: 96, hidden: 64, heads: 7, seed: 3 }), 3_000);
  }, 120_000);

  test("gives what ONNX Runtime gives for attention and convolution over a ring of states", async () => {
    await expectParity(ringModel(), 300);
  });

  test("gives what ONNX Runtime gives for ONNX's own LSTM and GRU", async () => {
    await expectParity(recurrentModel(), 300);
  });

  test("runs 8-bit weights and activations as ONNX Runtime does, alike on every instruction set", async () => {
    const shape = { featureCount: 37, hidden: 21, heads: 5, seed: 4 };
    const model = quantisedModel(shape);
    const { program } = compileStep(model);
    const operations = program.instructions.filter(({ removed }) => !removed).map(({ op }) => op);
    expect(operations.filter((op) => op === OP.denseI8)).toHaveLength(3);
    expect(operations).not.toContain(OP.dense);
    const wasm = await WasmEngine.start(model, 1, 1);
    const engines = await Promise.all(isas.map((isa) => CpuEngine.start(model, 1, 1, isa)));
    started.push(wasm, ...engines);
    const rng = new Rng(22);
    let sum = 0;
    let worst = 0;
    let apart = 0;
    const steps = 500;
    for (let i = 0; i < steps; i += 1) {
      const features = Array.from({ length: shape.featureCount }, () => rng.next() * 1.2 - 0.1);
      for (const engine of [wasm, ...engines]) {
        engine.features.set(features);
        await engine.submit(1);
      }
      for (const [j, expected] of wasm.probabilities.entries()) {
        const difference = Math.abs(engines[0].probabilities[j] - expected);
        sum += difference;
        worst = Math.max(worst, difference);
        for (const engine of engines) {
          apart = Math.max(apart, Math.abs(engine.probabilities[j] - engines[0].probabilities[j]));
        }
      }
    }
    // A value on the edge of two levels may fall to either, and the state carries that on for some steps.
    expect(worst).toBeLessThan(0.03);
    expect(sum / (steps * shape.heads)).toBeLessThan(0.002);
    expect(apart).toBeLessThan(0.03);
  });

  test("handles every number of outputs and inputs around the width of a vector", async () => {
    for (const hidden of [1, 3, 4, 15, 16, 17, 33, 65]) {
      await expectParity(
        testModel({ featureCount: hidden + 2, hidden, heads: 1 + (hidden % 7), seed: hidden }),
        5,
      );
    }
  });

  test("puts a written-out LSTM cell into one instruction", () => {
    const { program } = compileStep(testModel());
    const operations = program.instructions.filter(({ removed }) => !removed).map(({ op }) => op);
    expect(operations).toEqual([
      ...[OP.binary, OP.binary, OP.unary],
      ...[OP.dense, OP.dense, OP.lstm, OP.dense, OP.dense],
    ]);
  });

  test("reads a transposed operand of a product where it lies", async () => {
    const schema = { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT };
    const { instructions } = compileStep(await loadModel("transformer", schema)).program;
    const products = instructions.filter(({ op, removed }) => op === OP.matmul && !removed);
    // Queries by keys as they lie in the ring, weights by values.
    expect(products.map(({ p }) => p[6])).toEqual([1, 0]);
    expect(instructions.filter(({ op, removed }) => op === OP.strided && !removed)).toEqual([]);
  });

  test("moves a ring within the slot, and takes the rows of a convolution from where they lie", async () => {
    const schema = { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT };
    const model = await loadModel("tcn", schema);
    const rings = model.card.states.map(({ shape }) => shape[0] * shape[1]);
    const copied = (shiftInPlace: boolean): number => {
      const { program, moves } = compileStep(model, { shiftInPlace });
      expect(moves.reduce((floats, [, , length]) => floats + length, 0)).toBe(rings.reduce((a, b) => a + b));
      const copies = program.instructions.filter(({ op, removed }) => op === OP.copy && !removed);
      return copies.reduce((floats, { p }) => floats + p[0], 0);
    };
    expect(copied(false) - copied(true)).toBeGreaterThanOrEqual(rings.reduce((a, b) => a + b));
  });

  test("an input that is no number leaves the other rows alone", async () => {
    const engine = await CpuEngine.start(testModel(), 2, 2);
    started.push(engine);
    engine.slots.set([0, 1]);
    engine.features.fill(0.5);
    engine.step(2);
    const row = engine.probabilities.slice(SMALL.heads);
    engine.resetSlot(0);
    engine.resetSlot(1);
    engine.features[0] = Number.NaN;
    engine.step(2);
    expect(engine.probabilities.slice(SMALL.heads)).toEqual(row);
  });
});

describe("compiling a graph for the cpu engine", () => {
  const nodes = lstmGraph(SMALL).nodes;
  const replace = (operator: string, by: Partial<NodeSpec>): NodeSpec[] =>
    nodes.map((node) => (node.operator === operator ? { ...node, ...by } : node));

  test("refuses an operator it does not have, naming node and operator", () => {
    expect(refusal(replace("Clip", { operator: "Det", name: "clipping" }))).toStartWith(
      "model test: found node clipping (Det): the operator, which the cpu engine does not have, expected Add, Sub,",
    );
  });

  test("refuses attributes it does not know", () => {
    expect(refusal(replace("Clip", { ints: { surprise: 1 } }))).toContain("(Clip): attribute surprise");
  });

  test("refuses work along the batch", () => {
    expect(refusal(replace("Split", { ints: { axis: 0 } }))).toContain(
      "(Split): work along axis 0, the batch",
    );
  });

  test("refuses shapes that do not fit", () => {
    expect(refusal(replace("Sub", { inputs: ["features", "b"] }))).toMatch(
      /\(Sub\): shapes \[1,11\] and \[52\]/,
    );
  });

  test("refuses nodes out of order, missing and double values", () => {
    expect(refusal([...nodes].reverse())).toContain("which nothing before it makes");
    expect(refusal(nodes.slice(0, -1))).toContain("output probabilities: nothing that makes it");
    expect(refusal([...nodes, nodes[nodes.length - 1]])).toContain("two values named probabilities");
  });

  test("refuses tensors out of all proportion before they are made", () => {
    const shape = int64s("shape", [1, 1 << 20, 1 << 20]);
    const spec = lstmGraph(SMALL);
    const wide = { operator: "Expand", inputs: ["features", "shape"], outputs: ["huge"] };
    const model = testModel();
    const graph = readOnnx(
      "test",
      writeOnnx({ ...spec, nodes: [wide, ...nodes], initializers: [...spec.initializers, shape] }),
    );
    expect(() => compileStep({ ...model, graph })).toThrow(ModelRefusedError);
  });

  const fuzzed: readonly (readonly [string, StepModel])[] = [
    ["an LSTM written out", testModel({ featureCount: 3, hidden: 2, heads: 2, seed: 1 })],
    ["attention and convolution", ringModel()],
    ["ONNX's LSTM and GRU", recurrentModel()],
    ["8-bit weights", quantisedModel({ featureCount: 3, hidden: 2, heads: 2, seed: 1 })],
  ];
  for (const [name, model] of fuzzed) {
    test(`never fails otherwise, whatever is changed in a file with ${name}, and what it takes runs`, async () => {
      const taken: StepModel[] = [];
      const change = fc.tuple(fc.nat(model.onnx.length - 1), fc.nat(255));
      fc.assert(
        fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
          const onnx = model.onnx.slice();
          for (const [position, value] of changes) onnx[position] = value;
          try {
            const graph = readOnnx("fuzz", onnx);
            checkInterface(model.card, graph);
            compileStep({ ...model, graph });
            taken.push({ ...model, graph });
          } catch (error) {
            expect(error).toBeInstanceOf(ModelRefusedError);
          }
        }),
        { numRuns: 1_000, seed: 5 },
      );
      expect(taken.length).toBeGreaterThan(20);
      if (isas.length === 0) return;
      for (const each of taken.slice(0, 100)) {
        const engine = await CpuEngine.start(each, 2, 2);
        engine.slots.set([0, 1]);
        engine.features.fill(1);
        engine.step(2);
      }
    });
  }
});

test.skipIf(isas.length === 0)("a step allocates nothing", async () => {
  const model = await loadModel(DEFAULT_MODEL, { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT });
  const engine = new CalibratedEngine(await CpuEngine.start(model, 4, 4));
  engine.calibration.set(1, 0, { slope: 1.1, intercept: 0.1 });
  const run = (steps: number): void => {
    for (let i = 0; i < steps; i += 1) {
      engine.slots[0] = i & 1;
      engine.step(1);
    }
  };
  run(STEPS_COMPILED);
  Bun.gc(true);
  const before = heapStats().heapCapacity;
  run(STEPS_MEASURED);
  expect(heapStats().heapCapacity - before).toBeLessThan(STEPS_MEASURED);
  await engine.dispose();
});
