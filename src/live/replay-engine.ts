import { ModelRefusedError } from "../core/errors.ts";
import { UNDERLYING_CAPACITY } from "../desk/desk.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../feature/schema.ts";
import type { EngineName, StepEngine } from "../inference/engine.ts";
import { loadModel } from "../inference/model.ts";
import { startEngine } from "../inference/registry.ts";
import type { RunStart } from "../journal/run-start.ts";

/**
 * The engine a journalled run used, with the very model it used.
 *
 * @param device overrides the recorded engine
 * @throws ModelRefusedError when the model found under the recorded name has other contents
 */
export async function engineForReplay(
  start: RunStart,
  device: EngineName | undefined,
  log: (line: string) => void,
): Promise<StepEngine | null> {
  if (start.model === null) return null;
  const model = await loadModel(start.model.source, { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT });
  if (model.card.onnxSha256 !== start.model.onnxSha256) {
    throw new ModelRefusedError(
      start.model.name,
      `SHA-256 ${model.card.onnxSha256} in ${start.model.source}`,
      `${start.model.onnxSha256}, with which the run was made`,
    );
  }
  const { engine } = await startEngine({
    device: device ?? start.model.engine,
    model,
    slotCount: UNDERLYING_CAPACITY,
    maxBatch: UNDERLYING_CAPACITY,
    log,
  });
  return engine;
}
