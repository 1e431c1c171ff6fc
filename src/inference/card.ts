import { z } from "zod";
import { trainingProfile } from "./profile.ts";

/** Heads every built-in model has, in output order; third-party models may have a subset, named in their card. */
export const HEADS = [
  "down50",
  "down100",
  "up50",
  "up100",
  "bidWithdraw50",
  "askWithdraw50",
  "volatilitySpike",
] as const;
export type HeadName = (typeof HEADS)[number];

/** How a window of `T` events with `F` features lies in a windowed model's input. */
const WINDOW_LAYOUTS = ["BTF", "B1TF"] as const;

/** A self-test that allows more than this shows nothing. */
const SELF_TEST_TOLERANCE_MAX = 0.05;

const window = z.strictObject({
  /** T: events that the model looks at, oldest first. */
  length: z.int().min(1).max(65_536),
  layout: z.enum(WINDOW_LAYOUTS),
  /** Names of the graph's input and of the output that holds the probabilities. */
  input: z.string().min(1).default("features"),
  output: z.string().min(1).default("probabilities"),
  /** Which columns of the feature schema the model takes, in its order; all of them when null. */
  features: z.array(z.int().nonnegative()).min(1).nullable().default(null),
  /** Which column of the output each head is; one each, in order, when null. */
  columns: z.array(z.int().nonnegative()).min(1).nullable().default(null),
});

const headMetrics = z.strictObject({
  auc: z.number(),
  averagePrecision: z.number(),
  brier: z.number(),
  logLoss: z.number(),
});

/** What a model's `card.json` says. The engines and the desk rely on it; a model whose schema hash or digest differs is refused. */
export const modelCard = z.strictObject({
  name: z.string().min(1),
  version: z.string().min(1),
  description: z.string(),
  /** Hash of the feature schema the model was trained on. */
  schemaHash: z.string().regex(/^[0-9a-f]{16}$/),
  /** SHA-256 of the ONNX file, hex. */
  onnxSha256: z.string().regex(/^[0-9a-f]{64}$/),
  featureCount: z.int().positive(),
  /** Recurrent states: ONNX inputs `name` and outputs `name_next`, each `[B, ...shape]`, f32, initially zero. */
  states: z.array(z.strictObject({ name: z.string(), shape: z.array(z.int().positive()).min(1) })),
  /**
   * Set for a model without states that is given the last events each time (DeepLOB style) in place of one event at a time.
   * Normalisation is part of the graph here too.
   */
  window: window.optional(),
  /** Outputs in order. `thetaBp`: the move that counts; NaN-free; null where the head has none. */
  heads: z
    .array(
      z.strictObject({
        name: z.enum(HEADS),
        horizonMs: z.number().positive(),
        thetaBp: z.number().positive().nullable(),
        depthFraction: z.number().positive().nullable(),
        /** Expected size of the move in bp given that it happens: mean over training positives; null where the head is no move. */
        meanMoveBp: z.number().positive().nullable(),
        baseRate: z.number(),
        /** Scores by what was scored and on which rows, such as `int8Cpu/test`; see docs/models.md. */
        metrics: z.record(z.string(), headMetrics),
        /** Recalibration that every instrument begins with: p' = sigmoid(slope · logit(p) + intercept); identity when left out. */
        platt: z.strictObject({ slope: z.number().positive(), intercept: z.number() }).optional(),
      }),
    )
    .min(1),
  training: z.strictObject({
    command: z.string(),
    seed: z.int(),
    /** SHA-256 over the digests of the training captures, hex. */
    dataDigest: z.string(),
    captures: z.array(
      z.strictObject({ name: z.string(), sha256: z.string(), use: z.enum(["train", "validate", "test"]) }),
    ),
    rows: z.strictObject({ train: z.int(), validate: z.int(), test: z.int() }),
  }),
  /** Left out: nothing live can be held against the training rows, and drift is told from outcomes alone. */
  profile: trainingProfile.optional(),
  /**
   * Probabilities, before recalibration, for a fixed feature sequence from the initial state: `features[n][F]` →
   * `probabilities[n][K]`. A windowed model predicts nothing before its window is full: it has `length - 1` rows fewer of them.
   */
  selfTest: z.strictObject({
    features: z.array(z.array(z.number())),
    probabilities: z.array(z.array(z.number())),
    tolerance: z.number().positive().max(SELF_TEST_TOLERANCE_MAX),
  }),
});

export type ModelCard = z.infer<typeof modelCard>;

/** A model as fills, outcomes and reports name it: `name@first eight digits of its digest`; `none` where there is no model. */
export function modelLabel(card: Pick<ModelCard, "name" | "onnxSha256"> | null): string {
  return card === null ? "none" : `${card.name}@${card.onnxSha256.slice(0, 8)}`;
}
export type ModelWindow = NonNullable<ModelCard["window"]>;

/** Rows at the start of a sequence for which the model predicts nothing. */
export const silentRows = ({ window }: Pick<ModelCard, "window">): number =>
  window === undefined ? 0 : window.length - 1;
