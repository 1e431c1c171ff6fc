import eventsShader from "../../shaders/feature-events.wgsl" with { type: "text" };
import rowShader from "../../shaders/feature-row.wgsl" with { type: "text" };
import windowsShader from "../../shaders/feature-windows.wgsl" with { type: "text" };
import featuresShader from "../../shaders/features.wgsl" with { type: "text" };
import { invariant } from "../core/invariant.ts";
import type { Gpu } from "../gpu/device.ts";
import { SCHEMA_HASH } from "./schema.ts";
import { SweepFeatures } from "./sweep-features.ts";

/** Of `shaders/features.wgsl`: words that the device holds of a slot. */
const SLOT_WORDS = 141;
const WORKGROUP = 64;
/** WGSL has no way to include a file. */
const SHADER = [featuresShader, windowsShader, eventsShader, rowShader].join("\n");
/** Room for events between two sweeps, in words; a book event takes 35, a best price 9. */
const RECORD_WORDS = 1 << 16;

/**
 * The feature sweep on a device: all instruments that saw events since the last one, their rows written into the buffer that
 * the model reads. One upload, one dispatch.
 */
export class FeatureSweep {
  /** Takes the events; the desk's features where a GPU computes them. */
  readonly source: SweepFeatures;
  readonly #gpu: Gpu;
  readonly #pipeline: GPUComputePipeline;
  readonly #workgroup: number;
  readonly #upload: GPUBuffer;
  readonly #held: GPUBuffer;
  readonly #bindings: GPUBindGroup;

  /**
   * @param target where `[rows, F]` f32 are written, from `offset` bytes of a storage buffer
   * @throws GpuError, GpuLimitError
   */
  static async create(
    gpu: Gpu,
    slotCount: number,
    target: { readonly buffer: GPUBuffer; readonly offset: number },
    { recordWords = RECORD_WORDS }: { readonly recordWords?: number } = {},
  ): Promise<FeatureSweep> {
    invariant(
      featuresShader.includes(`// schema ${SCHEMA_HASH}\n`),
      `shaders/features.wgsl computes schema ${SCHEMA_HASH}`,
    );
    const { maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupSizeX } = gpu.limits;
    const workgroup = Math.min(WORKGROUP, maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupSizeX);
    const pipeline = await gpu.pipelines.compute("features", SHADER, "sweep", {
      WORKGROUP: workgroup,
    });
    return new FeatureSweep(gpu, slotCount, target, recordWords, pipeline, workgroup);
  }

  private constructor(
    gpu: Gpu,
    slotCount: number,
    target: { readonly buffer: GPUBuffer; readonly offset: number },
    recordWords: number,
    pipeline: GPUComputePipeline,
    workgroup: number,
  ) {
    this.#gpu = gpu;
    this.#pipeline = pipeline;
    this.#workgroup = workgroup;
    this.source = new SweepFeatures(slotCount, recordWords, () => this.#flush());
    const { STORAGE, COPY_DST } = GPUBufferUsage;
    this.#upload = gpu.buffers.take("sweep upload", this.source.upload.words.byteLength, STORAGE | COPY_DST);
    // The slots' number follows from the buffer's size, which must then be exact.
    const heldBytes = slotCount * SLOT_WORDS * 4;
    this.#held = gpu.buffers.take("sweep state", heldBytes, STORAGE);
    this.#bindings = gpu.device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [
        { binding: 0, resource: { buffer: this.#upload } },
        { binding: 1, resource: { buffer: this.#held, size: heldBytes } },
        { binding: 2, resource: { buffer: target.buffer, offset: target.offset } },
      ],
    });
  }

  /** Bytes on the device. */
  get bytes(): number {
    return this.#upload.size + this.#held.size;
  }

  /** Uploads what waits and records the sweep of it; nothing when nothing waits. */
  encode(encoder: GPUCommandEncoder, timestampWrites?: GPUComputePassTimestampWrites): void {
    const { upload } = this.source;
    const dirty = upload.dirtyCount;
    if (dirty === 0) return;
    const words = upload.seal();
    this.#gpu.device.queue.writeBuffer(this.#upload, 0, upload.words, 0, words);
    const pass = encoder.beginComputePass(timestampWrites === undefined ? undefined : { timestampWrites });
    pass.setPipeline(this.#pipeline);
    pass.setBindGroup(0, this.#bindings);
    pass.dispatchWorkgroups(Math.ceil(dirty / this.#workgroup));
    pass.end();
  }

  close(): void {
    this.#gpu.buffers.give(this.#upload);
    this.#gpu.buffers.give(this.#held);
  }

  /** The room for events is used up, or rows must be made now: a sweep of its own. On a lost device all is void anyway. */
  #flush(): void {
    if (this.#gpu.lost !== null) {
      this.source.upload.clear();
      return;
    }
    const encoder = this.#gpu.device.createCommandEncoder();
    this.encode(encoder);
    this.#gpu.submit(encoder.finish());
  }
}
