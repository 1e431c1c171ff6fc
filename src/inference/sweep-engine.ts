import type { FeatureSource } from "../feature/source.ts";
import { FeatureSweep } from "../feature/sweep.ts";
import { GpuLostError } from "../gpu/errors.ts";
import { type DeviceStepEngine, EngineLostError } from "./engine.ts";
import { EngineAround } from "./engine-around.ts";

/**
 * An engine on a GPU whose features are made there too: events go to {@link featureSource}, and a submit uploads what they
 * changed, sweeps, steps and reads the probabilities back.
 */
export class SweepEngine extends EngineAround {
  readonly #device: DeviceStepEngine;
  readonly #sweep: FeatureSweep;
  #disposed = false;

  /** @throws GpuError, GpuLimitError when the device does not take the sweep. */
  static async around(engine: DeviceStepEngine): Promise<SweepEngine> {
    const { gpu, slotCount, featureTarget } = engine;
    return new SweepEngine(engine, await FeatureSweep.create(gpu, slotCount, featureTarget));
  }

  private constructor(engine: DeviceStepEngine, sweep: FeatureSweep) {
    super(engine);
    this.#device = engine;
    this.#sweep = sweep;
  }

  override get featureSource(): FeatureSource {
    return this.#sweep.source;
  }

  override async submit(count: number): Promise<void> {
    try {
      await this.#device.submitWith(count, (encoder) => this.#sweep.encode(encoder));
    } catch (error) {
      throw error instanceof GpuLostError ? new EngineLostError(this.name, error.reason) : error;
    }
  }

  override memoryBytes(): number {
    return this.inner.memoryBytes() + this.#sweep.bytes;
  }

  override async dispose(): Promise<void> {
    if (!this.#disposed) this.#sweep.close();
    this.#disposed = true;
    await this.inner.dispose();
  }
}
