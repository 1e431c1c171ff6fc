/**
 * The GPU as the rest of keel uses it: one device a process, shared by everything that computes on it (ONNX Runtime, the
 * feature sweep, the fused step, the option chain), with typed errors, cached pipelines and pooled buffers.
 *
 * @example
 * const gpu = await Gpu.open({ adapter: "software", vulkanDir: null });
 * const pipeline = await gpu.pipelines.compute("probe", shader, "main");
 * const buffer = gpu.buffers.take("seeds", 1024, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST);
 * // … encode, gpu.submit(encoder.finish()) …
 * gpu.close();
 *
 * @module
 */
import { DeviceUnavailableError } from "../core/errors.ts";
import { invariant } from "../core/invariant.ts";
import { type ChosenAdapter, chooseAdapter, type GpuSelection } from "./adapter.ts";
import { BufferPool } from "./buffer-pool.ts";
import { installNavigatorGpu, pinGpuObject } from "./dawn.ts";
import { type GpuDeviceView, scoped } from "./error-scope.ts";
import { GpuLostError } from "./errors.ts";
import { KeepAlive } from "./keep-alive.ts";
import { PipelineCache } from "./pipeline-cache.ts";

/** Features that are asked for wherever the adapter offers them; what uses them must do without. */
const FEATURES = ["shader-f16", "subgroups", "timestamp-query"] as const;

/** Limits that are raised to what the adapter offers. */
const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxUniformBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupSizeZ",
  "maxComputeWorkgroupsPerDimension",
] as const;

/** A language feature of WGSL: `dot4I8Packed` and its like. */
const PACKED_DOT = "packed_4x8_integer_dot_product";

/** What the device can do, as the adapter tells it. */
export interface GpuCapabilities {
  /** `enable f16` may stand in a shader. */
  readonly f16: boolean;
  /** `enable subgroups` may stand in a shader. */
  readonly subgroups: boolean;
  /** Smallest and largest subgroup; 0 where the adapter does not tell. */
  readonly subgroupMinSize: number;
  readonly subgroupMaxSize: number;
  readonly timestamps: boolean;
  /** `dot4I8Packed`, `dot4U8Packed` and the packing functions are there. */
  readonly packedDot: boolean;
}

export interface GpuOpenOptions {
  /** Nobody asked for a GPU by name: a software adapter is then refused. */
  readonly automatic?: boolean;
}

interface OpenEntry {
  readonly gpu: Promise<Gpu>;
  holders: number;
}

/** The open device of each selection, and how many hold it. */
const open = new Map<string, OpenEntry>();

const keyOf = ({ adapter, vulkanDir }: GpuSelection): string => JSON.stringify([adapter, vulkanDir]);

export class Gpu implements GpuDeviceView {
  readonly device: GPUDevice;
  /** As the driver gives it. */
  readonly adapter: string;
  /** The adapter computes on the CPU: its times say nothing of a GPU. */
  readonly software: boolean;
  /** The driver's name and version as Dawn gives them. */
  readonly driver: string;
  readonly limits: GPUSupportedLimits;
  readonly capabilities: GpuCapabilities;
  readonly pipelines: PipelineCache;
  readonly buffers: BufferPool;
  /** Rejects with {@link GpuLostError} when the device is gone, and never resolves. To wait for something else, see {@link whileAlive}. */
  readonly loss: Promise<never>;
  readonly #key: string;
  readonly #keepAlive: KeepAlive;
  #entry: OpenEntry | null = null;
  /** Ends of what is awaited from the device. */
  readonly #waiting = new Set<(cause: GpuLostError) => void>();
  #lost: GpuLostError | null = null;
  #submits = 0;

