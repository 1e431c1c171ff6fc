import { afterAll, expect, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UNDERLYING_CAPACITY } from "../../src/desk/desk.ts";
import { applyModelAct } from "../../src/desk/model-act.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../../src/feature/schema.ts";
import { HEADS } from "../../src/inference/card.ts";
import { CpuEngine, cpuIsas } from "../../src/inference/cpu.ts";
import { loadModel } from "../../src/inference/model.ts";
import { floats, writeOnnx } from "../../src/inference/onnx/writer.ts";
import type { StepModel } from "../../src/inference/step-model.ts";
import { SwitchedEngine } from "../../src/inference/switched-engine.ts";
import { PairedBlocks } from "../../src/learn/challenge/paired.ts";
import { DEFAULT_CHALLENGE_POLICY, judge } from "../../src/learn/challenge/policy.ts";
import { logLoss } from "../../src/learn/challenge/scores.ts";
import { loadSplit } from "../../src/learn/dataset/load.ts";
import { type DriftChange, watchedOf } from "../../src/learn/drift/monitor.ts";
import { DEFAULT_DRIFT_PARAMETERS } from "../../src/learn/drift/parameters.ts";
import { Labeller } from "../../src/learn/labels.ts";
import { FolderStore } from "../../src/learn/registry/folder-store.ts";
import { Registry } from "../../src/learn/registry/registry.ts";
import { DEFAULT_GATE_LIMITS } from "../../src/learn/retrain/gate.ts";
import { type RetrainOptions, retrain } from "../../src/learn/retrain/job.ts";
import type { Trainer } from "../../src/learn/retrain/trainer.ts";
import { linearGraph, writeLinearModel } from "../../src/learn/train/linear-export.ts";
import { type LinearModel, trainLinear } from "../../src/learn/train/linear-trainer.ts";
import { ModelWatch } from "../../src/learn/watch/watch.ts";
import { WatchTap } from "../../src/live/watch-tap.ts";
import { REASON } from "../../src/quote/quote-batch.ts";
import { skipUnless } from "../support/shared-data.ts";
import { bookOf, RegimeBed, type RegimePlan, regimeSource } from "./regime-bed.ts";

const root = mkdtempSync(join(tmpdir(), "keel-regime-"));
afterAll(() => {
  for (const name of readdirSync(root, { recursive: true })) chmodSync(join(root, String(name)), 0o755);
  rmSync(root, { recursive: true, force: true });
});

const hasCpu = (await cpuIsas()).length > 0;
const AUTHOR = { who: "a desk", why: "the policy says so" };
/** Windows of the simulated minutes; a desk's are longer. */
const DRIFT = {
  ...DEFAULT_DRIFT_PARAMETERS,
  ...{ windowSeconds: 20, lookSeconds: 1, rowsMin: 200, positivesMin: 60, margin: 2 },
  ...{ calibrationWiden: 0.25, calibrationDefend: 0.4, skillWiden: -0.25, skillDefend: -0.4 },
};
/** Detected, and defensive, within this time of the change. */
const DETECTED_SECONDS = 40;
const POLICY = {
  ...DEFAULT_CHALLENGE_POLICY,
  blockMs: 500,
  shadowBlocks: 40,
  canaryBlocks: 30,
  calibrationMax: 0.2,
};

const start = (model: StepModel): Promise<CpuEngine> =>
  CpuEngine.start(model, UNDERLYING_CAPACITY, UNDERLYING_CAPACITY);
const load = (folder: string): Promise<StepModel> =>
  loadModel(folder, { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT });

const recorded = (changed: boolean): RegimePlan => ({ seed: 3, startUs: 1_700_000_000e6, changed });

