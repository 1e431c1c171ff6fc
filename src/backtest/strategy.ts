/**
 * What predicts in a backtest. Whatever it is, it takes the model's place in the same desk: it sees the features of each step and
 * answers the model's heads. So strategies differ in what they foretell and in nothing else.
 *
 * @module
 */
import { DeviceUnavailableError, KeelError } from "../core/errors.ts";
import { UNDERLYING_CAPACITY } from "../desk/desk.ts";
import { FEATURE_COUNT, featureIndex, SCHEMA_HASH } from "../feature/schema.ts";
import { DEFAULT_MODEL } from "../inference/builtin.ts";
import { HEADS, type ModelCard } from "../inference/card.ts";
import type { StepEngine } from "../inference/engine.ts";
import { loadModel } from "../inference/model.ts";
import { startEngine } from "../inference/registry.ts";
import { DEFAULT_ENGINE_SETTINGS } from "../inference/settings.ts";
import { FittedRule, readRuleFile } from "./fitted-rule.ts";
import { LogisticRule } from "./logistic-rule.ts";
import { QUEUE_RULE } from "./queue-rule.ts";

/**
 * - `static`: foretells nothing, so quotes keep their base spread and full size.
 * - `defensive`: no model at all; the desk quotes as it does while the model cannot be trusted.
 * - `queue-imbalance`: a logistic curve over the imbalance of the best queues, per head.
 * - `logistic`: the logistic regression over all features that the built-in models rest on.
 * - `model`: the default model; `model:NAME` a built-in one or one in a folder.
 * - `rule:FILE`: a logistic regression as `RuleFile` describes it.
 */
export const STRATEGIES = ["static", "defensive", "queue-imbalance", "logistic", "model"] as const;
export type Strategy = (typeof STRATEGIES)[number] | `model:${string}` | `rule:${string}`;

/** @returns undefined when it is none */
export function readStrategy(text: string): Strategy | undefined {
  const named = STRATEGIES.find((name) => name === text);
  if (named !== undefined) return named;
  return /^(model|rule):./.test(text) ? (text as Strategy) : undefined;
}

/** Writes the probabilities of one row of features. */
export interface PredictionRule {
  predict(features: Float32Array, at: number, into: Float32Array, to: number): void;
}

/**
 * The engine of a strategy; null where there is none.
 *
 * @throws ModelRefusedError when there is no such model
 * @throws DeviceUnavailableError when the cpu engine cannot run it
 */
export async function engineOf(strategy: Strategy): Promise<StepEngine | null> {
  if (strategy === "defensive") return null;
  const schema = { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT };
  if (strategy === "model" || strategy.startsWith("model:")) {
    const model = await loadModel(strategy === "model" ? DEFAULT_MODEL : strategy.slice(6), schema);
    const { engine } = await startEngine({
      device: "cpu",
      model,
      slotCount: UNDERLYING_CAPACITY,
      maxBatch: UNDERLYING_CAPACITY,
      settings: DEFAULT_ENGINE_SETTINGS,
      log: () => {},
    });
    if (!engine.synchronous)
      throw new DeviceUnavailableError(engine.name, "a backtest needs a synchronous engine");
    return engine;
  }
  const { card, graph } = await loadModel(LOGISTIC_SOURCE, schema);
  if (strategy.startsWith("rule:"))
    return new RuleEngine(strategy, card, new FittedRule(readRuleFile(strategy.slice(5))));
  switch (strategy) {
    case "static":
      return new RuleEngine("static", card, NOTHING);
    case "queue-imbalance":
      return new RuleEngine("queue-imbalance", card, new QueueRule(card));
    case "logistic":
      return new RuleEngine("logistic", card, new LogisticRule(graph));
    default:
      throw new KeelError(
        "strategy",
        `strategy ${strategy}: expected one of ${STRATEGIES.join(", ")}, model:NAME, rule:FILE`,
      );
  }
}

/** The built-in model whose linear part is told apart in its graph. */
const LOGISTIC_SOURCE = "lstm-residual";

const NOTHING: PredictionRule = {
  predict: (_features, _at, into, to) => {
    into.fill(0, to, to + HEADS.length);
  },
};

/** P = σ(intercept + slope · imbalance), with the sign that the head's side asks for; base rates where the head has no curve. */
class QueueRule implements PredictionRule {
  readonly #feature = featureIndex("queueImbalance");
  readonly #base: Float32Array;

  constructor(card: ModelCard) {
    this.#base = Float32Array.from(card.heads, ({ baseRate }) => baseRate);
  }

  predict(features: Float32Array, at: number, into: Float32Array, to: number): void {
    const imbalance = features[at + this.#feature];
    for (let head = 0; head < HEADS.length; head += 1) {
      const curve = QUEUE_RULE[HEADS[head] ?? "volatilitySpike"];
      into[to + head] =
        curve === null ? this.#base[head] : 1 / (1 + Math.exp(-(curve.intercept + curve.slope * imbalance)));
    }
  }
}

/** A rule as the desk's engine. It has no state. */
class RuleEngine implements StepEngine {
  readonly name = "cpu";
  readonly card: ModelCard;
  readonly slotCount = UNDERLYING_CAPACITY;
  readonly maxBatch = UNDERLYING_CAPACITY;
  readonly synchronous = true;
  readonly features = new Float32Array(UNDERLYING_CAPACITY * FEATURE_COUNT);
  readonly slots = new Int32Array(UNDERLYING_CAPACITY);
  readonly probabilities = new Float32Array(UNDERLYING_CAPACITY * HEADS.length);
  readonly #rule: PredictionRule;

  /** @param like a card with the heads in the order of {@link HEADS}, whose thresholds and mean moves the rule's answers mean */
  constructor(name: string, like: ModelCard, rule: PredictionRule) {
    const onnxSha256 = new Bun.CryptoHasher("sha256").update(`rule ${name} ${like.onnxSha256}`).digest("hex");
    this.card = { ...like, name, version: "1", states: [], onnxSha256 };
    this.#rule = rule;
  }

  step(count: number): void {
    for (let row = 0; row < count; row += 1)
      this.#rule.predict(this.features, row * FEATURE_COUNT, this.probabilities, row * HEADS.length);
  }

  async submit(count: number): Promise<void> {
    this.step(count);
  }

  resetSlot(): void {}

  async warmUp(): Promise<void> {}

  memoryBytes(): number {
    return this.features.byteLength + this.probabilities.byteLength;
  }

  async dispose(): Promise<void> {}
}
