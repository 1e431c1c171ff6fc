import type { Config } from "../config.ts";
import { loadNative } from "../core/native.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../feature/schema.ts";
import { loadModels } from "../inference/model.ts";
import { startEngine } from "../inference/registry.ts";

/**
 * Starts the configured model as a desk does, with the native decoders loaded.
 *
 * @throws KeelError naming what is missing
 */
export async function startBenchEngine({
  device,
  config,
  slots,
  log,
}: {
  readonly device: Config["device"];
  readonly config: Config;
  /** Underlyings, all of which may step at once. */
  readonly slots: number;
  readonly log: (line: string) => void;
}): ReturnType<typeof startEngine> {
  const schema = { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT };
  const [model, ...standIns] = await loadModels(config.model, schema);
  await loadNative();
  const { engines: settings } = config;
  return await startEngine({ device, settings, model, standIns, slotCount: slots, maxBatch: slots, log });
}
