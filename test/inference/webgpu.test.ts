import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { DeviceUnavailableError } from "../../src/core/errors.ts";
import { Rng } from "../../src/core/rng.ts";
import { EngineLostError, type StepEngine } from "../../src/inference/engine.ts";
import { writeOnnx } from "../../src/inference/onnx/writer.ts";
import { ALLOCATING_MODEL } from "../../src/inference/ort-webgpu.ts";
import { startEngine } from "../../src/inference/registry.ts";
import { DEFAULT_ENGINE_SETTINGS } from "../../src/inference/settings.ts";
import { WasmEngine } from "../../src/inference/wasm.ts";
import { WebGpuEngine } from "../../src/inference/webgpu.ts";
import { loseGpuDevices, SOFTWARE_ENGINES, skipUnlessSoftwareGpu } from "../support/software-gpu.ts";
import { drawFeatures, SMALL, testModel } from "./test-model.ts";

// The software adapter takes seconds to compile a model's pipelines.
setDefaultTimeout(120_000);

test("the allocating model is the one its comment states", () => {
  const dims = ["N"];
  const written = writeOnnx({
    initializers: [],
    inputs: [{ name: "x", dims }],
    outputs: [{ name: "y", dims }],
    nodes: [{ operator: "Neg", inputs: ["x"], outputs: ["y"] }],
  });
  expect(Buffer.from(written).equals(Buffer.from(ALLOCATING_MODEL))).toBe(true);
});

test("an adapter that is not there is an error that names what to do", async () => {
  const model = testModel();
  const settings = { ...DEFAULT_ENGINE_SETTINGS, gpu: { ...SOFTWARE_ENGINES.gpu, adapter: "no such GPU" } };
  const attempt = startEngine({
    device: "webgpu",
    model,
    slotCount: 1,
    maxBatch: 1,
    settings,
    log: () => {},
  });
  await expect(attempt).rejects.toThrow(DeviceUnavailableError);
  await expect(attempt).rejects.toThrow(
    /^webgpu: no (adapter "no such GPU" here; there are 0: |Vulkan loader)/,
  );
});

describe.skipIf(skipUnlessSoftwareGpu())("on the software adapter", () => {
  const model = testModel();
  const { featureCount: F, heads: K } = SMALL;
  let engine: WebGpuEngine;
  beforeAll(async () => {
    engine = await WebGpuEngine.start(model, 3, 2, SOFTWARE_ENGINES);
  });

  const step = async (stepped: StepEngine, rows: readonly { slot: number; features: number[] }[]) => {
    for (const [row, { slot, features }] of rows.entries()) {
      stepped.slots[row] = slot;
      stepped.features.set(features, row * F);
    }
    await stepped.submit(rows.length);
    return [...stepped.probabilities.subarray(0, rows.length * K)];
  };

  test("replays one captured graph for batches of every size, as the reference steps", async () => {
    expect(engine.graphCaptured).toBe(true);
    const reference = await WasmEngine.start(model, 3, 2);
    const rng = new Rng(5);
    const draw = (slot: number) => ({ slot, features: drawFeatures(rng, F) });
    for (const rows of [[draw(0)], [draw(2), draw(0)], [draw(1), draw(2)], [draw(0), draw(1)], [draw(2)]]) {
      const expected = await step(reference, rows);
      const found = await step(engine, rows);
      for (const [i, value] of found.entries()) expect(Math.abs(value - expected[i])).toBeLessThan(1e-5);
    }
    await reference.dispose();
  });

  test("a model that is refused leaves nothing on the device that others hold too", async () => {
    const broken = { ...model, onnx: new Uint8Array([1, 2, 3]) };
    const refused = () => WebGpuEngine.start(broken, 3, 2, SOFTWARE_ENGINES);
    await expect(refused()).rejects.toThrow("does not take");
    const { bytes } = engine.gpu.buffers;
    await expect(refused()).rejects.toThrow("does not take");
    expect(engine.gpu.buffers.bytes).toBe(bytes);
  });

  test("a device that cannot hold the slots refuses before anything is taken", async () => {
    const attempt = WebGpuEngine.start(model, 2 ** 30, 2, SOFTWARE_ENGINES);
    await expect(attempt).rejects.toThrow(
      /need a buffer of \d+ bytes, the device allows \d+: use fewer slots/,
    );
  });

  test("automatic choice never takes a software adapter", async () => {
    const attempt = WebGpuEngine.start(model, 1, 1, SOFTWARE_ENGINES, true);
    await expect(attempt).rejects.toThrow(/SwiftShader.* is a software adapter, used only when asked for/);
  });

  test("a lost device ends the submit in flight, and the engine with it", async () => {
    engine.slots[0] = 0;
    const flight = engine.submit(1);
    loseGpuDevices();
    await expect(flight).rejects.toThrow(EngineLostError);
    await expect(engine.submit(1)).rejects.toThrow(EngineLostError);
    engine.resetSlot(1);
    await engine.dispose();
  });
});
