import type * as Ort from "onnxruntime-web";
import { DeviceUnavailableError } from "../core/errors.ts";
import { Histogram } from "../core/histogram.ts";
import { Rng } from "../core/rng.ts";
import type { StepEngine } from "../inference/engine.ts";
import { ENGINE_STARTERS } from "../inference/registry.ts";
import { FEATURES_INPUT, nextName, type StepModel } from "../inference/step-model.ts";

/** Rows of features that take turns. */
const FEATURE_ROWS = 64;
/** Most runs of a slice. */
const RUNS_MAX = 200_000;
/** Part of a slice that is not measured, and fewest runs in it. */
const WARM_UP_SHARE = 0.2;
const WARM_UP_RUNS = 3;

export type OrtNode = typeof Ort;

/** Something that runs a model: a step of one instrument or of a batch of them, or a whole window. */
export interface Subject {
  readonly name: string;
  /** `[rows, F]`: read anew by each run, so that no subject computes the same thing again and again. */
  readonly features: Float32Array;
  /** One run, of one row or one window; returns a promise where the subject is asynchronous. */
  readonly run: () => void | Promise<void>;
  readonly synchronous: boolean;
  /** Prepares runs of so many rows at once; null where the subject has none. */
  readonly batch: ((rows: number) => () => void | Promise<void>) | null;
  /** What the last run gave. */
  readonly probabilities: () => Float32Array;
  readonly engine: StepEngine | null;
  readonly histogram: Histogram;
  readonly dispose: () => Promise<void>;
}

/** A step on each engine of this host, and on onnxruntime-node where it is there. */
export async function stepSubjects(
  model: StepModel,
  label: string,
  slots: number,
  ort: OrtNode | null,
  notes: string[],
): Promise<Subject[]> {
  const subjects: Subject[] = [];
  for (const { name, start } of ENGINE_STARTERS) {
    try {
      subjects.push(
        engineSubject(`inference/${name}/${label}/step`, await start(model, slots, slots), slots),
      );
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      // What this host lacks is the same for every model.
      const note =
        error instanceof DeviceUnavailableError ? message : `inference/${name}/${label}: ${message}`;
      if (!notes.includes(note)) notes.push(note);
    }
  }
  if (ort !== null) subjects.push(await ortStep(ort, model, label));
  return subjects;
}

function engineSubject(name: string, engine: StepEngine, slots: number): Subject {
  for (let row = 0; row < slots; row += 1) engine.slots[row] = row;
  const runs = (rows: number) => (engine.synchronous ? () => engine.step(rows) : () => engine.submit(rows));
  return {
    name,
    features: engine.features,
    run: runs(1),
    synchronous: engine.synchronous,
    batch: runs,
    probabilities: () => engine.probabilities.slice(0, engine.card.heads.length),
    engine,
    histogram: new Histogram(),
    dispose: () => engine.dispose(),
  };
}

/** A full window from the initial state, as STAC-ML defines one inference: as many steps, one after another. */
export function engineWindow(name: string, engine: StepEngine, steps: number): Subject {
  const { featureCount } = engine.card;
  const window = new Float32Array(steps * featureCount);
  return {
    name,
    features: window,
    run: () => {
      engine.resetSlot(0);
      engine.slots[0] = 0;
      for (let t = 0; t < steps; t += 1) {
        engine.features.set(window.subarray(t * featureCount, (t + 1) * featureCount));
        engine.step(1);
      }
    },
    synchronous: true,
    batch: null,
    probabilities: () => engine.probabilities.slice(0, engine.card.heads.length),
    engine,
    histogram: new Histogram(),
    dispose: () => engine.dispose(),
  };
}

async function ortSession(ort: OrtNode, onnx: Uint8Array): Promise<Ort.InferenceSession> {
  return ort.InferenceSession.create(onnx, {
    executionProviders: ["cpu"],
    graphOptimizationLevel: "all",
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  });
}

const floatsOf = (tensor: Ort.Tensor): Float32Array =>
  tensor.data instanceof Float32Array ? tensor.data : new Float32Array(0);

