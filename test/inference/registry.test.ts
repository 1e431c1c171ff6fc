import { describe, expect, test } from "bun:test";
import { DeviceUnavailableError, ModelRefusedError } from "../../src/core/errors.ts";
import { cpuIsas } from "../../src/inference/cpu.ts";
import { probeDevices, probeIsa } from "../../src/inference/probe.ts";
import { ENGINE_STARTERS, startEngine } from "../../src/inference/registry.ts";
import { testModel } from "./test-model.ts";

// Loads the native library, which is compiled when its sources have changed, before tests are timed.
await cpuIsas();

describe("starting an engine", () => {
  const model = testModel();
  const options = { model, slotCount: 4, maxBatch: 2 };

  test("auto takes the fastest that works and says which and why in one line", async () => {
    const lines: string[] = [];
    const started = await startEngine({ ...options, device: "auto", log: (line) => lines.push(line) });
    expect(started.engine.name).toBe(started.chosen);
    expect(started.stepUs).toBeGreaterThan(0);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(
      new RegExp(`^engine ${started.chosen} \\(fastest here, [\\d.]+ µs a step\\) for model`),
    );
    for (const { engine, reason } of started.passedOver)
      expect(lines[0]).toContain(`not ${engine}: ${reason}`);
    const named = [started.chosen, ...started.passedOver.map(({ engine }) => engine)];
    expect(named.sort()).toEqual(ENGINE_STARTERS.map(({ name }) => name).sort());
    await started.engine.dispose();
  });

  test("a named device is the only one tried", async () => {
    const started = await startEngine({ ...options, device: "wasm", log: () => undefined });
    expect(started.chosen).toBe("wasm");
    expect(started.passedOver).toEqual([]);
    await started.engine.dispose();
  });

  test("a named device that cannot start is an error, never another device", async () => {
    for (const device of ["tensorrt", "webgpu", "wgsl", "gpu"] as const) {
      const attempt = startEngine({ ...options, device, log: () => undefined });
      await expect(attempt).rejects.toThrow(DeviceUnavailableError);
      await expect(attempt).rejects.toThrow(device === "tensorrt" ? device : "webgpu");
    }
  });

  test("an engine that does not compute the model is not used", async () => {
    const card = structuredClone(model.card);
    card.selfTest.probabilities[0][0] += 0.1;
    const wrong = { ...model, card };
    const named = startEngine({ ...options, model: wrong, device: "wasm", log: () => undefined });
    await expect(named).rejects.toThrow(ModelRefusedError);
    const auto = startEngine({ ...options, model: wrong, device: "auto", log: () => undefined });
    await expect(auto).rejects.toThrow(/no engine works here .*self-test/);
  });
});

describe("probing devices", () => {
  test("reads the instruction sets from the CPU's flags", () => {
    const flags = "flags\t\t: fpu avx2 fma avx512f avx512bw avx512dq avx512vl avx512_vnni\n";
    expect(probeIsa(flags)).toEqual(["avx512vnni", "avx512", "avx2"]);
    expect(probeIsa("flags : avx2 fma avx_vnni avx512f\n")).toEqual(["avxvnni", "avx2"]);
    expect(probeIsa("Features : asimd\n")).toEqual([]);
  });

  test("reports absent devices with a reason and never throws", async () => {
    const probe = await probeDevices();
    expect(probe.gpuAdapters.length > 0 || probe.gpuReason !== null).toBe(true);
  });
});
