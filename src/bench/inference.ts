import { loadNative } from "../core/native.ts";
import { DEFAULT_MODEL } from "../inference/builtin.ts";
import { CpuEngine } from "../inference/cpu.ts";
import { builtinModelNames, type ExpectedSchema, loadModel } from "../inference/model.ts";
import { probeIsa } from "../inference/probe.ts";
import type { StepModel } from "../inference/step-model.ts";
import {
  engineWindow,
  type OrtNode,
  ortWindow,
  runSlice,
  type Subject,
  stepSubjects,
  throughput,
} from "./inference-subject.ts";
import { type BenchReport, type BenchRow, benchHost, ratioOf, rowOf } from "./report.ts";
import { type Ceiling, measureCeilings, roofline } from "./roofline.ts";
import { STAC_SHAPES, type StacShape, stacModel, stacWindowGraph } from "./stac.ts";

export interface InferenceBenchOptions {
  readonly seed: number;
  readonly rounds: number;
  /** The feature schema that the built-in models are checked against. */
  readonly schema: ExpectedSchema;
  readonly log: (line: string) => void;
  /** Longest time one subject is run in a round. */
  readonly sliceMs?: number;
  /** The STAC-ML shapes to run; all when left out. The largest has 34 million weights. */
  readonly stac?: readonly StacShape[];
}

const BATCHES = [1, 16, 128] as const;
const SLOTS = 128;
/** Fewest measured steps, and windows, which cost a hundred steps each and get more time. */
const STEPS_MIN = 20;
const WINDOWS_MIN = 4;
const WINDOW_SLICES = 2;

type RowExtra = Readonly<Record<string, string | number | boolean>>;

/**
 * Time per step of every engine on every built-in model and on the shapes of STAC-ML, these for a full window too, beside
 * onnxruntime-node on the same model, features and step where it is installed. All subjects of a model take turns.
 */
export async function runInferenceBench(options: InferenceBenchOptions): Promise<BenchReport> {
  const bench = new InferenceBench(options);
  await bench.start();
  for (const name of builtinModelNames()) {
    const extra: RowExtra = name === DEFAULT_MODEL ? { production: true } : {};
    await bench.steps(await loadModel(name, options.schema), name, extra);
  }
  for (const shape of options.stac ?? STAC_SHAPES) {
    for (const precision of ["int8", "f32"] as const) {
      const label = precision === "int8" ? shape.name : `${shape.name}_F32`;
      const model = stacModel(shape, precision, options.seed);
      await bench.steps(model, label, { precision });
      await bench.windows(model, shape, label, { precision });
    }
  }
  return bench.report();
}

class InferenceBench {
  readonly #options: InferenceBenchOptions;
  readonly #sliceMs: number;
  readonly #rows: BenchRow[] = [];
  readonly #ratios: BenchReport["ratios"][number][] = [];
  readonly #notes: string[] = [];
  readonly #digest = new Bun.CryptoHasher("sha256");
  #ort: OrtNode | null = null;
  #ceilings: readonly Ceiling[] = [];

  constructor(options: InferenceBenchOptions) {
    this.#options = options;
    this.#sliceMs = options.sliceMs ?? 400;
  }

  async start(): Promise<void> {
    this.#ort = await loadOrtNode(this.#notes);
    this.#ceilings = await measureCeilings();
    for (const { precision, weights, macsPerNs } of this.#ceilings) {
      this.#notes.push(`ceiling of this core, ${precision} weights from ${weights}: ${macsPerNs} MAC/ns`);
    }
  }

