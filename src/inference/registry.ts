import { DeviceUnavailableError } from "../core/errors.ts";
import { CpuEngine } from "./cpu.ts";
import { ENGINES, type EngineName, type StepEngine } from "./engine.ts";
import { selfTest } from "./self-test.ts";
import { DEFAULT_ENGINE_SETTINGS, type EngineSettings } from "./settings.ts";
import type { StepModel } from "./step-model.ts";
import { TensorRtEngine } from "./tensorrt.ts";
import { WasmEngine } from "./wasm.ts";
import { WebGpuEngine } from "./webgpu.ts";

export const DEVICES = ["auto", ...ENGINES] as const;
export type DeviceName = (typeof DEVICES)[number];

/**
 * Starts one engine.
 *
 * @param automatic the engine was not asked for by name: one that would serve badly may then say no.
 * @throws KeelError when the engine cannot run here or does not take the model.
 */
export type EngineStarter = (
  model: StepModel,
  slotCount: number,
  maxBatch: number,
  settings?: EngineSettings,
  automatic?: boolean,
) => Promise<StepEngine>;

export interface EngineOptions {
  readonly device: DeviceName;
  readonly model: StepModel;
  readonly slotCount: number;
  readonly maxBatch: number;
  /** {@link DEFAULT_ENGINE_SETTINGS} when left out. */
  readonly settings?: EngineSettings;
  /** Takes the one line that says which engine was chosen and why the others were not. */
  readonly log: (line: string) => void;
}

export interface StartedEngine {
  readonly engine: StepEngine;
  readonly chosen: EngineName;
  readonly passedOver: readonly { readonly engine: EngineName; readonly reason: string }[];
}

/** The engines of this build, best first for one small model on one host. */
export const ENGINE_STARTERS: readonly { readonly name: EngineName; readonly start: EngineStarter }[] = [
  {
    name: "cpu",
    start: (model, slotCount, maxBatch, settings) =>
      CpuEngine.start(model, slotCount, maxBatch, settings?.cpuIsa),
  },
  {
    name: "tensorrt",
    start: (model, slotCount, maxBatch, settings = DEFAULT_ENGINE_SETTINGS) =>
      TensorRtEngine.start(model, slotCount, maxBatch, settings),
  },
  {
    name: "webgpu",
    start: (model, slotCount, maxBatch, settings = DEFAULT_ENGINE_SETTINGS, automatic = false) =>
      WebGpuEngine.start(model, slotCount, maxBatch, settings, automatic),
  },
  { name: "wasm", start: (model, slotCount, maxBatch) => WasmEngine.start(model, slotCount, maxBatch) },
];

/**
 * Starts the engine that `device` names, warmed up, with the model's self-test passed.
 *
 * `auto` tries the engines best first, takes the first that works and passes the self-test, and says in one line which it is
 * and why those before it were passed over. A device that was named is the only one tried.
 *
 * @throws DeviceUnavailableError naming what is missing, ModelRefusedError when the engine does not compute the model.
 */
export async function startEngine(options: EngineOptions): Promise<StartedEngine> {
  const { device, model, log } = options;
  const candidates = ENGINE_STARTERS.filter(({ name }) => device === "auto" || name === device);
  const passedOver: { engine: EngineName; reason: string }[] = [];
  for (const { name, start } of candidates) {
    try {
      const engine = await startOne(start, options);
      const others = passedOver.map(({ engine: other, reason }) => `; not ${other}: ${reason}`).join("");
      const why = device === "auto" ? "best that works here" : "as configured";
      log(`engine ${name} (${why}) for model ${model.card.name}${others}`);
      return { engine, chosen: name, passedOver };
    } catch (error) {
      if (device !== "auto" || !(error instanceof Error)) throw error;
      passedOver.push({ engine: name, reason: error.message });
    }
  }
  if (device !== "auto") throw new DeviceUnavailableError(device, "not in this build");
  const reasons = passedOver.map(({ engine, reason }) => `${engine}: ${reason}`).join("; ");
  throw new DeviceUnavailableError("auto", `no engine works here (${reasons})`);
}

async function startOne(start: EngineStarter, options: EngineOptions): Promise<StepEngine> {
  const { model, slotCount, maxBatch, settings, device } = options;
  const engine = await start(model, slotCount, maxBatch, settings, device === "auto");
  try {
    await engine.warmUp();
    await selfTest(engine);
  } catch (error) {
    await engine.dispose();
    throw error;
  }
  return engine;
}
