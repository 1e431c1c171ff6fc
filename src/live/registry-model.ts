import { join } from "node:path";
import type { Config } from "../config.ts";
import type { Clock } from "../core/clock.ts";
import { EXIT, KeelError } from "../core/errors.ts";
import { invariant } from "../core/invariant.ts";
import type { StepEngine } from "../inference/engine.ts";
import { SwitchedEngine } from "../inference/switched-engine.ts";
import { openRegistry, REGISTRY_PREFIX } from "../learn/registry/open.ts";
import type { Registry } from "../learn/registry/registry.ts";

/** What `KEEL_MODEL` stands for. */
export interface ConfiguredModel {
  /** As `loadModels` takes it. */
  readonly source: string | undefined;
  /** The registry that it comes from, and which version it is; null where it does not come from there. */
  readonly registered: { readonly registry: Registry; readonly version: string } | null;
}

/** Folder below the state directory that versions are laid out in; a version that is there and whole stays as it is. */
export const modelFolder = ({ stateDir }: Pick<Config, "stateDir">): string => join(stateDir, "models");

/**
 * Finds the model that is configured. One of the registry is held to its signed entry and laid out in the state directory.
 *
 * @throws KeelError when the registry cannot be trusted or has no such version
 */
export async function configuredModel(config: Config, clock: Clock): Promise<ConfiguredModel> {
  const { model, registry: settings } = config;
  if (model?.startsWith(REGISTRY_PREFIX) !== true) return { source: model, registered: null };
  invariant(settings !== undefined, "a model of the registry comes with one");
  const registry = await openRegistry(settings, () => clock.wallUs() / 1_000, config.stateDir);
  const version = registry.resolve(model.slice(REGISTRY_PREFIX.length));
  const source = await registry.materialise(version, modelFolder(config));
  return { source, registered: { registry, version } };
}

/** An engine whose model can be changed. @throws KeelError where that cannot be done with this one */
export function switchable(engine: StepEngine): SwitchedEngine {
  if (engine.name === "cpu") return new SwitchedEngine(engine);
  throw new KeelError(
    "bad-configuration",
    `KEEL_CHALLENGERS: found the ${engine.name} engine, expected cpu: other engines answer later, and their model cannot be changed between two events`,
    EXIT.badConfiguration,
  );
}
