import { readFileSync } from "node:fs";
import { z } from "zod";
import { BadInputError, ModelRefusedError } from "../core/errors.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../feature/schema.ts";
import { HEADS } from "../inference/card.ts";
import type { PredictionRule } from "./strategy.ts";

const numbers = z.array(z.number());

/** A logistic regression as a file: the strategy `rule:FILE`. */
const ruleFile = z.strictObject({
  schemaHash: z.string(),
  /** Columns of the feature schema that it looks at. */
  features: z.array(
    z
      .int()
      .nonnegative()
      .max(FEATURE_COUNT - 1),
  ),
  /** A feature counts as `clip((value − mean) / deviation, ±clip)`, of a value that is no number as of 0. */
  mean: numbers,
  deviation: z.array(z.number().positive()),
  clip: z.number().positive(),
  /** By head: P = σ(intercept + Σ weight · feature). */
  heads: z.record(z.enum(HEADS), z.strictObject({ intercept: z.number(), weights: numbers })),
  /** What it was fitted on, for people. */
  about: z.string(),
});
export type RuleFile = z.infer<typeof ruleFile>;

/** @throws BadInputError when it is none; ModelRefusedError when it was made for other features */
export function readRuleFile(path: string): RuleFile {
  let found: unknown;
  try {
    found = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new BadInputError(path, error instanceof Error ? error.message : String(error), "a fitted rule");
  }
  const { data, error } = ruleFile.safeParse(found);
  if (data === undefined) throw new BadInputError(path, z.prettifyError(error), "a fitted rule");
  if (data.schemaHash !== SCHEMA_HASH)
    throw new ModelRefusedError(path, `schema ${data.schemaHash}`, `schema ${SCHEMA_HASH}`);
  const count = data.features.length;
  const fits = [data.mean, data.deviation, ...HEADS.map((head) => data.heads[head].weights)];
  if (fits.some(({ length }) => length !== count))
    throw new BadInputError(path, "lists of different lengths", `${count} numbers, one for each feature`);
  return data;
}

/** Predicts by the regressions of such a file: a baseline that a model has to beat. */
export class FittedRule implements PredictionRule {
  readonly #file: RuleFile;
  readonly #units: Float64Array;

  constructor(file: RuleFile) {
    this.#file = file;
    this.#units = new Float64Array(file.features.length);
  }

  predict(features: Float32Array, at: number, into: Float32Array, to: number): void {
    const units = this.#units;
    unitsOf(this.#file, features, at, units);
    for (let head = 0; head < HEADS.length; head += 1) {
      const { intercept, weights } = this.#file.heads[HEADS[head] ?? "volatilitySpike"];
      let logit = intercept;
      for (let column = 0; column < units.length; column += 1) logit += weights[column] * units[column];
      into[to + head] = 1 / (1 + Math.exp(-logit));
    }
  }
}

/** Writes a row of features as the rule counts them. */
export function unitsOf(
  { features: columns, mean, deviation, clip }: Pick<RuleFile, "features" | "mean" | "deviation" | "clip">,
  features: Float32Array,
  at: number,
  into: Float64Array,
): void {
  for (let column = 0; column < columns.length; column += 1) {
    const value = features[at + columns[column]];
    const unit = ((Number.isNaN(value) ? 0 : value) - mean[column]) / deviation[column];
    into[column] = Math.min(Math.max(unit, -clip), clip);
  }
}
