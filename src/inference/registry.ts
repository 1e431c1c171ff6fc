import { DeviceUnavailableError, ModelRefusedError } from "../core/errors.ts";
import { invariant } from "../core/invariant.ts";
import { CalibratedEngine, type Calibration, statesCalibration } from "./calibration.ts";
import { CpuEngine } from "./cpu.ts";
import { type DeviceName, ENGINES, type EngineName, type StepEngine, takesDeviceFeatures } from "./engine.ts";
import { type Choice, chooseEngine, FLOOR_US, type PassedOver, shownUs, timed } from "./engine-choice.ts";
import { chooseModel, type ModelPassedOver } from "./model-choice.ts";
import { selfTest } from "./self-test.ts";
import { DEFAULT_ENGINE_SETTINGS, type EngineSettings } from "./settings.ts";
import type { StepModel } from "./step-model.ts";
import { SweepEngine } from "./sweep-engine.ts";
import { TensorRtEngine } from "./tensorrt.ts";
import { WasmEngine } from "./wasm.ts";
import { WebGpuEngine } from "./webgpu.ts";
import { WgslEngine } from "./wgsl.ts";
import { WindowedEngine } from "./windowed.ts";

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
  /** Models that may be used in place of `model` where they are much faster; none when left out. */
  readonly standIns?: readonly StepModel[];
  readonly slotCount: number;
  readonly maxBatch: number;
  /** {@link DEFAULT_ENGINE_SETTINGS} when left out. */
  readonly settings?: EngineSettings;
  /** Recalibration that goes on, when an engine of this model is started again; the card's when left out. */
  readonly calibration?: Calibration | undefined;
  /** The engine has a calibration that can be changed, also where the card states none. */
  readonly recalibrates?: boolean;
  /** An engine on a GPU makes its features there, by its `featureSource`, instead of taking them from the host. */
  readonly sweep?: boolean;
  /** Takes the one line that says which engine was chosen and why the others were not. */
  readonly log: (line: string) => void;
}

export interface StartedEngine {
  readonly engine: StepEngine;
  readonly chosen: EngineName;
  /** The model that the engine runs. */
  readonly model: StepModel;
  /** Median time of a step at batch 1, µs, where engines or models were compared; null otherwise. */
  readonly stepUs: number | null;
  /** Engines that were not taken. */
  readonly passedOver: readonly PassedOver[];
  /** Models that were not taken. */
  readonly modelsPassedOver: readonly ModelPassedOver[];
}

/** Devices that stand for several engines, of which the fastest is taken. */
const GROUPS: Partial<Record<DeviceName, { readonly engines: readonly EngineName[]; readonly how: string }>> =
  {
    auto: { engines: ENGINES, how: "fastest here" },
    gpu: { engines: ["wgsl", "webgpu"], how: "fastest on this GPU" },
  };

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
    name: "wgsl",
    start: stepsOnly(
      "wgsl",
      (model, slotCount, maxBatch, settings = DEFAULT_ENGINE_SETTINGS, automatic = false) =>
        WgslEngine.start(model, slotCount, maxBatch, settings, automatic),
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
 * it is and why the others were passed over; `gpu` does so for keel's own kernel (wgsl) and ONNX Runtime's (webgpu). Any other
 * device is one engine, the only one tried. Where there are stand-ins for the model, one that is much faster is taken in its place, and
 * the line says so.
 *
 * @throws DeviceUnavailableError naming what is missing, ModelRefusedError when the engine does not compute the model.
 */
export async function startEngine(options: EngineOptions): Promise<StartedEngine> {
  const { device, model, standIns = [], log } = options;
  if (GROUPS[device] === undefined && standIns.length === 0) {
    const engine = await startNamed(device, options);
    log(`engine ${device} (as configured) for model ${model.card.name}`);
    const nothing = { stepUs: null, passedOver: [], modelsPassedOver: [] };
    return {
      engine: calibrated(await swept(engine, options), options),
      chosen: engine.name,
      model,
      ...nothing,
    };
  }
  const choice = await chooseModel(
    [model, ...standIns].map((each) => ({
      name: each.card.name,
      choose: () => chooseFor({ ...options, model: each }),
    })),
  );
  const { engine, stepUs, passedOver } = choice.best;
  const chosen =
    choice.name === model.card.name ? model : standIns.find(({ card }) => card.name === choice.name);
  invariant(chosen !== undefined, "the chosen model is one of those that were given");
  const how = GROUPS[device]?.how ?? "as configured";
  const notEngines = passedOver.map((other) => `; not ${other.engine}: ${other.reason}`);
  const notModels = choice.passedOver.map((other) => `; not model ${other.model}: ${other.reason}`);
  log(
    `engine ${engine.name} (${how}, ${shownUs(stepUs)} a step) for model ${choice.name}${notModels.join("")}${notEngines.join("")}`,
  );
  return {
    engine: calibrated(await swept(engine, options), options),
    chosen: engine.name,
    model: chosen,
    stepUs,
    passedOver,
    modelsPassedOver: choice.passedOver,
  };
}

/** @throws DeviceUnavailableError when the engine is not there, or with `auto` none is; KeelError as the engine's start. */
async function chooseFor(options: EngineOptions): Promise<Choice> {
  const { device } = options;
  const group = GROUPS[device];
  if (group === undefined) return { ...(await timed(() => startNamed(device, options))), passedOver: [] };
  let failure: unknown;
  const starters = ENGINE_STARTERS.filter(({ name }) => group.engines.includes(name)).map(
    ({ name, start }) =>
      [
        name,
        () =>
          startOne(start, options).catch((error: unknown) => {
            failure = error;
            throw error;
          }),
      ] as const,
  );
  const choice = await chooseEngine(new Map(starters), floorUs);
  if ("engine" in choice) return choice;
  if (device !== "auto") throw failure;
  const reasons = choice.map(({ engine, reason }) => `${engine}: ${reason}`).join("; ");
  throw new DeviceUnavailableError("auto", `no engine works here (${reasons})`);
}

/** ONNX Runtime dispatches every node, which costs a software adapter milliseconds, and it takes long to start there. */
const SOFTWARE_RUNTIME_US = 2_000;

function floorUs(name: EngineName, best: StepEngine): number {
  const inSoftware = name === "webgpu" && best instanceof WgslEngine && best.gpu.software;
  return inSoftware ? SOFTWARE_RUNTIME_US : FLOOR_US[name];
}

async function startNamed(device: DeviceName, options: EngineOptions): Promise<StepEngine> {
  const starter = ENGINE_STARTERS.find(({ name }) => name === device);
  if (starter === undefined) throw new DeviceUnavailableError(device, "not in this build");
  return startOne(starter.start, options);
}

const calibrated = (engine: StepEngine, { calibration, recalibrates = false }: EngineOptions): StepEngine =>
  calibration !== undefined || recalibrates || statesCalibration(engine.card)
    ? new CalibratedEngine(engine, calibration)
    : engine;

async function swept(engine: StepEngine, { sweep = false }: EngineOptions): Promise<StepEngine> {
  if (!sweep || !takesDeviceFeatures(engine)) return engine;
  try {
    return await SweepEngine.around(engine);
  } catch (error) {
    await engine.dispose();
    throw error;
  }
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
