import { EXIT } from "../core/errors.ts";
import { defineCommand } from "./command.ts";

/** What {@link checkEngine} ends with. */
export interface EngineReport {
  readonly engine: string;
  /** Median time of a step, µs; null where nothing was compared. */
  readonly stepUs: number | null;
  readonly passedOver: readonly { readonly engine: string; readonly reason: string }[];
  readonly modelsPassedOver: readonly { readonly model: string; readonly reason: string }[];
  readonly model: string;
  readonly version: string;
  readonly source: string;
  readonly onnxSha256: string;
  readonly schemaHash: string;
  readonly memoryBytes: number;
}

/** Internal: starts the configured engine with the configured model in a process of its own; its self-test is part of that. */
export const checkEngine = defineCommand({
  name: "check-engine",
  summary: "Start the configured engine with the configured model (used by other verbs)",
  usage: "--json",
  options: {},
  environment: true,
  async run({ config, out }) {
    const { FEATURE_COUNT, SCHEMA_HASH } = await import("../feature/schema.ts");
    const { loadModels } = await import("../inference/model.ts");
    const { startEngine } = await import("../inference/registry.ts");
    const schema = { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT };
    const [preferred, ...standIns] = await loadModels(config.model, schema);
    const { engine, chosen, model, stepUs, passedOver, modelsPassedOver } = await startEngine({
      device: config.device,
      settings: config.engines,
      model: preferred,
      standIns,
      slotCount: 1,
      maxBatch: 1,
      log: () => {},
    });
    const report: EngineReport = {
      engine: chosen,
      stepUs,
      passedOver,
      modelsPassedOver,
      model: model.card.name,
      version: model.card.version,
      source: model.source,
      onnxSha256: model.card.onnxSha256,
      schemaHash: model.card.schemaHash,
      memoryBytes: engine.memoryBytes(),
    };
    await engine.dispose();
    out.result(report);
    return EXIT.ok;
  },
});
