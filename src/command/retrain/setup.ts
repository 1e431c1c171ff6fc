import { type Config, ConfigError } from "../../config.ts";
import { DEFAULT_MODEL } from "../../inference/builtin.ts";
import { startEngine } from "../../inference/registry.ts";
import { openRegistry, REGISTRY_PREFIX } from "../../learn/registry/open.ts";
import { DEFAULT_GATE_LIMITS } from "../../learn/retrain/gate.ts";
import type { RetrainOptions } from "../../learn/retrain/job.ts";
import { commandTrainer, expectModel, programDigest, runCommand } from "../../learn/retrain/trainer.ts";

/** What the environment says of a retraining. @throws KeelError when there is no registry, or it cannot be opened */
export async function retrainSetup(
  config: Config,
  told: (line: string) => void,
): Promise<Omit<RetrainOptions, "sources" | "runs" | "seed" | "rowsMax">> {
  const { registry: settings, model, engines, trainCommand, quantiseCommand } = config;
  if (settings === undefined) {
    const expected = "a folder or s3://BUCKET/PREFIX, where the candidate goes";
    throw new ConfigError([{ name: "KEEL_REGISTRY", found: null, expected }]);
  }
  const registry = await openRegistry(settings, Date.now, config.stateDir);
  const named = model?.startsWith(REGISTRY_PREFIX) === true ? null : (model ?? DEFAULT_MODEL);
  // What quantises, or adds nothing to logistic regression, is held to what it can reach.
  const limits = trainCommand === null ? { ...DEFAULT_GATE_LIMITS, meanGain: 0 } : DEFAULT_GATE_LIMITS;
  return {
    registry,
    champion: named,
    trainer:
      trainCommand === null
        ? null
        : {
            ...{ name: trainCommand.join(" "), code: programDigest(trainCommand) },
            train: commandTrainer(trainCommand),
          },
    quantiser:
      quantiseCommand === null
        ? null
        : {
            ...{ name: quantiseCommand.join(" "), code: programDigest(quantiseCommand) },
            quantise: async (from, { dataset, out, scratch, seed, log, signal }) => {
              const words = ["--model", from, "--out", out, "--dataset", dataset, "--scratch", scratch];
              await runCommand([...quantiseCommand, ...words, "--seed", String(seed)], log, signal);
              expectModel(out, quantiseCommand);
            },
          },
    limits,
    start: async (loaded) => {
      const { engine } = await startEngine({
        ...{ device: "cpu", settings: engines, model: loaded, slotCount: 1, maxBatch: 1, log: told },
      });
      return engine;
    },
  };
}
