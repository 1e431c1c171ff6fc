import { describe, expect, test } from "bun:test";
import { runInferenceBench } from "../../src/bench/inference.ts";
import { STAC_SHAPES, stacMacs, stacModel } from "../../src/bench/stac.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../../src/feature/schema.ts";
import { DEFAULT_MODEL } from "../../src/inference/builtin.ts";
import { compileStep } from "../../src/inference/cpu/compile.ts";
import { OP } from "../../src/inference/cpu/program.ts";
import { cpuIsas } from "../../src/inference/cpu.ts";

describe("the inference benchmark", () => {
  test("runs every engine on every built-in model and says which is the one that ships", async () => {
    const schema = { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT };
    const options = { seed: 1, rounds: 1, schema, log: () => undefined, sliceMs: 5, withoutStac: true };
    const report = await runInferenceBench(options);
    const names = report.rows.map(({ name }) => name);
    expect(names).toContain(`inference/wasm/${DEFAULT_MODEL}/step`);
    if ((await cpuIsas()).length > 0) expect(names).toContain(`inference/cpu/${DEFAULT_MODEL}/step`);
    for (const row of report.rows) {
      expect(row.n).toBeGreaterThanOrEqual(20);
      expect(row.p99).toBeGreaterThanOrEqual(row.p50);
    }
    expect(report.rows[0].production).toBe(true);
    if (names.includes(`inference/onnxruntime-node/${DEFAULT_MODEL}/step`) && names[0].includes("/cpu/")) {
      expect(report.ratios[0].name).toBe(`inference/${DEFAULT_MODEL}/step/onnxruntime-node:cpu`);
    }
  });

  test("has STAC-ML's smallest shape in 8 bits on 8-bit kernels, with as many multiplications as stated", () => {
    const [shape] = STAC_SHAPES;
    const { program } = compileStep(stacModel(shape, "int8", 1));
    const layers = program.instructions.filter(({ op, removed }) => op === OP.denseI8 && !removed);
    expect(layers.reduce((macs, { p }) => macs + p[0] * p[1], 0)).toBe(stacMacs(shape));
  });
});
