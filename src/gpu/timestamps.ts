import { invariant } from "../core/invariant.ts";
import type { Gpu } from "./device.ts";

const BYTES = 8;

/**
 * Times passes on the device's own clock, in ns, where the adapter offers it. Use `writes(pass)` as a pass's `timestampWrites`,
 * `resolve` at the end of the command buffer, and `read` after its submit.
 */
export class PassTimer {
  readonly #gpu: Gpu;
  readonly #passes: number;
  readonly #set: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #readback: GPUBuffer;

  /** Null where the adapter has no timestamps. */
  static create(gpu: Gpu, passes: number): PassTimer | null {
    return gpu.capabilities.timestamps ? new PassTimer(gpu, passes) : null;
  }

  private constructor(gpu: Gpu, passes: number) {
    invariant(Number.isInteger(passes) && passes >= 1, "at least one pass is timed");
    this.#gpu = gpu;
    this.#passes = passes;
    this.#set = gpu.device.createQuerySet({ type: "timestamp", count: passes * 2 });
    const bytes = passes * 2 * BYTES;
    this.#resolved = gpu.buffers.take(
      "timestamps",
      bytes,
      GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    );
    this.#readback = gpu.buffers.take(
      "timestamps readback",
      bytes,
      GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    );
  }

  writes(pass: number): GPUComputePassTimestampWrites {
    invariant(pass >= 0 && pass < this.#passes, "0 ≤ pass < passes");
    return { querySet: this.#set, beginningOfPassWriteIndex: pass * 2, endOfPassWriteIndex: pass * 2 + 1 };
  }

  resolve(encoder: GPUCommandEncoder): void {
    encoder.resolveQuerySet(this.#set, 0, this.#passes * 2, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, this.#readback, 0, this.#passes * 2 * BYTES);
  }

  /** Duration of each pass, ns. */
  async read(): Promise<number[]> {
    await this.#gpu.whileAlive(this.#readback.mapAsync(GPUMapMode.READ));
    const times = new BigUint64Array(this.#readback.getMappedRange(0, this.#passes * 2 * BYTES));
    const durations = Array.from({ length: this.#passes }, (_, pass) =>
      Number(times[pass * 2 + 1] - times[pass * 2]),
    );
    this.#readback.unmap();
    return durations;
  }

  close(): void {
    this.#set.destroy();
    this.#gpu.buffers.give(this.#resolved);
    this.#gpu.buffers.give(this.#readback);
  }
}
