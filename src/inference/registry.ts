import { DeviceUnavailableError, ModelRefusedError } from "../core/errors.ts";
import { CalibratedEngine, type Calibration, statesCalibration } from "./calibration.ts";
import { CpuEngine } from "./cpu.ts";
import { ENGINES, type EngineName, type StepEngine } from "./engine.ts";
import { chooseEngine, type PassedOver, shownUs } from "./engine-choice.ts";
import { selfTest } from "./self-test.ts";
import { DEFAULT_ENGINE_SETTINGS, type EngineSettings } from "./settings.ts";
import type { StepModel } from "./step-model.ts";
import { TensorRtEngine } from "./tensorrt.ts";
import { WasmEngine } from "./wasm.ts";
import { WebGpuEngine } from "./webgpu.ts";
import { WindowedEngine } from "./windowed.ts";

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
  /** Recalibration that goes on, when an engine of this model is started again; the card's when left out. */
  readonly calibration?: Calibration | undefined;
  /** Takes the one line that says which engine was chosen and why the others were not. */
  readonly log: (line: string) => void;
}

export interface StartedEngine {
  readonly engine: StepEngine;
  readonly chosen: EngineName;
  /** Median time of a step at batch 1, µs, where engines were compared; null for a device that was named. */
  readonly stepUs: number | null;
  readonly passedOver: readonly PassedOver[];
}

/** Refuses windowed models for an engine that only steps. */
const stepsOnly =
  (name: EngineName, start: EngineStarter): EngineStarter =>
  async (model, ...rest) => {
    if (model.card.window === undefined) return start(model, ...rest);
    throw new ModelRefusedError(
      model.card.name,
      `a windowed model, which the ${name} engine does not run`,
      "a step model, or the wasm engine",
    );
  };

/** The engines of this build, best first for one small model on one host. */
export const ENGINE_STARTERS: readonly { readonly name: EngineName; readonly start: EngineStarter }[] = [
  {
    name: "cpu",
    start: stepsOnly("cpu", (model, slotCount, maxBatch, settings) =>
      CpuEngine.start(model, slotCount, maxBatch, settings?.cpuIsa),
    ),
  },
  {
    name: "tensorrt",
    start: stepsOnly("tensorrt", (model, slotCount, maxBatch, settings = DEFAULT_ENGINE_SETTINGS) =>
      TensorRtEngine.start(model, slotCount, maxBatch, settings),
    ),
  },
  {
    name: "webgpu",
    start: stepsOnly(
      "webgpu",
      (model, slotCount, maxBatch, settings = DEFAULT_ENGINE_SETTINGS, automatic = false) =>
        WebGpuEngine.start(model, slotCount, maxBatch, settings, automatic),
    ),
  },
  {
    name: "wasm",
    start: (model, slotCount, maxBatch) =>
      model.card.window === undefined
        ? WasmEngine.start(model, slotCount, maxBatch)
        : WindowedEngine.start(model, slotCount, maxBatch),
  },
];

/**
 * Starts the engine that `device` names, warmed up, with the model's self-test passed.
 *
 * `auto` takes the engine on which a step of this model is fastest here, by a short measurement, and says in one line which
 * it is and why the others were passed over. A device that was named is the only one tried.
 *
 * @throws DeviceUnavailableError naming what is missing, ModelRefusedError when the engine does not compute the model.
 */
export async function startEngine(options: EngineOptions): Promise<StartedEngine> {
  const { device, model, log } = options;
  const starters = new Map(ENGINE_STARTERS.map(({ name, start }) => [name, () => startOne(start, options)]));
  if (device !== "auto") {
    const start = starters.get(device);
    if (start === undefined) throw new DeviceUnavailableError(device, "not in this build");
    const engine = await start();
    log(`engine ${device} (as configured) for model ${model.card.name}`);
    return { engine: calibrated(engine, options), chosen: device, stepUs: null, passedOver: [] };
  }
  const choice = await chooseEngine(starters);
  if (!("engine" in choice)) {
    const reasons = choice.map(({ engine, reason }) => `${engine}: ${reason}`).join("; ");
    throw new DeviceUnavailableError("auto", `no engine works here (${reasons})`);
  }
  const { engine, stepUs, passedOver } = choice;
  const others = passedOver.map((other) => `; not ${other.engine}: ${other.reason}`).join("");
  log(
    `engine ${engine.name} (fastest here, ${shownUs(stepUs)} a step) for model ${model.card.name}${others}`,
  );
  return { engine: calibrated(engine, options), chosen: engine.name, stepUs, passedOver };
}

const calibrated = (engine: StepEngine, { calibration }: EngineOptions): StepEngine =>
  calibration !== undefined || statesCalibration(engine.card)
    ? new CalibratedEngine(engine, calibration)
    : engine;

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
