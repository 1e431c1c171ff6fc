import { z } from "zod";

/** How far a window of a number's values lies from what they were in training. */
const distances = z.strictObject({
  /** Population stability index, Σ (q − p)·ln(q/p) over bins. */
  psi: z.number().nonnegative(),
  /** Largest difference of the two distribution functions (Kolmogorov–Smirnov). */
  ks: z.number().nonnegative(),
  /** Area between the two distribution functions (Wasserstein-1), over the profile's own range. */
  wasserstein: z.number().nonnegative(),
});

const distribution = z
  .strictObject({
    /** Rising bounds between bins, quantiles of the training rows; a value equal to one is in the bin below it. */
    edges: z.array(z.number()).max(64),
    /** Share of the training rows in each bin, one more than edges. */
    shares: z.array(z.number().min(0).max(1)).min(1),
    /** Values are held within this range; equal where the number never moved. */
    low: z.number(),
    high: z.number(),
    /** Over some window of the training rows it stood still, so that standing still says nothing. */
    rests: z.boolean(),
    /** The largest distances that windows of the training rows themselves have from all of them. */
    usual: distances,
  })
  .refine(({ edges, shares }) => shares.length === edges.length + 1, "one share more than edges")
  .refine(({ edges }) => edges.every((edge, at) => at === 0 || edge > edges[at - 1]), "edges that rise")
  .refine(({ low, high }) => low <= high, "low ≤ high");

/** What the world was like that a model was trained on: what a desk holds its own against. */
export const trainingProfile = z.strictObject({
  /** Rows are taken at most once in this time from each instrument, in the profile and live. */
  sampleMs: z.number().positive(),
  /** Length of the windows that the usual distances were taken over. */
  windowSeconds: z.number().positive(),
  rows: z.int().positive(),
  /** In the order of the schema. */
  features: z.array(distribution),
  /** Logits of the model's own predictions, in the order of the card's heads. */
  predictions: z.array(distribution),
  /** ln(1 + ms) between steps of the model. */
  intervals: distribution,
  /** What came of the predictions, in the order of the card's heads: mean and worst of the windows. */
  outcomes: z.array(
    z.strictObject({
      baseRate: z.number().min(0).max(1),
      auc: z.number().min(0).max(1).nullable(),
      brier: z.number().min(0).nullable(),
      /** 1 − log loss ÷ log loss of the rows' own base rate; 0 = as good as a constant. */
      skill: z.number().nullable(),
      calibrationError: z.number().min(0).nullable(),
      usualCalibrationError: z.number().min(0).nullable(),
    }),
  ),
});

export type TrainingProfile = z.infer<typeof trainingProfile>;
export type ProfileDistribution = TrainingProfile["features"][number];
export type Distances = ProfileDistribution["usual"];
