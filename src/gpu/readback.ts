import { invariant } from "../core/invariant.ts";
import type { Gpu } from "./device.ts";

/** Brings results from the device to the host through one mappable buffer: one read in flight at a time. */
export class Readback {
  readonly #gpu: Gpu;
  readonly #buffer: GPUBuffer;
  #busy = false;

  constructor(gpu: Gpu, label: string, bytes: number) {
    this.#gpu = gpu;
    this.#buffer = gpu.buffers.take(
      `${label} readback`,
      bytes,
      GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    );
  }

  /** Records the copy of `bytes` (a multiple of 4) of `source`; before the submit. */
  copy(
    encoder: GPUCommandEncoder,
    source: GPUBuffer,
    sourceOffset: number,
    offset: number,
    bytes: number,
  ): void {
    invariant(!this.#busy, "the last read has ended");
    encoder.copyBufferToBuffer(source, sourceOffset, this.#buffer, offset, bytes);
  }

  /**
   * Waits for the submitted copies and lets `take` read the first `bytes`, which are gone when it returns.
   *
   * @throws GpuLostError
   */
  async read(bytes: number, take: (data: ArrayBuffer) => void): Promise<void> {
    invariant(!this.#busy, "at most one read is in flight");
    this.#busy = true;
    try {
      await this.#gpu.whileAlive(this.#buffer.mapAsync(GPUMapMode.READ, 0, bytes));
      take(this.#buffer.getMappedRange(0, bytes));
      this.#buffer.unmap();
    } catch (error) {
      throw this.#gpu.lost ?? error;
    } finally {
      this.#busy = false;
    }
  }

  close(): void {
    this.#gpu.buffers.give(this.#buffer);
  }
}