/** The same ONNX file on onnxruntime-node on one thread, its states handed from each step to the next. */
async function ortStep(ort: OrtNode, model: StepModel, label: string): Promise<Subject> {
  const session = await ortSession(ort, model.onnx);
  const { card } = model;
  let probabilities: Float32Array = new Float32Array(0);
  const runs = (rows: number, features: Float32Array) => {
    const feeds: Record<string, Ort.Tensor> = {
      [FEATURES_INPUT]: new ort.Tensor("float32", features, [rows, card.featureCount]),
    };
    for (const { name, shape } of card.states) {
      const size = shape.reduce((a, b) => a * b, 1);
      feeds[name] = new ort.Tensor("float32", new Float32Array(rows * size), [rows, ...shape]);
    }
    return async () => {
      const outputs = await session.run(feeds);
      for (const { name } of card.states) feeds[name] = outputs[nextName(name)];
      probabilities = floatsOf(outputs.probabilities).slice(0, card.heads.length);
    };
  };
  const features = new Float32Array(card.featureCount);
  return {
    name: `inference/onnxruntime-node/${label}/step`,
    features,
    run: runs(1, features),
    synchronous: false,
    batch: (rows) => runs(rows, drawRows(rows * card.featureCount, rows)),
    probabilities: () => probabilities,
    engine: null,
    histogram: new Histogram(),
    dispose: () => session.release(),
  };
}

/** A graph that takes a whole window `[T, 1, F]` at once, on onnxruntime-node on one thread. */
export async function ortWindow(
  ort: OrtNode,
  name: string,
  onnx: Uint8Array,
  steps: number,
  featureCount: number,
): Promise<Subject> {
  const session = await ortSession(ort, onnx);
  const window = new Float32Array(steps * featureCount);
  const feeds = { window: new ort.Tensor("float32", window, [steps, 1, featureCount]) };
  let probabilities: Float32Array = new Float32Array(0);
  return {
    name,
    features: window,
    run: async () => {
      probabilities = floatsOf((await session.run(feeds)).probabilities);
    },
    synchronous: false,
    batch: null,
    probabilities: () => probabilities,
    engine: null,
    histogram: new Histogram(),
    dispose: () => session.release(),
  };
}

const drawRows = (length: number, seed: number): Float32Array => {
  const rng = new Rng(seed);
  return Float32Array.from({ length }, () => rng.normal());
};

/**
 * Runs the subject for a while, part of it to warm up, the rest measured run by run.
 *
 * @param length floats that a run reads: a row, or a window
 * @param runsMin fewest runs that are measured, however long they take
 */
export async function runSlice(
  subject: Subject,
  length: number,
  seed: number,
  sliceMs: number,
  runsMin: number,
): Promise<void> {
  const { features, histogram, run, synchronous } = subject;
  const rows = Math.max(1, Math.min(FEATURE_ROWS, Math.floor(2 ** 20 / length)));
  const drawn = drawRows(rows * length, seed);
  const startedNs = Bun.nanoseconds();
  const phases = [
    { untilNs: startedNs + sliceMs * WARM_UP_SHARE * 1e6, least: WARM_UP_RUNS, record: false },
    { untilNs: startedNs + sliceMs * 1e6, least: runsMin, record: true },
  ];
  for (const { untilNs, least, record } of phases) {
    for (let i = 0; i < RUNS_MAX && (i < least || Bun.nanoseconds() < untilNs); i += 1) {
      const start = (i % rows) * length;
      features.set(drawn.subarray(start, start + length));
      const beforeNs = Bun.nanoseconds();
      if (synchronous) run();
      else await run();
      const tookNs = Bun.nanoseconds() - beforeNs;
      if (record) histogram.record(tookNs);
    }
  }
}

/** Steps a second, counting each row of a batch, by batch size. */
export async function throughput(
  { batch, synchronous }: Subject,
  batches: readonly number[],
  sliceMs: number,
): Promise<Record<string, number>> {
  const result: Record<string, number> = {};
  if (batch === null) return result;
  for (const rows of batches) {
    const run = batch(rows);
    const startedNs = Bun.nanoseconds();
    let done = 0;
    let elapsedNs = 0;
    for (let i = 0; i < RUNS_MAX && (i < 2 || elapsedNs < sliceMs * 1e6); i += 1) {
      if (synchronous) run();
      else await run();
      done += rows;
      elapsedNs = Bun.nanoseconds() - startedNs;
    }
    result[`batch${rows}PerSecond`] = Math.round((done * 1e9) / elapsedNs);
  }
  return result;
}
