import { Histogram } from "../core/histogram.ts";
import { Rng } from "../core/rng.ts";
import type { StepEngine } from "../inference/engine.ts";
import { probeIsa } from "../inference/probe.ts";
import { ENGINE_STARTERS } from "../inference/registry.ts";
import type { EngineSettings } from "../inference/settings.ts";
import type { StepModel } from "../inference/step-model.ts";
import { type BenchReport, type BenchRow, benchHost, rowOf } from "./report.ts";

export interface ModelBenchOptions {
  readonly model: StepModel;
  readonly settings: EngineSettings;
  readonly seed: number;
  /** Time for each engine at each batch size. */
  readonly seconds: number;
  readonly log: (line: string) => void;
}

const MODEL_BATCHES = [1, 16, 128] as const;

/** Batches of features that take turns. */
const FEATURE_ROWS = 64;
/** Fewest and most steps that are measured. */
const STEPS_MIN = 20;
const STEPS_MAX = 1_000_000;
/** Part of the time that is not measured. */
const WARM_UP_SHARE = 0.2;

/**
 * Time of one step of a model on every engine of this host, at each batch size. A row's percentiles are those of the whole
 * batch's step; `perSecond` counts instruments.
 */
export async function runModelBench(options: ModelBenchOptions): Promise<BenchReport> {
  const { model, settings, seed, log } = options;
  const rows: BenchRow[] = [];
  const notes: string[] = [];
  const digest = new Bun.CryptoHasher("sha256");
  for (const { name, start } of ENGINE_STARTERS) {
    for (const batch of MODEL_BATCHES) {
      let engine: StepEngine;
      try {
        engine = await start(model, batch, batch, settings);
      } catch (error) {
        notes.push(`${name} at batch ${batch}: ${error instanceof Error ? error.message : String(error)}`);
        break;
      }
      const histogram = await timeSteps(engine, batch, options);
      for (const value of engine.probabilities) digest.update(value.toFixed(2));
      const label = `inference/${name}/${model.card.name}/step${batch === 1 ? "" : `/batch${batch}`}`;
      const perSecond = Math.round((batch * 1e9) / histogram.mean);
      rows.push(rowOf(label, histogram, "us", { batch, perSecond, memoryBytes: engine.memoryBytes() }));
      await engine.dispose();
      log(`${label}: p50 ${rows[rows.length - 1].p50} µs`);
    }
  }
  return {
    bench: "model",
    host: benchHost(probeIsa()),
    seed,
    checksum: digest.digest("hex").slice(0, 16),
    input: "random features, seeded; state carried from step to step",
    rows,
    ratios: [],
    notes,
  };
}

async function timeSteps(
  engine: StepEngine,
  batch: number,
  { seed, seconds }: ModelBenchOptions,
): Promise<Histogram> {
  const { featureCount } = engine.card;
  const rng = new Rng(seed);
  const drawn = Float32Array.from({ length: FEATURE_ROWS * batch * featureCount }, () => rng.normal());
  const histogram = new Histogram();
  const startedNs = Bun.nanoseconds();
  const measuredNs = startedNs + seconds * WARM_UP_SHARE * 1e9;
  const deadlineNs = startedNs + seconds * 1e9;
  let steps = 0;
  for (let i = 0; steps < STEPS_MAX && (steps < STEPS_MIN || Bun.nanoseconds() < deadlineNs); i += 1) {
    const from = (i % FEATURE_ROWS) * batch * featureCount;
    engine.features.set(drawn.subarray(from, from + batch * featureCount));
    for (let row = 0; row < batch; row += 1) engine.slots[row] = row;
    const beforeNs = Bun.nanoseconds();
    if (engine.synchronous) engine.step(batch);
    else await engine.submit(batch);
    const afterNs = Bun.nanoseconds();
    if (beforeNs < measuredNs && i < FEATURE_ROWS) continue;
    histogram.record(afterNs - beforeNs);
    steps += 1;
  }
  return histogram;
}
