import type * as Ort from "onnxruntime-web";
import { Histogram } from "../core/histogram.ts";
import { loadNative } from "../core/native.ts";
import { Rng } from "../core/rng.ts";
import { DEFAULT_MODEL } from "../inference/builtin.ts";
import type { StepEngine } from "../inference/engine.ts";
import { builtinModelNames, type ExpectedSchema, loadModel } from "../inference/model.ts";
import { probeIsa } from "../inference/probe.ts";
import { ENGINE_STARTERS } from "../inference/registry.ts";
import { FEATURES_INPUT, nextName, type StepModel } from "../inference/step-model.ts";
import { type BenchReport, type BenchRow, benchHost, ratioOf, rowOf } from "./report.ts";
import { measureCeilings, stepWork } from "./roofline.ts";
import { STAC_SHAPES, type StacShape, stacModel } from "./stac.ts";

export interface InferenceBenchOptions {
  readonly seed: number;
  readonly rounds: number;
  /** The feature schema that the built-in models are checked against. */
  readonly schema: ExpectedSchema;
  readonly log: (line: string) => void;
  /** Longest time one subject is run in a round. */
  readonly sliceMs?: number;
  /** Leaves out the STAC-ML shapes, whose largest has 34 million weights. */
  readonly withoutStac?: boolean;
}

/** Most steps of a slice, and rows of features that take turns. */
const STEPS_MAX = 200_000;
const FEATURE_ROWS = 64;
const BATCHES = [1, 16, 128] as const;

/** Something that advances one instrument, or a batch of them. */
interface Subject {
  readonly name: string;
  readonly model: StepModel;
  readonly engine: StepEngine | null;
  /** Runs one step at batch 1; returns a promise where the engine is asynchronous. */
  readonly step: () => void | Promise<void>;
  readonly synchronous: boolean;
  readonly histogram: Histogram;
  readonly dispose: () => Promise<void>;
}

/**
 * Time per step of every engine on every built-in model and on the shapes of STAC-ML, beside onnxruntime-node on the same
 * model and step where it is installed. All subjects of a model take turns within a round.
 */
export async function runInferenceBench(options: InferenceBenchOptions): Promise<BenchReport> {
  const { rounds, seed, schema, log } = options;
  const sliceMs = options.sliceMs ?? 400;
  const rows: BenchRow[] = [];
  const ratios: BenchReport["ratios"][number][] = [];
  const notes: string[] = [];
  const digest = new Bun.CryptoHasher("sha256");
  const ortNode = await loadOrtNode(notes);
  for (const { precision, weights, macsPerNs } of await measureCeilings()) {
    notes.push(
      `ceiling of this core, ${precision} weights from ${weights.toUpperCase()}: ${macsPerNs} MAC/ns`,
    );
  }

  const measure = async (model: StepModel, label: string, slots: number, extra: RowExtra): Promise<void> => {
    const subjects = await startAll(model, label, slots, ortNode, notes);
    const work = workOf(model);
    for (let round = 0; round < rounds; round += 1) {
      for (const subject of subjects) await slice(subject, seed, sliceMs);
    }
    const made: BenchRow[] = [];
    for (const subject of subjects) {
      const batches = subject.engine === null ? {} : await throughput(subject.engine, sliceMs / 2);
      const perSecond = subject.histogram.count === 0 ? 0 : Math.round(1e9 / subject.histogram.mean);
      made.push(
        rowOf(subject.name, subject.histogram, "us", {
          perSecond,
          ...extra,
          ...work,
          modelBytes: model.onnx.byteLength,
          ...(subject.engine === null ? {} : { memoryBytes: subject.engine.memoryBytes() }),
          ...batches,
        }),
      );
      if (subject.engine?.name === "wasm" || subject.engine?.name === "cpu") {
        for (const value of subject.engine.probabilities.slice(0, model.card.heads.length)) {
          digest.update(value.toFixed(2));
        }
      }
      await subject.dispose();
      log(`${subject.name}: p50 ${made[made.length - 1].p50} µs`);
    }
    rows.push(...made);
    const cpu = made.find(({ name }) => name === `inference/cpu/${label}/step`);
    const node = made.find(({ name }) => name.startsWith("inference/onnxruntime-node/"));
    if (cpu !== undefined && node !== undefined) {
      for (const suffix of ["", "/p99"]) {
        ratios.push(ratioOf(`inference/${label}/step/onnxruntime-node:cpu${suffix}`, node, cpu));
      }
    }
  };

  for (const name of builtinModelNames()) {
    const model = await loadModel(name, schema);
    await measure(model, name, Math.max(...BATCHES), name === DEFAULT_MODEL ? { production: true } : {});
  }
  if (options.withoutStac !== true) {
    for (const shape of STAC_SHAPES) {
      for (const precision of ["int8", "f32"] as const) {
        const label = precision === "int8" ? shape.name : `${shape.name}_F32`;
        const model = stacModel(shape, precision, seed);
        await measure(model, label, Math.max(...BATCHES), { precision });
        const window = await windowRow(model, shape, label, sliceMs * rounds);
        if (window !== null) rows.push(window);
      }
    }
  }
  return {
    bench: "inference",
    host: benchHost(probeIsa()),
    seed,
    checksum: digest.digest("hex").slice(0, 16),
    input: "random features, seeded; state carried from step to step",
    rows,
    ratios,
    notes,
  };
}

