import { DeviceUnavailableError } from "../../core/errors.ts";
import { invariant } from "../../core/invariant.ts";
import type { Gpu } from "../../gpu/device.ts";
import { Readback } from "../../gpu/readback.ts";
import type { CompiledStep } from "../cpu/compile.ts";
import type { StepSizes } from "../cpu/native-step.ts";
import { SlotRows } from "../slot-rows.ts";
import { BINDING } from "./emitter.ts";
import { generateKernel, type Kernel, WIDE_WORK, workgroupSizeFor } from "./kernel.ts";

/** A software adapter runs the invocations of a workgroup one after another and pays for every barrier of each. */
const SOFTWARE_WORKGROUP = 16;

export interface DeviceStepOptions {
  /** Whether weights are kept in 16 bits where the device has them; yes when left out. */
  readonly half?: boolean;
  /** A power of two within the device's limits; the one that suits it when left out. */
  readonly workgroupSize?: number;
  /** {@link WIDE_WORK} when left out. */
  readonly wideWork?: number;
  /** Bytes that a workgroup may share; the device's limit when left out. */
  readonly workgroupBytes?: number;
  /** Whether packed bytes are multiplied by the device's instruction where it has one; yes when left out. */
  readonly packedDot?: boolean;
}

/** Where another shader writes features, so that they need not pass through the host. */
export interface FeatureTarget {
  readonly buffer: GPUBuffer;
  /** Bytes before `[maxBatch, F]` f32; a multiple of 256. */
  readonly offset: number;
}

/** A step program on a device: its kernel, its buffers, the slots' states. */
export class DeviceStep {
  readonly kernel: Kernel;
  readonly features: Float32Array<ArrayBuffer>;
  readonly rows: SlotRows;
  readonly featureTarget: FeatureTarget;
  readonly #gpu: Gpu;
  readonly #sizes: StepSizes;
  /** The input as the device has it: the rows' slots, then the features. */
  readonly #input: Uint32Array<ArrayBuffer>;
  readonly #buffers: Buffers;
  readonly #dispatches: readonly Dispatch[];
  readonly #readback: Readback;

