import slotsShader from "../../shaders/slots.wgsl" with { type: "text" };

/** Of `shaders/slots.wgsl`. */
const WORKGROUP = 64;
/** WebGPU's least `maxComputeWorkgroupsPerDimension`; larger states are walked by fewer threads. */
const WORKGROUPS_MAX = 65_535;

/** Buffers of one recurrent state on the device. */
export interface DeviceState {
  /** Floats of one slot. */
  readonly size: number;
  /** `[slotCount, size]` */
  readonly held: GPUBuffer;
  /** `[maxBatch, size]`: what the model reads. */
  readonly input: GPUBuffer;
  /** `[maxBatch, size]`: what the model writes. */
  readonly output: GPUBuffer;
}

interface Move {
  readonly bindings: GPUBindGroup;
  readonly workgroups: number;
}

/** Moves all states of a batch between their slots and the model's buffers, one dispatch a state. */
export class SlotMover {
  readonly #batch: number;
  readonly #gather: GPUComputePipeline;
  readonly #scatter: GPUComputePipeline;
  readonly #gathers: readonly Move[];
  readonly #scatters: readonly Move[];

  /** @param rows `[batch]` of `SlotRows.rows` */
  constructor(device: GPUDevice, rows: GPUBuffer, batch: number, states: readonly DeviceState[]) {
    this.#batch = batch;
    const module = device.createShaderModule({ code: slotsShader });
    const pipeline = (entryPoint: string): GPUComputePipeline =>
      device.createComputePipeline({ layout: "auto", compute: { module, entryPoint } });
    this.#gather = pipeline("gather");
    this.#scatter = pipeline("scatter");
    const move = (pipe: GPUComputePipeline, size: number, from: GPUBuffer, to: GPUBuffer): Move => {
      const layout = device.createBuffer({
        size: 16,
        usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
      });
      device.queue.writeBuffer(layout, 0, Uint32Array.of(size, 0, 0, 0));
      const bindings = device.createBindGroup({
        layout: pipe.getBindGroupLayout(0),
        entries: [layout, rows, from, to].map((buffer, binding) => ({ binding, resource: { buffer } })),
      });
      return { bindings, workgroups: Math.min(Math.ceil(size / WORKGROUP), WORKGROUPS_MAX) };
    };
    this.#gathers = states.map(({ size, held, input }) => move(this.#gather, size, held, input));
    this.#scatters = states.map(({ size, held, output }) => move(this.#scatter, size, output, held));
  }

  /** Fills the model's state inputs from the slots. */
  gather(encoder: GPUCommandEncoder): void {
    this.#encode(encoder, this.#gather, this.#gathers);
  }

  /** Puts the model's state outputs back into the slots. */
  scatter(encoder: GPUCommandEncoder): void {
    this.#encode(encoder, this.#scatter, this.#scatters);
  }

  #encode(encoder: GPUCommandEncoder, pipeline: GPUComputePipeline, moves: readonly Move[]): void {
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    for (const { bindings, workgroups } of moves) {
      pass.setBindGroup(0, bindings);
      pass.dispatchWorkgroups(workgroups, this.#batch);
    }
    pass.end();
  }
}
