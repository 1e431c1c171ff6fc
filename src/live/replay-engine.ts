import { existsSync } from "node:fs";
import { DeviceUnavailableError, ModelRefusedError } from "../core/errors.ts";
import { UNDERLYING_CAPACITY } from "../desk/desk.ts";
import { FEATURE_COUNT, SCHEMA_HASH } from "../feature/schema.ts";
import { ANY_GPU, type GpuSelection } from "../gpu/adapter.ts";
import { SOFTWARE } from "../gpu/software.ts";
import type { CpuIsa } from "../inference/cpu/native-step.ts";
import { cpuIsas } from "../inference/cpu.ts";
import type { EngineName, StepEngine } from "../inference/engine.ts";
import { loadModel } from "../inference/model.ts";
import { startEngine } from "../inference/registry.ts";
import { DEFAULT_ENGINE_SETTINGS } from "../inference/settings.ts";
import type { RunStart } from "../journal/run-start.ts";

export interface ReplayLog {
  info(line: string): void;
  /** Takes why the replayed probabilities may differ from the recorded ones in their last bits. */
  warn(line: string): void;
}

/** The host that a replay runs on. */
export interface ReplayHost {
  /** Taken before the recorded GPU where it names an adapter, and after it where it does not. */
  readonly gpu?: GpuSelection;
  /** The instruction sets there are; a test gives its own. */
  readonly present?: readonly CpuIsa[];
}

/**
 * The engine a journalled run used, with the very model it used and with the instruction set or the GPU it used, where this
 * host has it: only then are the probabilities the same bits. Where it has not, that is told and the best that is here is
 * used.
 *
 * @param device overrides the recorded engine
 * @throws ModelRefusedError when the model found under the recorded name has other contents
 * @throws DeviceUnavailableError when neither the recorded device nor another one of its kind can start
 */
export async function engineForReplay(
  start: RunStart,
  device: EngineName | undefined,
  log: ReplayLog,
  { gpu = ANY_GPU, present }: ReplayHost = {},
): Promise<StepEngine | null> {
  const recorded = start.model;
  if (recorded === null) return null;
  const model = await loadModel(recorded.source, { schemaHash: SCHEMA_HASH, featureCount: FEATURE_COUNT });
  if (model.card.onnxSha256 !== recorded.onnxSha256) {
    throw new ModelRefusedError(
      recorded.name,
      `SHA-256 ${model.card.onnxSha256} in ${recorded.source}`,
      `${recorded.onnxSha256}, with which the run was made`,
    );
  }
  const isas = present ?? (await cpuIsas());
  const best = isas.at(-1);
  const isa = recorded.isa !== null && isas.includes(recorded.isa) ? recorded.isa : best;
  const startOn = async (selection: GpuSelection): Promise<StepEngine> => {
    const { engine } = await startEngine({
      device: device ?? recorded.engine,
      model,
      slotCount: UNDERLYING_CAPACITY,
      maxBatch: UNDERLYING_CAPACITY,
      sweep: true,
      recalibrates: true,
      settings: {
        ...DEFAULT_ENGINE_SETTINGS,
        gpu: selection,
        ...(isa === undefined ? {} : { cpuIsa: isa }),
      },
      log: (line) => log.info(line),
    });
    return engine;
  };
  const used = gpu.adapter === null ? recordedGpu(recorded, gpu.vulkanDir) : null;
  const engine = await startOn(used ?? gpu).catch((error: unknown) => {
    if (used === null || !(error instanceof DeviceUnavailableError)) throw error;
    return startOn(gpu).catch(() => {
      throw error;
    });
  });
  const difference = whyBitsMayDiffer(recorded, engine, isas);
  if (difference !== null) log.warn(`probabilities may differ in their last bits: ${difference}`);
  return engine;
}

/** The GPU that the run used, as this host may have it; null where it used none. @param vulkanDir before the recorded one */
function recordedGpu(
  { adapter }: NonNullable<RunStart["model"]>,
  vulkanDir: string | null,
): GpuSelection | null {
  if (adapter === null) return null;
  const folder = adapter.vulkanDir !== null && existsSync(adapter.vulkanDir) ? adapter.vulkanDir : null;
  return { adapter: adapter.software ? SOFTWARE : adapter.name, vulkanDir: vulkanDir ?? folder };
}

/** Null when the engine computes the recorded bits. */
function whyBitsMayDiffer(
  recorded: NonNullable<RunStart["model"]>,
  engine: StepEngine,
  present: readonly CpuIsa[],
): string | null {
  if (engine.name !== recorded.engine) {
    return `the run was made on the ${recorded.engine} engine and is replayed on ${engine.name}`;
  }
  if (engine.adapter !== undefined && engine.adapter.name !== recorded.adapter?.name) {
    const here = `it is replayed on ${engine.adapter.name}`;
    return recorded.adapter === null
      ? `the journal does not tell the GPU of its run; ${here}`
      : `the run was made on ${recorded.adapter.name}; ${here}`;
  }
  if (engine.isa === undefined || engine.isa === recorded.isa) return null;
  if (recorded.isa === null) {
    return `the journal does not tell the instruction set of its run; it is replayed with ${engine.isa}`;
  }
  return `the run was made with ${recorded.isa}, this host has ${present.join(", ")}; it is replayed with ${engine.isa}`;
}
