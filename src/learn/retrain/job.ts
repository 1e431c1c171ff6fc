import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import packageJson from "../../../package.json";
import { BUILD } from "../../core/executable.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../../feature/schema.ts";
import { HEADS, type ModelCard } from "../../inference/card.ts";
import type { StepEngine } from "../../inference/engine.ts";
import { loadModel } from "../../inference/model.ts";
import { selfTest } from "../../inference/self-test.ts";
import type { StepModel } from "../../inference/step-model.ts";
import { buildDataset, DEFAULT_EMBARGO_US, DEFAULT_SPLITS } from "../dataset/build.ts";
import { checkDataset } from "../dataset/check.ts";
import { type LoadedRows, loadSplit } from "../dataset/load.ts";
import { readManifest, sha256 } from "../dataset/manifest.ts";
import type { RowSource } from "../dataset/row.ts";
import { DEFAULT_PROFILE_OPTIONS, type ProfiledRows, trainingProfileOf } from "../drift/profile-builder.ts";
import type { Registry } from "../registry/registry.ts";
import type { Interval } from "../report/bootstrap.ts";
import { type GateLimits, type GateProblem, judgeCandidate } from "./gate.ts";
import { RunFolder } from "./run-folder.ts";
import { type Answers, answersOf, type HeadResult, lossDifference, scoreHeads } from "./score.ts";
import { linearTrainer, type Trainer, type TrainingTask } from "./trainer.ts";

/** What is looked at together when two models are compared: moves hang together for seconds. */
const BOOTSTRAP = { blockUs: 5_000_000, resamples: 500, seed: 1, level: 0.95 };

/** Windows that the training rows are looked at in, at least. */
const WINDOWS_MIN = 10;

/** What a program is told apart by: another name or other code is another step. */
interface ProgramName {
  readonly name: string;
  /** Digest of its files, see `programDigest`. */
  readonly code?: string;
}

export interface RetrainOptions {
  /** Recent recordings, oldest first. */
  readonly sources: readonly RowSource[];
  /** Folder of all runs; datasets stand beside them. */
  readonly runs: string;
  readonly registry: Registry;
  /** The model in force where the registry has no champion; null: a candidate is judged by itself. */
  readonly champion: string | null;
  /** Null: logistic regression. */
  readonly trainer: (ProgramName & { readonly train: Trainer }) | null;
  /** Makes 8 bits of a model: given the model, where the other goes, and the task. Null: the model stays as it is. */
  readonly quantiser:
    | (ProgramName & { readonly quantise: (model: string, task: TrainingTask) => Promise<void> })
    | null;
  readonly limits: GateLimits;
  readonly splits?: readonly (readonly [name: string, share: number])[];
  readonly embargoUs?: number;
  readonly seed: number;
  /** Sources are played again to show that no feature looks ahead. Default: they are. */
  readonly leakCheck?: boolean;
  /** Of more rows pieces of the time are taken; what trains holds all of them in memory. Null: all are. */
  readonly rowsMax?: number | null;
  /** An engine as the desk would run the model on. */
  readonly start: (model: StepModel) => Promise<StepEngine>;
  readonly told?: (line: string) => void;
  /** Ends the run before its next step, and the program that works on one. */
  readonly signal?: AbortSignal;
}

export interface RetrainResult {
  readonly run: string;
  readonly dataset: string;
  /** Steps that were done before. */
  readonly resumed: number;
  /** Null when the candidate was refused. */
  readonly version: string | null;
  readonly problems: readonly GateProblem[];
  readonly heads: readonly HeadResult[];
  readonly againstChampion: Interval | null;
}

const nan = z
  .number()
  .nullable()
  .transform((value) => value ?? Number.NaN);
