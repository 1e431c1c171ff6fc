import { ModelRefusedError } from "../core/errors.ts";
import { FEATURE_COUNT } from "../feature/schema.ts";
import { HEADS } from "../inference/card.ts";
import type { OnnxGraph } from "../inference/onnx/model-proto.ts";
import type { PredictionRule } from "./strategy.ts";

/**
 * The linear part of a built-in model, by itself: the logistic regression over normalised features, with piecewise-linear bins for
 * the withdrawal heads, to which the model adds what its recurrent layer knows. Its weights stand in the graph as
 * `models/train/graph.py` writes it: `unit = clip(f·unit_factor + unit_offset, 0, 1)`,
 * `bin = clip(unit[bin_feature]·bin_factor + bin_offset, 0, 1)`, and the rows of `logit_weight` for `unit`, for `bin`, then for
 * the recurrent layer, which are left out here.
 */
export class LogisticRule implements PredictionRule {
  readonly #unitFactor: Float64Array;
  readonly #unitOffset: Float64Array;
  readonly #binFeature: Float64Array;
  readonly #binFactor: Float64Array;
  readonly #binOffset: Float64Array;
  /** `[unit, bin][head]`. */
  readonly #weights: Float64Array;
  readonly #bias: Float64Array;
  readonly #inputs: Float64Array;
  readonly #logits = new Float64Array(HEADS.length);

  /** @throws ModelRefusedError when the graph has no such linear part */
  constructor(graph: OnnxGraph) {
    const constant = (name: string): Float64Array => {
      const tensor = graph.initializers.get(name);
      if (tensor === undefined)
        throw new ModelRefusedError(graph.model, `no constant ${name}`, "a linear part");
      return Float64Array.from(tensor.data);
    };
    this.#unitFactor = constant("unit_factor");
    this.#unitOffset = constant("unit_offset");
    this.#binFeature = constant("bin_feature");
    this.#binFactor = constant("bin_factor");
    this.#binOffset = constant("bin_offset");
    this.#weights = constant("logit_weight");
    this.#bias = constant("logit_bias");
    this.#inputs = new Float64Array(FEATURE_COUNT + this.#binFeature.length);
    const fits =
      this.#unitFactor.length === FEATURE_COUNT &&
      this.#bias.length === HEADS.length &&
      this.#weights.length >= this.#inputs.length * HEADS.length;
    if (!fits)
      throw new ModelRefusedError(graph.model, "another shape", "a linear part over the feature schema");
  }

  predict(features: Float32Array, at: number, into: Float32Array, to: number): void {
    const inputs = this.#inputs;
    for (let i = 0; i < FEATURE_COUNT; i += 1) {
      const raw = features[at + i];
      const known = Number.isNaN(raw) ? 0 : raw;
      inputs[i] = Math.min(Math.max(known * this.#unitFactor[i] + this.#unitOffset[i], 0), 1);
    }
    for (let bin = 0; bin < this.#binFeature.length; bin += 1) {
      const open = inputs[this.#binFeature[bin]] * this.#binFactor[bin] + this.#binOffset[bin];
      inputs[FEATURE_COUNT + bin] = Math.min(Math.max(open, 0), 1);
    }
    const logits = this.#logits;
    logits.set(this.#bias);
    for (let i = 0; i < inputs.length; i += 1) {
      const value = inputs[i];
      if (value === 0) continue;
      for (let head = 0; head < HEADS.length; head += 1)
        logits[head] += value * this.#weights[i * HEADS.length + head];
    }
    for (let head = 0; head < HEADS.length; head += 1) into[to + head] = 1 / (1 + Math.exp(-logits[head]));
  }
}
