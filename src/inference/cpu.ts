import { DeviceUnavailableError } from "../core/errors.ts";
import { invariant } from "../core/invariant.ts";
import { loadNative } from "../core/native.ts";
import { compileStep } from "./cpu/compile.ts";
import { CPU_ISAS, type CpuIsa, NativeStep } from "./cpu/native-step.ts";
import type { StepEngine } from "./engine.ts";
import type { StepModel } from "./step-model.ts";
import { warmUpSteps } from "./warm-up.ts";

/** Steps run by `warmUp`: enough to bring weights and code into the caches. */
const WARM_UP_STEPS = 256;

/** The instruction sets that this host and the native library both have, worst first; empty where there is no native library. */
export async function cpuIsas(): Promise<CpuIsa[]> {
  const native = await loadNative();
  if (native.functions === null) return [];
  const mask = native.functions.keel_isa_mask();
  return CPU_ISAS.filter((_, index) => ((mask >> index) & 1) === 1);
}

/**
 * The engine for one small model on one core: the model's graph compiled to a step program that native kernels run in one
 * call. Synchronous; a step allocates nothing.
 */
export class CpuEngine implements StepEngine {
  readonly name = "cpu";
  readonly synchronous = true;
  readonly card: StepModel["card"];
  readonly slotCount: number;
  readonly maxBatch: number;
  readonly isa: CpuIsa;
  readonly features: Float32Array;
  readonly slots: Int32Array;
  readonly probabilities: Float32Array;
  readonly #step: NativeStep;
  #disposed = false;

  private constructor(
    card: StepModel["card"],
    slotCount: number,
    maxBatch: number,
    isa: CpuIsa,
    step: NativeStep,
  ) {
    this.card = card;
    this.slotCount = slotCount;
    this.maxBatch = maxBatch;
    this.isa = isa;
    this.features = step.features;
    this.slots = step.slots;
    this.probabilities = step.probabilities;
    this.#step = step;
  }

  /**
   * @param isa the instruction set to use; the best of the host when left out.
   * @throws DeviceUnavailableError when there is no native library or the host lacks the instruction set.
   * @throws ModelRefusedError naming the node that the engine does not have or that does not fit.
   */
  static async start(
    model: StepModel,
    slotCount: number,
    maxBatch: number,
    isa?: CpuIsa,
  ): Promise<CpuEngine> {
    invariant(slotCount >= 1 && maxBatch >= 1 && maxBatch <= slotCount, "1 ≤ maxBatch ≤ slotCount");
    const native = await loadNative();
    if (native.functions === null) throw new DeviceUnavailableError("cpu", native.missing);
    const present = await cpuIsas();
    const chosen = isa ?? present[present.length - 1];
    if (chosen === undefined || !present.includes(chosen)) {
      throw new DeviceUnavailableError("cpu", `this host has no ${chosen}, only ${present.join(", ")}`);
    }
    const { card } = model;
    const sizes = { featureCount: card.featureCount, headCount: card.heads.length, slotCount, maxBatch };
    const step = new NativeStep(native.functions, chosen, compileStep(model, { shiftInPlace: true }), sizes);
    return new CpuEngine(card, slotCount, maxBatch, chosen, step);
  }

  step(count: number): void {
    invariant(!this.#disposed, "the engine is not disposed");
    this.#step.run(count);
  }

  async submit(count: number): Promise<void> {
    this.step(count);
  }

  resetSlot(slot: number): void {
    invariant(Number.isInteger(slot) && slot >= 0 && slot < this.slotCount, "0 ≤ slot < slotCount");
    this.#step.resetSlot(slot);
  }

  async warmUp(): Promise<void> {
    await warmUpSteps(this, WARM_UP_STEPS);
    for (let slot = 0; slot < this.slotCount; slot += 1) this.resetSlot(slot);
  }

  memoryBytes(): number {
    return this.#step.memoryBytes();
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
  }
}