const headShape = z.object({
  head: z.enum(HEADS),
  rows: z.number(),
  baseRate: nan,
  auc: nan,
  logLoss: nan,
  brier: nan,
  calibrationError: nan,
  skill: nan,
});
const intervalShape = z.object({ value: nan, low: nan, high: nan });
const evaluationShape = z.object({
  problems: z.array(z.object({ reason: z.string(), text: z.string() })),
  heads: z.array(headShape),
  againstChampion: intervalShape.nullable(),
});
const modelShape = z.object({ folder: z.string() });

/**
 * One retraining from recordings to a version in the shadow: dataset, training, 8 bits, profile, evaluation on the newest block,
 * registration. The run's folder is named by what decides its dataset, and each step's in it by what decides that step, so that the same
 * job again does nothing that is done, and a job of which one step has changed does that one and those after it; every step keeps its
 * artefacts and log. A failure leaves the registry as it was.
 *
 * @throws StepFailedError naming the step
 */
export async function retrain(options: RetrainOptions): Promise<RetrainResult> {
  const { sources, runs, registry, trainer, limits, seed } = options;
  const told = options.told ?? (() => {});
  const splits = options.splits ?? DEFAULT_SPLITS;
  const embargoUs = options.embargoUs ?? DEFAULT_EMBARGO_US;
  const key = sha256(
    JSON.stringify({
      keel: packageJson.version,
      commit: BUILD?.commit ?? null,
      schema: SCHEMA_HASH,
      sources: sources.map(({ name, files, sinceUs }) => [name, files, sinceUs ?? null]),
      ...{ splits, embargoUs, rowsMax: options.rowsMax ?? null },
    }),
  );
  const folder = new RunFolder(join(runs, `run-${key.slice(0, 16)}`), options.signal);
  try {
    const dataset = await folder.step(
      "dataset",
      key,
      z.object({ folder: z.string(), digest: z.string() }),
      async (step) => {
        const built = await buildDataset(
          sources,
          {
            directory: join(runs, "datasets"),
            splits,
            embargoUs,
            label: "retrain",
            leakCheck: options.leakCheck ?? true,
            rowsMax: options.rowsMax ?? null,
          },
          step.log,
        );
        const { problems, remarks } = await checkDataset(built.folder, []);
        for (const remark of remarks) step.log(`note: ${remark}`);
        if (problems.length > 0)
          throw new Error(`the dataset is not to be trained on: ${problems.join("; ")}`);
        told(`dataset ${built.folder}: ${built.manifest.rows} rows`);
        return { folder: built.folder, digest: built.manifest.digest };
      },
    );
    const by = (program: ProgramName | null): unknown =>
      program === null ? null : [program.name, program.code ?? null, seed];
    const training = JSON.stringify([dataset.digest, by(trainer)]);
    const taskOf = (step: { folder: string; log: (line: string) => void }, out: string) => ({
      dataset: dataset.folder,
      out: join(step.folder, out),
      // Of the training, so that quantising finds what that has computed, and no other training does.
      scratch: join(folder.path, `scratch-${sha256(training).slice(0, 8)}`),
      seed,
      log: step.log,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    const baseline = await folder.step("baseline", dataset.digest, modelShape, async (step) => {
      const task = taskOf(step, "model");
      await linearTrainer(task);
      told("logistic regression is fitted");
      return { folder: task.out };
    });
    const trained = await folder.step("train", training, modelShape, async (step) => {
      if (trainer === null) return baseline;
      const task = taskOf(step, "model");
      await trainer.train(task);
      told(`${trainer.name} has trained`);
      return { folder: task.out };
    });
    const { quantiser } = options;
    const quantising = JSON.stringify([dataset.digest, sha256Of(trained.folder), by(quantiser)]);
    const quantised = await folder.step("quantise", quantising, modelShape, async (step) => {
      if (quantiser === null) {
        step.log("the model stays as it is: no quantiser is configured");
        return trained;
      }
      const task = taskOf(step, "model");
      await quantiser.quantise(trained.folder, task);
      told(`${quantiser.name} has quantised`);
      return { folder: task.out };
    });
    const profiled = await folder.step("profile", sha256Of(quantised.folder), modelShape, async (step) => {
      const out = join(step.folder, "model");
      cpSync(quantised.folder, out, { recursive: true });
      const rows = await loadSplit(dataset.folder, "train");
      await writeProfile(out, rows, options.start);
      return { folder: out };
    });
    // Another champion is another question.
    const against = registry.champion ?? options.champion;
    const evaluation = await folder.step(
      "evaluate",
      JSON.stringify([...[profiled, trained, baseline].map((one) => sha256Of(one.folder)), against, limits]),
      evaluationShape,
      (step) =>
        evaluate(
          options,
          {
            ...{
              dataset,
              baseline: baseline.folder,
              candidate: profiled.folder,
              isBaseline: trainer === null,
            },
            f32: quantised.folder === trained.folder ? null : trained.folder,
          },
          step.log,
        ),
    );
    const found = { ...evaluation, problems: evaluation.problems as GateProblem[] };
    const result = { run: folder.path, dataset: dataset.folder, ...found };
    for (const { reason, text } of found.problems) told(`refused, ${reason}: ${text}`);
    if (found.problems.length > 0) return { ...result, resumed: folder.resumed, version: null };
    const registered = await folder.step(
      "register",
      sha256Of(profiled.folder),
      z.object({ version: z.string() }),
      async (step) => {
        const version = await register(
          registry,
          profiled.folder,
          dataset.digest,
          folder.logOf("train"),
          found.heads,
        );
        step.log(`${version} is in the shadow`);
        told(`${version} is in the shadow`);
        return { version };
      },
      // Done before, in another registry.
      ({ version }) => registry.stageOf(version) !== undefined,
    );
    return { ...result, resumed: folder.resumed, version: registered.version };
  } finally {
    folder.release();
  }
}

interface Judged {
  readonly dataset: { readonly folder: string; readonly digest: string };
  readonly baseline: string;
  readonly candidate: string;
  readonly isBaseline: boolean;
  /** What the candidate was quantised from; null where it was not. */
  readonly f32: string | null;
}

async function evaluate(
  { registry, champion: named, limits, start, runs }: RetrainOptions,
  { dataset, baseline, candidate, isBaseline, f32 }: Judged,
  log: (line: string) => void,
): Promise<z.output<typeof evaluationShape>> {
  const rows = await loadSplit(dataset.folder, "test");
  const manifest = readManifest(dataset.folder);
  log(
    `${rows.reduce((sum, part) => sum + part.rows, 0)} rows that nothing was trained on, of ${manifest.parts.length} sources`,
  );
  const own = await ask(candidate, rows, start);
  const heads = scoreHeads(own.answers, rows);
  const other = isBaseline ? null : scoreHeads((await ask(baseline, rows, start)).answers, rows);
  const before = f32 === null ? null : scoreHeads((await ask(f32, rows, start)).answers, rows);
  const incumbent =
    registry.champion === null ? named : await registry.materialise(registry.champion, join(runs, "models"));
  const againstChampion =
    incumbent === null
      ? null
      : lossDifference(own.answers, (await ask(incumbent, rows, start)).answers, rows, BOOTSTRAP);
  const problems = judgeCandidate(
    {
      odd: own.answers.odd,
      stepUs: own.answers.stepUs,
      heads,
      baseline: other,
      beforeQuantising: before,
      againstChampion,
      trainedOn: own.card.training.dataDigest,
      dataset: dataset.digest,
    },
    limits,
  );
  for (const each of heads) log(JSON.stringify(each));
  for (const each of before ?? []) log(`before quantising: ${JSON.stringify(each)}`);
  if (againstChampion !== null) log(`log loss less the champion's: ${JSON.stringify(againstChampion)}`);
  for (const { reason, text } of problems) log(`refused, ${reason}: ${text}`);
  return { problems, heads, againstChampion };
}

/** Loads a model as a desk would, refuses what a desk would refuse, and has it answer the rows. */
export async function ask(
  model: string,
  rows: readonly LoadedRows[],
  start: RetrainOptions["start"],
): Promise<{ readonly card: ModelCard; readonly answers: Answers }> {
  const loaded = await loadModel(model, { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT });
  const engine = await start(loaded);
  try {
    await selfTest(engine);
    return { card: loaded.card, answers: await answersOf(engine, rows) };
  } finally {
    await engine.dispose();
  }
}

async function writeProfile(
  folder: string,
  rows: readonly LoadedRows[],
  start: RetrainOptions["start"],
): Promise<void> {
  const { card, answers } = await ask(folder, rows, start);
  const columns = card.heads.map(({ name }) => HEADS.indexOf(name));
  const width = columns.length;
  const labels = new Uint8Array(width);
  // No window reaches over what was left out.
  const parts = rows.flatMap((part, index) =>
    part.starts.map((start, at): ProfiledRows => {
      const end = part.starts[at + 1] ?? part.rows;
      return {
        rows: end - start,
        timeUs: (row) => part.times[start + row],
        features: (row) =>
          part.features.subarray((start + row) * FEATURE_COUNT, (start + row + 1) * FEATURE_COUNT),
        probabilities: (row) =>
          answers.probabilities[index].subarray((start + row) * width, (start + row + 1) * width),
        labels: (row) => {
          const from = (start + row) * HEADS.length;
          for (const [to, column] of columns.entries()) labels[to] = part.labels[from + column];
          return labels;
        },
      };
    }),
  );
  const spanSeconds = Math.max(...rows.map(secondsOf));
  const profile = trainingProfileOf(parts, {
    ...DEFAULT_PROFILE_OPTIONS,
    // What windows usually differ by is seen from several of them only.
    windowSeconds: Math.min(DEFAULT_PROFILE_OPTIONS.windowSeconds, Math.max(1, spanSeconds / WINDOWS_MIN)),
    featureCount: FEATURE_COUNT,
    heads: width,
  });
  const path = join(folder, "card.json");
  const written = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  writeFileSync(path, `${JSON.stringify({ ...written, profile })}\n`);
}

/** Time that the rows are of, without what was left out. */
function secondsOf({ rows, times, starts }: LoadedRows): number {
  return starts.reduce((sum, start, at) => {
    const last = (starts[at + 1] ?? rows) - 1;
    return sum + (times[last] - times[start]) / 1e6;
  }, 0);
}

async function register(
  registry: Registry,
  folder: string,
  dataset: string,
  logPath: string,
  heads: readonly HeadResult[],
): Promise<string> {
  const author = { who: "keel retrain", why: `trained on dataset ${dataset.slice(0, 16)}` };
  const added = await registry.add(
    {
      card: readFileSync(join(folder, "card.json")),
      onnx: new Uint8Array(readFileSync(join(folder, "model.onnx"))),
      ...(existsSync(logPath) ? { trainingLog: readFileSync(logPath) } : {}),
      lineage: {
        parent: registry.champion,
        dataset,
        code: { keel: packageJson.version, commit: BUILD?.commit ?? null },
      },
      metrics: Object.fromEntries(
        heads.flatMap(({ head, auc, logLoss, brier }) =>
          Object.entries({ auc, logLoss, brier })
            .filter(([, value]) => Number.isFinite(value))
            .map(([name, value]) => [`test/${name}/${head}`, value]),
        ),
      ),
    },
    author,
  );
  if (registry.stageOf(added.version) === "candidate")
    await registry.setStage(added.version, "shadow", author);
  return added.version;
}

function sha256Of(folder: string): string {
  const hasher = new Bun.CryptoHasher("sha256");
  for (const name of ["card.json", "model.onnx"]) hasher.update(readFileSync(join(folder, name)));
  return hasher.digest("hex");
}
