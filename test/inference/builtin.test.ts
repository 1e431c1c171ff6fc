import { describe, expect, test } from "bun:test";
import { Rng } from "../../src/core/rng.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../../src/feature/schema.ts";
import { DEFAULT_MODEL } from "../../src/inference/builtin.ts";
import { CpuEngine, cpuIsas } from "../../src/inference/cpu.ts";
import { builtinModelNames, loadModel } from "../../src/inference/model.ts";
import { selfTest } from "../../src/inference/self-test.ts";
import { nameOf } from "../../src/inference/step-model.ts";
import { WasmEngine } from "../../src/inference/wasm.ts";

const schema = { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT };

test("the model used when none is named is built in", () => {
  expect(builtinModelNames()).toContain(DEFAULT_MODEL);
});

describe.each(builtinModelNames())("built-in model %s", (name) => {
  test("agrees with this build's features and passes its self-test on WebAssembly", async () => {
    const model = await loadModel(name, schema);
    const engine = await WasmEngine.start(model, 1, 1);
    expect(await selfTest(engine)).toBeLessThanOrEqual(model.card.selfTest.tolerance);
    expect(nameOf(model)).toBe(name);
    await engine.dispose();
  });

  test("passes its self-test on the cpu engine with every instruction set", async () => {
    const model = await loadModel(name, schema);
    for (const isa of await cpuIsas()) {
      const engine = await CpuEngine.start(model, 1, 1, isa);
      expect(await selfTest(engine)).toBeLessThanOrEqual(model.card.selfTest.tolerance);
    }
  });

  test("gives the same on the cpu engine and on WebAssembly over thousands of steps", async () => {
    const isas = await cpuIsas();
    if (isas.length === 0) {
      console.warn("parity not tested: no native library");
      return;
    }
    const model = await loadModel(name, schema);
    const wasm = await WasmEngine.start(model, 1, 1);
    const cpu = await CpuEngine.start(model, 1, 1);
    const rng = new Rng(5);
    const rows = model.card.selfTest.features;
    let worst = 0;
    for (let i = 0; i < 3_000; i += 1) {
      // Real rows, moved a little, so that the state keeps changing as it does on a market.
      const row = rows[rng.int(rows.length)];
      const features = row.map((value) => value * (1 + 0.2 * rng.normal()));
      for (const engine of [wasm, cpu]) {
        engine.features.set(features);
        await engine.submit(1);
      }
      for (const [head, expected] of wasm.probabilities.entries()) {
        worst = Math.max(worst, Math.abs(cpu.probabilities[head] - expected));
      }
    }
    // A sum that lies between two levels may fall on either, by the order of its terms.
    const rounds = model.graph.nodes.some((node) => node.operator === "QuantizeLinear");
    expect(worst).toBeLessThanOrEqual(rounds ? model.card.selfTest.tolerance : 1e-5);
    await wasm.dispose();
  }, 120_000);
});