  private constructor(chosen: ChosenAdapter, device: GPUDevice, key: string, keepAliveMs: number) {
    const { adapter, gpu } = chosen;
    const { info } = adapter;
    this.device = device;
    this.adapter = chosen.name;
    this.software = chosen.software;
    this.driver = info.description;
    this.limits = device.limits;
    this.capabilities = {
      f16: device.features.has("shader-f16"),
      subgroups: device.features.has("subgroups"),
      subgroupMinSize: info.subgroupMinSize ?? 0,
      subgroupMaxSize: info.subgroupMaxSize ?? 0,
      timestamps: device.features.has("timestamp-query"),
      packedDot: gpu.wgslLanguageFeatures.has(PACKED_DOT),
    };
    this.pipelines = new PipelineCache(this);
    this.buffers = new BufferPool(this);
    this.#key = key;
    this.loss = new Promise((_, reject) => {
      const lose = (cause: string): void => {
        this.#lost ??= new GpuLostError(cause);
        this.#forget();
        reject(this.#lost);
        for (const end of this.#waiting) end(this.#lost);
        this.#waiting.clear();
      };
      void device.lost.then(({ reason, message }) => lose(message === "" ? reason : message));
      // After an error that nobody asked about, nothing the device computes means anything.
      device.addEventListener("uncapturederror", ({ error }) => lose(error.message));
    });
    this.loss.catch(() => {});
    this.#keepAlive = new KeepAlive(this, keepAliveMs);
  }

  /**
   * The process's device on the selected adapter; the same one for everybody who asks while it lives. Every `open` needs a
   * {@link Gpu.close}. After a loss the next `open` makes a new one.
   *
   * @throws DeviceUnavailableError that says what is missing.
   */
  static async open(selection: GpuSelection, { automatic = false }: GpuOpenOptions = {}): Promise<Gpu> {
    const key = keyOf(selection);
    let entry = open.get(key);
    if (entry === undefined) {
      entry = { gpu: Gpu.#create(selection, key), holders: 0 };
      open.set(key, entry);
    }
    entry.holders += 1;
    let gpu: Gpu;
    try {
      gpu = await entry.gpu;
    } catch (error) {
      if (open.get(key) === entry) open.delete(key);
      throw error;
    }
    gpu.#entry = entry;
    if (automatic && gpu.software) {
      gpu.close();
      throw new DeviceUnavailableError(
        "webgpu",
        `${gpu.adapter} is a software adapter, used only when asked for`,
      );
    }
    return gpu;
  }

  static async #create(selection: GpuSelection, key: string): Promise<Gpu> {
    const chosen = await chooseAdapter(selection);
    const { adapter, name, gpu } = chosen;
    installNavigatorGpu(gpu);
    const requiredFeatures = FEATURES.filter((feature) => adapter.features.has(feature));
    const requiredLimits = Object.fromEntries(LIMITS.map((limit) => [limit, adapter.limits[limit]]));
    let device: GPUDevice;
    try {
      device = await adapter.requestDevice({ requiredFeatures, requiredLimits });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new DeviceUnavailableError("webgpu", `${name} gives no device: ${reason}`);
    }
    pinGpuObject(device);
    return new Gpu(chosen, device, key, selection.keepAliveMs ?? 0);
  }

  get lost(): GpuLostError | null {
    return this.#lost;
  }

  /** Submits so far, so that a keep-alive knows whether the device was idle. */
  get submits(): number {
    return this.#submits;
  }

  /**
   * What `work` gives, unless the device is lost before: to be awaited at every step. A race with {@link loss} would leave a
   * reaction on that promise each time, which is only freed with the device.
   *
   * @throws GpuLostError
   */
  whileAlive<T>(work: Promise<T>): Promise<T> {
    if (this.#lost !== null) {
      work.catch(() => {});
      return Promise.reject(this.#lost);
    }
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject);
      work.then(resolve, reject).finally(() => this.#waiting.delete(reject));
    });
  }

  /** @throws GpuLostError */
  submit(commands: GPUCommandBuffer): void {
    if (this.#lost !== null) throw this.#lost;
    this.#submits += 1;
    this.device.queue.submit([commands]);
  }

  /**
   * Runs `work`, which asks the device for something, and waits for the device's verdict.
   *
   * @param what the operation, for the message
   * @throws GpuError when the device refuses it.
   */
  scoped<T>(what: string, work: () => T): Promise<T> {
    return scoped(this.device, what, work);
  }

  /** Gives back one {@link Gpu.open}; the last one destroys the device and everything on it. */
  close(): void {
    const entry = this.#entry;
    invariant(entry !== null && entry.holders > 0, "a device is closed as often as it was opened");
    entry.holders -= 1;
    if (entry.holders > 0) return;
    this.#keepAlive.stop();
    this.#forget();
    this.pipelines.clear();
    this.device.destroy();
  }

  /** The next who opens it gets another one. */
  #forget(): void {
    if (this.#entry !== null && open.get(this.#key) === this.#entry) open.delete(this.#key);
  }
}
