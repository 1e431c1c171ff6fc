import { invariant } from "../core/invariant.ts";
import type { Gpu } from "./device.ts";

/**
 * Touches the device with an empty pass whenever nothing was submitted for an interval: a GPU that idles lowers its clocks and
 * answers the next step late, by milliseconds. A software adapter is left alone.
 */
export class KeepAlive {
  readonly #gpu: Gpu;
  readonly #timer: ReturnType<typeof setInterval> | null;
  #seen: number;
  /** Empty passes submitted. */
  touches = 0;

  /** @param intervalMs 0 for none */
  constructor(gpu: Gpu, intervalMs: number, { software = false }: { readonly software?: boolean } = {}) {
    invariant(intervalMs >= 0, "an interval is not negative");
    this.#gpu = gpu;
    this.#seen = gpu.submits;
    if (intervalMs === 0 || (gpu.software && !software)) {
      this.#timer = null;
      return;
    }
    this.#timer = setInterval(() => this.#touch(), intervalMs);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  #touch(): void {
    const { device, submits, lost } = this.#gpu;
    if (lost !== null) {
      this.stop();
      return;
    }
    if (submits !== this.#seen) {
      this.#seen = submits;
      return;
    }
    const encoder = device.createCommandEncoder();
    encoder.beginComputePass().end();
    this.#gpu.submit(encoder.finish());
    this.#seen = this.#gpu.submits;
    this.touches += 1;
  }
}
