import type { FeatureSource } from "../feature/source.ts";
import type { GpuAdapterEntry } from "../gpu/adapter.ts";
import type { Gpu } from "../gpu/device.ts";
import type { Calibration } from "./calibration.ts";
import type { ModelCard } from "./card.ts";
import type { CpuIsa } from "./cpu/native-step.ts";
import type { FeatureTarget } from "./wgsl/device-step.ts";

export const ENGINES = ["cpu", "wasm", "wgsl", "webgpu", "tensorrt"] as const;
export type EngineName = (typeof ENGINES)[number];

/** What a configuration may ask for: an engine by name, the fastest of all, or the fastest that uses a GPU over Vulkan. */
export const DEVICES = ["auto", "gpu", ...ENGINES] as const;
export type DeviceName = (typeof DEVICES)[number];

/**
 * A loaded step model with one recurrent state per instrument slot, held by the engine.
 *
 * Use: write `count` rows of `features` and `slots`, then `step` (synchronous engines) or `submit` (all engines); when it
 * returns or its promise resolves, `probabilities` holds `count` rows and the slots' states have advanced by one event. A row
 * holds the raw features in schema order; normalisation and clipping are part of the model. At most one submit is in
 * flight; the input rows may be overwritten as soon as `submit` has returned.
 */
export interface StepEngine {
  readonly name: EngineName;
  readonly card: ModelCard;
  /** Instruction set that the arithmetic uses, where the last bits of the probabilities depend on it. */
  readonly isa?: CpuIsa;
  /** What computes, where that is a GPU over Vulkan. */
  readonly adapter?: GpuAdapterEntry;
  /** Probabilities may differ from the card's self-test by this where it is more than the card allows; 0 when left out. */
  readonly precisionTolerance?: number;
  /** Recalibration of each slot, where the engine has one; it outlives the engine when the next one is started with it. */
  readonly calibration?: Calibration | undefined;
  /** Makes the features of the engine's rows on its device; they are then not to be written to {@link features}. */
  readonly featureSource?: FeatureSource | undefined;
  readonly slotCount: number;
  readonly maxBatch: number;
  /** True when `step` is available: the result is there in the same turn. */
  readonly synchronous: boolean;
  /** `[maxBatch, F]`, row-major. */
  readonly features: Float32Array;
  /** `[maxBatch]`: which slot each row advances. No slot twice in one batch. */
  readonly slots: Int32Array;
  /** `[maxBatch, K]`, row-major, calibrated. */
  readonly probabilities: Float32Array;
  /**
   * @throws InvariantError on an engine that is not synchronous.
   * @throws EngineLostError as {@link submit}.
   */
  step(count: number): void;
  /** Does what a step has left for when its answer's consequences have left; what is not asked for is done before it is needed. */
  settle?(): void;
  /** Rejects with EngineLostError when the device is gone; the slots' states are then undefined until reset. */
  submit(count: number): Promise<void>;
  /** Sets the slot's state to the model's initial state. */
  resetSlot(slot: number): void;
  /** Runs throw-away steps until timings settle; leaves all slots reset. */
  warmUp(): Promise<void>;
  memoryBytes(): number;
  dispose(): Promise<void>;
}

/** An engine on a GPU that can step on features which another shader writes there. */
export interface DeviceStepEngine extends StepEngine {
  readonly gpu: Gpu;
  /** Where that shader writes `[maxBatch, F]` raw features. */
  readonly featureTarget: FeatureTarget;
  /**
   * As `submit`, with the features made on the device: `encode` records, before the step, what writes them. Of the host's input
   * only `slots` is read.
   */
  submitWith(count: number, encode: (encoder: GPUCommandEncoder) => void): Promise<void>;
}

export const takesDeviceFeatures = (engine: StepEngine): engine is DeviceStepEngine => "submitWith" in engine;

/** The device went away during operation. The desk goes defensive and the engine is started again. */
export class EngineLostError extends Error {
  constructor(engine: EngineName, cause: string) {
    super(`${engine}: device lost: ${cause}`);
    this.name = "EngineLostError";
  }
}
