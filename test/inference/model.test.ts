import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ModelRefusedError } from "../../src/core/errors.ts";
import type { ModelCard } from "../../src/inference/card.ts";
import { loadModel, parseModel } from "../../src/inference/model.ts";
import { type GraphSpec, writeOnnx } from "../../src/inference/onnx/writer.ts";
import { lstmGraph, SMALL, TEST_SCHEMA_HASH, testCard } from "./test-model.ts";

const EXPECTED = { schemaHash: TEST_SCHEMA_HASH, featureCount: SMALL.featureCount };
const GRAPH = lstmGraph(SMALL);

function refusal(change: (card: ModelCard) => void, graph: GraphSpec = GRAPH): string {
  const onnx = writeOnnx(graph);
  const card = testCard(SMALL, onnx);
  change(card);
  try {
    parseModel("test", JSON.stringify(card), onnx, "test", EXPECTED);
  } catch (error) {
    expect(error).toBeInstanceOf(ModelRefusedError);
    return error instanceof Error ? error.message : "";
  }
  return "accepted";
}

describe("a model is refused, naming what was found and expected, when", () => {
  const unchanged = (): void => undefined;

  test("nothing is wrong: it is taken", () => {
    expect(refusal(unchanged)).toBe("accepted");
  });

  test("the digest differs", () => {
    const digest = "0".repeat(64);
    const message = refusal((card) => Object.assign(card, { onnxSha256: digest }));
    expect(message).toMatch(/^model test: found model\.onnx with SHA-256 [0-9a-f]{64}, expected 0{64}/);
  });

  test("the feature schema differs", () => {
    const message = refusal((card) => Object.assign(card, { schemaHash: "fedcba9876543210" }));
    expect(message).toBe(
      "model test: found feature schema fedcba9876543210, expected 0123456789abcdef (this build)",
    );
  });

  test("the number of features differs", () => {
    const other = { ...SMALL, featureCount: 5 };
    const onnx = writeOnnx(lstmGraph(other));
    const card = JSON.stringify(testCard(other, onnx));
    expect(() => parseModel("test", card, onnx, "test", EXPECTED)).toThrow(
      "found 5 features, expected 11 (this build)",
    );
  });

  test("the self-test allows so much that it shows nothing", () => {
    const message = refusal((card) => Object.assign(card.selfTest, { tolerance: 1 }));
    expect(message).toContain("selfTest.tolerance");
  });

  test("the card misses a field or has an unknown one", () => {
    expect(refusal((card) => Reflect.deleteProperty(card, "training"))).toContain("training");
    expect(refusal((card) => Object.assign(card, { extra: 1 }))).toContain("extra");
  });

  test("a state is missing in the graph", () => {
    const message = refusal((card) => card.states.push({ name: "ring", shape: [4, 8] }));
    expect(message).toContain("no input ring (it has features, h, c)");
    expect(message).toContain("expected input ring: float [B,4,8]");
  });

  test("a state has another shape", () => {
    const message = refusal((card) => Object.assign(card.states[0], { shape: [12] }));
    expect(message).toContain("input h: float [B,13]");
    expect(message).toContain("expected input h: float [B,12]");
  });

  test("there are fewer heads than outputs", () => {
    const message = refusal((card) => {
      card.heads.pop();
      for (const row of card.selfTest.probabilities) row.pop();
    });
    expect(message).toContain("output probabilities: float [B,7]");
  });

  test("the graph has an input the card does not state", () => {
    const graph = { ...GRAPH, inputs: [...GRAPH.inputs, { name: "extra", dims: ["B", 1] }] };
    expect(refusal(unchanged, graph)).toContain("found input extra, expected only features, h, c");
  });

  test("the batch is fixed", () => {
    const graph = { ...GRAPH, inputs: GRAPH.inputs.map((input) => ({ ...input, dims: [1, input.dims[1]] })) };
    expect(refusal(unchanged, graph)).toContain("with a fixed batch");
  });

  test("the self-test is ragged or empty", () => {
    expect(refusal((card) => card.selfTest.features[0].pop())).toContain("self-test");
    expect(refusal((card) => Object.assign(card.selfTest, { features: [], probabilities: [] }))).toContain(
      "self-test",
    );
  });

  test("a state is huge", () => {
    const shape = [1 << 30, 1 << 30];
    expect(refusal((card) => Object.assign(card.states[0], { shape }))).toContain("floats a slot");
  });
});

describe("a model folder", () => {
  const folder = mkdtempSync(join(tmpdir(), "keel-model-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  test("is loaded from its two files", async () => {
    const onnx = writeOnnx(GRAPH);
    await Bun.write(join(folder, "model.onnx"), onnx);
    await expect(loadModel(folder, EXPECTED)).rejects.toThrow(/no file .*card\.json/);
    await Bun.write(join(folder, "card.json"), JSON.stringify(testCard(SMALL, onnx)));
    const model = await loadModel(folder, EXPECTED);
    expect(model.source).toBe(folder);
    expect(model.card.name).toBe("test");
    await Bun.write(join(folder, "card.json"), "{");
    await expect(loadModel(folder, EXPECTED)).rejects.toThrow("a card.json that is no JSON");
  });

  test("that is not there is named together with the built-in models", async () => {
    await expect(loadModel("no-such-model", EXPECTED)).rejects.toThrow(
      "model no-such-model: found neither a built-in model nor a folder",
    );
  });
});