/** Mean log loss of what the desk said, by head and row, of those whose outcome is known. */
class LossMeter {
  #sum = 0;
  #count = 0;
  readonly #said = new Map<number, Float32Array>();
  readonly #labeller = new Labeller((row, labels) => {
    const said = this.#said.get(row);
    this.#said.delete(row);
    for (const [head, y] of [...labels].entries()) {
      this.#sum += logLoss(said?.[head] ?? 0.5, y);
      this.#count += 1;
    }
  });

  see(bed: RegimeBed, probabilities: Float32Array, offset: number, timeUs: number): void {
    const { midTicks, bidDepth, askDepth } = bookOf(bed.desk);
    this.#said.set(this.#labeller.rows, probabilities.slice(offset, offset + HEADS.length));
    this.#labeller.push(timeUs, midTicks, bidDepth, askDepth);
  }

  take(): number {
    const mean = this.#sum / this.#count;
    this.#sum = 0;
    this.#count = 0;
    return mean;
  }
}

test.skipIf(skipUnless(hasCpu, "the native library"))(
  "a regime change is detected, answered, learnt and forgotten without a person; candidates that must not quote do not",
  async () => {
    const registry = await Registry.open({
      store: new FolderStore(join(root, "registry")),
      signer: null,
      trusted: null,
      nowMs: () => 1_700_000_000_000,
    });
    const job = (changed: boolean, more: Partial<RetrainOptions> = {}) =>
      retrain({
        sources: [regimeSource(changed ? "after" : "before", recorded(changed), 100)],
        runs: join(root, "runs"),
        registry,
        champion: null,
        trainer: null,
        quantiser: null,
        limits: { ...DEFAULT_GATE_LIMITS, calibrationMax: 0.15, stepUsMax: 500 },
        splits: [
          ["train", 0.6],
          ["validation", 0.05],
          ["test", 0.35],
        ],
        embargoUs: 1e6,
        leakCheck: false,
        seed: 1,
        start,
        ...more,
      });

    // The first champion, of the world as it was.
    const first = await job(false);
    if (first.version === null) throw new Error(JSON.stringify(first.problems));
    await registry.setStage(first.version, "champion", AUTHOR);
    const firstFolder = await registry.materialise("champion", join(root, "models"));
    const champion = await load(firstFolder);

    // A desk quotes on it; nothing is wrong, then the venue tells things the other way round.
    const models = new SwitchedEngine(await start(champion));
    const bed = new RegimeBed(models, { seed: 7, startUs: 1_700_100_000e6, changed: false });
    const changes: DriftChange[] = [];
    let asked = 0;
    // What a live desk has on a thread of its own.
    const watched = new ModelWatch(
      { card: watchedOf(champion.card), underlyings: UNDERLYING_CAPACITY, drift: DRIFT, recalibrates: null },
      {
        drift: (change, timeUs) => {
          changes.push(change);
          bed.desk.onDrift(change.underlying, change.share, timeUs);
        },
        retrain: () => {
          asked += 1;
        },
        calibration: () => {},
      },
    );
    const drift = new WatchTap(watched, watchedOf(champion.card), UNDERLYING_CAPACITY);
    const meter = new LossMeter();
    const follow = {
      onPrediction: (_u: number, p: Float32Array, at: number, _h: number, status: number, timeUs: number) => {
        if (status === 0) meter.see(bed, p, at, timeUs);
      },
      onQuotes: () => {},
      onCancelAll: () => {},
      onTimer: () => {},
      close: () => {},
    };
    bed.taps = [drift, follow];
    bed.run(40);
    const lossBefore = meter.take();
    expect(changes.filter(({ share }) => share > 0)).toEqual([]);
    const stageNow = (): string => changes.at(-1)?.stage ?? "steady";

    bed.changed = true;
    const seconds = bed.run(DETECTED_SECONDS, () => stageNow() === "defensive");
    expect(stageNow()).toBe("defensive");
    expect(seconds).toBeLessThan(DETECTED_SECONDS);
    expect(asked).toBe(1);
    bed.run(1);
    const defensive = REASON.defensive | REASON.drift;
    expect(bed.desk.quoter.reasons[0] & defensive).toBe(defensive);
    const lossChanged = meter.take();
    expect(lossChanged).toBeGreaterThan(lossBefore + 0.05);

    // What was asked for: a candidate of the world as it is, better on the newest block, in the shadow.
    const second = await job(true);
    if (second.version === null) throw new Error(JSON.stringify(second.problems));
    expect(registry.stageOf(second.version)).toBe("shadow");
    expect(second.againstChampion?.high).toBeLessThan(0);
    const candidate = await load(await registry.materialise(second.version, join(root, "models")));

    // In the shadow, on the same events, it beats the champion: promoted to canary, then to champion.
    const shadow = await start(candidate);
    const paired = new PairedBlocks({ alpha: 0.05, blockUs: POLICY.blockMs * 1_000, blocksTightest: 60 });
    const pairs = new Map<number, readonly [champion: Float32Array, candidate: Float32Array]>();
    const pairLabels = new Labeller((row, labels) => {
      const pair = pairs.get(row);
      pairs.delete(row);
      if (pair === undefined) return;
      let difference = 0;
      for (const [head, y] of [...labels].entries())
        difference += (logLoss(pair[1][head], y) - logLoss(pair[0][head], y)) / labels.length;
      paired.add(bed.timeUs, difference, 0);
    });
    const watch = {
      ...follow,
      onFeatures: (underlying: number, features: Float32Array, offset: number, timeUs: number) => {
        if (bed.desk.modelStatus(underlying) !== 0) return;
        shadow.slots[0] = underlying;
        shadow.features.set(features.subarray(offset, offset + FEATURE_COUNT));
        shadow.step(1);
        const own = bed.desk.probabilities.slice(underlying * HEADS.length, (underlying + 1) * HEADS.length);
        const { midTicks, bidDepth, askDepth } = bookOf(bed.desk);
        pairs.set(pairLabels.rows, [own, shadow.probabilities.slice(0, HEADS.length)]);
        pairLabels.push(timeUs, midTicks, bidDepth, askDepth);
      },
    };
    bed.taps = [drift, watch];
    const verdict = (phase: "shadow" | "canary") =>
      judge(
        phase,
        {
          paired: paired.evidence(),
          heads: {},
          oddRows: 0,
          stepUs: 10,
          events: paired.evidence().rows,
          shed: 0,
        },
        POLICY,
      );
    bed.run(60, () => paired.evidence().blocks % 10 === 0 && verdict("shadow").verdict !== "wait");
    expect(verdict("shadow")).toMatchObject({ verdict: "promote", reason: "better" });
    await registry.promote(second.version, AUTHOR);
    expect(verdict("canary").verdict).toBe("promote");
    await registry.promote(second.version, AUTHOR);
    expect(registry.champion).toBe(second.version);
    expect(registry.stageOf(first.version)).toBe("retired");

    // Exchanged between two events; trusted anew; what it says is as good as it was before.
    const loaded = await start(candidate);
    applyModelAct(
      {
        do: "load",
        model: {
          name: "linear",
          source: "",
          onnxSha256: candidate.card.onnxSha256,
          engine: "cpu",
          isa: null,
        },
      },
      models,
      bed.desk,
      loaded,
    );
    bed.taps = [drift, follow];
    applyModelAct({ do: "exchange" }, models, bed.desk);
    meter.take();
    expect(stageNow()).toBe("steady");
    bed.run(30);
    expect(stageNow()).not.toBe("defensive");
    expect(bed.desk.quoter.reasons[0] & REASON.drift).toBe(0);
    const lossAfter = meter.take();
    expect(lossAfter).toBeLessThan(lossChanged - 0.05);
    console.log(
      `detected after ${seconds.toFixed(1)} s; log loss ${lossBefore.toFixed(3)} → ${lossChanged.toFixed(3)} → ${lossAfter.toFixed(3)}`,
    );

    // Candidates that must not quote, each refused at its gate for its own reason; the champion stays.
    const bad = async (name: string, train: Trainer): Promise<string> => {
      const result = await job(true, {
        trainer: { name, train },
        limits: { ...DEFAULT_GATE_LIMITS, calibrationMax: 0.15, meanGain: -1, headLossMax: 1 },
      }).catch((error: unknown) => String(error));
      return typeof result === "string" ? result : result.problems.map(({ reason }) => reason).join(" ");
    };
    const write = (out: string, dataDigest: string, change: (model: LinearModel) => LinearModel): Trainer => {
      return async (task) => {
        const model = change(await fitted(task.dataset, out));
        writeLinearModel(task.out, model, {
          ...{ name: "bad", version: "1", description: "" },
          training: {
            ...{ command: "", seed: 1, captures: [], rows: { train: 0, validate: 0, test: 0 } },
            dataDigest: dataDigest === "own" ? digestOfDataset(task.dataset) : dataDigest,
          },
        });
      };
    };
    expect(
      await bad(
        "random",
        write("train", "own", (model) => ({
          ...model,
          weights: model.weights.map((_, at) => Math.sin(at * 12.9898) * 0.8),
        })),
      ),
    ).toContain("no-skill");
    expect(
      await bad(
        "miscalibrated",
        write("train", "own", (model) => ({ ...model, bias: model.bias.map((bias) => bias + 3) })),
      ),
    ).toContain("miscalibrated");
    expect(
      await bad(
        "leaking",
        write("test", "0".repeat(64), (model) => model),
      ),
    ).toContain("unknown-lineage");
    expect(await bad("slow", slow)).toContain("too-slow");
    expect(
      await bad("other schema", async (task) => {
        cpSync(firstFolder, task.out, { recursive: true });
        const path = join(task.out, "card.json");
        chmodSync(path, statSync(path).mode | 0o200);
        writeFileSync(path, readFileSync(path, "utf8").replace(SCHEMA_HASH, "0123456789abcdef"));
      }),
    ).toContain("0123456789abcdef");
    expect(registry.champion).toBe(second.version);
    expect(registry.list()).toHaveLength(2);
    await Promise.all([models.dispose(), shadow.dispose()]);
  },
  900_000,
);