  /** One step at batch 1, and steps a second at each batch size. */
  async steps(model: StepModel, label: string, extra: RowExtra): Promise<void> {
    const subjects = await stepSubjects(model, label, SLOTS, this.#ort, this.#notes);
    const work = this.#workOf(model);
    await this.#takeTurns(subjects, model.card.featureCount, this.#sliceMs, STEPS_MIN);
    const made: BenchRow[] = [];
    for (const subject of subjects) {
      const batches = await throughput(subject, BATCHES, this.#sliceMs / 2);
      made.push(
        this.#row(subject, {
          perSecond: Math.round(1e9 / subject.histogram.mean),
          ...extra,
          ...work,
          modelBytes: model.onnx.byteLength,
          ...(subject.engine === null ? {} : { memoryBytes: subject.engine.memoryBytes() }),
          ...batches,
        }),
      );
      await subject.dispose();
    }
    this.#compare(made, `${label}/step`);
  }

  /** A full window from the initial state, on the cpu engine and, as one graph in float32, on onnxruntime-node. */
  async windows(model: StepModel, shape: StacShape, label: string, extra: RowExtra): Promise<void> {
    const native = await loadNative();
    if (native.functions === null) return;
    const { window: steps, features } = shape;
    const engine = await CpuEngine.start(model, 1, 1);
    const subjects = [engineWindow(`inference/cpu/${label}/window`, engine, steps)];
    if (this.#ort !== null) {
      const graph = stacWindowGraph(shape, this.#options.seed);
      const name = `inference/onnxruntime-node/${label}/window`;
      subjects.push(await ortWindow(this.#ort, name, graph, steps, features));
    }
    await this.#takeTurns(subjects, steps * features, this.#sliceMs * WINDOW_SLICES, WINDOWS_MIN);
    const made: BenchRow[] = [];
    for (const subject of subjects) {
      const precision = subject.engine === null ? "f32" : extra.precision;
      made.push(this.#row(subject, { ...extra, precision, steps }));
      await subject.dispose();
    }
    this.#compare(made, `${label}/window`);
  }

  report(): BenchReport {
    return {
      bench: "inference",
      host: benchHost(probeIsa()),
      seed: this.#options.seed,
      checksum: this.#digest.digest("hex").slice(0, 16),
      input: "random features, seeded; state carried from step to step",
      rows: this.#rows,
      ratios: this.#ratios,
      notes: this.#notes,
    };
  }

  async #takeTurns(
    subjects: readonly Subject[],
    length: number,
    sliceMs: number,
    runsMin: number,
  ): Promise<void> {
    for (let round = 0; round < this.#options.rounds; round += 1) {
      for (const subject of subjects) await runSlice(subject, length, this.#options.seed, sliceMs, runsMin);
    }
  }

  #row(subject: Subject, extra: RowExtra): BenchRow {
    const row = rowOf(subject.name, subject.histogram, "us", extra);
    this.#rows.push(row);
    if (subject.engine?.name === "wasm" || subject.engine?.name === "cpu") {
      for (const value of subject.probabilities()) this.#digest.update(value.toFixed(2));
    }
    this.#options.log(`${subject.name}: p50 ${row.p50} µs`);
    return row;
  }

  #compare(made: readonly BenchRow[], what: string): void {
    const cpu = made.find(({ name }) => name === `inference/cpu/${what}`);
    const node = made.find(({ name }) => name === `inference/onnxruntime-node/${what}`);
    if (cpu === undefined || node === undefined) return;
    for (const suffix of ["", "/p99"]) {
      this.#ratios.push(ratioOf(`inference/${what}/onnxruntime-node:cpu${suffix}`, node, cpu));
    }
  }

  /** What a step works through, and the least time that takes here; nothing where the cpu engine does not take the model. */
  #workOf(model: StepModel): RowExtra {
    try {
      return { ...roofline(model, this.#ceilings) };
    } catch {
      return {};
    }
  }
}

/** onnxruntime-node is a peer to measure against, there in a checkout and not in the executable. */
async function loadOrtNode(notes: string[]): Promise<OrtNode | null> {
  // Not a literal, so that the bundler does not put the package into the executable.
  const name = ["onnxruntime", "node"].join("-");
  try {
    return (await import(name)) as OrtNode;
  } catch {
    notes.push("onnxruntime-node is not installed: no ratio against it");
    return null;
  }
}