  private constructor(
    gpu: Gpu,
    kernel: Kernel,
    sizes: StepSizes,
    buffers: Buffers,
    dispatches: readonly Dispatch[],
  ) {
    const { featureCount, headCount, slotCount, maxBatch } = sizes;
    this.kernel = kernel;
    this.#gpu = gpu;
    this.#sizes = sizes;
    this.#input = new Uint32Array(kernel.featuresAt + maxBatch * featureCount);
    this.features = new Float32Array(this.#input.buffer, kernel.featuresAt * 4);
    this.rows = new SlotRows(slotCount, this.#input.subarray(0, maxBatch));
    this.#buffers = buffers;
    this.#dispatches = dispatches;
    this.featureTarget = { buffer: buffers.input, offset: kernel.featuresAt * 4 };
    this.#readback = new Readback(gpu, "step", maxBatch * headCount * 4);
  }

  /**
   * @param name of the model, for messages
   * @throws DeviceUnavailableError when the device lacks the memory, GpuError when it refuses the kernel.
   */
  static async make(
    gpu: Gpu,
    name: string,
    compiled: CompiledStep,
    sizes: StepSizes,
    options: DeviceStepOptions = {},
  ): Promise<DeviceStep> {
    const rowsMax = gpu.limits.maxComputeWorkgroupsPerDimension;
    if (sizes.maxBatch > rowsMax) {
      throw new DeviceUnavailableError("wgsl", `batches of ${sizes.maxBatch}, the device allows ${rowsMax}`);
    }
    const { half = true, packedDot = true, wideWork = WIDE_WORK } = options;
    const suited = gpu.software ? SOFTWARE_WORKGROUP : workgroupSizeFor(gpu.limits);
    const kernel = generateKernel({ name, ...sizes }, compiled, sizes.maxBatch, {
      workgroupSize: options.workgroupSize ?? suited,
      workgroupBytes: options.workgroupBytes ?? gpu.limits.maxComputeWorkgroupStorageSize,
      half: half && gpu.capabilities.f16,
      packedDot: packedDot && gpu.capabilities.packedDot,
      wideWork,
    });
    const buffers = takeBuffers(gpu, kernel, sizes);
    try {
      const dispatches = await makeDispatches(gpu, name, kernel, buffers);
      return new DeviceStep(gpu, kernel, sizes, buffers, dispatches);
    } catch (error) {
      giveBuffers(gpu, buffers);
      throw error;
    }
  }

  /**
   * Advances `count` rows: one upload, one submit, one read-back.
   *
   * @param encode records, into the same command buffer and before the step, what writes the features to
   * {@link featureTarget}; null where they are in {@link features}
   * @throws GpuLostError
   */
  async run(
    slots: Int32Array,
    count: number,
    probabilities: Float32Array,
    encode: ((encoder: GPUCommandEncoder) => void) | null,
  ): Promise<void> {
    const { featureCount, headCount } = this.#sizes;
    const { device } = this.#gpu;
    this.rows.take(slots, count);
    const words = encode === null ? this.kernel.featuresAt + count * featureCount : count;
    device.queue.writeBuffer(this.#buffers.input, 0, this.#input, 0, words);
    const encoder = device.createCommandEncoder();
    encode?.(encoder);
    const pass = encoder.beginComputePass();
    for (const { pipeline, bindings, tiles } of this.#dispatches) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindings);
      pass.dispatchWorkgroups(tiles, count);
    }
    pass.end();
    const bytes = count * headCount * 4;
    this.#readback.copy(encoder, this.#buffers.probabilities, 0, 0, bytes);
    this.#gpu.submit(encoder.finish());
    await this.#readback.read(bytes, (data) =>
      probabilities.set(new Float32Array(data, 0, count * headCount)),
    );
  }

  memoryBytes(): number {
    const onDevice = Object.values(this.#buffers).reduce((sum, buffer) => sum + (buffer?.size ?? 0), 0);
    return this.#input.byteLength + onDevice;
  }

  release(): void {
    this.#readback.close();
    giveBuffers(this.#gpu, this.#buffers);
  }
}

interface Dispatch {
  readonly pipeline: GPUComputePipeline;
  readonly bindings: GPUBindGroup;
  readonly tiles: number;
}

/** Null where the kernel needs none. */
interface Buffers {
  readonly input: GPUBuffer;
  readonly constants: GPUBuffer;
  readonly states: GPUBuffer;
  readonly probabilities: GPUBuffer;
  readonly halves: GPUBuffer | null;
  readonly scratch: GPUBuffer | null;
  readonly levels: GPUBuffer | null;
}

function takeBuffers(
  gpu: Gpu,
  kernel: Kernel,
  { featureCount, headCount, slotCount, maxBatch }: StepSizes,
): Buffers {
  const { STORAGE, COPY_DST, COPY_SRC } = GPUBufferUsage;
  const taken: GPUBuffer[] = [];
  const keep = (buffer: GPUBuffer): GPUBuffer => {
    taken.push(buffer);
    return buffer;
  };
  const take = (label: string, words: number, usage: number): GPUBuffer =>
    keep(gpu.buffers.take(`step ${label}`, Math.max(words, 4) * 4, usage));
  const takeIf = (label: string, words: number): GPUBuffer | null =>
    words === 0 ? null : take(label, words, STORAGE);
  try {
    return {
      input: take("input", kernel.featuresAt + maxBatch * featureCount, STORAGE | COPY_DST),
      constants: keep(gpu.buffers.takeWith("step constants", kernel.constants, STORAGE)),
      states: take("states", slotCount * kernel.slotFloats, STORAGE),
      probabilities: take("probabilities", maxBatch * headCount, STORAGE | COPY_SRC),
      halves:
        kernel.halves.length === 0
          ? null
          : keep(gpu.buffers.takeWith("step weights", kernel.halves, STORAGE)),
      scratch: takeIf("scratch", maxBatch * kernel.scratchWords),
      levels: takeIf("levels", maxBatch * kernel.levelWords),
    };
  } catch (error) {
    for (const buffer of taken) gpu.buffers.give(buffer);
    throw error;
  }
}

function giveBuffers(gpu: Gpu, buffers: Buffers): void {
  for (const buffer of Object.values(buffers)) if (buffer !== null) gpu.buffers.give(buffer);
}

async function makeDispatches(
  gpu: Gpu,
  model: string,
  kernel: Kernel,
  buffers: Buffers,
): Promise<Dispatch[]> {
  const bound: Readonly<Record<number, GPUBuffer | null>> = {
    [BINDING.input]: buffers.input,
    [BINDING.constants]: buffers.constants,
    [BINDING.constantQuads]: buffers.constants,
    [BINDING.states]: buffers.states,
    [BINDING.probabilities]: buffers.probabilities,
    [BINDING.halves]: buffers.halves,
    [BINDING.scratch]: buffers.scratch,
    [BINDING.levels]: buffers.levels,
  };
  const dispatches: Dispatch[] = [];
  for (const { entryPoint, tiles, bindings } of kernel.passes) {
    invariant(tiles <= gpu.limits.maxComputeWorkgroupsPerDimension, "a layer's tiles fit into one dispatch");
    const pipeline = await gpu.pipelines.compute(`step of ${model}`, kernel.code, entryPoint);
    const entries = bindings.flatMap((binding) => {
      const buffer = bound[binding];
      return buffer === null || buffer === undefined ? [] : [{ binding, resource: { buffer } }];
    });
    const group = await gpu.scoped(`bindings of ${model}/${entryPoint}`, () =>
      gpu.device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }),
    );
    dispatches.push({ pipeline, bindings: group, tiles });
  }
  return dispatches;
}
