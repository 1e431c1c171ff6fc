import { invariant } from "../core/invariant.ts";
import type { GpuDeviceView } from "./error-scope.ts";
import { GpuLimitError } from "./errors.ts";

type SizeLimit = "maxBufferSize" | "maxStorageBufferBindingSize" | "maxUniformBufferBindingSize";

/** Copies and bindings want multiples of this many bytes. */
const ALIGNMENT = 16;

/**
 * Buffers of a device. One that is given back is handed out again to whoever needs that many bytes for the same uses, so that
 * engines that come and go take no more memory than those alive at once. A buffer that is handed out again keeps what it held.
 */
export class BufferPool {
  readonly #view: GpuDeviceView;
  readonly #idle = new Map<string, GPUBuffer[]>();
  readonly #taken = new Set<GPUBuffer>();
  #bytes = 0;

  constructor(view: GpuDeviceView) {
    this.#view = view;
  }

  /** Bytes on the device, those at rest included. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * A buffer of at least `bytes`.
   *
   * @param label for messages
   * @throws GpuLimitError when the adapter allows none of that size.
   */
  take(label: string, bytes: number, usage: GPUBufferUsageFlags): GPUBuffer {
    invariant(Number.isSafeInteger(bytes) && bytes > 0, `buffer ${label}: a positive number of bytes`);
    const size = Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    this.#check(label, size, usage);
    const idle = this.#idle.get(`${usage}:${size}`)?.pop();
    if (idle !== undefined) {
      this.#taken.add(idle);
      return idle;
    }
    const buffer = this.#view.device.createBuffer({ label, size, usage });
    this.#bytes += size;
    this.#taken.add(buffer);
    return buffer;
  }

  /** As {@link BufferPool.take}, filled with `data`. */
  takeWith(label: string, data: ArrayBufferView<ArrayBuffer>, usage: GPUBufferUsageFlags): GPUBuffer {
    const buffer = this.take(label, data.byteLength, usage | GPUBufferUsage.COPY_DST);
    this.#view.device.queue.writeBuffer(buffer, 0, data.buffer, data.byteOffset, data.byteLength);
    return buffer;
  }

  give(buffer: GPUBuffer): void {
    invariant(this.#taken.delete(buffer), "a buffer is given back once, to the pool it came from");
    const key = `${buffer.usage}:${buffer.size}`;
    const idle = this.#idle.get(key);
    if (idle === undefined) this.#idle.set(key, [buffer]);
    else idle.push(buffer);
  }

  #check(label: string, size: number, usage: GPUBufferUsageFlags): void {
    const { limits } = this.#view;
    const names: SizeLimit[] = ["maxBufferSize"];
    if ((usage & GPUBufferUsage.STORAGE) !== 0) names.push("maxStorageBufferBindingSize");
    if ((usage & GPUBufferUsage.UNIFORM) !== 0) names.push("maxUniformBufferBindingSize");
    for (const name of names) {
      if (size > limits[name]) throw new GpuLimitError(`buffer ${label}`, size, name, limits[name]);
    }
  }
}