/** What a step works through; nothing where the cpu engine does not take the model. */
function workOf(model: StepModel): RowExtra {
  try {
    return stepWork(model);
  } catch {
    return {};
  }
}

type RowExtra = Readonly<Record<string, string | number | boolean>>;

async function startAll(
  model: StepModel,
  label: string,
  slots: number,
  ortNode: typeof Ort | null,
  notes: string[],
): Promise<Subject[]> {
  const subjects: Subject[] = [];
  for (const { name, start } of ENGINE_STARTERS) {
    try {
      const engine = await start(model, slots, slots);
      subjects.push({
        name: `inference/${name}/${label}/step`,
        model,
        engine,
        step: engine.synchronous ? () => engine.step(1) : () => engine.submit(1),
        synchronous: engine.synchronous,
        histogram: new Histogram(),
        dispose: () => engine.dispose(),
      });
    } catch (error) {
      notes.push(`inference/${name}/${label}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (ortNode !== null) subjects.push(await ortNodeSubject(ortNode, model, label));
  return subjects;
}

/** Runs the subject for a while: a fifth of the time to warm up, the rest measured step by step. */
async function slice(subject: Subject, seed: number, sliceMs: number): Promise<void> {
  const { model, engine, histogram } = subject;
  const { featureCount } = model.card;
  const rng = new Rng(seed);
  const drawn = Float32Array.from({ length: FEATURE_ROWS * featureCount }, () => rng.normal());
  if (engine !== null) engine.slots[0] = 0;
  const one = async (i: number): Promise<number> => {
    const start = (i % FEATURE_ROWS) * featureCount;
    engine?.features.set(drawn.subarray(start, start + featureCount));
    const before = Bun.nanoseconds();
    await subject.step();
    return Bun.nanoseconds() - before;
  };
  const oneSynchronous = (i: number): number => {
    const start = (i % FEATURE_ROWS) * featureCount;
    engine?.features.set(drawn.subarray(start, start + featureCount));
    const before = Bun.nanoseconds();
    subject.step();
    return Bun.nanoseconds() - before;
  };
  const until = async (deadline: number, least: number, record: boolean): Promise<void> => {
    for (let i = 0; i < STEPS_MAX && (i < least || Bun.nanoseconds() < deadline); i += 1) {
      const elapsedNs = subject.synchronous ? oneSynchronous(i) : await one(i);
      if (record) histogram.record(elapsedNs);
    }
  };
  const started = Bun.nanoseconds();
  await until(started + sliceMs * 0.2e6, 3, false);
  await until(started + sliceMs * 1e6, 20, true);
}

/** Steps a second at the larger batches. */
async function throughput(engine: StepEngine, sliceMs: number): Promise<Record<string, number>> {
  const result: Record<string, number> = {};
  for (let row = 0; row < engine.maxBatch; row += 1) engine.slots[row] = row;
  for (const batch of BATCHES) {
    if (batch === 1 || batch > engine.maxBatch) continue;
    const started = Bun.nanoseconds();
    let done = 0;
    let elapsed = 0;
    for (let i = 0; i < STEPS_MAX && (i < 2 || elapsed < sliceMs * 1e6); i += 1) {
      if (engine.synchronous) engine.step(batch);
      else await engine.submit(batch);
      done += batch;
      elapsed = Bun.nanoseconds() - started;
    }
    result[`batch${batch}PerSecond`] = Math.round((done * 1e9) / elapsed);
  }
  return result;
}

/** A full window from the initial state, as STAC-ML defines one inference, on the cpu engine. */
async function windowRow(
  model: StepModel,
  shape: StacShape,
  label: string,
  budgetMs: number,
): Promise<BenchRow | null> {
  const starter = ENGINE_STARTERS.find(({ name }) => name === "cpu");
  const native = await loadNative();
  if (starter === undefined || native.functions === null) return null;
  const engine = await starter.start(model, 1, 1);
  const histogram = new Histogram();
  const rng = new Rng(1);
  const window = Float32Array.from({ length: shape.window * shape.features }, () => rng.normal());
  const deadline = Bun.nanoseconds() + budgetMs * 1e6;
  for (let i = 0; i < STEPS_MAX && (i < 4 || Bun.nanoseconds() < deadline); i += 1) {
    const before = Bun.nanoseconds();
    engine.resetSlot(0);
    for (let t = 0; t < shape.window; t += 1) {
      engine.features.set(window.subarray(t * shape.features, (t + 1) * shape.features));
      engine.step(1);
    }
    if (i >= 2) histogram.record(Bun.nanoseconds() - before);
  }
  await engine.dispose();
  return rowOf(`inference/cpu/${label}/window`, histogram, "us", { steps: shape.window });
}

/** onnxruntime-node is a peer to measure against, there in a checkout and not in the executable. */
async function loadOrtNode(notes: string[]): Promise<typeof Ort | null> {
  // Not a literal, so that the bundler does not put the package into the executable.
  const name = ["onnxruntime", "node"].join("-");
  try {
    return (await import(name)) as typeof Ort;
  } catch {
    notes.push("onnxruntime-node is not installed: no ratio against it");
    return null;
  }
}

async function ortNodeSubject(ort: typeof Ort, model: StepModel, label: string): Promise<Subject> {
  const session = await ort.InferenceSession.create(model.onnx, {
    executionProviders: ["cpu"],
    graphOptimizationLevel: "all",
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  const { card } = model;
  const rng = new Rng(1);
  const features = Float32Array.from({ length: card.featureCount }, () => rng.normal());
  const feeds: Record<string, Ort.Tensor> = {
    [FEATURES_INPUT]: new ort.Tensor("float32", features, [1, card.featureCount]),
  };
  for (const { name, shape } of card.states) {
    const size = shape.reduce((a, b) => a * b, 1);
    feeds[name] = new ort.Tensor("float32", new Float32Array(size), [1, ...shape]);
  }
  return {
    name: `inference/onnxruntime-node/${label}/step`,
    model,
    engine: null,
    step: async () => {
      const outputs = await session.run(feeds);
      for (const { name } of card.states) feeds[name] = outputs[nextName(name)];
    },
    synchronous: false,
    histogram: new Histogram(),
    dispose: () => session.release(),
  };
}
