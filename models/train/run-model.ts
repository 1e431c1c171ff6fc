/**
 * A model over exported rows through an engine that ships, as live: one step a row, in order, the state carried. Each `--rows`
 * is a capture of its own and begins from the initial state.
 *
 *     bun models/train/run-model.ts --model models/lstm-residual --rows NAME.features.f32 --engine cpu --out FILE.f32
 *
 * Writes the probabilities [N, K], row-major little-endian. `--time` prints what a step takes in µs, p50 and p99, as JSON.
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Histogram } from "../../src/core/histogram.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../../src/feature/schema.ts";
import { CpuEngine } from "../../src/inference/cpu.ts";
import type { StepEngine } from "../../src/inference/engine.ts";
import { loadModel } from "../../src/inference/model.ts";
import { WasmEngine } from "../../src/inference/wasm.ts";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    rows: { type: "string", multiple: true },
    engine: { type: "string", default: "cpu" },
    out: { type: "string" },
    time: { type: "boolean", default: false },
  },
});
const { model: folder, rows: files, engine: name, out, time } = values;
if (folder === undefined || files === undefined) throw new Error("--model FOLDER and --rows FILE are needed");
if (name !== "cpu" && name !== "wasm") throw new Error(`--engine ${name}: expected cpu or wasm`);

const model = await loadModel(folder, { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT });
const engine: StepEngine =
  name === "cpu" ? await CpuEngine.start(model, 1, 1) : await WasmEngine.start(model, 1, 1);
await engine.warmUp();
const heads = model.card.heads.length;
const histogram = new Histogram();
const results: Float32Array[] = [];
engine.slots[0] = 0;
for (const file of files) {
  const bytes = readFileSync(file);
  const rows = bytes.byteLength / 4 / FEATURE_COUNT;
  if (!Number.isInteger(rows)) throw new Error(`${file}: not whole rows of ${FEATURE_COUNT} floats`);
  const features = new Float32Array(bytes.buffer, bytes.byteOffset, rows * FEATURE_COUNT);
  const probabilities = new Float32Array(rows * heads);
  engine.resetSlot(0);
  for (let row = 0; row < rows; row += 1) {
    engine.features.set(features.subarray(row * FEATURE_COUNT, (row + 1) * FEATURE_COUNT));
    const before = Bun.nanoseconds();
    if (engine.synchronous) engine.step(1);
    else await engine.submit(1);
    histogram.record(Bun.nanoseconds() - before);
    probabilities.set(engine.probabilities.subarray(0, heads), row * heads);
  }
  results.push(probabilities);
}
if (out !== undefined) writeFileSync(out, Buffer.concat(results.map((each) => new Uint8Array(each.buffer))));
if (time) {
  const us = (quantile: number): number => histogram.quantile(quantile) / 1e3;
  console.log(JSON.stringify({ engine: name, steps: histogram.count, p50Us: us(0.5), p99Us: us(0.99) }));
}
await engine.dispose();