const fits = new Map<string, LinearModel>();

async function fitted(dataset: string, split: string): Promise<LinearModel> {
  const key = `${dataset} ${split}`;
  const model = fits.get(key) ?? trainLinear(await loadSplit(dataset, split), () => {});
  fits.set(key, model);
  return model;
}

function digestOfDataset(folder: string): string {
  return (JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8")) as { digest: string }).digest;
}

/** Right, and with layers that add nothing but time. */
const slow: Trainer = async (task) => {
  const width = 1_024;
  const model = await fitted(task.dataset, "train");
  const about = {
    ...{ name: "slow", version: "1", description: "" },
    training: {
      ...{ command: "", seed: 1, captures: [], rows: { train: 0, validate: 0, test: 0 } },
      dataDigest: digestOfDataset(task.dataset),
    },
  };
  writeLinearModel(task.out, model, about);
  const graph = linearGraph(model);
  const small = (count: number): Float32Array =>
    Float32Array.from({ length: count }, (_, at) => (at % 7) * 1e-6);
  const onnx = writeOnnx({
    ...graph,
    nodes: [
      ...graph.nodes.filter(({ outputs }) => outputs[0] !== "logits" && outputs[0] !== "probabilities"),
      { operator: "Gemm", inputs: ["unit", "w1", "b1"], outputs: ["wide1"] },
      { operator: "Gemm", inputs: ["wide1", "w2", "b1"], outputs: ["wide2"] },
      { operator: "Gemm", inputs: ["wide2", "w3", "b3"], outputs: ["extra"] },
      { operator: "Gemm", inputs: ["unit", "weight", "bias"], outputs: ["plain"] },
      { operator: "Add", inputs: ["plain", "extra"], outputs: ["logits"] },
      { operator: "Sigmoid", inputs: ["logits"], outputs: ["probabilities"] },
    ],
    initializers: [
      ...graph.initializers,
      floats("w1", [FEATURE_COUNT, width], small(FEATURE_COUNT * width)),
      floats("b1", [width], new Float32Array(width)),
      floats("w2", [width, width], small(width * width)),
      floats("w3", [width, HEADS.length], new Float32Array(width * HEADS.length)),
      floats("b3", [HEADS.length], new Float32Array(HEADS.length)),
    ],
  });
  writeFileSync(join(task.out, "model.onnx"), onnx);
  const path = join(task.out, "card.json");
  const card = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  card.onnxSha256 = new Bun.CryptoHasher("sha256").update(onnx).digest("hex");
  writeFileSync(path, JSON.stringify(card));
};
