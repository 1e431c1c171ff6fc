import { describe, expect, test } from "bun:test";
import { ModelRefusedError } from "../../src/core/errors.ts";
import { InvariantError } from "../../src/core/invariant.ts";
import { Rng } from "../../src/core/rng.ts";
import type { ModelCard } from "../../src/inference/card.ts";
import { parseModel } from "../../src/inference/model.ts";
import { writeOnnx } from "../../src/inference/onnx/writer.ts";
import { startEngine } from "../../src/inference/registry.ts";
import { selfTest } from "../../src/inference/self-test.ts";
import { WindowedEngine } from "../../src/inference/windowed.ts";
import { drawFeatures, TEST_SCHEMA_HASH } from "./test-model.ts";
import {
  SMALL_WINDOW,
  type WindowedShape,
  windowedCard,
  windowedGraph,
  windowedModel,
  windowedReference,
} from "./windowed-model.ts";

const F = SMALL_WINDOW.featureCount;
const T = SMALL_WINDOW.window.length;
const plain = { ...SMALL_WINDOW.window, layout: "BTF", features: null, columns: null } as const;

const shapes: readonly (readonly [string, WindowedShape])[] = [
  ["[B,1,T,F] of some features, two of three classes", SMALL_WINDOW],
  ["[B,T,F] of all features and classes", { ...SMALL_WINDOW, window: plain }],
  ["[1,T,F], exported for single rows", { ...SMALL_WINDOW, window: plain, batch: 1 }],
  ["a window of two events", { ...SMALL_WINDOW, window: { ...SMALL_WINDOW.window, length: 2 } }],
];

describe.each(shapes)("a windowed model of %s", (_, shape) => {
  test("predicts nothing until a slot's window is full, then what its last events give", async () => {
    const { length } = shape.window;
    const model = windowedModel(shape);
    const K = model.card.heads.length;
    const engine = await WindowedEngine.start(model, 3, 2);
    const histories: number[][][] = [[], [], []];
    const rng = new Rng(2);
    for (let round = 0; round < 60; round += 1) {
      if (round === 40) {
        engine.resetSlot(1);
        histories[1] = [];
      }
      const slots = rng.next() < 0.5 ? [rng.int(3)] : [2, rng.int(2)];
      for (const [row, slot] of slots.entries()) {
        const features = drawFeatures(rng, F);
        histories[slot].push(features);
        engine.slots[row] = slot;
        engine.features.set(features, row * F);
      }
      const flight = engine.submit(slots.length);
      engine.features.fill(9);
      engine.slots.fill(0);
      await flight;
      for (const [row, slot] of slots.entries()) {
        const found = [...engine.probabilities.subarray(row * K, (row + 1) * K)];
        const history = histories[slot];
        if (history.length < length) {
          expect(found.every(Number.isNaN)).toBe(true);
          continue;
        }
        const expected = windowedReference(shape, history);
        for (const [head, value] of found.entries())
          expect(Math.abs(value - expected[head])).toBeLessThan(1e-5);
      }
    }
    await engine.dispose();
  });

  test("passes its self-test, which leaves the slot reset", async () => {
    const engine = await WindowedEngine.start(windowedModel(shape), 1, 1);
    await engine.warmUp();
    expect(await selfTest(engine)).toBeLessThan(1e-5);
    expect(await selfTest(engine)).toBeLessThan(1e-5);
    await engine.dispose();
  });
});

