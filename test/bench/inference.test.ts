import { describe, expect, test } from "bun:test";
import { runInferenceBench } from "../../src/bench/inference.ts";
import { engineWindow, type OrtNode, ortWindow } from "../../src/bench/inference-subject.ts";
import { STAC_SHAPES, type StacShape, stacMacs, stacModel, stacWindowGraph } from "../../src/bench/stac.ts";
import { Rng } from "../../src/core/rng.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../../src/feature/schema.ts";
import { DEFAULT_MODEL } from "../../src/inference/builtin.ts";
import { compileStep } from "../../src/inference/cpu/compile.ts";
import { OP } from "../../src/inference/cpu/program.ts";
import { CpuEngine, cpuIsas } from "../../src/inference/cpu.ts";
import { skipUnless } from "../support/shared-data.ts";

/** As STAC-ML's smallest, but smaller. */
const TINY: StacShape = { name: "STAC_LSTM_A", layers: 2, units: 20, features: 12, window: 6 };

describe("the inference benchmark", () => {
  test("runs every engine on every built-in model and says which is the one that ships", async () => {
    const schema = { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT };
    const options = { seed: 1, rounds: 1, schema, log: () => undefined, sliceMs: 5, stac: [TINY] };
    const report = await runInferenceBench(options);
    const names = report.rows.map(({ name }) => name);
    expect(names).toContain(`inference/wasm/${DEFAULT_MODEL}/step`);
    if ((await cpuIsas()).length > 0) expect(names).toContain(`inference/cpu/${DEFAULT_MODEL}/step`);
    const production = report.rows.filter((row) => row.production === true).map(({ name }) => name);
    expect(production).toEqual(names.filter((name) => name.endsWith(`/${DEFAULT_MODEL}/step`)));
    for (const row of report.rows) {
      if (row.name.endsWith("/step")) {
        for (const batch of [1, 16, 128]) expect(row[`batch${batch}PerSecond`]).toBeGreaterThan(0);
        expect(row.modelBytes).toBeGreaterThan(0);
      }
      expect(row.n).toBeGreaterThanOrEqual(row.name.endsWith("/window") ? 4 : 20);
      expect(row.p99).toBeGreaterThanOrEqual(row.p50);
    }
    if (names.includes(`inference/onnxruntime-node/${DEFAULT_MODEL}/step`) && names[0].includes("/cpu/")) {
      const ratios = report.ratios.map(({ name }) => name);
      expect(ratios[0]).toBe(`inference/${DEFAULT_MODEL}/step/onnxruntime-node:cpu`);
      for (const what of ["step", "window"]) {
        expect(names).toContain(`inference/onnxruntime-node/STAC_LSTM_A/${what}`);
        expect(ratios).toContain(`inference/STAC_LSTM_A/${what}/onnxruntime-node:cpu`);
      }
      expect(report.rows[0].rooflineUs).toBeGreaterThan(0);
    }
  });

  test("gives onnxruntime-node the very window that it gives the cpu engine", async () => {
    const ort = await import("onnxruntime-node").catch(() => null);
    if (
      skipUnless(
        ort !== null && (await cpuIsas()).length > 0,
        "windows: no onnxruntime-node or no native library",
      )
    )
      return;
    if (ort === null) return;
    const graph = stacWindowGraph(TINY, 1);
    const { window: steps, features } = TINY;
    const peer = await ortWindow(ort as unknown as OrtNode, "peer", graph, steps, features);
    const own = engineWindow("own", await CpuEngine.start(stacModel(TINY, "f32", 1), 1, 1), steps);
    const rng = new Rng(3);
    for (let i = 0; i < steps * features; i += 1) peer.features[i] = own.features[i] = rng.normal();
    for (const { run } of [peer, own, own]) await run();
    expect(own.probabilities()[0]).toBeCloseTo(peer.probabilities()[0], 6);
    expect(Math.abs(own.probabilities()[0] - 0.5)).toBeGreaterThan(2e-5);
    await peer.dispose();
  });

  test("has STAC-ML's smallest shape in 8 bits on 8-bit kernels, with as many multiplications as stated", () => {
    const [shape] = STAC_SHAPES;
    const { program } = compileStep(stacModel(shape, "int8", 1));
    const layers = program.instructions.filter(({ op, removed }) => op === OP.denseI8 && !removed);
    expect(layers.reduce((macs, { p }) => macs + p[0] * p[1], 0)).toBe(stacMacs(shape));
  });
});
