import { ModelRefusedError } from "../core/errors.ts";
import { InvariantError, invariant } from "../core/invariant.ts";
import type { GpuAdapterEntry } from "../gpu/adapter.ts";
import type { Gpu } from "../gpu/device.ts";
import { GpuLostError } from "../gpu/errors.ts";
import { compileStep } from "./cpu/compile.ts";
import { type DeviceStepEngine, EngineLostError } from "./engine.ts";
import { openTriedGpu } from "./gpu-trial.ts";
import { selfTest } from "./self-test.ts";
import type { EngineSettings } from "./settings.ts";
import type { StepModel } from "./step-model.ts";
import { warmUpSteps } from "./warm-up.ts";
import { DeviceStep, type DeviceStepOptions, type FeatureTarget } from "./wgsl/device-step.ts";
import type { Kernel } from "./wgsl/kernel.ts";

/** Steps run by `warmUp`: the first ones compile and clock the device up. */
const WARM_UP_STEPS = 8;

/** What weights rounded to 16 bits may move a probability by. */
export const HALF_TOLERANCE = 0.001;

/**
 * The whole step as one WGSL kernel: a workgroup for each row, all layers in one dispatch, states on the device. A step is one
 * upload, one submit and one read-back. Asynchronous: it ends when the device has answered.
 */
export class WgslEngine implements DeviceStepEngine {
  readonly name = "wgsl";
  readonly synchronous = false;
  readonly card: StepModel["card"];
  readonly slotCount: number;
  readonly maxBatch: number;
  readonly features: Float32Array<ArrayBuffer>;
  readonly slots: Int32Array;
  readonly probabilities: Float32Array;
  readonly precisionTolerance: number;
  readonly adapter: GpuAdapterEntry;
  readonly gpu: Gpu;
  readonly #step: DeviceStep;
  #busy = false;
  #disposed = false;

  private constructor(model: StepModel, slotCount: number, maxBatch: number, gpu: Gpu, step: DeviceStep) {
    const { card } = model;
    this.card = card;
    this.slotCount = slotCount;
    this.maxBatch = maxBatch;
    this.gpu = gpu;
    this.adapter = { name: gpu.adapter, software: gpu.software };
    this.#step = step;
    this.precisionTolerance = step.kernel.halves.length > 0 ? HALF_TOLERANCE : 0;
    this.features = step.features;
    this.slots = new Int32Array(maxBatch);
    this.probabilities = new Float32Array(maxBatch * card.heads.length);
  }

  /**
   * Large layers' weights are kept in 16 bits where the device has them and the model's self-test still passes, within
   * {@link precisionTolerance}.
   *
   * @param automatic the engine was not asked for by name: a software adapter is then not taken.
   * @throws DeviceUnavailableError when there is no such adapter, or it does not compute, or lacks the memory.
   * @throws ModelRefusedError naming the node that the engine does not have or that does not fit.
   */
  static async start(
    model: StepModel,
    slotCount: number,
    maxBatch: number,
    { gpu: selection }: Pick<EngineSettings, "gpu">,
    automatic = false,
  ): Promise<WgslEngine> {
    const gpu = await openTriedGpu(selection, automatic);
    try {
      return await WgslEngine.onDevice(gpu, model, slotCount, maxBatch);
    } catch (error) {
      gpu.close();
      throw error;
    }
  }

  /**
   * As {@link start} on a device that is open already.
   *
   * @param gpu becomes the engine's to close, unless this throws
   */
  static async onDevice(
    gpu: Gpu,
    model: StepModel,
    slotCount: number,
    maxBatch: number,
    options: DeviceStepOptions = {},
  ): Promise<WgslEngine> {
    invariant(slotCount >= 1 && maxBatch >= 1 && maxBatch <= slotCount, "1 ≤ maxBatch ≤ slotCount");
    const { card } = model;
    const sizes = { featureCount: card.featureCount, headCount: card.heads.length, slotCount, maxBatch };
    const make = async (how: DeviceStepOptions): Promise<WgslEngine> => {
      const step = await DeviceStep.make(gpu, card.name, compileStep(model), sizes, how);
      return new WgslEngine(model, slotCount, maxBatch, gpu, step);
    };
    const engine = await make(options);
    if (engine.kernel.halves.length === 0 || (await engine.#passesSelfTest())) return engine;
    engine.#step.release();
    return make({ ...options, half: false });
  }

  /** What runs: the shader's text and its memory. */
  get kernel(): Kernel {
    return this.#step.kernel;
  }

  /** Where a shader may write the features of the next step; see {@link submitWith}. */
  get featureTarget(): FeatureTarget {
    return this.#step.featureTarget;
  }

  step(): void {
    throw new InvariantError("the wgsl engine is asynchronous: use submit");
  }

  submit(count: number): Promise<void> {
    return this.#submit(count, null);
  }

  /**
   * As `submit`, with the features made on the device: `encode` records, into the same command buffer and before the step, what
   * writes rows of raw features to {@link featureTarget}. Of the host's input only `slots` is read.
   */
  submitWith(count: number, encode: (encoder: GPUCommandEncoder) => void): Promise<void> {
    return this.#submit(count, encode);
  }

  resetSlot(slot: number): void {
    this.#step.rows.reset(slot);
  }

  async warmUp(): Promise<void> {
    await warmUpSteps(this, WARM_UP_STEPS);
    this.#step.rows.resetAll();
  }

  /** Bytes of the arrays here and of the buffers on the device. */
  memoryBytes(): number {
    return this.#step.memoryBytes() + this.slots.byteLength + this.probabilities.byteLength;
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#step.release();
    this.gpu.close();
  }

  async #submit(count: number, encode: ((encoder: GPUCommandEncoder) => void) | null): Promise<void> {
    invariant(!this.#disposed, "the engine is not disposed");
    invariant(!this.#busy, "at most one submit is in flight");
    this.#busy = true;
    try {
      await this.#step.run(this.slots, count, this.probabilities, encode);
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      throw new EngineLostError("wgsl", causeOf(error));
    } finally {
      this.#busy = false;
    }
  }

  async #passesSelfTest(): Promise<boolean> {
    try {
      await selfTest(this);
      return true;
    } catch (error) {
      if (error instanceof ModelRefusedError) return false;
      throw error;
    }
  }
}

function causeOf(error: unknown): string {
  if (error instanceof GpuLostError) return error.reason;
  return error instanceof Error ? error.message : String(error);
}
