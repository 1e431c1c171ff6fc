import type { Config } from "../config.ts";
import { EXIT } from "../core/errors.ts";
import type { ConfiguredModel } from "../live/registry-model.ts";
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
    const { mkdtempSync, rmSync } = await import("node:fs");
    const { tmpdir } = await import("node:os");
    const { join } = await import("node:path");
    const folder = mkdtempSync(join(tmpdir(), "keel-check-engine-"));
    try {
      out.result(await check(config, await modelOf(config, folder)));
    } finally {
      rmSync(folder, { recursive: true });
    }
    return EXIT.ok;
  },
});

async function check(config: Config, { source, registered }: ConfiguredModel): Promise<EngineReport> {
  const { FEATURE_COUNT, SCHEMA_HASH } = await import("../feature/schema.ts");
  const { loadModels } = await import("../inference/model.ts");
  const { startEngine } = await import("../inference/registry.ts");
  const schema = { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT };
  const [preferred, ...standIns] = await loadModels(source, schema);
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
    source: registered === null ? model.source : `${config.model}, ${registered.version}`,
    onnxSha256: model.card.onnxSha256,
    schemaHash: model.card.schemaHash,
    memoryBytes: engine.memoryBytes(),
  };
  await engine.dispose();
  return report;
}

/**
 * The model that is configured. One of the registry is held against what this host has seen of its history, and laid out in `folder`: the
 * state directory may be that of a desk that runs as another user, and nothing is written there.
 */
async function modelOf(config: Config, folder: string): Promise<ConfiguredModel> {
  const { copyFileSync, existsSync } = await import("node:fs");
  const { join } = await import("node:path");
  const { systemClock } = await import("../core/clock.ts");
  const { SEEN_FILE } = await import("../learn/registry/seen-history.ts");
  const { configuredModel } = await import("../live/registry-model.ts");
  const seen = join(config.stateDir, SEEN_FILE);
  if (existsSync(seen)) copyFileSync(seen, join(folder, SEEN_FILE));
  return await configuredModel({ ...config, stateDir: folder }, systemClock);
}