describe("a windowed engine", () => {
  test("keeps a slot reset that is reset while in flight", async () => {
    const engine = await WindowedEngine.start(windowedModel(), 1, 1);
    for (let i = 0; i < T - 1; i += 1) await engine.submit(1);
    const flight = engine.submit(1);
    engine.resetSlot(0);
    await flight;
    await engine.submit(1);
    expect(engine.probabilities[0]).toBeNaN();
    await engine.dispose();
  });

  test("refuses counts and slots out of range, a second flight, and use after its end", async () => {
    const engine = await WindowedEngine.start(windowedModel(), 2, 2);
    for (const count of [0, 3, 1.5]) await expect(engine.submit(count)).rejects.toThrow(InvariantError);
    engine.slots[0] = 2;
    await expect(engine.submit(1)).rejects.toThrow(InvariantError);
    engine.slots[0] = 0;
    const flight = engine.submit(1);
    await expect(engine.submit(1)).rejects.toThrow(InvariantError);
    await flight;
    expect(() => engine.step()).toThrow(InvariantError);
    expect(() => engine.resetSlot(2)).toThrow(InvariantError);
    await engine.dispose();
    await engine.dispose();
    await expect(engine.submit(1)).rejects.toThrow(InvariantError);
  });

  test("fails its self-test when the model predicts otherwise, or too early", async () => {
    const model = windowedModel();
    const wrong = structuredClone(model.card);
    wrong.selfTest.probabilities[1][0] += 0.01;
    const engine = await WindowedEngine.start({ ...model, card: wrong }, 1, 1);
    await expect(selfTest(engine)).rejects.toThrow(`self-test row ${T}, head down50 on wasm`);
    await engine.dispose();
  });

  test("is what runs the model; the other engines are passed over or refuse it", async () => {
    const options = { model: windowedModel(), slotCount: 1, maxBatch: 1, log: () => {} };
    const started = await startEngine({ ...options, device: "auto" });
    expect(started.engine).toBeInstanceOf(WindowedEngine);
    expect(started.passedOver).toContainEqual({
      engine: "cpu",
      reason:
        "model windowed: found a windowed model, which the cpu engine does not run, expected a step model, or the wasm engine",
    });
    await started.engine.dispose();
    for (const device of ["cpu", "webgpu", "tensorrt"] as const) {
      await expect(startEngine({ ...options, device })).rejects.toThrow(ModelRefusedError);
    }
  });

  test("refuses windows that would take too much memory", async () => {
    const model = windowedModel();
    const card = { ...model.card, window: { ...SMALL_WINDOW.window, length: 65_536 } };
    await expect(WindowedEngine.start({ ...model, card }, 4_096, 1)).rejects.toThrow(/windows of \d+ bytes/);
  });
});

describe("a windowed card is refused, naming what was found and expected, when", () => {
  function refusal(change: (card: ModelCard) => void): string {
    const onnx = writeOnnx(windowedGraph(SMALL_WINDOW));
    const card = structuredClone(windowedCard(SMALL_WINDOW, onnx));
    change(card);
    const expected = { schemaHash: TEST_SCHEMA_HASH, featureCount: F };
    try {
      parseModel("windowed", JSON.stringify(card), onnx, "test", expected);
    } catch (error) {
      expect(error).toBeInstanceOf(ModelRefusedError);
      return error instanceof Error ? error.message : "";
    }
    return "accepted";
  }
  const window = (change: Partial<ModelCard["window"]>) => (card: ModelCard) => {
    Object.assign(card.window ?? {}, change);
  };

  test.each<[string, (card: ModelCard) => void, string]>([
    ["nothing is wrong: it is taken", () => {}, "accepted"],
    ["it has states", (card) => card.states.push({ name: "h", shape: [2] }), "found a window and states"],
    ["the layout is the other", window({ layout: "BTF" }), "expected input lob: float [B,5,3]"],
    [
      "the input has another name",
      window({ input: "x" }),
      "found inputs lob, expected input x: float [B,1,5,3]",
    ],
    ["the output has another name", window({ output: "y" }), "found outputs classes, expected output y"],
    ["a feature is not in the schema", window({ features: [0, 1, 7] }), "found feature column 7"],
    ["the model takes more features", window({ features: [0, 1] }), "expected input lob: float [B,1,5,2]"],
    [
      "a class is not in the output",
      window({ columns: [0, 3] }),
      "expected output classes: float [B,4 or more]",
    ],
    ["there are not as many columns as heads", window({ columns: [0] }), "1 output columns in its window"],
    [
      "the self-test expects a prediction too early",
      (card) => card.selfTest.features.pop(),
      "4 more of the former",
    ],
    ["the layout is unknown", window({ layout: "TBF" as "BTF" }), "layout"],
  ])("%s", (_, change, message) => {
    expect(refusal(change)).toContain(message);
  });
});
